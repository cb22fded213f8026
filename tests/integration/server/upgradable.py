"""A running `mcproxy-server` that is upgraded, and clients that never stop connecting."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mcproxy.minecraft.connection import ClientConnection
from mcproxy_server.control import ask
from tests.integration.server.program import BINARY, DEADLINE, Program, free_port

WORKS = "from mcproxy_server.cli import main\nmain()\n"


class Process:
    """A process that need not be a child of this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def alive(self) -> bool:
        return not select.select([self._handle], [], [], 0)[0]

    def ends(self) -> bool:
        """Whether it ends by itself, given time."""
        return bool(select.select([self._handle], [], [], DEADLINE)[0])

    def signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        os.close(self._handle)


class Upgradable(Program):
    """`mcproxy-server run` from a script, which stands for what is installed."""

    def __init__(
        self,
        folder: Path,
        *,
        top: str = "",
        backend: int = 1,
        launcher: Sequence[str | Path] = (sys.executable,),
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.port = free_port()
        self.backend = backend
        self.file = folder / "mcproxy.toml"
        self.script = folder / "program.py"
        self.script.write_text(WORKS)
        self.configure(top)
        super().__init__(
            "run",
            cwd=folder,
            program=[*launcher, self.script],
            env=env,
            pass_fds=pass_fds,
        )
        self.processes = [Process(self.process.pid)]
        self.line_with("listening on")

    def configure(self, top: str = "", *, bind: Sequence[str] = ()) -> None:
        """Write the configuration, for a new process: the running one is not to see it."""
        listen = ", ".join(f'"{text}"' for text in bind or [f"127.0.0.1:{self.port}"])
        text = (
            f"bind = [{listen}]\n{top}\n"
            f'[[server]]\nname = "lobby"\ndomains = ["*"]\n'
            f'addresses = ["127.0.0.1:{self.backend}"]\n[server.motd.offline]\ntext = "offline"\n'
        )
        self.file.write_text(text, encoding="utf-8")

    def control(self, command: str) -> Any:
        """The answer of the control socket, asked once."""
        return ask(self.cwd / "mcproxy.sock", command, timeout=DEADLINE)

    def upgrade(self, *options: str) -> dict[str, Any]:
        answer: dict[str, Any] = super().ask("upgrade", *options)
        self.processes.append(Process(answer["pid"]))
        return answer

    def try_upgrade(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BINARY, "upgrade", *options],
            cwd=self.cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    @property
    def now(self) -> Process:
        """The process that took over last."""
        return self.processes[-1]

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.close()
        super().__exit__()


def status(port: int, host: str = "127.0.0.1") -> str:
    """The text that the server list shows, over a new connection; raises what goes wrong."""
    client = ClientConnection("lobby.test", port)
    with socket.create_connection((host, port), DEADLINE) as connection:
        connection.sendall(client.request_status())
        while data := connection.recv(65536):
            for event in client.receive(data):
                return event.status.text  # type: ignore[union-attr]
    raise ConnectionError("closed without an answer")


class Clients:
    """Threads that do one thing again and again, and remember what went wrong."""

    def __init__(self, number: int, work: Any) -> None:
        self.done = 0
        self.failures: list[BaseException] = []
        self._work = work
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._loop) for _ in range(number)]

    def _loop(self) -> None:
        while not self._end.is_set():
            try:
                self._work()
                self.done += 1
            except Exception as error:
                self.failures.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
