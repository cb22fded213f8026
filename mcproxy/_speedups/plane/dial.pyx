"""From a server to a relay: a warm socket, or address after address until one connects."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from mcproxy._speedups.plane.balance cimport balance_choose
from mcproxy._speedups.plane.connect cimport connect_begin, connect_done, connect_failed
from mcproxy._speedups.plane.consult cimport identified
from mcproxy._speedups.plane.layout cimport side, worker
from mcproxy._speedups.plane.life cimport count, drop_first, move, pause_accepting, session_end
from mcproxy._speedups.plane.limits cimport GUARD_MS
from mcproxy._speedups.plane.pace cimport is_paced, pace_charge
from mcproxy._speedups.plane.proxied cimport header_write
from mcproxy._speedups.plane.reasons cimport (
    COUNT_RELAYED,
    COUNT_RELAYING,
    REASON_DESCRIPTORS,
    REASON_IDLE,
    REASON_MEMORY,
    REASON_NO_BACKEND,
)
from mcproxy._speedups.plane.relay cimport (
    RELAY_AGAIN,
    RELAY_NO_MEMORY,
    RELAY_OVER,
    RELAY_TOO_FAST,
    relay_send,
    relay_step,
)
from mcproxy._speedups.plane.ring cimport EVENT_OPENED, event, ring_commit
from mcproxy._speedups.plane.states cimport STATE_DIAL, STATE_RELAY
from mcproxy._speedups.plane.system cimport (
    EMFILE,
    ENFILE,
    IPPROTO_TCP,
    SOL_SOCKET,
    SO_KEEPALIVE,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_USER_TIMEOUT,
    mcp_load,
    mcp_set_option,
)
from mcproxy._speedups.plane.warm cimport warm_take
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport linger, say


cdef void dial(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef int index, error
    if s.tried == 0 and warm_take(s):
        move(s, STATE_DIAL)
        relay_begin(s)
        return
    while True:
        index = balance_choose(s.server, s.tried, w.now_ms)
        if index < 0:
            say(s, s.server.unavailable, REASON_NO_BACKEND)
            return
        error = connect_begin(s, index)
        if error == 0:
            if s.state != STATE_DIAL:
                move(s, STATE_DIAL)
            wheel_set(s, w.now_ms + w.current.connect_ms)
            return
        if s.backend.fd < 0:            # not even a socket
            pause_accepting(w, error)
            say(s, s.server.unavailable,
                REASON_DESCRIPTORS if error in (EMFILE, ENFILE) else REASON_MEMORY)
            return
        connect_failed(s, error)


cdef void dial_failed(session* s, int error) noexcept nogil:
    connect_failed(s, error)
    dial(s)


cdef void dial_done(session* s) noexcept nogil:
    connect_done(s)
    relay_begin(s)


cdef void relay_begin(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e = identified(s, EVENT_OPENED) if mcp_load(&w.common.tells_sessions) else NULL
    cdef const char* sent
    cdef unsigned int size
    move(s, STATE_RELAY)
    s.active_ms = w.now_ms
    wheel_set(s, w.now_ms + min(w.current.idle_ms, <int64_t>GUARD_MS))
    s.relayed = True
    count(w, COUNT_RELAYED)
    count(w, COUNT_RELAYING)
    if e != NULL:
        memcpy(e.local, s.server.endpoints[s.attempt].address, 16)
        e.local_port = s.server.endpoints[s.attempt].port
        ring_commit(w, e)
    sent = <char*>s.first
    size = s.first_size
    if s.server.send_proxy:
        size = header_write(s)
        sent = w.scratch
    if is_paced(s):
        pace_charge(s, &s.client, <char*>s.first, s.first_size)
    if not relay_send(s, &s.backend, sent, size):
        session_end(s, REASON_MEMORY)
        return
    drop_first(s)
    relay_on(s)


cdef void relay_on(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef int result = relay_step(s)
    if result == RELAY_AGAIN:
        if not s.ready:
            s.ready = True
            s.ready_next = NULL
            if w.ready_last == NULL:
                w.ready_first = s
            else:
                w.ready_last.ready_next = s
            w.ready_last = s
    elif result == RELAY_OVER:
        if s.client.ended or s.client.broken:
            session_end(s, s.end_reason)
        else:
            # The client may still be sending: closing now would be a reset, and that would
            # overtake the backend's last bytes.
            s.words_reason = s.end_reason
            linger(s)
    elif result == RELAY_TOO_FAST:
        session_end(s, s.end_reason)
    elif result == RELAY_NO_MEMORY:
        session_end(s, REASON_MEMORY)
    if s.state == STATE_RELAY and (s.client.paced_until_ms or s.backend.paced_until_ms):
        wheel_set(s, relay_wake(s))


cdef void relay_due(session* s) noexcept nogil:
    # Bytes do not set the deadline anew: it is looked at when it has passed.
    cdef worker* w = s.owner
    cdef int64_t idle_until = s.active_ms + w.current.idle_ms
    if idle_until <= w.now_ms and not s.client.paced_until_ms and not s.backend.paced_until_ms:
        session_end(s, REASON_IDLE)
        return
    if resume(s, &s.client) | resume(s, &s.backend):
        relay_on(s)
        if s.state != STATE_RELAY or s.client.paced_until_ms or s.backend.paced_until_ms:
            return
        idle_until = s.active_ms + w.current.idle_ms
    if not s.guarded:
        s.guarded = True
        guard(s)
    wheel_set(s, idle_until)


cdef bint resume(session* s, side* source) noexcept nogil:
    # Whether a side that was paced may be read again.
    if not 0 < source.paced_until_ms <= s.owner.now_ms:
        return False
    source.paced_until_ms = 0
    return True


cdef int64_t relay_wake(session* s) noexcept nogil:
    if s.client.paced_until_ms and s.backend.paced_until_ms:
        return min(s.client.paced_until_ms, s.backend.paced_until_ms)
    return s.client.paced_until_ms or s.backend.paced_until_ms


cdef inline void guard(session* s) noexcept nogil:
    # A peer that vanished is found. A short session does not pay for it.
    cdef int seconds = <int>(s.owner.current.dead_peer_ms // 1000)
    guard_side(s.client.fd, seconds)
    guard_side(s.backend.fd, seconds)


cdef void guard_side(int fd, int seconds) noexcept nogil:
    mcp_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
    mcp_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, max(1, seconds // 2))
    mcp_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, max(1, seconds // 8))
    mcp_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4)
    mcp_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, seconds * 1000)
