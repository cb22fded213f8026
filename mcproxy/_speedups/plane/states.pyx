"""The life of a session as a table: from, what happens, to.

The data plane refuses a move that has no row here, and the docs' diagram is drawn from it.
"""

_NAMES = {
    STATE_FREE: "free",
    STATE_HEADER: "PROXY header",
    STATE_FIRST: "first packet",
    STATE_STATUS: "status",
    STATE_STATUS_WAIT: "status wait",
    STATE_LOGIN: "login",
    STATE_CONSULT: "consult",
    STATE_DIAL: "dial",
    STATE_RELAY: "relay",
    STATE_WARM_DIAL: "warm dial",
    STATE_WARM: "warm",
    STATE_TARPIT: "tarpit",
    STATE_LINGER: "linger",
}

_MOVES = (
    (STATE_FREE, "accepted, address admitted", STATE_FIRST),
    (STATE_FREE, "accepted from a trusted network", STATE_HEADER),
    (STATE_HEADER, "header read, address admitted", STATE_FIRST),
    (STATE_HEADER, "no or a bad header, address refused, silent or closed", STATE_FREE),
    (STATE_FIRST, "handshake: intent status", STATE_STATUS),
    (STATE_FIRST, "handshake: intent login or transfer, Login Start needed", STATE_LOGIN),
    (STATE_FIRST, "handshake: a route hook is set", STATE_CONSULT),
    (STATE_FIRST, "handshake: intent login or transfer, route found", STATE_DIAL),
    (STATE_FIRST, "legacy ping, no fresh answer", STATE_STATUS_WAIT),
    (STATE_FIRST, "legacy ping answered, legacy login or unknown host told", STATE_LINGER),
    (STATE_FIRST, "refused, silent or closed", STATE_FREE),
    (STATE_STATUS, "request, no fresh answer", STATE_STATUS_WAIT),
    (STATE_STATUS, "request, a status hook is set", STATE_CONSULT),
    (STATE_STATUS, "ping answered", STATE_LINGER),
    (STATE_STATUS, "malformed, silent or closed", STATE_FREE),
    (STATE_STATUS_WAIT, "answer published", STATE_STATUS),
    (STATE_STATUS_WAIT, "legacy answer published", STATE_LINGER),
    (STATE_STATUS_WAIT, "no answer in time, or closed", STATE_FREE),
    (STATE_LOGIN, "Login Start read", STATE_DIAL),
    (STATE_LOGIN, "Login Start read, a login hook is set", STATE_CONSULT),
    (STATE_LOGIN, "no server: told so", STATE_LINGER),
    (STATE_LOGIN, "malformed, silent or closed", STATE_FREE),
    (STATE_CONSULT, "routed: intent status", STATE_STATUS),
    (STATE_CONSULT, "routed: Login Start needed", STATE_LOGIN),
    (STATE_CONSULT, "routed or admitted", STATE_DIAL),
    (STATE_CONSULT, "legacy ping routed, no fresh answer", STATE_STATUS_WAIT),
    (STATE_CONSULT, "legacy ping routed, a status hook is set", STATE_CONSULT),
    (STATE_CONSULT, "refused with a text, or legacy ping answered", STATE_LINGER),
    (STATE_CONSULT, "refused, no decision in time, or closed", STATE_FREE),
    (STATE_DIAL, "connected: the first bytes are replayed", STATE_RELAY),
    (STATE_DIAL, "no address answered: told so", STATE_LINGER),
    (STATE_DIAL, "the client is gone", STATE_FREE),
    (STATE_RELAY, "the backend broke: its last bytes are on their way", STATE_LINGER),
    (STATE_RELAY, "both directions ended, the client broke, idle, or stopped", STATE_FREE),
    (STATE_FREE, "a warm socket is wanted", STATE_WARM_DIAL),
    (STATE_WARM_DIAL, "connected", STATE_WARM),
    (STATE_WARM_DIAL, "failed", STATE_FREE),
    (STATE_WARM, "taken by a player's session, too old, or closed by the backend", STATE_FREE),
    (STATE_FREE, "accepted, over a limit", STATE_TARPIT),
    (STATE_HEADER, "header read, over a limit", STATE_TARPIT),
    (STATE_FIRST, "login or legacy ping over a limit", STATE_TARPIT),
    (STATE_STATUS, "request over a limit", STATE_TARPIT),
    (STATE_CONSULT, "legacy ping over a limit", STATE_TARPIT),
    (STATE_TARPIT, "held long enough, or closed", STATE_FREE),
    (STATE_LINGER, "delivered, or the time is up", STATE_FREE),
)

STATES = tuple(_NAMES[i] for i in range(STATE_COUNT))
MOVES = tuple((_NAMES[before], event, _NAMES[after]) for before, event, after in _MOVES)

cdef unsigned int allowed[STATE_COUNT]

for _i in range(STATE_COUNT):
    allowed[_i] = 0
for _before, _, _after in _MOVES:
    allowed[<int>_before] |= 1u << <int>_after


cdef bint state_allows(int before, int after) noexcept nogil:
    return allowed[before] >> after & 1
