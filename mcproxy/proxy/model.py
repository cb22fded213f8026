"""What a proxy is told: servers, texts and limits, as immutable values without behaviour.

The configuration file of the reference server, and a program that embeds the proxy, both
end in these. Durations are seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Filters",
    "Mode",
    "Motd",
    "Server",
    "Settings",
    "StatusPolicy",
    "Timeouts",
]


class Mode(enum.StrEnum):
    """How much of a session the proxy looks at."""

    PASSTHROUGH = "passthrough"
    """Bytes are relayed untouched."""
    ZERO_COPY = "zero_copy"
    """Passthrough with splice forced: the bytes never enter user space."""
    SERVER_ONLY = "server_only"
    """The backend authenticates; the proxy sees the player's name and UUID at login."""


@dataclass(frozen=True, slots=True)
class Motd:
    """What a status answer shows; ``None`` leaves a field to the backend, or to the default."""

    text: str | dict[str, Any] | None = None
    """With ``§`` codes, or a text component."""
    favicon: str | None = None
    """A data URI of a 64 x 64 PNG."""
    version_name: str | None = None
    max_players: int | None = None
    online_players: int | None = None
    sample: tuple[str, ...] | None = None
    """Lines of the hover text over the player count."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which addresses may connect: the blacklist wins; a whitelist that is not empty admits
    only its members. Entries are addresses or CIDR networks."""

    whitelist: tuple[str, ...] = ()
    blacklist: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One backend server and the names that lead to it."""

    name: str
    addresses: tuple[str, ...]
    """``host:port``, ``host`` (port 25565, SRV asked first), ``[v6]:port``; tried in order."""
    domains: tuple[str, ...] = ()
    """Host names, exact or with ``*``."""
    listen: tuple[str, ...] = ()
    """Local ``address:port`` whose connections belong here when no name decides."""
    mode: Mode = Mode.PASSTHROUGH
    motd_online: Motd | None = None
    motd_offline: Motd | None = None
    motd_starting: Motd | None = None
    """Shown while the backend accepts connections but does not answer a status yet."""
    disconnect_message: str | None = None
    """Told to a joining player when no address answers; ``§`` codes allowed."""
    filters: Filters = Filters()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a session, in seconds."""

    connect: float = 5.0
    """For each backend address."""
    handshake: float = 5.0
    """From accept to the end of the first packets."""
    idle: float = 300.0
    """Without a byte in either direction."""
    drain: float = 30.0
    """For open sessions after a request to stop."""


@dataclass(frozen=True, slots=True)
class StatusPolicy:
    """How long status answers live, in seconds."""

    ttl: float = 5.0
    max_stale: float = 60.0
    """How long the last answer of a backend that died is still shown."""
    negative_ttl: float = 3.0
    """How long a dead backend is not asked again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a running proxy can be told, replaced as a whole by a reload."""

    bind: tuple[str, ...] = ("0.0.0.0:25565",)
    servers: tuple[Server, ...] = ()
    default: str | None = None
    """Name of the server for unknown hosts; without it they are told so."""
    motd_unknown: Motd | None = None
    unknown_message: str | None = None
    """Told to a player who joins through an unknown host."""
    workers: int = 0
    """Threads of the data plane; 0: one per core."""
    max_connections: int = 0
    """Sessions at once; 0: as many as the file limit allows."""
    timeouts: Timeouts = Timeouts()
    status: StatusPolicy = StatusPolicy()
    filters: Filters = field(default_factory=Filters)
