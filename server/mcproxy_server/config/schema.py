"""Every key of `mcproxy.toml`: its type, its default, and the sentence that explains it.

This is the only place where keys are described: `mcproxy-server init` and the configuration
reference in the docs are written from it. A key or value that a later version brings stands
under ``later`` of its table and is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from mcproxy_server.config.values import (
    Address,
    Balance,
    Bind,
    DeadPeer,
    Domain,
    Duration,
    FilePath,
    Listen,
    Name,
    Network,
    ProxyMode,
    SendProxy,
    Timeout,
)

__all__ = [
    "AddressTable",
    "BufferTable",
    "Control",
    "FloodTable",
    "GlobalMotd",
    "HealthTable",
    "IpFilter",
    "LimitTable",
    "LimitsTable",
    "Log",
    "LoginLimitTable",
    "MotdTable",
    "OpenLimitTable",
    "PoolTable",
    "ProxyProtocol",
    "Root",
    "ServerMotd",
    "ServerTable",
    "SessionLimitTable",
    "StatusCache",
    "Table",
    "TimeoutTable",
]


Count = Annotated[int, Meta(ge=0, le=2147483647)]
Message = Annotated[str, Meta(max_length=4000)]


class Table(Struct, kw_only=True, frozen=True):
    """A table of the configuration."""

    later: ClassVar[dict[str, str]] = {}
    """Keys that are not available yet, and what each will do."""


class MotdTable(Table, kw_only=True, frozen=True):
    """What the server list shows. A key that is left out keeps the backend's own value, or a
    sensible default where no backend answers."""

    text: Annotated[
        str | dict[str, Any] | None,
        Meta(
            description="The message: text with § codes, or a text component as a table. "
            "`\\n` begins the second line.",
            examples=['"§7Back soon"'],
        ),
    ] = None
    favicon: Annotated[
        FilePath | None,
        Meta(
            description="The icon: path of a PNG file of 64 x 64 pixels, relative to this file, "
            "or a `data:image/png;base64,` URI.",
            examples=['"icons/survival.png"'],
        ),
    ] = None
    version_name: Annotated[
        str | None,
        Meta(
            description="The text that clients show beside the signal bars when their version "
            "does not fit.",
            examples=['"1.8 - 1.21"'],
        ),
    ] = None
    max_players: Annotated[
        Count | None,
        Meta(description="The number of slots shown.", examples=["100"]),
    ] = None
    online_players: Annotated[
        Count | None,
        Meta(description="The number of players shown.", examples=["0"]),
    ] = None
    sample: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="The lines shown when the mouse rests on the player count.",
            examples=['["§aOpen every day", "from 18:00"]'],
        ),
    ] = None


class GlobalMotd(Table, kw_only=True, frozen=True):
    """Messages that belong to no server."""

    unknown: Annotated[
        MotdTable,
        Meta(
            description="Shown to clients that ask under a name no server has, "
            "when there is no `default`."
        ),
    ] = MotdTable()


class ServerMotd(Table, kw_only=True, frozen=True):
    """Messages of one server, one table per state of it."""

    online: Annotated[
        MotdTable,
        Meta(description="While it runs: these keys replace those of the backend's own answer."),
    ] = MotdTable()
    offline: Annotated[
        MotdTable, Meta(description="While none of its addresses accepts a connection.")
    ] = MotdTable()
    starting: Annotated[
        MotdTable,
        Meta(description="While it accepts connections but answers no status request yet."),
    ] = MotdTable()


class IpFilter(Table, kw_only=True, frozen=True):
    """Who may connect. The global lists come first, then those of the server; the blacklist
    wins over the whitelist."""

    whitelist: Annotated[
        tuple[Network, ...],
        Meta(
            description="Addresses and networks that may connect; when it is not empty, "
            "nobody else may.",
            examples=['["192.0.2.0/24", "2001:db8::/32"]'],
        ),
    ] = ()
    blacklist: Annotated[
        tuple[Network, ...],
        Meta(
            description="Addresses and networks that may not connect.",
            examples=['["198.51.100.7"]'],
        ),
    ] = ()


class ProxyProtocol(Table, kw_only=True, frozen=True):
    """The header with which a load balancer in front tells the player's own address."""

    trusted: Annotated[
        tuple[Network, ...],
        Meta(
            description="Addresses and networks that pass connections on with a PROXY header, "
            "of version 1 or 2. Their connections must begin with one; a header from anybody "
            "else is refused. The addresses in it then count as those of the connection: in "
            "filters, limits, logs and `listen`.",
            examples=['["10.0.0.2", "2001:db8::/64"]'],
        ),
    ] = ()


class AddressTable(Table, kw_only=True, frozen=True):
    """An address written as a table."""

    address: Annotated[Address, Meta(description="The address.", examples=['"10.0.0.5:25565"'])]
    weight: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Its share of the sessions, beside those of the others; for `round_robin` "
            "and `least_conn`.",
            examples=["2"],
        ),
    ] = 1


class HealthTable(Table, kw_only=True, frozen=True):
    """Checks of each address of a server, so that nobody is sent to one that does not serve."""

    interval: Annotated[
        Duration,
        Meta(description="From check to check; 0 is no checks.", examples=['"5s"']),
    ] = Duration(0.0)
    timeout: Annotated[
        Timeout, Meta(description="For the answer to a check.", examples=['"1s"'])
    ] = Timeout(3.0)
    fall: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="Failures in a row that take an address out.", examples=["2"]
        ),
    ] = 3
    rise: Annotated[
        int,
        Meta(ge=1, le=1000, description="Successes in a row that bring it back.", examples=["1"]),
    ] = 2
    type: Annotated[
        Literal["status", "tcp"],
        Meta(
            description="`status` asks for what the server list shows, so that a server which "
            "hangs or is still starting counts as down; `tcp` only connects.",
            examples=['"tcp"'],
        ),
    ] = "status"


class PoolTable(Table, kw_only=True, frozen=True):
    """Connections to a server that are made before a player comes."""

    warm: Annotated[
        int,
        Meta(
            ge=0,
            le=1024,
            description="How many wait connected, so that a join does not wait for the round trip "
            "to the backend; each worker keeps its share. 0 is none.",
            examples=["4"],
        ),
    ] = 0
    max_idle: Annotated[
        Timeout,
        Meta(
            description="How long one waits before a new one takes its place. A vanilla server "
            "closes a connection that has been silent for 30 seconds.",
            examples=['"20s"'],
        ),
    ] = Timeout(10.0)


class ServerTable(Table, kw_only=True, frozen=True):
    """One backend server and the names that lead to it. A drop-in file holds the keys of one
    such table."""

    later: ClassVar[dict[str, str]] = {
        "domain_rewrite": "another host name in the handshake to the backend",
        "forwarding": "the player's identity passed on to the backend",
        "forwarding_mode": "the player's identity passed on to the backend",
        "limbo_handlers": "a waiting room",
        "limits": "rate limits per server; the global [limits] hold for all",
        "max_players": "a bound on players per server",
        "network": "a network of servers",
        "rate_limit": "rate limits per server; the global [limits] hold for all",
        "server_manager": "sleeping servers woken by a join",
        "timeouts": "time-outs per server; the global [timeouts] hold for all",
        "wake": "sleeping servers woken by a join",
    }

    name: Annotated[
        Name,
        Meta(
            description="The name of the server in logs, counters and `default`. In a drop-in "
            "file it may be left out: the file's name is used.",
            examples=['"survival"'],
        ),
    ]
    domains: Annotated[
        tuple[Domain, ...],
        Meta(
            description="Host names that lead here, exact or with `*`: `*.example.com` stands "
            "for one or more labels, `*` within a label for any part of it. An exact name wins "
            "over a wildcard, and the most specific wildcard over the others.",
            examples=['["survival.example.com", "*.creative.example.com"]'],
        ),
    ] = ()
    addresses: Annotated[
        tuple[Address | AddressTable, ...],
        Meta(
            min_length=1,
            description="Where the backend is. A name without a port is looked up as the SRV "
            "record `_minecraft._tcp` first, then on port 25565; names are looked up again when "
            "their time to live ends. `balance` chooses among several; when one does not answer, "
            'the next is tried. With `{ address = "10.0.0.6:25565", weight = 2 }` one gets '
            "twice the share of the others; a weight goes from 1 to 1000.",
            examples=['["10.0.0.5:25565", "backup.example.com"]'],
        ),
    ]
    listen: Annotated[
        tuple[Listen, ...],
        Meta(
            description="Local addresses whose connections belong here when no host name "
            "decides: for clients that type a bare IP address. What `bind` does not open is "
            "opened too.",
            examples=['["192.0.2.1:25566"]'],
        ),
    ] = ()
    proxy_mode: Annotated[
        ProxyMode,
        Meta(
            description="`passthrough` relays bytes untouched; `zero_copy` does so without "
            "ever copying them into the proxy; `server_only` also reads the player's name and "
            "UUID at login. The backend authenticates in all three.",
            examples=['"server_only"'],
        ),
    ] = ProxyMode("passthrough")
    balance: Annotated[
        Balance,
        Meta(
            description="Which of several addresses a player is sent to: `first_available`, the "
            "first in order that accepts a connection; `round_robin`, each in turn, by weight; "
            "`least_conn`, the one with the fewest sessions for its weight.",
            examples=['"least_conn"'],
        ),
    ] = Balance("first_available")
    slow_start: Annotated[
        Duration,
        Meta(
            description="In which an address that came back grows from a tenth of its share of "
            "new sessions to all of it; for `round_robin` and `least_conn`.",
            examples=['"30s"'],
        ),
    ] = Duration(0.0)
    disconnect_message: Annotated[
        Message | None,
        Meta(
            description="Told to a joining player when no address answers. § codes are allowed.",
            examples=['"§cSurvival is down. Back at 18:00."'],
        ),
    ] = None
    motd: Annotated[ServerMotd, Meta(description="What the server list shows, per state.")] = (
        ServerMotd()
    )
    ip_filter: Annotated[IpFilter, Meta(description="Who may reach this server.")] = IpFilter()
    send_proxy_protocol: Annotated[
        SendProxy,
        Meta(
            description="The version of the PROXY header that tells this server the player's "
            "own address; `false` sends none. The server has to expect it.",
            examples=['"v2"'],
        ),
    ] = SendProxy()
    health: Annotated[
        HealthTable,
        Meta(description="Checks of each address: no player is sent to one that fails."),
    ] = HealthTable()
    pool: Annotated[
        PoolTable, Meta(description="Connections that are made before a player comes.")
    ] = PoolTable()


class TimeoutTable(Table, kw_only=True, frozen=True):
    """How long to wait. Durations are seconds (`5`, `0.25`) or text (`"5s"`, `"250ms"`, `"2m"`)."""

    connect: Annotated[
        Timeout,
        Meta(description="For a connection to one address of a backend.", examples=['"2s"']),
    ] = Timeout(5.0)
    handshake: Annotated[
        Timeout,
        Meta(
            description="From the accepted connection to the end of its first packets; for a "
            "PROXY header in front of them the same time again.",
            examples=['"3s"'],
        ),
    ] = Timeout(5.0)
    idle: Annotated[
        Timeout,
        Meta(description="For a session without a byte in either direction.", examples=['"10m"']),
    ] = Timeout(300.0)
    dead_peer: Annotated[
        DeadPeer,
        Meta(
            description="For a client or backend whose machine or network is gone: nothing that "
            "was sent is acknowledged for so long, and neither are TCP's own probes.",
            examples=['"20s"'],
        ),
    ] = DeadPeer(60.0)
    drain: Annotated[
        Duration,
        Meta(
            description="For sessions that are open when the proxy is told to stop.",
            examples=['"1m"'],
        ),
    ] = Duration(30.0)
    upgrade: Annotated[
        Duration,
        Meta(
            description="For sessions that are open at `mcproxy-server upgrade`: so long the old "
            "process goes on relaying them.",
            examples=['"1h"'],
        ),
    ] = Duration(43200.0)


class StatusCache(Table, kw_only=True, frozen=True):
    """How long answers to the server list are kept."""

    ttl: Annotated[
        Duration,
        Meta(description="Before a running backend is asked again.", examples=['"2s"']),
    ] = Duration(5.0)
    max_stale: Annotated[
        Duration,
        Meta(
            description="How long the last answer of a backend that went down is still shown.",
            examples=['"0s"'],
        ),
    ] = Duration(60.0)
    negative_ttl: Annotated[
        Duration,
        Meta(description="Before a backend that is down is asked again.", examples=['"10s"']),
    ] = Duration(3.0)


Action = Literal["close", "drop", "tarpit", "message"]
Rate = Annotated[float, Meta(ge=0, le=1_000_000)]
Burst = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=0, le=2**40)]
Many = Annotated[int, Meta(ge=0, le=1_000_000)]


class LimitTable(Table, kw_only=True, frozen=True):
    """How many a second one address may have."""

    rate: Annotated[
        Rate, Meta(description="Per second, in the long run; 0 is no limit.", examples=["5"])
    ] = 20.0
    burst: Annotated[Burst, Meta(description="At once.", examples=["30"])] = 100
    action: Annotated[
        Action,
        Meta(
            description="What is done beyond: `close` ends the connection; `drop` does so with "
            "a reset; `tarpit` holds it for a minute without an answer (at most 1,000 are held, "
            "then it is `close`); `message` shows `limits.message` to a player who joins and in "
            "the server list.",
            examples=['"drop"'],
        ),
    ] = "close"


class LoginLimitTable(Table, kw_only=True, frozen=True):
    """How many logins a second one address may have."""

    rate: Annotated[
        Rate, Meta(description="Per second, in the long run; 0 is no limit.", examples=["0.5"])
    ] = 5.0
    burst: Annotated[Burst, Meta(description="At once.", examples=["10"])] = 50
    action: Annotated[
        Action,
        Meta(description="What is done beyond, as for connections.", examples=['"close"']),
    ] = "message"


class OpenLimitTable(Table, kw_only=True, frozen=True):
    """How many connections one address may have at the same time."""

    most: Annotated[Many, Meta(description="Connections; 0 is no limit.", examples=["20"])] = 256
    action: Annotated[
        Action,
        Meta(description="What is done beyond, as for connections.", examples=['"message"']),
    ] = "close"


class SessionLimitTable(Table, kw_only=True, frozen=True):
    """What one session may carry while it plays, per second; a second's worth may come at once."""

    serverbound: Annotated[
        Bytes,
        Meta(description="Bytes from the player; 0 is no limit.", examples=["1000000"]),
    ] = 0
    clientbound: Annotated[
        Bytes,
        Meta(description="Bytes to the player; 0 is no limit.", examples=["10000000"]),
    ] = 0
    packets: Annotated[
        Many,
        Meta(
            description="Packets from the player; 0 is no limit. They are counted for as long as "
            "they can be told apart: until the session is encrypted, which it is from the login "
            "on where the backend checks accounts. With a server in `zero_copy` this is an error. "
            "Mods have good reasons to send some hundred a second.",
            examples=["2000"],
        ),
    ] = 0
    action: Annotated[
        Literal["pace", "close"],
        Meta(
            description="`pace` reads no faster, so that the sender has to wait; `close` ends "
            "the session.",
            examples=['"close"'],
        ),
    ] = "pace"


class LimitsTable(Table, kw_only=True, frozen=True):
    """What one address may do."""

    connections: Annotated[LimitTable, Meta(description="New connections of one address.")] = (
        LimitTable()
    )
    status: Annotated[
        LimitTable, Meta(description="Requests of one address for the server list.")
    ] = LimitTable()
    logins: Annotated[LoginLimitTable, Meta(description="Logins and transfers of one address.")] = (
        LoginLimitTable()
    )
    open: Annotated[
        OpenLimitTable, Meta(description="Connections of one address at the same time.")
    ] = OpenLimitTable()
    session: Annotated[
        SessionLimitTable, Meta(description="What one session may carry while it plays.")
    ] = SessionLimitTable()
    prefix_v4: Annotated[
        int,
        Meta(
            ge=0,
            le=32,
            description="How many bits of an IPv4 address are told apart: with 24, all of a /24 "
            "count as one address.",
            examples=["24"],
        ),
    ] = 32
    prefix_v6: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="The same for IPv6. Whoever has one address has a /64 of them, so it is "
            "64 at the most.",
            examples=["56"],
        ),
    ] = 64
    exempt: Annotated[
        tuple[Network, ...],
        Meta(
            description="Addresses and networks that no limit concerns. Programs on this machine "
            "are exempt because a tunnel brings everybody's connections from one address.",
            examples=['["127.0.0.0/8", "::1/128", "192.0.2.7"]'],
        ),
    ] = (Network("127.0.0.0/8"), Network("::1/128"))
    message: Annotated[
        Message,
        Meta(
            description="What the action `message` tells. § codes are allowed.",
            examples=['"§cPlease wait a moment."'],
        ),
    ] = "§cToo many attempts from your address. §7Please wait a moment and try again."


class BufferTable(Table, kw_only=True, frozen=True):
    """How many bytes may wait in the proxy for peers that read slowly. What does not fit waits
    in the kernel, and so with its sender: nothing is lost, and no session ends for it."""

    session: Annotated[
        Bytes,
        Meta(description="Bytes of one session, both directions together.", examples=["262144"]),
    ] = 2097152
    total: Annotated[
        Bytes, Meta(description="Bytes of all sessions together.", examples=["67108864"])
    ] = 268435456


class FloodTable(Table, kw_only=True, frozen=True):
    """When new connections, of all addresses together, come too fast for manners: refusals are
    then only counted, whatever is over a limit is dropped, and first packets have less time.
    Exempt addresses do not count. Beginning and end are logged."""

    begin: Annotated[
        Many,
        Meta(
            description="New connections within a second that begin it; 0 is never.",
            examples=["5000"],
        ),
    ] = 1000
    end: Annotated[
        Many, Meta(description="It ends when there are no more than these…", examples=["2000"])
    ] = 500
    calm: Annotated[Duration, Meta(description="…for so long.", examples=['"30s"'])] = Duration(5.0)
    handshake: Annotated[
        Timeout,
        Meta(
            description="Takes the place of `timeouts.handshake` meanwhile, where that is longer.",
            examples=['"1s"'],
        ),
    ] = Timeout(2.0)


class Log(Table, kw_only=True, frozen=True):
    """What is logged, to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(
            description="The least level that is written. Malformed connections appear at "
            "`debug` only.",
            examples=['"debug"'],
        ),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(
            description="`console` for people, `json` for programs; `auto` chooses `console` "
            "on a terminal.",
            examples=['"json"'],
        ),
    ] = "auto"


class Control(Table, kw_only=True, frozen=True):
    """How `routes`, `stats` and `reload` reach the running proxy."""

    socket: Annotated[
        FilePath | None,
        Meta(
            description="The Unix socket, made with mode 0600. Left out: beside the "
            "configuration file, under its name with the ending `.sock`.",
            examples=['"/run/mcproxy/control.sock"'],
        ),
    ] = None


class Root(Table, kw_only=True, frozen=True):
    """The top of `mcproxy.toml`."""

    later: ClassVar[dict[str, str]] = {
        "admin": "the admin API",
        "ban": "bans",
        "bans": "bans",
        "docker": "servers from Docker labels",
        "forwarding": "the player's identity passed on to backends",
        "kubernetes": "servers from Kubernetes services",
        "metrics": "an endpoint for Prometheus",
        "redis": "state shared by several proxies",
        "telemetry": "traces and metrics by OpenTelemetry",
        "web": "the admin API",
    }

    bind: Annotated[
        tuple[Bind, ...],
        Meta(
            min_length=1,
            description="Addresses and ports to listen on; a port that is left out is 25565.",
            examples=['["0.0.0.0:25565", "[::]:25565"]'],
        ),
    ] = (Bind("0.0.0.0:25565"),)
    servers_dir: Annotated[
        FilePath | None,
        Meta(
            description="A folder of drop-in files: every `*.toml` in it holds the keys of one "
            "[[server]].",
            examples=['"servers"'],
        ),
    ] = None
    default: Annotated[
        str | None,
        Meta(
            description="The server for host names that no server has. Without it, such "
            "clients see `motd.unknown` and are told so when they join.",
            examples=['"lobby"'],
        ),
    ] = None
    unknown_message: Annotated[
        Message | None,
        Meta(
            description="Told to a player who joins under a name that no server has. § codes "
            "are allowed.",
            examples=['"§cThere is no server under this name."'],
        ),
    ] = None
    workers: Annotated[
        int,
        Meta(
            ge=0,
            le=256,
            description="Threads that carry the connections; 0 is one per core.",
            examples=["2"],
        ),
    ] = 0
    max_connections: Annotated[
        int,
        Meta(
            ge=0,
            description="Connections at once; 0 is as many as the limit on open files allows.",
            examples=["10000"],
        ),
    ] = 0
    timeouts: Annotated[TimeoutTable, Meta(description="How long to wait.")] = TimeoutTable()
    status_cache: Annotated[
        StatusCache, Meta(description="How long answers to the server list are kept.")
    ] = StatusCache()
    ip_filter: Annotated[IpFilter, Meta(description="Who may connect at all.")] = IpFilter()
    limits: Annotated[LimitsTable, Meta(description="What one address may do.")] = LimitsTable()
    buffers: Annotated[
        BufferTable, Meta(description="How many bytes may wait for peers that read slowly.")
    ] = BufferTable()
    flood: Annotated[
        FloodTable, Meta(description="When there are too many new connections for manners.")
    ] = FloodTable()
    proxy_protocol: Annotated[
        ProxyProtocol, Meta(description="The PROXY header of a load balancer in front.")
    ] = ProxyProtocol()
    motd: Annotated[GlobalMotd, Meta(description="Messages that belong to no server.")] = (
        GlobalMotd()
    )
    log: Annotated[Log, Meta(description="What is logged.")] = Log()
    control: Annotated[Control, Meta(description="How commands reach the running proxy.")] = (
        Control()
    )
    server: Annotated[
        tuple[ServerTable, ...], Meta(description="The backend servers, one [[server]] each.")
    ] = ()
