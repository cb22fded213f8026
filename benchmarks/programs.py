"""The programs that are measured, and how each is started with one worker on given cores."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
HOST = "bench.localhost"


def sessions_max() -> int:
    """Sessions that the limit of open files leaves room for: two sockets each."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2


class NotStartedError(Exception):
    """A program that is measured did not come up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run happens: its ports on 127.0.0.1, its directory, the cores of the program."""

    directory: Path
    port: int
    backend: int
    cpus: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Program:
    """One program that stands between the players and the backend."""

    key: str
    title: str

    def command(self, place: Place) -> list[str]:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    @contextmanager
    def running(self, place: Place, under: Sequence[str] = ()) -> Iterator[int]:
        """The process id of the program, which accepts connections.

        ``under`` is a tool with its options that the program runs under; the id is then the
        tool's.
        """
        log = place.directory / f"{self.key}.log"
        command = pinned([*under, *self.command(place)], place.cpus)
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_listening(process, place.port, log)
            yield process.pid
        finally:
            for pid in [*processes(process.pid)]:  # strace does not pass signals on
                os.kill(pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class HAProxy(Program):
    """TCP mode, one thread; it reads no host name."""

    splice: bool = False

    def command(self, place: Place) -> list[str]:
        config = place.directory / f"{self.key}.cfg"
        config.write_text(
            f"""global
  nbthread 1
  maxconn {sessions_max()}
  maxpipes 64
defaults
  mode tcp
  {"option splice-auto" if self.splice else ""}
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend players
  bind 127.0.0.1:{place.port} backlog 4096
  default_backend servers
backend servers
  server bench 127.0.0.1:{place.backend}
"""
        )
        return ["haproxy", "-db", "-f", str(config)]

    def version(self) -> str:
        words = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout.split()
        return words[2] if len(words) > 2 else "unknown"


@dataclass(frozen=True, slots=True)
class McProxy(Program):
    """The reference server of this project, passthrough, routed by host name."""

    workers: int = 1
    mode: str = "passthrough"

    def command(self, place: Place) -> list[str]:
        # In a directory of its own, which is watched for changes: nothing else is to change there.
        config = place.directory / "config" / "mcproxy.toml"
        config.parent.mkdir()
        config.write_text(
            f"""bind = ["127.0.0.1:{place.port}"]
workers = {self.workers}
max_connections = {sessions_max()}
log.level = "warning"
control.socket = "{place.directory / "control.sock"}"

[[server]]
name = "bench"
domains = ["{HOST}"]
addresses = ["127.0.0.1:{place.backend}"]
proxy_mode = "{self.mode}"
"""
        )
        return [str(Path(sys.executable).parent / "mcproxy-server"), "run", "-c", str(config)]

    def version(self) -> str:
        import mcproxy

        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()
        return f"{mcproxy.__version__} ({commit})" if commit else mcproxy.__version__


class Direct(Program):
    """No proxy: the players connect to the backend. What is left is the floor."""

    def version(self) -> str:
        return "-"


DIRECT = Direct("direct", "no proxy")
HAPROXY = HAProxy("haproxy", "HAProxy")
HAPROXY_SPLICE = HAProxy("haproxy-splice", "HAProxy, splice-auto", splice=True)
MCPROXY = McProxy("mcproxy", "mcproxy")
MCPROXY_TWO = McProxy("mcproxy-two", "mcproxy, two workers", workers=2)


def pinned(command: list[str], cpus: tuple[int, ...] | None) -> list[str]:
    """The command, bound to these cores (None: to whatever the kernel likes)."""
    if cpus is None or not shutil.which("taskset"):
        return command
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]


def processes(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from processes(int(child))


def wait_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until somebody listens on the port, seen without a connection that would be counted."""
    wanted = f":{port:04X}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with open("/proc/net/tcp") as table:
            if listens(table, wanted):
                return
        time.sleep(0.01)
    raise NotStartedError(f"{process.args!r} does not listen on port {port}:\n{log.read_text()}")


def listens(table: IO[str], wanted: str) -> bool:
    return any(
        row[1].endswith(wanted) and row[3] == "0A" for row in map(str.split, table) if len(row) > 3
    )
