"""What a proxy is told: servers, texts and limits, as immutable values without behaviour.

The configuration file of the reference server, and a program that embeds the proxy, both
end in these. Durations are seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Action",
    "Balance",
    "Buffers",
    "Filters",
    "Flood",
    "Health",
    "Limit",
    "Limits",
    "Mode",
    "Motd",
    "OpenLimit",
    "Pool",
    "Server",
    "SessionLimit",
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


class Action(enum.StrEnum):
    """What is done with a connection or request that is one too many."""

    CLOSE = "close"
    """End the connection."""
    DROP = "drop"
    """End it with a reset, so that the kernel forgets it at once."""
    TARPIT = "tarpit"
    """Hold it for a minute without an answer; at most 1,000 are held, then it is `CLOSE`."""
    MESSAGE = "message"
    """Answer: a disconnect with a text to a player who joins, a text to the server list."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many a second of one address prefix."""

    rate: float = 0.0
    """Per second, in the long run; 0: no limit."""
    burst: int = 1
    """At once."""
    action: Action = Action.CLOSE


@dataclass(frozen=True, slots=True)
class OpenLimit:
    """How many connections of one address prefix at the same time."""

    most: int = 0
    """0: no limit."""
    action: Action = Action.CLOSE


@dataclass(frozen=True, slots=True)
class SessionLimit:
    """What one relay may carry per second, with a second's worth at once; 0: no limit."""

    serverbound: int = 0
    """Bytes."""
    clientbound: int = 0
    """Bytes."""
    packets: int = 0
    """Serverbound packets, for as long as they can be told apart: until the session is encrypted,
    and in mode ``zero_copy`` never."""
    action: Literal["pace", "close"] = "pace"
    """Read no faster, or end the session."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address may do; no player meets the defaults, nor do many behind one address."""

    connections: Limit = Limit(20.0, 100)
    status: Limit = Limit(20.0, 100)
    logins: Limit = Limit(5.0, 50, Action.MESSAGE)
    open: OpenLimit = OpenLimit(256)
    session: SessionLimit = SessionLimit()
    prefix_v4: int = 32
    """Bits of an IPv4 address that are told apart."""
    prefix_v6: int = 64
    """The same for IPv6, 64 at the most: whoever has one address has a /64 of them."""
    exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Addresses or CIDR networks that no limit concerns: a tunnel on this machine brings
    everybody's connections from one address."""
    message: str = "§cToo many attempts from your address. §7Please wait a moment and try again."


@dataclass(frozen=True, slots=True)
class Flood:
    """When there are too many new connections, of all addresses together, for manners.

    Then refusals are only counted, whatever is over a limit is dropped, and first packets have
    less time. Connections of `Limits.exempt` do not count.
    """

    begin: int = 1000
    """New connections in a second that begin it; 0: never."""
    end: int = 500
    """It ends when there were no more than these per second..."""
    calm: float = 5.0
    """...for so many seconds."""
    handshake: float = 2.0
    """Seconds for the first packets meanwhile."""


@dataclass(frozen=True, slots=True)
class Buffers:
    """How many relayed bytes may wait in the proxy for slow readers.

    What does not fit stays in the kernel's buffers, and so with its sender; nothing is lost and
    no session ends for it.
    """

    session: int = 2 * 1024 * 1024
    """Bytes, both directions together."""
    total: int = 256 * 1024 * 1024
    """Bytes, all sessions together."""


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
    limits: Limits = Limits()
    flood: Flood = Flood()
    buffers: Buffers = Buffers()
    proxy_trusted: tuple[str, ...] = ()
    """Addresses or CIDR networks that send a PROXY header, of version 1 or 2: required from
    these, refused from all others. The address in it is the client's from then on."""
