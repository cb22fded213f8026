"""What a proxy is told: servers, texts and limits, as immutable values without behaviour.

The configuration file of the reference server, and a program that embeds the proxy, both
end in these. Durations are seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Balance",
    "Filters",
    "Health",
    "Mode",
    "Motd",
    "Pool",
    "Server",
    "Settings",
    "StatusPolicy",
    "Timeouts",
]


class Balance(enum.StrEnum):
    """Which address of a server a new session gets; those that are down are left out."""

    FIRST_AVAILABLE = "first_available"
    """The first that answers, in the order of the configuration."""
    ROUND_ROBIN = "round_robin"
    """One after the other, by weight."""
    LEAST_CONN = "least_conn"
    """The one with the fewest sessions per weight."""


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
class Pool:
    """Sockets that are connected to a server before a player comes."""

    warm: int = 0
    """How many, over all workers (each keeps an equal share, rounded up)."""
    max_idle: float = 10.0
    """Seconds that one may wait: a vanilla server closes a silent connection after 30."""


@dataclass(frozen=True, slots=True)
class Health:
    """Checks of each address of a server, in seconds."""

    interval: float = 0.0
    """Between two checks; 0: none."""
    timeout: float = 3.0
    fall: int = 3
    """Failures in a row that take an address out."""
    rise: int = 2
    """Successes in a row that bring it back."""
    status: bool = True
    """Ask for the status; otherwise a TCP connection is enough."""


@dataclass(frozen=True, slots=True)
class Server:
    """One backend server and the names that lead to it."""

    name: str
    addresses: tuple[str, ...]
    """``host:port``, ``host`` (port 25565, SRV asked first), ``[v6]:port``."""
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
    weights: tuple[int, ...] = ()
    """One for each address; empty: all the same."""
    balance: Balance = Balance.FIRST_AVAILABLE
    slow_start: float = 0.0
    """Seconds in which an address that came back grows from a tenth of its share to all of it."""
    health: Health = Health()
    pool: Pool = Pool()
    send_proxy_protocol: Literal["v1", "v2", False] = False
    """The PROXY header that goes in front of a session's bytes, with the client's address."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a session, in seconds."""

    connect: float = 5.0
    """For each backend address."""
    handshake: float = 5.0
    """From accept to the end of the first packets."""
    idle: float = 300.0
    """Without a byte in either direction."""
    dead_peer: float = 60.0
    """Without a sign of life from a peer's kernel: keep-alive and TCP_USER_TIMEOUT."""
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
    proxy_trusted: tuple[str, ...] = ()
    """Addresses or CIDR networks that send a PROXY header, of version 1 or 2: required from
    these, refused from all others. The address in it is the client's from then on."""
