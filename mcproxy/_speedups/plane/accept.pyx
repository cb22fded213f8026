"""New connections: taken, filtered by address, given a session."""

from libc.stdint cimport uint16_t, uint64_t, uint8_t
from libc.string cimport memcpy

from mcproxy._speedups.match.limits cimport limit_leave
from mcproxy._speedups.match.prefixes cimport prefix_lookup
from mcproxy._speedups.plane.first cimport client_readable
from mcproxy._speedups.plane.layout cimport ACTION_TARPIT, session, snapshot
from mcproxy._speedups.plane.life cimport (
    count,
    handshake_ms,
    move,
    pause_accepting,
    session_end,
    session_new,
    tell,
    turn_away,
)
from mcproxy._speedups.plane.limits cimport ACCEPTS_LAST, ACCEPTS_PER_TURN, DEFER_MS
from mcproxy._speedups.plane.protect cimport (
    entry_action,
    entry_refused,
    refused_at_once,
    tarpit,
)
from mcproxy._speedups.plane.proxied cimport learn_local
from mcproxy._speedups.plane.reasons cimport (
    COUNT_ACCEPTED,
    COUNT_OPEN,
    REASON_FILTERED,
    REASON_MAX_CONNECTIONS,
    REASON_MEMORY,
    REASON_NONE,
)
from mcproxy._speedups.plane.ring cimport EVENT_RESUMED
from mcproxy._speedups.plane.route cimport admitted
from mcproxy._speedups.plane.states cimport STATE_FIRST, STATE_FREE, STATE_HEADER
from mcproxy._speedups.plane.system cimport (
    EAGAIN,
    ECONNABORTED,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    EPOLLET,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    accept4,
    mcp_add,
    mcp_epoll_add,
    mcp_errno,
    mcp_unpack,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from mcproxy._speedups.plane.wheel cimport wheel_set


cdef void sessions_accept(worker* w, listener* l) noexcept nogil:
    cdef sockaddr_storage name
    cdef socklen_t length
    cdef int turn, fd, error
    for turn in range(l.burst):
        length = sizeof(name)
        fd = accept4(l.fd, <sockaddr*>&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            if w.pause_told:
                w.pause_told = False
                tell(w, EVENT_RESUMED, 0)
            admit(w, l, fd, &name)
            continue
        error = mcp_errno()
        if error == EAGAIN:
            # Where connections come one by one, asking for a second is a call for nothing.
            l.burst = max(1, turn)
            return
        if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
            pause_accepting(w, error)
            return
    if l.turn + 1 == w.turn:        # two turns in a row: there are more than are taken
        l.burst = min(2 * l.burst, ACCEPTS_PER_TURN)
    l.turn = w.turn


cdef void sessions_accept_rest(worker* w, listener* l) noexcept nogil:
    """Take what waits at a listener that this worker no longer watches.

    Another process may share the socket: the wake-up for these connections was this worker's, so
    nobody else would look before the next one comes. Where nobody shares it they would be reset.
    """
    cdef sockaddr_storage name
    cdef socklen_t length
    cdef int _turn, fd
    for _turn in range(ACCEPTS_LAST):
        length = sizeof(name)
        fd = accept4(l.fd, <sockaddr*>&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            admit(w, l, fd, &name)
        elif mcp_errno() != ECONNABORTED:
            return


cdef void admit(worker* w, listener* l, int fd, sockaddr_storage* name) noexcept nogil:
    cdef snapshot* now = w.current
    cdef uint8_t address[16]
    cdef uint16_t port
    cdef bint trusted
    cdef bint open = False
    cdef int limited = REASON_NONE
    cdef uint64_t key = 0
    cdef session* s
    count(w, COUNT_ACCEPTED)
    mcp_unpack(name, address, &port)
    # Of a trusted load balancer the whitelist judges the address in its header instead.
    trusted = now.trusted != NULL and prefix_lookup(now.trusted, address) >= 0
    if not admitted(NULL if trusted else now.admit, now.refuse, address):
        turn_away(w, fd, REASON_FILTERED, address, port)
        return
    if not trusted:
        limited = entry_refused(w, address, &key, &open)
        if limited and refused_at_once(w, fd, limited):
            turn_away(w, fd, limited, address, port)
            return
    s = NULL
    if mcp_add(&w.common.open_sessions, 1) <= now.max_connections or now.max_connections == 0:
        s = session_new(w)
        if s == NULL:
            limited = REASON_MEMORY
    else:
        limited = REASON_MAX_CONNECTIONS
    if s == NULL:
        mcp_add(&w.common.open_sessions, -1)
        if open:
            limit_leave(w.common.limits, key)
        turn_away(w, fd, limited, address, port)
        return
    s.client.fd = fd
    w.session_count += 1
    count(w, COUNT_OPEN)
    memcpy(s.address, address, 16)
    s.port = port
    s.limit_key = key
    s.limit_open = open
    memcpy(s.local, l.address, 16)
    s.local_port = l.port
    s.local_known = not l.any_address
    if now.wants_local:
        learn_local(s)
    if limited and entry_action(w, limited) == ACTION_TARPIT:
        tarpit(s, limited)
    else:
        s.limited = limited
        move(s, STATE_HEADER if trusted else STATE_FIRST)
        wheel_set(s, w.now_ms + handshake_ms(w))
    if s.state == STATE_FREE:
        return
    if mcp_epoll_add(w.epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, <uint64_t>s) < 0:
        session_end(s, REASON_MEMORY)
        return
    s.client.readable = True
    s.client.writable = True
    client_readable(s)
    if s.client.fd == fd and s.first_size == 0 and s.state in (STATE_HEADER, STATE_FIRST):
        # It says nothing, so the kernel has kept it back for its first second already.
        s.first_ms -= min(DEFER_MS, handshake_ms(w) // 2)
        wheel_set(s, s.first_ms + handshake_ms(w))
