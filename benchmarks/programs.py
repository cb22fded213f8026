"""The programs that are measured, and how each is started with one worker on given cores."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
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

    def missing(self) -> str | None:
        """Why it cannot be measured here; None: it can."""
        return None

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
                with suppress(ProcessLookupError):  # a child that ended with its session
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


NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@dataclass(frozen=True, slots=True)
class Nginx(Program):
    """The stream module, one worker; it reads no host name."""

    def command(self, place: Place) -> list[str]:
        config = place.directory / "nginx.conf"
        config.write_text(
            f"""load_module {NGINX_STREAM};
daemon off;
worker_processes 1;
worker_rlimit_nofile {2 * sessions_max() + 200};
pid {place.directory / "nginx.pid"};
error_log stderr error;
events {{ worker_connections {2 * sessions_max() + 100}; }}
stream {{
  server {{
    listen 127.0.0.1:{place.port} backlog=4096;
    proxy_pass 127.0.0.1:{place.backend};
    proxy_timeout 300s;
  }}
}}
"""
        )
        return ["nginx", "-e", "stderr", "-p", str(place.directory), "-c", str(config)]

    def version(self) -> str:
        words = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr
        return words.rpartition("/")[2].strip() or "unknown"

    def missing(self) -> str | None:
        if shutil.which("nginx") and NGINX_STREAM.exists():
            return None
        return "the Debian packages nginx-light and libnginx-mod-stream are not installed"


@dataclass(frozen=True, slots=True)
class Socat(Program):
    """A process for each session; it reads no host name."""

    def command(self, place: Place) -> list[str]:
        listen = f"TCP4-LISTEN:{place.port},bind=127.0.0.1,fork,reuseaddr,backlog=4096,nodelay"
        return ["socat", "-b65536", listen, f"TCP4:127.0.0.1:{place.backend},nodelay"]

    def version(self) -> str:
        lines = subprocess.run(["socat", "-V"], capture_output=True, text=True).stdout.split()
        return lines[lines.index("version") + 1] if "version" in lines else "unknown"

    def missing(self) -> str | None:
        return None if shutil.which("socat") else "the Debian package socat is not installed"


@dataclass(frozen=True, slots=True)
class PythonRelay(Program):
    """A relay in a few lines of Python (peers/python_relay.py); it reads no host name."""

    loop: str = "asyncio"

    def command(self, place: Place) -> list[str]:
        relay = ROOT / "benchmarks" / "peers" / "python_relay.py"
        return [sys.executable, str(relay), self.loop, str(place.port), str(place.backend)]

    def version(self) -> str:
        return version("uvloop") if self.loop == "uvloop" else platform.python_version()


CARGO_ROOT = ROOT / "build" / "cache" / "infrarust"
INFRARUST_VERSION = "2.0.0-beta.4"


@dataclass(frozen=True, slots=True)
class Infrarust(Program):
    """From crates.io, built once into build/cache; routed by host name, one worker thread."""

    mode: str = "passthrough"

    def command(self, place: Place) -> list[str]:
        config = place.directory / "infrarust.toml"
        servers = place.directory / "servers"
        servers.mkdir()
        config.write_text(
            f"""bind = "127.0.0.1:{place.port}"
servers_dir = "{servers}"
plugins_dir = "{place.directory / "plugins"}"
worker_threads = 1
[rate_limit]
enabled = false
"""
        )
        (servers / "bench.toml").write_text(
            f"""domains = ["{HOST}"]
addresses = ["127.0.0.1:{place.backend}"]
proxy_mode = "{self.mode}"
"""
        )
        return [str(CARGO_ROOT / "bin" / "infrarust"), "-c", str(config), "-l", "error"]

    def version(self) -> str:
        return INFRARUST_VERSION

    def missing(self) -> str | None:
        if (CARGO_ROOT / "bin" / "infrarust").exists():
            return None
        return "it was not built here (`make infrarust` does, where cargo is installed)"


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
NGINX = Nginx("nginx", "nginx stream")
SOCAT = Socat("socat", "socat")
ASYNCIO = PythonRelay("asyncio", "asyncio relay")
UVLOOP = PythonRelay("uvloop", "uvloop relay", loop="uvloop")
INFRARUST = Infrarust("infrarust", "Infrarust")
INFRARUST_SPLICE = Infrarust("infrarust-splice", "Infrarust, zero_copy", mode="zero_copy")
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
