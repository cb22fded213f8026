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

TIMED_IMPORT = (
    "import time; t = time.perf_counter(); import mcproxy; print(time.perf_counter() - t)"
)


def import_milliseconds() -> float:
    """In a fresh interpreter, without the interpreter's own start."""
    result = subprocess.run(
        [sys.executable, "-c", TIMED_IMPORT], check=True, capture_output=True, text=True
    )
    return 1e3 * float(result.stdout)


def listening_milliseconds() -> float:
    with tempfile.TemporaryDirectory(prefix="mcproxy-bench-") as directory:
        place = Place(Path(directory), free_port(), free_port(), None)
        begin = time.perf_counter()
        with MCPROXY.running(place):
            return 1e3 * (time.perf_counter() - begin)


def times(function: Callable[[], float], repeat: int) -> list[float]:
    return sorted(function() for _ in range(repeat))
