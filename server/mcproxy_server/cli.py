"""The program `mcproxy-server`: its commands, their help, and errors in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from mcproxy import __version__

if TYPE_CHECKING:
    from mcproxy_server.config import Configuration

__all__ = ["main"]

# What a command does not need it does not import: `run` listens within 0.4 s of its start.

_ConfigFile = Annotated[
    Path, Parameter(name=["--config", "-c"], help="The configuration.", show_default=True)
]
_SocketFile = Annotated[
    Path | None,
    Parameter(
        name="--socket",
        help="The control socket, if it is not where the configuration says.",
    ),
]
_Json = Annotated[
    bool, Parameter(name="--json", help="Print JSON.", negative=(), show_default=False)
]

_UPGRADE_MORE = 15.0
"""Seconds for the running process to end a new one that was not ready in time."""


def _positive(_: Any, seconds: float) -> None:
    if not 0 < seconds <= 3600:
        raise ValueError("must be more than 0 and at most 3600 seconds")


app = App(
    name="mcproxy-server",
    help="A reverse proxy for Minecraft servers: one port, many servers, chosen by host name.",
    version=__version__,
    help_format="markdown",
    help_epilogue="""\
To begin:

    mcproxy-server demo           # try it without configuring anything
    mcproxy-server init           # write mcproxy.toml, then edit it
    mcproxy-server check          # is it right?
    mcproxy-server run            # go

`mcproxy-server COMMAND --help` explains each command.
""",
)


class Failure(Exception):
    """What went wrong, in a line for the person at the terminal."""


def main() -> None:
    """The entry point of `mcproxy-server`."""
    try:
        app(exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _complain(f"mcproxy-server: {' '.join(str(error).split())} (--help explains)")
        sys.exit(2)
    except Failure as error:
        _complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`.
        sys.stderr.close()
        sys.exit(1)


@app.command(
    sort_key=0,
    help_epilogue="""\
Examples:

    mcproxy-server init                     # writes ./mcproxy.toml
    mcproxy-server init /etc/mcproxy/mcproxy.toml
""",
)
def init(
    file: Annotated[Path, Parameter(help="The file to write.")] = Path("mcproxy.toml"),
    /,
    *,
    force: Annotated[
        bool,
        Parameter(help="Replace the file if it exists.", negative=(), show_default=False),
    ] = False,
) -> None:
    """Write a commented configuration to begin with.

    The file holds every key with its description and default, and one server to edit. A file
    that exists is left alone.
    """
    from mcproxy_server.config.reference import commented_file

    try:
        with file.open("w" if force else "x", encoding="utf-8") as output:
            output.write(commented_file())
    except FileExistsError:
        raise Failure(f"{file} exists already; --force replaces it") from None
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}") from None
    option = "" if file == Path("mcproxy.toml") else f" -c {file}"
    print(f"wrote {file}")
    print("next: put your server under [[server]], then try")
    print(f"  mcproxy-server check{option}")
    print(f"  mcproxy-server run{option}")


@app.command(
    sort_key=1,
    help_epilogue="""\
Examples:

    mcproxy-server check
    mcproxy-server check -c /etc/mcproxy/mcproxy.toml && systemctl reload mcproxy-server
""",
)
def check(*, config: _ConfigFile = Path("mcproxy.toml")) -> None:
    """Say what is wrong with a configuration.

    Every mistake is named at once, with the file, the line, the key and what to do about it.
    Drop-ins and icons are read too. Nothing is started and no name is looked up. The exit
    status is 1 if there is anything to mend.
    """
    from mcproxy_server.answers import count

    settings = _load(config).settings
    domains = sum(len(server.domains) for server in settings.servers)
    servers = count(len(settings.servers), "server")
    print(f"{config}: ok ({servers}, {count(domains, 'domain')})")


@app.command(
    sort_key=2,
    help_epilogue="""\
Examples:

    mcproxy-server run
    mcproxy-server run -c /etc/mcproxy/mcproxy.toml
    kill -HUP $(pidof -x mcproxy-server)    # read the configuration again, now
""",
)
def run(*, config: _ConfigFile = Path("mcproxy.toml"), socket: _SocketFile = None) -> None:
    """Run the proxy.

    Prints `listening on ADDRESS` for each address once it accepts connections there; logs go
    to standard error. When the configuration changes, or on SIGHUP, it is read again: all of it
    or, if there is a mistake, nothing, and open sessions never notice. SIGTERM and SIGINT
    (Ctrl-C) let open sessions end, for `timeouts.drain` at most; a second one ends at once.
    """
    from mcproxy_server.handover import Takeover, own_command
    from mcproxy_server.systemd import ActivationError, listen_sockets

    takeover = Takeover.from_environment()
    configuration = _load(config, socket)
    from mcproxy_server.app import Application, StartError
    from mcproxy_server.app import run as run_loop

    async def serve() -> None:
        await Application(
            configuration,
            socket,
            command=own_command(),
            takeover=takeover,
            activated=listen_sockets(),
        ).run()

    try:
        run_loop(serve())
    except (StartError, ActivationError) as error:
        raise Failure(f"mcproxy-server: {error}") from None


@app.command(
    sort_key=3,
    help_epilogue="""\
Examples:

    mcproxy-server routes
    mcproxy-server routes survival.example.com
    mcproxy-server routes 192.0.2.1 --via 192.0.2.1:25566
""",
)
def routes(
    host: Annotated[str | None, Parameter(help="A host name, as a player would type it.")] = None,
    /,
    *,
    via: Annotated[
        str | None,
        Parameter(help="The local address:port that the player reached, for routes by `listen`."),
    ] = None,
    config: _ConfigFile = Path("mcproxy.toml"),
    socket: _SocketFile = None,
    json: _Json = False,
) -> None:
    """Show the routes in force, or which server a host name reaches and why.

    Asks the running proxy. Without one it says so and answers from the configuration file.
    """
    from mcproxy_server import answers, show
    from mcproxy_server.control import ControlError, NotRunning, ask

    local = _local(via)
    try:
        try:
            answer = ask(_socket(config, socket), "routes", host=host, local=local)
        except NotRunning as error:
            from mcproxy.proxy.router import Router

            _complain(f"{error}; answering from {config}")
            settings = _load(config).settings
            answer = answers.routes(Router(settings.servers, settings.default), host, local)
    except ControlError as error:
        raise Failure(str(error)) from None
    _print(answer, json, show.routes)


@app.command(
    sort_key=4,
    help_epilogue="""\
Examples:

    mcproxy-server stats
    mcproxy-server stats --json | jq .refused
""",
)
def stats(
    *,
    config: _ConfigFile = Path("mcproxy.toml"),
    socket: _SocketFile = None,
    json: _Json = False,
) -> None:
    """Show every counter of the running proxy, refusals by reason included."""
    from mcproxy_server import show

    _print(_ask(config, socket, "stats"), json, show.stats)


@app.command(
    sort_key=5,
    help_epilogue="""\
Examples:

    mcproxy-server servers
    mcproxy-server servers --json | jq '.servers[].addresses[] | select(.state == "down")'
""",
)
def servers(
    *,
    config: _ConfigFile = Path("mcproxy.toml"),
    socket: _SocketFile = None,
    json: _Json = False,
) -> None:
    """Show every address of every server of the running proxy, and how it is.

    `in use`: players are sent there. `up` and `down`: what health checks found. `ejected`: left
    out for a while because connections to it failed. `draining` and `drained`: kept free of new
    players by `mcproxy-server drain`, with sessions left or without. `removed`: no longer in the
    configuration, with sessions left.
    """
    from mcproxy_server import show

    _print(_ask(config, socket, "servers"), json, show.servers)


@app.command(
    sort_key=6,
    help_epilogue="""\
Examples:

    mcproxy-server drain survival 10.0.0.5:25565
    mcproxy-server drain survival 10.0.0.5:25565 --undo
""",
)
def drain(
    server: Annotated[str, Parameter(help="The name of the server.")],
    address: Annotated[
        str, Parameter(help="The address, as configured or as `mcproxy-server servers` shows it.")
    ],
    /,
    *,
    undo: Annotated[
        bool, Parameter(help="Send players there again.", negative=(), show_default=False)
    ] = False,
    config: _ConfigFile = Path("mcproxy.toml"),
    socket: _SocketFile = None,
    json: _Json = False,
) -> None:
    """Send no new player to one address of a server, as before its maintenance.

    Sessions that are open go on; `mcproxy-server servers` shows when the last has ended. It stays
    so over reloads, until it is undone or the proxy is started anew.
    """
    from mcproxy_server import show

    answer = _ask(config, socket, "drain", server=server, address=address, on=not undo)
    _print(answer, json, show.servers)


@app.command(
    sort_key=7,
    help_epilogue="""\
Example:

    mcproxy-server reload
""",
)
def reload(*, config: _ConfigFile = Path("mcproxy.toml"), socket: _SocketFile = None) -> None:
    """Make the running proxy read its configuration again.

    It does so by itself when a file changes; this command waits for it and shows what is wrong,
    if anything is. Then the running configuration stays and the exit status is 1.
    """
    print(_ask(config, socket, "reload"))


@app.command(
    sort_key=8,
    help_epilogue="""\
Examples:

    pip install --upgrade . && mcproxy-server upgrade
    mcproxy-server upgrade --json | jq .pid
""",
)
def upgrade(
    *,
    timeout: Annotated[
        float, Parameter(help="Seconds for the new program to be ready.", validator=_positive)
    ] = 30.0,
    config: _ConfigFile = Path("mcproxy.toml"),
    socket: _SocketFile = None,
    json: _Json = False,
) -> None:
    """Replace the running program by the one that is installed now, while players play.

    The running process starts the new program with the options that it had itself, gives it the
    listening sockets, and waits until it serves; no connection attempt is refused in between.
    Then the old process accepts no more, relays the sessions that it has to their end, for
    `timeouts.upgrade` at most, and exits. Every key of the configuration may have changed,
    `workers` too. When the new program does not start, the old process goes on as if nothing
    had happened, this command says why, and the exit status is 1.
    """
    from mcproxy_server import show
    from mcproxy_server.control import ControlError, ask

    where = _socket(config, socket)
    try:
        if not json:
            old = ask(where, "ping")
            print(f"process {old['pid']} ({old['version']}) starts the new program", flush=True)
        answer = ask(where, "upgrade", timeout=timeout + _UPGRADE_MORE, patience=timeout)
    except ControlError as error:
        raise Failure(str(error)) from None
    _print(answer, json, show.upgrade)


@app.command(
    sort_key=9,
    help_epilogue="""\
Examples:

    mcproxy-server ping localhost
    mcproxy-server ping mc.example.com:25566
""",
)
def ping(
    address: Annotated[str, Parameter(help="HOST, HOST:PORT or [IPV6]:PORT.")],
    /,
    *,
    timeout: Annotated[float, Parameter(help="Seconds to wait for an answer.")] = 5.0,
    json: _Json = False,
) -> None:
    """Ask any Minecraft server for its status.

    Shows the message, players, version, latency and whether there is an icon. Servers from
    Beta 1.8 to the newest are understood; a name without a port is looked up as an SRV record
    first, as clients do.
    """
    from mcproxy_server import pinger, show

    try:
        answer = pinger.ping(address, timeout)
    except pinger.NoAnswer as error:
        raise Failure(str(error)) from None
    _print(answer, json, show.ping)


@app.command(
    sort_key=10,
    help_epilogue="""\
Examples:

    mcproxy-server demo
    mcproxy-server demo --port 25570
""",
)
def demo(*, port: Annotated[int, Parameter(help="The port to listen on.")] = 25565) -> None:
    """Try mcproxy without configuring anything.

    Starts a proxy with two small built-in servers, `lobby` and `survival`, and says what to
    try. Ctrl-C stops it.
    """
    from mcproxy_server import demo as demonstration
    from mcproxy_server.app import StartError

    try:
        demonstration.run(port)
    except StartError as error:
        raise Failure(f"mcproxy-server: {error}") from None


def _load(config: Path, socket: Path | None = None) -> Configuration:
    from mcproxy_server.answers import count
    from mcproxy_server.config import ConfigurationProblems, load

    try:
        return load(config, socket)
    except ConfigurationProblems as error:
        for problem in error.problems:
            _complain(str(problem))
        raise Failure(f"{config}: {count(len(error.problems), 'mistake')}") from None


def _ask(config: Path, socket: Path | None, command: str, **arguments: Any) -> Any:
    from mcproxy_server.control import ControlError, ask

    try:
        return ask(_socket(config, socket), command, **arguments)
    except ControlError as error:
        raise Failure(str(error)) from None


def _socket(config: Path, socket: Path | None) -> Path:
    if socket is not None:
        return socket
    from mcproxy_server.config import find_control_socket

    return find_control_socket(config)


def _local(via: str | None) -> tuple[str, int] | None:
    if via is None:
        return None
    from mcproxy_server.config.values import Listen

    try:
        host, _, port = Listen.read(via).rpartition(":")
    except ValueError as error:
        raise Failure(f"--via: {error}") from None
    return host.strip("[]"), int(port)


def _print(answer: Any, json: bool, show: Any) -> None:
    if json:
        from json import dumps

        print(dumps(answer, ensure_ascii=False, indent=2))
    else:
        show(answer)


def _complain(line: str) -> None:
    print(line, file=sys.stderr)
