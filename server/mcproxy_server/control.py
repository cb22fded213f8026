"""The control socket: how commands reach a running proxy.

A Unix socket with mode 0600. Each line is a JSON object: ``{"command": "stats"}`` up,
``{"ok": true, "result": ...}`` or ``{"ok": false, "error": "..."}`` down.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["Command", "ControlError", "ControlServer", "NotRunning", "ask"]

_LONGEST_PATH = 107
"""Bytes of a path that the kernel takes: sun_path without its end, unix(7)."""
_LONGEST_REQUEST = 64 << 10
_IDLE = 60.0

Command = Callable[[dict[str, Any]], Awaitable[Any]]
"""Takes the request; what it returns goes down as JSON. `ControlError` is for the asker."""


class ControlError(Exception):
    """Why a command could not be carried out, in one sentence."""


class NotRunning(ControlError):
    """No proxy answers at the socket."""


class ControlServer:
    """The socket of a running proxy."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        """Answer ``commands`` at ``path``, once started."""
        self.path = path
        self._commands = dict(commands)
        self._server: asyncio.Server | None = None
        self.made = path
        """Where the socket was made: at ``path``, or beside it to be moved there."""
        self._identity: tuple[int, int] | None = None
        self._idle: set[asyncio.StreamWriter] = set()
        self._closed = False

    async def start(self, *, beside: Path | None = None) -> None:
        """Open the socket; raises `ControlError` if another proxy has it, or it cannot be made.

        Where the process that has it is about to give it up, the new socket is made ``beside``
        it, for that process to move into its place.
        """
        import asyncio

        self.made = beside or self.path
        listener = _listen(self.made)
        found = os.stat(self.made)
        self._identity = (found.st_dev, found.st_ino)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=_LONGEST_REQUEST
        )

    async def close(self) -> None:
        """Close and remove the socket, unless it is somebody else's by now.

        A command that is being carried out still gets its answer.
        """
        self._closed = True
        if self._server is not None:
            self._server.close()
        for writer in self._idle:
            writer.close()
        self.remove()

    def remove(self) -> None:
        """Remove the socket from the file system, if it is still this one."""
        for path in {self.made, self.path}:
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                if (found.st_dev, found.st_ino) == self._identity:
                    os.unlink(path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await self._request(reader, writer):
                answer = await self._answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # silent, gone, or a line without end: nothing is owed to it
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The next line; nothing when there will be no other."""
        import asyncio

        if self._closed:
            return b""
        self._idle.add(writer)
        try:
            return await asyncio.wait_for(reader.readline(), _IDLE)
        finally:
            self._idle.discard(writer)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            return {"ok": False, "error": "a request is one line of JSON"}
        name = request.get("command") if isinstance(request, dict) else None
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            return {"ok": False, "error": f"commands are {', '.join(sorted(self._commands))}"}
        try:
            return {"ok": True, "result": await command(request)}
        except ControlError as error:
            return {"ok": False, "error": str(error)}
        except Exception:
            # A fault in one command must not end the socket that people would look into it with.
            logging.getLogger(__name__).exception("the command %s failed", name)
            return {"ok": False, "error": f"the command {name} failed; the log says why"}


def ask(path: Path, command: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
    """The answer of the proxy at ``path``.

    Raises `NotRunning` if there is none, and `ControlError` with its sentence if it refuses.
    """
    request = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            with _short(path) as name:
                connection.connect(name)
            connection.sendall(request)
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"no running mcproxy-server at {path}") from None
    except TimeoutError:
        raise ControlError(f"the mcproxy-server at {path} gives no answer") from None
    except OSError as error:
        raise ControlError(f"cannot talk to {path}: {_reason(error)}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        raise ControlError(f"the program at {path} is not mcproxy-server") from None
    if not answer["ok"]:
        raise ControlError(answer["error"])
    return answer["result"]


def _listen(path: Path) -> socket.socket:
    """A socket bound to ``path``, in the place of one that nobody listens on any more."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(path, error) from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Two starting proxies must not remove each other's socket.
        fcntl.flock(folder, fcntl.LOCK_EX)
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                listener.bind(name)
        finally:
            os.umask(before)
        listener.listen(16)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _cannot(path, error) from None
    except ControlError:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for ``path`` that the kernel takes, by way of its folder if it is too long."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _remove_stale(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path} is not a socket; remove it, or set control.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            with _short(path) as name:
                probe.connect(name)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except TimeoutError:
            pass  # its backlog is full: somebody has it
    raise ControlError(f"another mcproxy-server is running with the control socket {path}")


def _cannot(path: Path, error: OSError) -> ControlError:
    return ControlError(
        f"cannot make the control socket {path}: {_reason(error)}; "
        "set control.socket, or --socket, to a path in a folder that can be written to"
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "permission denied"
    return error.strerror or str(error)
