"""Build the compiled modules: one extension per .pyx below mcproxy/_speedups.

Switches (environment):
    MCPROXY_SANITIZE=address,undefined   build with these sanitizers
    MCPROXY_DEBUG=1                      -O0 -g, Cython's own checks on, MCPROXY_CHECKS defined
    MCPROXY_ANNOTATE=1                   write the .html annotation beside each .c
"""

import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("mcproxy: free-threaded builds of Python are not supported yet; use the default build")

ROOT = Path(__file__).resolve().parent
SANITIZE = os.environ.get("MCPROXY_SANITIZE", "")
DEBUG = os.environ.get("MCPROXY_DEBUG") == "1"
LINUX_ONLY = ("mcproxy/_speedups/plane/",)
LIBRARIES = {"mcproxy/_speedups/wire/deflate.pyx": ["z"]}

compile_args = ["-std=gnu11", "-Wall", "-Wno-unused-function", "-fvisibility=hidden"]
compile_args.append("-Wno-sign-compare")  # Cython's range() over mixed integers
compile_args += ["-O0", "-g"] if DEBUG else ["-O2", "-g1"]
link_args: list[str] = []
if SANITIZE:
    flags = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-g"]
    compile_args += flags
    link_args += flags

directives = {
    "language_level": 3,
    "binding": True,
    "embedsignature": True,
    "embedsignature.format": "python",
    "cdivision": True,
    "initializedcheck": DEBUG,
    "freethreading_compatible": False,
}


def extensions() -> list[Extension]:
    found = []
    for path in sorted((ROOT / "mcproxy" / "_speedups").rglob("*.pyx")):
        source = path.relative_to(ROOT).as_posix()
        if source.startswith(LINUX_ONLY) and not sys.platform.startswith("linux"):
            continue
        found.append(
            Extension(
                source.removesuffix(".pyx").replace("/", "."),
                [source],
                define_macros=[("MCPROXY_CHECKS", "1")] if DEBUG or SANITIZE else [],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                libraries=LIBRARIES.get(source, []),
            )
        )
    return found


setup(
    ext_modules=cythonize(
        extensions(),
        compiler_directives=directives,
        annotate=os.environ.get("MCPROXY_ANNOTATE") == "1",
        nthreads=os.cpu_count() or 1,
        build_dir="build/cython",
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
