"""One run: a load against a program, and what the program used for it."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.programs import DIRECT, HOST, ROOT, Place, Program, pinned, processes

SOURCES = ROOT / "benchmarks" / "load"
BINARY = ROOT / "build" / "benchmarks" / "load"
FLAGS = ["-O2", "-g", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra"]


QUIET = 0.1
"""Share of a core that others may use in a run that counts as undisturbed."""


class LoadError(Exception):
    """The load said that something is wrong."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load, with the arguments of ``load``."""

    key: str
    title: str
    unit: str
    arguments: tuple[str, ...]

    @property
    def role(self) -> str:
        return self.arguments[0]


@dataclass(slots=True)
class Run:
    """What one run used. Times are seconds, memory is bytes."""

    work: str
    program: str
    round: int
    units: float
    seconds: float
    cpu: float
    """User and system time of the program, its children included; of both ends if direct."""
    load_cpu: float
    other_cpu: float
    """What everybody else on the machine used in that time: a run should have it to itself."""
    memory: int
    """By how much the program's anonymous memory grew."""
    beside: float = 0.0
    """Bytes that the bulk streams carried beside the units."""
    latency: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per direction, in microseconds."""

    @property
    def cost(self) -> float:
        """Seconds of CPU a unit."""
        return self.cpu / self.units

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds


def build_load() -> Path:
    """The load generator, compiled if its sources changed."""
    return compiled(BINARY, [*sorted(SOURCES.glob("*.c")), SOURCES / "load.h"])


def compiled(output: Path, sources: Sequence[Path], *flags: str) -> Path:
    """The output, compiled if one of its sources changed."""
    newest = max(path.stat().st_mtime for path in sources)
    if not output.exists() or output.stat().st_mtime < newest:
        output.parent.mkdir(parents=True, exist_ok=True)
        units = [str(path) for path in sources if path.suffix == ".c"]
        command = [os.environ.get("CC", "cc"), *FLAGS, *flags, "-fPIC", "-o", str(output), *units]
        subprocess.run(command, check=True)
    return output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_file_limit(wanted: int = 24_000) -> None:
    """Open files for 10,000 sessions, if this user may; what is started inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_seconds(pid: int) -> float:
    """User and system time so far; in nanoseconds where the kernel tells, else in ticks."""
    total = 0.0
    for process in processes(pid):
        threads = list(Path(f"/proc/{process}/task").iterdir())
        try:
            total += sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9
        except FileNotFoundError:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_bytes(pid: int) -> int:
    """Anonymous memory that is resident: heap, stacks, buffers; not the program text."""
    total = 0
    for process in processes(pid):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1]) * 1024
    return total


def machine_cpu_seconds() -> float:
    """What all cores have worked so far, in any process and in interrupts."""
    with open("/proc/stat") as table:
        user, nice, system, _idle, _wait, irq, soft = map(int, table.readline().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def wait_quiet(seconds: float = 20.0) -> None:
    """Until nobody else works on this machine, or that time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy = machine_cpu_seconds()
        time.sleep(0.5)
        if machine_cpu_seconds() - busy < 0.5 * QUIET:
            return


class Load:
    """A running load generator; it waits before and after its work, so that others can look."""

    def __init__(self, work: Work, place: Place, target: int, cpus: tuple[int, ...] | None) -> None:
        command = [str(BINARY), *work.arguments, "--host", HOST]
        command += ["--connect", f"127.0.0.1:{target}", "--listen", f"127.0.0.1:{place.backend}"]
        self.process = subprocess.Popen(
            pinned(command, cpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line.strip() and not line.endswith("}\n"):
            line = self.process.stdout.readline()
        if not line.strip():
            line = self.process.stdout.readline()
        try:
            result: dict[str, Any] = json.loads(line)
        except ValueError:
            raise LoadError(f"the load ended with status {self.process.wait()}") from None
        if "error" in result:
            raise LoadError(result["error"])
        return result

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def loaded(work: Work, place: Place, target: int, cpus: tuple[int, ...] | None) -> Iterator[Load]:
    load = Load(work, place, target, cpus)
    try:
        yield load
    finally:
        load.close()


def measure(
    work: Work,
    program: Program,
    round_number: int,
    cpus: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> Run:
    """Start the program, put the load on it, stop it. ``cpus``: (program's, load's)."""
    program_cpus, load_cpus = cpus or (None, None)
    with tempfile.TemporaryDirectory(prefix="mcproxy-bench-") as directory:
        place = Place(Path(directory), free_port(), free_port(), program_cpus)
        if program is DIRECT:
            with loaded(work, place, place.backend, load_cpus) as load:
                return watch(work, program, round_number, load, load.process.pid)
        with (
            program.running(place) as pid,
            loaded(work, place, place.port, load_cpus) as load,
        ):
            return watch(work, program, round_number, load, pid)


def watch(work: Work, program: Program, round_number: int, load: Load, pid: int) -> Run:
    load.answer()
    memory = memory_bytes(pid)
    cpu, machine, begin = cpu_seconds(pid), machine_cpu_seconds(), time.monotonic()
    load.go()
    result = load.answer()
    cpu = cpu_seconds(pid) - cpu
    machine = machine_cpu_seconds() - machine
    if work.role == "idle":
        time.sleep(0.2)  # what is made for a session after its player is in
    load_cpu = result["load_cpu_seconds"]
    if program is DIRECT:
        cpu = load_cpu
    ours = load_cpu if program is DIRECT else load_cpu + cpu
    return Run(
        work=work.key,
        program=program.key,
        round=round_number,
        units=result["units"],
        seconds=result["seconds"],
        cpu=cpu,
        load_cpu=load_cpu,
        other_cpu=max(0.0, machine - ours) / max(time.monotonic() - begin, 1e-9),
        memory=memory_bytes(pid) - memory,
        beside=result.get("bulk_bytes", 0.0),
        latency={
            key.removeprefix("latency_").removesuffix("_us").removesuffix("us") or "answer": value
            for key, value in result.items()
            if key.startswith("latency")
        },
    )
