"""How long a start takes: ``import mcproxy``, and the server until it listens."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import free_port
from benchmarks.programs import MCPROXY, Place


def python_start(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def import_milliseconds() -> float:
    """Less what the interpreter alone takes."""
    return 1e3 * max(0.0, python_start("import mcproxy") - python_start("pass"))


def listening_milliseconds() -> float:
    with tempfile.TemporaryDirectory(prefix="mcproxy-bench-") as directory:
        place = Place(Path(directory), free_port(), free_port(), None)
        begin = time.perf_counter()
        with MCPROXY.running(place):
            return 1e3 * (time.perf_counter() - begin)


def times(function: Callable[[], float], repeat: int) -> list[float]:
    return sorted(function() for _ in range(repeat))
