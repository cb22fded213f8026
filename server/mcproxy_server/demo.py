"""`mcproxy-server demo`: a proxy with two small servers behind it, and what to try with them.

It is a run like any other: its configuration is a file in a folder of its own, which may be
edited while the demo runs and is removed when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mcproxy.errors import ProtocolError
from mcproxy.minecraft import versions
from mcproxy.minecraft.connection import (
    LegacyLoginReceived,
    LegacyPingReceived,
    LoginStarted,
    PingRequested,
    ServerConnection,
    StatusRequested,
)
from mcproxy.minecraft.status import build_status
from mcproxy_server import pixels
from mcproxy_server.app import Application, StartError
from mcproxy_server.app import run as run_loop
from mcproxy_server.config import load
from mcproxy_server.config.icon import data_uri

__all__ = ["Backend", "run"]

_SILENCE = 10.0
"""Seconds after which a backend closes a connection that does not go on."""
_LEGACY_PAUSE = 0.2
"""Seconds without a byte that tell the shortest legacy pings from modern packets."""

_CONFIGURATION = """\
# The demo of mcproxy-server. Edit this file while it runs: changes are used at once.

bind = ["0.0.0.0:{port}"]
unknown_message = "§cThere is no server under this name. §7Try lobby.localhost."

[timeouts]
drain = "1s"

# Shown under names that no server has.
[motd.unknown]
text = "§cThere is no server under this name.\\n§7Try lobby.localhost or survival.localhost."
favicon = "unknown.png"

# The server for those who type no name: `default = "lobby"` would give it every other name too.
[[server]]
name = "lobby"
domains = ["lobby.localhost", "localhost", "127.0.0.1", "[::1]"]
addresses = ["127.0.0.1:{lobby}"]

[[server]]
name = "survival"
domains = ["survival.localhost", "*.survival.localhost"]
addresses = ["127.0.0.1:{survival}"]

[server.motd.offline]
text = "§7Survival sleeps."
"""

_WELCOME = """\

  lobby.localhost       leads to lobby, and so do localhost and 127.0.0.1
  survival.localhost    leads to survival, and so does any name below it
  any other name        is told that there is no such server

Try this in another terminal:

  {program} ping lobby.localhost{port}
  {program} ping sky.survival.localhost{port}
  {program} ping elsewhere.localhost{port}
  {program} routes sky.survival.localhost -c {file}
  {program} stats -c {file}

Or add lobby.localhost{port} and survival.localhost{port} to the server list of Minecraft, any
version, and join. (If the game does not find them, put this line into /etc/hosts:
127.0.0.1 lobby.localhost survival.localhost)

Edit {file} and see it take effect.
Ctrl-C stops the demo.
"""


@dataclass(slots=True)
class Backend:
    """A server without a world: it answers pings, and turns players away by name."""

    name: str
    motd: str
    icon: bytes
    """A PNG file."""
    sample: tuple[str, ...] = ()
    port: int = 0
    """Where it listens, on the loopback address; chosen by the system."""

    async def start(self) -> asyncio.Server:
        """Listen; the caller closes the server."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServerConnection()
        try:
            while not connection.finished:
                pause = _LEGACY_PAUSE if connection.undecided else _SILENCE
                try:
                    data = await asyncio.wait_for(reader.read(4096), pause)
                except TimeoutError:
                    if not connection.undecided:
                        break
                    events = connection.timer_expired()
                else:
                    events = connection.receive(data)
                for event in events:
                    writer.write(self._answer(connection, event))
                await writer.drain()
                if reader.at_eof():
                    break
        except (ProtocolError, OSError):
            pass  # whoever breaks the protocol, or leaves, gets nothing
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, connection: ServerConnection, event: object) -> bytes:
        match event:
            case StatusRequested() | LegacyPingReceived():
                handshake = connection.handshake
                version = versions.nearest(handshake.protocol) if handshake else versions.newest()
                status = build_status(
                    version.name,
                    handshake.protocol if handshake else version.protocol,
                    description=self.motd,
                    sample=self.sample,
                    favicon=data_uri(self.icon),
                )
                return connection.send_status(status)
            case PingRequested():
                return connection.send_pong()
            case LoginStarted():
                return connection.send_disconnect(self._farewell(event.login.name))
            case LegacyLoginReceived():
                return connection.send_disconnect(self._farewell("you"))
        return b""

    def _farewell(self, player: str) -> str:
        return (
            f"§6Hello, §f{player}§6: you have reached §f{self.name}§6.\n"
            "§7This demo has no world to play in."
        )


def run(port: int) -> None:
    """Run the demo on ``port`` until Ctrl-C. Raises `StartError` if it cannot listen."""

    async def serve() -> None:
        with _folder() as folder:
            await _serve(port, folder)

    run_loop(serve())


async def _serve(port: int, folder: Path) -> None:
    lobby = Backend(
        "lobby",
        "§bThe lobby §7of the mcproxy demo\n§8Join to be turned away by name",
        pixels.lobby(),
        ("§bOne port, many servers", "§7This one is lobby"),
    )
    survival = Backend(
        "survival",
        "§aSurvival §7of the mcproxy demo\n§8Same port, another server",
        pixels.survival(),
        ("§aOne port, many servers", "§7This one is survival"),
    )
    servers = [await lobby.start(), await survival.start()]
    file = folder / "mcproxy.toml"
    (folder / "unknown.png").write_bytes(pixels.unknown())
    file.write_text(
        _CONFIGURATION.format(port=port, lobby=lobby.port, survival=survival.port),
        encoding="utf-8",
    )
    try:
        app = Application(load(file), clean_up=partial(shutil.rmtree, folder, ignore_errors=True))
        await app.run(lambda app: _welcome(app, file))
    except StartError as error:
        raise StartError(f"{str(error).partition(';')[0]}; --port chooses another") from None
    finally:
        for server in servers:
            server.close()


def _welcome(app: Application, file: Path) -> None:
    # A demo has no business to go on when its terminal is closed.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.stop)
    port = app.proxy.addresses[0][1]
    shown = "" if port == 25565 else f":{port}"
    print(_WELCOME.format(program=_program(), port=shown, file=file), flush=True)


def _program() -> str:
    """What to type to run this program again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m mcproxy_server"
    if shutil.which(called.name) == str(called.absolute()):
        return called.name
    with contextlib.suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mcproxy-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)
