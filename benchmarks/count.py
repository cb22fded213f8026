"""What can be counted and does not depend on the clock: system calls, allocations, instructions.

``python -m benchmarks.count`` prints the figures beside their limits (limits.toml), which
tests/guard holds in CI.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Work, build_load, compiled, free_port, loaded
from benchmarks.programs import HAPROXY, MCPROXY, ROOT, Place, Program

LIMITS: dict[str, dict[str, float]] = tomllib.loads(
    (ROOT / "benchmarks" / "limits.toml").read_text()
)
ALLOCATIONS = (ROOT / "benchmarks" / "allocations.c",)
CALL = re.compile(rb"^\d+ +([a-z_0-9]+)\(", re.MULTILINE)

TICKING = 10_000
"""Bytes of strace's log in a second that a program with nothing to do may write: some 100 calls."""

# One session, one thing at a time: so that no two units share a system call by chance.
MESSAGES = Work("pingpong", "messages", "message", ("pingpong", "--sessions", "1", "--up", "64"))
LOGINS = Work("joins", "logins", "connection", ("joins", "--at-once", "1"))
STATUSES = Work("status", "status exchanges", "exchange", ("status", "--at-once", "1"))
WORKS = {"message": MESSAGES, "login": LOGINS, "status": STATUSES}


def counted(work: Work, count: int) -> Work:
    arguments = (*work.arguments, "--count", str(count))
    return Work(work.key, work.title, work.unit, arguments)


@contextmanager
def place() -> Iterator[Place]:
    build_load()
    with tempfile.TemporaryDirectory(prefix="mcproxy-count-") as directory:
        yield Place(Path(directory), free_port(), free_port(), None)


def system_calls(program: Program, work: Work, count: int = 500) -> dict[str, float]:
    """System calls of the whole program for each unit of the load, by name."""
    with place() as where:
        log = where.directory / "calls"
        under = ("strace", "-f", "-qq", "-o", str(log))
        with (
            program.running(where, under),
            loaded(counted(work, count), where, where.port, None) as load,
        ):
            load.answer()
            begin = settled(lambda: log.stat().st_size, TICKING)
            load.go()
            units = load.answer()["units"]
            with log.open("rb") as lines:
                lines.seek(begin)
                calls = Counter(match.decode() for match in CALL.findall(lines.read()))
    return {name: n / units for name, n in calls.most_common() if n / units >= 0.005}


def allocations(program: Program, work: Work, count: int = 2000) -> float:
    """Calls of malloc of the whole program for each unit, Python's objects included."""
    counter = compiled(ROOT / "build" / "benchmarks" / "allocations.so", ALLOCATIONS, "-shared")
    with place() as where:
        file = where.directory / "allocations"

        def read() -> int:
            return int.from_bytes(file.read_bytes(), sys.byteorder)

        under = ("env", f"LD_PRELOAD={counter}", f"MALLOC_COUNT={file}", "PYTHONMALLOC=malloc")
        with (
            program.running(where, under),
            loaded(counted(work, count), where, where.port, None) as load,
        ):
            load.answer()
            before = settled(read, 100)
            load.go()
            units = load.answer()["units"]
            return (read() - before) / float(units)


def settled(read: Callable[[], int], ticking: int) -> int:
    """What is read once the program has started and adds no more than that in a second."""
    deadline, now, before = time.monotonic() + 30, read(), -ticking - 1
    while now - before > ticking and time.monotonic() < deadline:
        time.sleep(1)  # a program that waits for a core is quiet too, but not for so long
        before, now = now, read()
    return now


def instructions(function: str, count: int = 2000) -> float:
    """Instructions of one call of a function of counted.py, under callgrind."""
    return (callgrind(function, 2 * count) - callgrind(function, count)) / count


def callgrind(function: str, count: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-E", "-s", str(ROOT / "benchmarks" / "counted.py"), function, str(count)]
    result = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONHASHSEED": "0", "PATH": "/usr/bin"}
    )
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode or not found:
        raise RuntimeError(f"callgrind failed:\n{result.stderr}")
    return int(found[1])


def main() -> None:
    for key, work in WORKS.items():
        for program in (MCPROXY, HAPROXY):
            calls = system_calls(program, work)
            limit = LIMITS["system_calls"][key] if program is MCPROXY else None
            print(f"{program.key}: {sum(calls.values()):.2f} calls per {work.unit}, limit {limit}")
            print("   ", ", ".join(f"{name} {n:.2f}" for name, n in calls.items()))
    for key, limit in LIMITS["allocations"].items():
        for program in (MCPROXY, HAPROXY):
            made = allocations(program, WORKS[key])
            print(f"{program.key}: {made:.3f} allocations per {WORKS[key].unit}, limit {limit}")
    for function, limit in LIMITS["instructions"].items():
        print(f"{function}: {instructions(function):.0f} instructions, limit {limit}")


if __name__ == "__main__":
    main()
