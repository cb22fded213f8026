"""A session moves: socket events, deadlines and decisions are led to the step it is at.

The steps, a file each: accept, first (handshake), route, consult (hooks), answer (status),
login, dial, relay; words and life end it. The states and the moves between them are the table
in states.pyx.
"""

from mcproxy._speedups.plane.answer cimport answer_status
from mcproxy._speedups.plane.dial cimport dial, dial_done, dial_failed, relay_due, relay_on
from mcproxy._speedups.plane.first cimport client_readable, first_packet
from mcproxy._speedups.plane.layout cimport blob, server_rec, side
from mcproxy._speedups.plane.life cimport handshake_ms, left_early, session_end, session_find
from mcproxy._speedups.plane.reasons cimport (
    REASON_CONTROL_SLOW,
    REASON_HOOK,
    REASON_SILENT,
    REASON_STATUS_DONE,
)
from mcproxy._speedups.plane.records cimport server_release, server_retain
from mcproxy._speedups.plane.ring cimport COMMAND_ADMIT, COMMAND_ANSWER, COMMAND_ROUTE
from mcproxy._speedups.plane.route cimport routed
from mcproxy._speedups.plane.states cimport (
    STATE_CONSULT,
    STATE_DIAL,
    STATE_FIRST,
    STATE_FREE,
    STATE_LINGER,
    STATE_RELAY,
    STATE_STATUS,
    STATE_STATUS_WAIT,
    STATE_TARPIT,
    STATE_WARM,
    STATE_WARM_DIAL,
)
from mcproxy._speedups.plane.system cimport (
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    ETIMEDOUT,
    mcp_gone,
)
from mcproxy._speedups.plane.warm cimport warm_due, warm_event
from mcproxy._speedups.plane.words cimport say, words_on


cdef void session_client_event(session* s, unsigned int events) noexcept nogil:
    if s.state == STATE_FREE:
        return
    note(&s.client, events)
    if s.state == STATE_RELAY:
        relay_on(s)
        return
    if ((events & (EPOLLERR | EPOLLHUP) and mcp_gone(s.client.fd))
            or (s.state == STATE_TARPIT and events & EPOLLRDHUP)):
        session_end(s, left_early(s))
        return
    if s.words != NULL and s.client.writable:
        words_on(s)
        if s.state == STATE_FREE:
            return
    client_readable(s)


cdef void session_backend_event(session* s, unsigned int events) noexcept nogil:
    if s.state == STATE_RELAY:
        note(&s.backend, events)
        relay_on(s)
    elif s.state == STATE_DIAL:
        if events & (EPOLLERR | EPOLLHUP) and mcp_gone(s.backend.fd):
            dial_failed(s, 0)
        elif events & EPOLLOUT:
            note(&s.backend, events)
            dial_done(s)
    elif s.state == STATE_WARM or s.state == STATE_WARM_DIAL:
        warm_event(s, events)


cdef inline void note(side* one, unsigned int events) noexcept nogil:
    if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        one.readable = True
    if events & EPOLLOUT:
        one.writable = True
    if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        one.hung_up = True


cdef void session_turn(session* s) noexcept nogil:
    if s.state == STATE_RELAY:
        relay_on(s)


cdef void session_due(session* s) noexcept nogil:
    cdef worker* w = s.owner
    if s.state == STATE_RELAY:
        relay_due(s)
    elif s.state == STATE_DIAL:
        dial_failed(s, ETIMEDOUT)
    elif s.state == STATE_WARM or s.state == STATE_WARM_DIAL:
        warm_due(s)
    elif s.state == STATE_FIRST and s.first_ms + handshake_ms(w) > w.now_ms:
        first_packet(s, True)
    elif s.state == STATE_STATUS and s.status_asked:
        session_end(s, REASON_STATUS_DONE)      # answered, and no ping came
    elif s.state == STATE_LINGER:
        session_end(s, s.words_reason)
    elif s.state in (STATE_STATUS_WAIT, STATE_CONSULT):
        session_end(s, REASON_CONTROL_SLOW)
    else:
        session_end(s, REASON_SILENT)


cdef void session_command(worker* w, command* c) noexcept nogil:
    cdef session* s = session_find(w, c.slot, c.generation)
    if s == NULL or s.state != STATE_CONSULT:
        return                      # it left while Python was deciding
    w.consulting -= 1
    s.consulting = False
    if c.kind == COMMAND_ROUTE:
        server_release(s.server)
        s.server = server_retain(<server_rec*>c.thing)
        routed(s)
    elif c.kind == COMMAND_ADMIT:
        dial(s)
    elif c.kind == COMMAND_ANSWER:
        answer_status(s, <blob*>c.thing)
    elif c.thing == NULL:
        session_end(s, REASON_HOOK)
    else:
        say(s, <blob*>c.thing, REASON_HOOK)
    client_readable(s)              # nothing was read while Python was deciding
