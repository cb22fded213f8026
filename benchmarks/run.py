"""Measure mcproxy beside other programs and write docs/benchmarks.md: ``make bench``."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyperf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import startup
from benchmarks.count import WORKS, allocations, system_calls
from benchmarks.measure import (
    QUIET,
    LoadError,
    Run,
    Work,
    build_load,
    measure,
    raise_file_limit,
    wait_quiet,
)
from benchmarks.programs import (
    ASYNCIO,
    DIRECT,
    HAPROXY,
    HAPROXY_SPLICE,
    INFRARUST,
    INFRARUST_SPLICE,
    MCPROXY,
    MCPROXY_TWO,
    NGINX,
    ROOT,
    SOCAT,
    UVLOOP,
    NotStartedError,
    Program,
    sessions_max,
)
from benchmarks.report import write_report

ALONE = (DIRECT, MCPROXY, HAPROXY)
OURS = (DIRECT, MCPROXY, MCPROXY_TWO)
RELAYS = (NGINX, SOCAT, INFRARUST, UVLOOP, ASYNCIO)

QUICK_MINUTES = 7.0
"""After which ``--quick`` begins no further round; what is counted comes on top of it."""


def works(quick: bool, idle_sessions: int) -> dict[Work, tuple[Program, ...]]:
    """Each load, and the programs that it is put on."""
    seconds = "2" if quick else "5"
    players = "400" if quick else "1000"
    return {
        Work(
            "players",
            f"{players} players, 20 ticks a second, 1 kB down and 40 B up",
            "message",
            ("players", "--sessions", players, "--seconds", seconds),
        ): (*ALONE, *RELAYS),
        Work(
            "mixed",
            "200 players with 8 bulk streams beside them: are the players served in time?",
            "message",
            ("players", "--sessions", "200", "--streams", "8", "--seconds", seconds),
        ): (*ALONE, HAPROXY_SPLICE, NGINX, INFRARUST),
        Work(
            "pingpong",
            "200 connections, 64 B ping-pong",
            "message",
            ("pingpong", "--sessions", "200", "--up", "64", "--seconds", seconds),
        ): (DIRECT, MCPROXY, HAPROXY, MCPROXY_TWO, *RELAYS),
        Work(
            "bulk",
            "8 bulk streams",
            "byte",
            ("bulk", "--sessions", "8", "--bytes", str((500 if quick else 2000) * 10**6)),
        ): (*ALONE, HAPROXY_SPLICE, NGINX, SOCAT, INFRARUST, INFRARUST_SPLICE),
        Work(
            "joins",
            "login connections: routed, answered by the backend, closed",
            "connection",
            ("joins", "--count", "5000" if quick else "20000"),
        ): ALONE,
        Work(
            "status",
            "status and ping exchanges",
            "exchange",
            ("status", "--count", "5000" if quick else "20000"),
        ): ALONE,
        Work(
            "idle",
            f"{idle_sessions} idle sessions",
            "session",
            ("idle", "--sessions", str(idle_sessions)),
        ): (MCPROXY, HAPROXY),
    }


def cores() -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(the program's, the load's); None where there is only one."""
    free = sorted(os.sched_getaffinity(0))
    return ((free[0],), (free[-1],)) if len(free) > 1 else None


def machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "congestion_control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def describe(run: Run, work: Work) -> str:
    cost = f"{run.cost * 1e6:.2f} µs per {work.unit}"
    if work.key == "bulk":
        cost = f"{1 / run.cost / 1e9:.2f} GB a CPU-second, {run.rate / 1e9:.2f} GB/s"
    elif work.key == "idle":
        cost = f"{run.memory / run.units / 1024:.2f} KiB a session"
    other = f", {run.other_cpu:.0%} of a core used by others" if run.other_cpu > QUIET else ""
    return f"{work.key:9} {run.program:15} {cost}{other}"


def undisturbed(
    work: Work,
    program: Program,
    number: int,
    cpus: tuple[tuple[int, ...], tuple[int, ...]] | None,
    tries: int,
) -> Run:
    """The run, or the least disturbed of so many tries if others kept working meanwhile."""
    runs: list[Run] = []
    while len(runs) < tries and not (runs and runs[-1].other_cpu <= QUIET):
        if tries > 1:
            wait_quiet()
        runs.append(measure(work, program, number, cpus))
    return min(runs, key=lambda run: run.other_cpu)


def run_all(
    chosen: dict[Work, tuple[Program, ...]],
    rounds: int,
    tries: int,
    minutes: float | None,
    console: Console,
    missing: dict[str, str],
) -> list[Run]:
    """Every program in turn, so that neighbours in time are compared; the order rotates.

    No round begins that would probably end after so many minutes. A peer that does not start or
    does not bear a load is left out of it from then on, and ``missing`` says why.
    """
    runs: list[Run] = []
    failed: set[tuple[Work, Program]] = set()
    begin = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=1,
    )
    with bar:
        task = bar.add_task("", total=rounds * sum(map(len, chosen.values())))
        for number in range(rounds):
            used = (time.monotonic() - begin) / 60
            if minutes is not None and number and used * (number + 1) / number > minutes:
                console.print(f"{number} of {rounds} rounds: there is no time for another")
                break
            for work, programs in chosen.items():
                turn = number % max(len(programs), 1)
                for program in programs[turn:] + programs[:turn]:
                    bar.update(task, description=f"{work.key} {program.key}")
                    together = program is MCPROXY_TWO
                    bar.advance(task)
                    if (work, program) in failed:
                        continue
                    cpus = None if together else cores()
                    try:
                        run = undisturbed(work, program, number, cpus, tries)
                    except (LoadError, NotStartedError) as error:
                        if program in OURS:
                            raise
                        failed.add((work, program))
                        why = str(error) if isinstance(error, LoadError) else "it did not start"
                        missing[f"{program.title} under the load {work.key}"] = why
                        continue
                    runs.append(run)
                    console.print(describe(run, work), highlight=False, soft_wrap=True)
    return runs


def function_times(quick: bool, console: Console) -> dict[str, float]:
    """Nanoseconds of a call, by name; pyperf does the measuring in processes of its own."""
    console.print("single functions, with pyperf")
    with tempfile.TemporaryDirectory(prefix="mcproxy-bench-") as directory:
        file = Path(directory) / "functions.json"
        command = [sys.executable, str(ROOT / "benchmarks" / "functions.py"), "-q", "-o", str(file)]
        command += ["--fast"] if quick else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        suite = pyperf.BenchmarkSuite.load(str(file))
        return {b.get_name(): b.median() * 1e9 for b in suite.get_benchmarks()}


def counts(quick: bool, console: Console) -> dict[str, dict[str, dict[str, float]]]:
    """System calls a unit, by load, program and name; nothing where strace is missing."""
    if shutil.which("strace") is None:
        return {}
    console.print("system calls, with strace")
    return {
        unit: {
            program.key: system_calls(program, work, 200 if quick else 500)
            for program in (MCPROXY, HAPROXY)
        }
        for unit, work in WORKS.items()
    }


def allocated(console: Console) -> dict[str, float]:
    """Calls of malloc of mcproxy a unit, by load."""
    console.print("allocations")
    return {unit: allocations(MCPROXY, work) for unit, work in WORKS.items()}


def left_out(
    chosen: dict[Work, tuple[Program, ...]],
) -> tuple[dict[Work, tuple[Program, ...]], dict[str, str]]:
    """What can be measured here, and by title why something cannot."""
    programs = dict.fromkeys(p for programs in chosen.values() for p in programs)
    reasons = {p: reason for p in programs if (reason := p.missing())}
    rest = {work: tuple(p for p in ps if p not in reasons) for work, ps in chosen.items()}
    return rest, {p.title: reason for p, reason in reasons.items()}


def start_times(repeat: int) -> dict[str, float]:
    return {
        "import_ms": statistics.median(startup.times(startup.import_milliseconds, repeat)),
        "listening_ms": statistics.median(startup.times(startup.listening_milliseconds, repeat)),
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, within twelve minutes")
    parser.add_argument("--rounds", type=int, help="runs of each program and load (5; quick: 3)")
    parser.add_argument("--only", nargs="+", metavar="LOAD", help="only these loads")
    parser.add_argument("--programs", nargs="+", metavar="PROGRAM", help="only these programs")
    parser.add_argument(
        "--output", type=Path, help="directory of the page (docs; with --only or --programs: none)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    console = Console()
    if shutil.which("haproxy") is None:
        console.print("haproxy is not installed; `make bench` installs it, or names the command")
        return 1
    raise_file_limit()
    build_load()
    chosen = works(options.quick, min(10_000, sessions_max()))
    if options.only:
        chosen = {w: p for w, p in chosen.items() if w.key in options.only}
    if options.programs:
        chosen = {w: tuple(p for p in ps if p.key in options.programs) for w, ps in chosen.items()}
    if not any(chosen.values()):
        console.print("nothing to do: no load or program has that name")
        return 1
    chosen, missing = left_out(chosen)
    for title, reason in missing.items():
        console.print(f"{title} is left out: {reason}", markup=False, soft_wrap=True)
    facts = machine()
    rounds = options.rounds or (3 if options.quick else 5)
    minutes = QUICK_MINUTES if options.quick else None
    try:
        runs = run_all(chosen, rounds, 1 if options.quick else 3, minutes, console, missing)
        whole = not (options.only or options.programs)
        starts = start_times(3 if options.quick else 10) if whole else {}
        functions = function_times(options.quick, console) if whole else {}
        calls = counts(options.quick, console) if whole else {}
        made = allocated(console) if whole else {}
    except (LoadError, NotStartedError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    data = {
        "machine": facts,
        "quick": bool(options.quick),
        "rounds": 1 + max(run.round for run in runs),
        "left_out": missing,
        "calls": calls,
        "allocations": made,
        "programs": {p.key: p.version() for ps in chosen.values() for p in ps},
        "titles": {p.key: p.title for ps in chosen.values() for p in ps},
        "works": [dataclasses.asdict(w) for w in chosen],
        "start": starts,
        "functions": functions,
        "runs": [dataclasses.asdict(r) for r in runs],
    }
    write_report(data, runs, options.output or (ROOT / "docs" if whole else None), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
