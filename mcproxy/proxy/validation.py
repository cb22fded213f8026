"""Settings that cannot work are refused as a whole, before anything of them is used."""

from __future__ import annotations

import ipaddress

from mcproxy.errors import ConfigurationError, ProtocolError
from mcproxy.minecraft.versions import KNOWN
from mcproxy.proxy.events import Address
from mcproxy.proxy.limits import check_limits
from mcproxy.proxy.model import Settings
from mcproxy.proxy.router import parse_listen
from mcproxy.proxy.status_cache import StatusCache
from mcproxy.proxy.targets import check_servers
from mcproxy.proxy.texts import login_disconnect

__all__ = ["binds_of", "check_settings"]

BINDS_MOST = 64
"""Listeners of one worker."""
TIMEOUT_MOST = 366 * 86400.0


def check_settings(settings: Settings, cache: StatusCache) -> None:
    """Raises `ConfigurationError` for what would fail only when it is used."""
    for name in ("connect", "handshake", "idle", "dead_peer", "drain"):
        seconds = getattr(settings.timeouts, name)
        if not 0 <= seconds <= TIMEOUT_MOST:
            raise ConfigurationError(f"timeouts.{name}: {seconds} is not within 0 and a year")
    check_servers(settings.servers)
    check_limits(settings)
    texts = [
        ("unknown_message", settings.unknown_message),
        ("limits.message", settings.limits.message),
    ]
    texts += [(f"{s.name}: disconnect_message", s.disconnect_message) for s in settings.servers]
    for where, text in texts:
        try:
            login_disconnect(text or "")
        except ProtocolError as error:
            raise ConfigurationError(f"{where}: {error}") from error
    motds = [("motd_unknown", settings.motd_unknown)]
    for server in settings.servers:
        motds += [
            (f"{server.name}: motd_{state}", getattr(server, f"motd_{state}"))
            for state in ("online", "offline", "starting")
        ]
    for where, motd in motds:
        try:
            cache.unknown(motd, KNOWN[-1])
        except ProtocolError as error:
            raise ConfigurationError(f"{where}: {error}") from error


def binds_of(settings: Settings) -> tuple[Address, ...]:
    """Where to listen: `bind`, and the servers' own addresses that it does not cover."""
    binds = [_bind_address(text) for text in settings.bind]
    for server in settings.servers:
        for text in server.listen:
            host, port = parse_listen(text)
            if port is None:
                continue
            everywhere = "::" if ":" in host else "0.0.0.0"
            if (host, port) not in binds and (everywhere, port) not in binds:
                binds.append((host, port))
    if not binds:
        raise ConfigurationError("bind is empty: there is nothing to listen on")
    if len(binds) > BINDS_MOST:
        raise ConfigurationError(f"bind: {len(binds)} addresses are more than {BINDS_MOST}")
    return tuple(binds)


def _bind_address(text: str) -> Address:
    """Unlike a backend's address: no name but localhost, and port 0 is any free port."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "25565"
    host = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        if port.isascii() and port.isdigit() and int(port) < 65536:
            return str(address), int(port)
    except ValueError:
        pass
    raise ConfigurationError(
        f"bind: {text!r} is not an IP address and port; write 0.0.0.0:25565 or [::]:25565"
    )
