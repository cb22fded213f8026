"""The change from a running process to a new one, without a moment in which nobody listens.

The running process starts the new program with its listening sockets, and a channel on which
each tells the other how far it is, a JSON object per line:

1. the new one says its ``pid``;
2. it serves, beside the old one, and says ``ready``;
3. the old one puts the new control socket in the place of its own and says ``go``;
4. the old one stops accepting and lets its sessions end.

Both have the same sockets and so the same queues of connections: one that is queued is accepted
by either. Until ``go`` the old process has given nothing away, and goes on if the new one fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

__all__ = ["HandoverError", "Successor", "Takeover", "own_command", "place_beside"]

_VARIABLE = "MCPROXY_TAKEOVER"
_ABORT = 3.0
"""Seconds for a new process to give up before it is killed."""
_LAST_WORDS = 4096
"""Bytes of what a new process wrote to standard error before it failed."""


class HandoverError(Exception):
    """Why there was no change of processes, for people."""


class Takeover:
    """What this process was given by the one that runs, seen from the new process."""

    def __init__(self, given: dict[str, Any]) -> None:
        """Take the descriptors over."""
        self.predecessor: int = given["pid"]
        self.control = Path(given["control"])
        """The control socket that is in use."""
        self.activated: bool = given["activated"]
        """Whether systemd chose the sockets, not the configuration."""
        self.drained: list[list[str]] = given["drained"]
        """Server and address of each that is to get no new session."""
        self.sockets = [_taken(number) for number in given["sockets"]]
        self._channel = _taken(given["channel"])
        self._stderr: int = given["stderr"]
        os.set_inheritable(self._stderr, False)
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    def from_environment(cls) -> Self | None:
        """What the process before this one gives, if it was started by one.

        To be called before there are threads: the process goes on as one that has no parent but
        the system's first. systemd watches only such a main process for its end.
        """
        text = os.environ.pop(_VARIABLE, None)
        if text is None:
            return None
        if os.fork():
            os._exit(0)
        takeover = cls(json.loads(text))
        takeover._channel.sendall(_line({"pid": os.getpid()}))
        return takeover

    async def ready(self, **what: Any) -> None:
        """Say that this process serves, and wait until it is the one; raises `HandoverError`."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel)
        with contextlib.suppress(ConnectionError):
            self._writer.write(_line({"ready": what}))
            if await reader.readline() == _line({"go": True}):
                # Until now what was written here went through the old process.
                os.dup2(self._stderr, 2)
                return
        raise HandoverError(f"process {self.predecessor} did not hand over")

    def close(self) -> None:
        """Close what only the change needed."""
        if self._writer is not None:
            self._writer.close()
        else:
            self._channel.close()
        with contextlib.suppress(OSError):
            os.close(self._stderr)


@dataclass(slots=True)
class Successor:
    """A new process that serves beside this one, seen from the running process."""

    pid: int
    ready: dict[str, Any]
    """What it says of itself."""
    _writer: asyncio.StreamWriter

    @classmethod
    async def start(
        cls,
        program: Sequence[str],
        sockets: Sequence[socket.socket],
        control: Path,
        *,
        patience: float,
        **known: Any,
    ) -> Self:
        """Run ``program`` with ``sockets`` and wait until it serves.

        ``known`` is what else it finds in its `Takeover`.

        After ``patience`` seconds, or when this is cancelled, the new process is ended. Raises
        `HandoverError` with what it said, and all is as it was.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = _run(program, sockets, theirs, control, known)
            except BaseException:
                writer.close()
                raise
        attempt = _Attempt(process, reader, writer, control)
        try:
            async with asyncio.timeout(patience):
                ready = await attempt.until_ready()
            return cls(attempt.pid, ready, writer)
        except TimeoutError:
            await attempt.abort()
            raise HandoverError(
                f"the new process was not ready after {patience:g} seconds"
                + attempt.last_words(", but said: ")
            ) from None
        except (OSError, EOFError, ValueError, KeyError):
            await attempt.abort()
            raise HandoverError(
                "the new process failed" + (attempt.last_words(": ") or " without a word")
            ) from None
        except asyncio.CancelledError:
            await attempt.abort()
            raise

    def go(self) -> None:
        """Leave everything to it."""
        self._writer.write(_line({"go": True}))
        self._writer.close()

    def give_up(self) -> None:
        """Let it end, once the sessions that it has accepted have ended."""
        self._writer.close()


class _Attempt:
    """A new process that is being started."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        control: Path,
    ) -> None:
        self.pid = process.pid
        self._control = control
        self._process = process
        self._reader = reader
        self._writer = writer
        self._said = b""
        self._silent = asyncio.Event()
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        asyncio.get_running_loop().add_reader(process.stderr, self._hear, process.stderr)

    async def until_ready(self) -> dict[str, Any]:
        self.pid = int((await self._message())["pid"])
        self._process.wait()  # it ends when it has made the process that stays
        ready: dict[str, Any] = (await self._message())["ready"]
        return ready

    async def _message(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        message: dict[str, Any] = json.loads(line)
        return message

    async def abort(self) -> None:
        """End the new process; one that serves already may let its sessions end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(_ABORT):
                    await self._reader.read()
                    await self._silent.wait()
            if self._reader.at_eof():
                break
        self._writer.close()
        await asyncio.to_thread(self._process.wait)
        place_beside(self._control, self.pid).unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        # The channel is open, so the process is alive and the number its own.
        if not self._reader.at_eof():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def last_words(self, before: str) -> str:
        """What it wrote last; of a traceback the line that says what happened."""
        text = self._said.decode(errors="replace").strip()
        if "Traceback (most recent call last)" in text:
            text = text.rpartition("\n")[2]
        return before + text if text else ""

    def _hear(self, errors: IO[bytes]) -> None:
        try:
            data = os.read(errors.fileno(), 65536)
        except BlockingIOError:
            return
        if data:
            self._said = (self._said + data)[-_LAST_WORDS:]
            with contextlib.suppress(OSError):
                os.write(2, data)
        else:
            asyncio.get_running_loop().remove_reader(errors)
            errors.close()
            self._silent.set()


def place_beside(control: Path, pid: int) -> Path:
    """Where process ``pid`` makes its control socket while ``control`` is in use."""
    return control.with_name(f".{control.name}.{pid}")


def own_command() -> list[str]:
    """The command that this process was started with; what is on the disk now is run by it."""
    return [sys.executable, *sys.orig_argv[1:]]


def _run(
    program: Sequence[str],
    sockets: Sequence[socket.socket],
    channel: socket.socket,
    control: Path,
    known: dict[str, Any],
) -> subprocess.Popen[bytes]:
    with _copy_of_stderr() as stderr:
        given: dict[str, Any] = {
            **known,
            "pid": os.getpid(),
            "control": str(control.absolute()),
            "sockets": [one.fileno() for one in sockets],
            "channel": channel.fileno(),
            "stderr": stderr.fileno(),
        }
        try:
            return subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[*given["sockets"], channel.fileno(), stderr.fileno()],
                env={**os.environ, _VARIABLE: json.dumps(given)},
            )
        except OSError as error:
            raise HandoverError(f"cannot run {program[0]}: {error.strerror}") from None


def _taken(number: int) -> socket.socket:
    """The inherited socket with this number, for this process alone."""
    os.set_inheritable(number, False)
    return socket.socket(fileno=number)


def _copy_of_stderr() -> IO[bytes]:
    with contextlib.suppress(OSError):
        return os.fdopen(os.dup(2), "wb", 0)
    return open(os.devnull, "wb", 0)  # whoever started us has closed it


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
