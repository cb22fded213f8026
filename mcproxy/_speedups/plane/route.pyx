"""Host name and address to server, the server's own filter, and on to status or login."""

from mcproxy._speedups.match.limits cimport LIMIT_LOGINS
from mcproxy._speedups.match.prefixes cimport prefix_lookup
from mcproxy._speedups.plane.answer cimport ask_status, status_packets
from mcproxy._speedups.plane.consult cimport consult, tell_unknown_host
from mcproxy._speedups.plane.dial cimport dial
from mcproxy._speedups.plane.layout cimport HOOK_LOGIN, HOOK_ROUTE, MODE_SERVER_ONLY, snapshot
from mcproxy._speedups.plane.life cimport handshake_ms, move, session_end
from mcproxy._speedups.plane.login cimport login_packet
from mcproxy._speedups.plane.protect cimport over_limit
from mcproxy._speedups.plane.reasons cimport REASON_FILTERED_SERVER, REASON_UNKNOWN_HOST
from mcproxy._speedups.plane.records cimport server_retain
from mcproxy._speedups.plane.ring cimport EVENT_CONSULT_ROUTE
from mcproxy._speedups.plane.routes cimport route_hit, route_lookup
from mcproxy._speedups.plane.states cimport STATE_LOGIN, STATE_STATUS
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport say


cdef void route(session* s, const uint8_t* host, int length) noexcept nogil:
    cdef snapshot* now = s.owner.current
    cdef route_hit hit
    if s.intent >= 2 and over_limit(s, LIMIT_LOGINS):
        return
    hit = route_lookup(now.routes, host, length, s.local, s.local_port)
    s.server = server_retain(now.servers[hit.server] if hit.server >= 0 else now.unknown)
    if now.hooks & HOOK_ROUTE:
        consult(s, EVENT_CONSULT_ROUTE)
    else:
        routed(s)


cdef void routed(session* s) noexcept nogil:
    if not admitted(s.server.admit, s.server.refuse, s.address):
        session_end(s, REASON_FILTERED_SERVER)
    elif s.legacy:
        ask_status(s)
    elif s.intent == 1:
        move(s, STATE_STATUS)
        wheel_set(s, s.owner.now_ms + handshake_ms(s.owner))
        status_packets(s)
    elif s.server.unknown:
        tell_unknown_host(s)
        say(s, s.server.unavailable, REASON_UNKNOWN_HOST)
    elif s.server.mode == MODE_SERVER_ONLY or s.owner.current.hooks & HOOK_LOGIN:
        move(s, STATE_LOGIN)
        wheel_set(s, s.owner.now_ms + handshake_ms(s.owner))
        login_packet(s)
    else:
        dial(s)


cdef bint admitted(const prefix_set* admit, const prefix_set* refuse,
                   const uint8_t* address) noexcept nogil:
    if refuse != NULL and prefix_lookup(refuse, address) >= 0:
        return False
    return admit == NULL or prefix_lookup(admit, address) >= 0
