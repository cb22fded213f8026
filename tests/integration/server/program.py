"""`mcproxy-server` as a child process, and backends to put behind it."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mcproxy.minecraft.connection import ClientConnection, StatusReceived
from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.login import LoginStart

BINARY = Path(sys.executable).parent / "mcproxy-server"
DEADLINE = 30.0
"""Seconds for anything. Nothing should come near it: it ends a test that would hang."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def frame(body: bytes) -> bytes:
    """A short body behind its length."""
    assert len(body) < 128
    return bytes([len(body)]) + body


def shown_under(host: str, port: int) -> str:
    """The text that the server list shows for ``host``, asked at 127.0.0.1."""
    client = ClientConnection(host, port)
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.sendall(client.request_status())
        while True:
            for event in client.receive(connection.recv(65536)):
                assert isinstance(event, StatusReceived)
                return event.status.text


def join(host: str, port: int, name: str, protocol: int = 767) -> socket.socket:
    """A connection on which a player has asked to join through ``host``."""
    connection = socket.create_connection(("127.0.0.1", port), DEADLINE)
    hello = Handshake(protocol, host, port, Intent.LOGIN).encode()
    connection.sendall(frame(hello) + frame(LoginStart(name).encode(protocol)))
    return connection


class Program:
    """A running command of `mcproxy-server`; what it prints can be waited for."""

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path,
        program: Sequence[str | Path] = (BINARY,),
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.cwd = cwd
        self.process = subprocess.Popen(
            [*program, *map(str, arguments)],
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with self.process.stdout as output:
            for line in output:
                self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def line_with(self, text: str) -> str:
        """The next line that contains ``text``."""
        while True:
            line = self._coming.get(timeout=DEADLINE)
            if line is None:
                raise AssertionError(f"ended without {text!r}: {self.lines}")
            self.lines.append(line)
            if text in line:
                return line

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """The exit status, once the process has ended; all it printed is in ``lines``."""
        status = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        while (line := self._coming.get(timeout=DEADLINE)) is not None:
            self.lines.append(line)
        return status

    def ask(self, *arguments: str) -> Any:
        """What another command prints as JSON, asked in the same folder."""
        done = subprocess.run(
            [BINARY, *arguments, "--json"],
            cwd=self.cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        return json.loads(done.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + DEADLINE
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the peer closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while received := connection.recv(65536):
            data += received
    return data
