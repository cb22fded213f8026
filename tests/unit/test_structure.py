"""The shape of the code base: what imports what, what is compiled, what importing costs."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import mcproxy

PACKAGE = Path(mcproxy.__file__).resolve().parent
CHECKOUT = PACKAGE.parent
SPEEDUPS = sorted(path for path in (PACKAGE / "_speedups").rglob("*.pyx"))

PLANE, WIRE, MATCH, BUFFERS, ATOMIC = COMPILED = tuple(
    f"mcproxy._speedups.{name}" for name in ("plane", "wire", "match", "buffers", "atomic")
)
# The parts of the code base, and for each the parts that it may import besides itself.
ALLOWED = {
    "mcproxy_server": ("mcproxy.proxy", "mcproxy.minecraft", "mcproxy"),
    "mcproxy": ("mcproxy.proxy", "mcproxy.minecraft", WIRE, MATCH, BUFFERS),
    "mcproxy.proxy": ("mcproxy.minecraft", *COMPILED),
    "mcproxy.minecraft": COMPILED,
    PLANE: (WIRE, MATCH, BUFFERS, ATOMIC),
    WIRE: (BUFFERS, ATOMIC),
    MATCH: (BUFFERS, ATOMIC),
    BUFFERS: (ATOMIC,),
    ATOMIC: (),
    "mcproxy._speedups": (),
    "mcproxy.errors": (),
    "mcproxy._version": (),
}
FOR_ALL = ("mcproxy.errors", "mcproxy._version")
IMPORT_LINE = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(.+)|c?import\s+([\w.]+))", re.M)


def part_of(module: str) -> str:
    """The part that a module, or a name in it, belongs to."""
    while module not in ALLOWED:
        module = module.rpartition(".")[0]
    return module


def imports_of(path: Path) -> set[str]:
    """Full names of our modules that a source file imports; names within `from` included."""
    source = path.read_text()
    found: set[str] = set()
    if path.suffix in {".py", ".pyi"}:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: a relative import"
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
    else:
        for origin, names, plain in IMPORT_LINE.findall(source):
            if plain:
                found.add(plain)
            else:
                found.update(f"{origin}.{name}" for name in re.findall(r"\w+", names) or [""])
    return {name for name in found if name.partition(".")[0] in {"mcproxy", "mcproxy_server"}}


def sources() -> list[tuple[str, Path]]:
    found = []
    roots = [(PACKAGE, "mcproxy"), (CHECKOUT / "server" / "mcproxy_server", "mcproxy_server")]
    for root, name in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}:
                parts = (name, *path.relative_to(root).with_suffix("").parts)
                found.append((".".join(part for part in parts if part != "__init__"), path))
    return found


def may_import(module: str, target: str) -> bool:
    part = part_of(module)
    if part == "mcproxy_server" and re.search(r"\._(?!_)", target.removeprefix("mcproxy_server")):
        return target.startswith("mcproxy_server")  # only its own private names
    return part_of(target) in {part, *ALLOWED[part], *FOR_ALL}


def test_imports_point_one_way() -> None:  # S-01
    wrong = [
        f"{module} imports {target}"
        for module, path in sources()
        for target in sorted(imports_of(path))
        if not may_import(module, target)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "target", "fine"),
    [
        ("mcproxy_server.cli", "mcproxy.proxy.router.Router", True),
        ("mcproxy_server.cli", "mcproxy._speedups.plane.reasons", False),
        ("mcproxy.proxy.router", "mcproxy._speedups.plane.routes.RouteTable", True),
        ("mcproxy.proxy.router", "mcproxy_server.cli", False),
        ("mcproxy.minecraft.status", "mcproxy.proxy.model", False),
        ("mcproxy.minecraft.status", "mcproxy.errors.RemoteProtocolError", True),
        ("mcproxy._speedups.wire.frames", "mcproxy._speedups.plane.relay", False),
        ("mcproxy._speedups.buffers", "mcproxy._speedups.wire.varint", False),
        ("mcproxy._speedups.plane.relay", "mcproxy.minecraft.status", False),
    ],
)
def test_the_rule_of_imports_tells_right_from_wrong(module: str, target: str, fine: bool) -> None:
    assert may_import(module, target) is fine


def module_of(path: Path) -> ModuleType:
    return importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))


@pytest.mark.parametrize("path", SPEEDUPS, ids=lambda path: path.stem)
def test_every_compiled_module_is_the_compiled_one(path: Path) -> None:
    assert isinstance(module_of(path).__loader__, importlib.machinery.ExtensionFileLoader)


@pytest.mark.parametrize("path", SPEEDUPS, ids=lambda path: path.stem)
def test_a_compiled_module_with_python_names_has_a_stub(path: Path) -> None:
    names = [name for name in dir(module_of(path)) if not name.startswith("_")]
    assert names == [] or path.with_suffix(".pyi").exists()


def imported_by(statement: str) -> set[str]:
    """Top-level names of everything that a fresh interpreter imports for a statement."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=True,
    )
    names = re.findall(r"^import time:\s*\d+ \|\s*\d+ \|\s*(\S+)$", done.stderr, re.M)
    return {name.partition(".")[0] for name in names}


def test_importing_the_library_loads_nothing_heavy() -> None:  # B-11
    heavy = {
        "asyncio", "cyclopts", "dns", "email", "http", "inspect", "logging", "msgspec", "rich",
        "ssl", "structlog", "tomllib", "typing_extensions", "urllib", "uvloop", "watchfiles",
    }  # fmt: skip
    assert (imported_by("import mcproxy") - imported_by("pass")) & heavy == set()


def test_importing_the_codecs_loads_no_event_loop_and_no_dependency() -> None:  # S-01
    names = imported_by("import mcproxy.minecraft") - imported_by("pass")
    assert names & {"asyncio", "dns", "msgspec", "ssl", "uvloop"} == set()
