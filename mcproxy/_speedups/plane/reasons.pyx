"""Why connections are refused and sessions end, and what the data plane counts.

One list for logs, metrics, events and docs.
"""

import enum

_REASONS = (
    (REASON_NONE, "NONE", "no reason yet"),
    (REASON_FILTERED, "FILTERED", "the address is on the blacklist, or not on the whitelist"),
    (REASON_FILTERED_SERVER, "FILTERED_SERVER", "the server's own list does not admit the address"),
    (REASON_MAX_CONNECTIONS, "MAX_CONNECTIONS", "max_connections was reached"),
    (REASON_DESCRIPTORS, "DESCRIPTORS", "the process has no file descriptor left"),
    (REASON_MEMORY, "MEMORY", "no memory, or the bound of a buffer pool, was reached"),
    (REASON_SILENT, "SILENT", "the first packets did not come within timeouts.handshake"),
    (REASON_CLOSED_EARLY, "CLOSED_EARLY", "the client closed before its first packet was whole"),
    (REASON_MALFORMED, "MALFORMED", "the first packet is not a Minecraft handshake"),
    (REASON_FRAME_TOO_LONG, "FRAME_TOO_LONG", "a frame announces more bytes than it may have"),
    (REASON_HOST_TOO_LONG, "HOST_TOO_LONG", "the host name in the handshake is over-long"),
    (REASON_BAD_INTENT, "BAD_INTENT", "the handshake asks for a state that does not exist"),
    (REASON_BAD_LOGIN, "BAD_LOGIN", "Login Start is malformed"),
    (REASON_BAD_STATUS, "BAD_STATUS", "something other than a status request and a ping came"),
    (REASON_LEGACY_LOGIN, "LEGACY_LOGIN", "a client older than 1.7 tried to join"),
    (REASON_PROXY_MISSING, "PROXY_MISSING", "a trusted network sent no PROXY header"),
    (REASON_PROXY_MALFORMED, "PROXY_MALFORMED", "the PROXY header is malformed or over-long"),
    (REASON_PROXY_UNTRUSTED, "PROXY_UNTRUSTED",
     "a PROXY header came from an address that proxy_protocol.trusted does not have"),
    (REASON_RATE_CONNECTIONS, "RATE_CONNECTIONS", "more new connections than limits.connections"),
    (REASON_RATE_STATUS, "RATE_STATUS", "more status requests than limits.status"),
    (REASON_RATE_LOGINS, "RATE_LOGINS", "more logins than limits.logins"),
    (REASON_TOO_MANY_OPEN, "TOO_MANY_OPEN", "more open connections than limits.open"),
    (REASON_UNKNOWN_HOST, "UNKNOWN_HOST", "no route leads from the host name"),
    (REASON_NO_BACKEND, "NO_BACKEND", "no address of the server answered"),
    (REASON_CONTROL_BUSY, "CONTROL_BUSY", "too many sessions wait for a decision already"),
    (REASON_CONTROL_SLOW, "CONTROL_SLOW", "a decision or a status did not come in time"),
    (REASON_HOOK, "HOOK", "a hook refused the session"),
    (REASON_INTERNAL, "INTERNAL", "a state was left in a way that does not exist (a bug)"),
    (REASON_STATUS_DONE, "STATUS_DONE", "the status exchange ended"),
    (REASON_CLIENT_CLOSED, "CLIENT_CLOSED", "the client closed first"),
    (REASON_BACKEND_CLOSED, "BACKEND_CLOSED", "the backend closed first"),
    (REASON_CLIENT_LOST, "CLIENT_LOST", "the connection to the client broke"),
    (REASON_BACKEND_LOST, "BACKEND_LOST", "the connection to the backend broke"),
    (REASON_IDLE, "IDLE", "no byte came for timeouts.idle"),
    (REASON_RATE_BYTES, "RATE_BYTES", "more bytes per second than limits.session allows"),
    (REASON_RATE_PACKETS, "RATE_PACKETS", "more packets per second than limits.session allows"),
    (REASON_SHUTDOWN, "SHUTDOWN", "the proxy was stopped"),
)

_COUNTERS = (
    (COUNT_ACCEPTED, "accepted", "connections accepted"),
    (COUNT_OPEN, "open", "sessions open now"),
    (COUNT_RELAYED, "relayed", "sessions that reached a backend"),
    (COUNT_RELAYING, "relaying", "sessions connected to a backend now"),
    (COUNT_SERVERBOUND_BYTES, "serverbound_bytes", "bytes relayed to backends"),
    (COUNT_CLIENTBOUND_BYTES, "clientbound_bytes", "bytes relayed to clients"),
    (COUNT_STATUS_ANSWERED, "status_answered", "status requests answered"),
    (COUNT_STATUS_WANTED, "status_wanted", "status answers asked of the control plane"),
    (COUNT_PINGS, "pings", "pings answered"),
    (COUNT_LEGACY_PINGS, "legacy_pings", "pings of clients before 1.7 answered"),
    (COUNT_DIAL_FAILED, "dial_failed", "connection attempts to a backend address that failed"),
    (COUNT_SPLICED, "spliced", "directions switched to splice"),
    (COUNT_ACCEPT_PAUSED, "accept_paused", "times that accepting paused for want of descriptors"),
    (COUNT_EVENTS_DROPPED, "events_dropped", "accounting events dropped"),
    (COUNT_WARM, "warm", "connected sockets that wait for a player now"),
    (COUNT_WARM_USED, "warm_used", "relays that began on a warm socket"),
    (COUNT_WARM_LOST, "warm_lost", "warm sockets that the backend closed first"),
    (COUNT_EJECTED, "ejected", "times that an address was left out for a while after failures"),
    (COUNT_BUFFERED_BYTES, "buffered_bytes", "bytes held for slow readers now"),
    (COUNT_TARPIT, "tarpit", "connections held without an answer now"),
    (COUNT_UNTRACKED, "untracked", "connections for which the table of limits had no place"),
    (COUNT_PACED, "paced", "times that a sender waited because of limits.session"),
    (COUNT_UNBUFFERED, "unbuffered", "reads for which buffers.* left no room"),
    (COUNT_FLOODS, "floods", "times that the flood mode began"),
)

Reason = enum.IntEnum("Reason", {name: int(value) for value, name, _ in _REASONS}, module=__name__)
Reason.__doc__ = "Why a connection was refused or a session ended."

REASONS = {Reason(value): sentence for value, _, sentence in _REASONS}
REFUSALS = tuple(r for r in Reason if 0 < r <= REASON_LAST_REFUSAL)
COUNTERS = {name: sentence for _, name, sentence in _COUNTERS}
GAUGES = frozenset({"open", "relaying", "warm", "buffered_bytes", "tarpit"})

if len(_REASONS) != REASON_COUNT or len(_COUNTERS) != COUNTER_COUNT:
    raise ImportError("reasons.pyx and reasons.pxd disagree")
