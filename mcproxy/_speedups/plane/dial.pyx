"""Connecting to a backend, address by address, and the beginning of the relay."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from mcproxy._speedups.plane.consult cimport identified
from mcproxy._speedups.plane.layout cimport endpoint, worker
from mcproxy._speedups.plane.life cimport count, drop_first, move, pause_accepting, session_end
from mcproxy._speedups.plane.reasons cimport (
    COUNT_DIAL_FAILED,
    COUNT_RELAYED,
    COUNT_RELAYING,
    REASON_DESCRIPTORS,
    REASON_MEMORY,
    REASON_NO_BACKEND,
)
from mcproxy._speedups.plane.relay cimport (
    RELAY_AGAIN,
    RELAY_NO_MEMORY,
    RELAY_OVER,
    relay_send,
    relay_step,
)
from mcproxy._speedups.plane.ring cimport (
    EVENT_DIAL_FAILED,
    EVENT_OPENED,
    event,
    event_session,
    ring_begin,
    ring_commit,
)
from mcproxy._speedups.plane.states cimport STATE_DIAL, STATE_RELAY
from mcproxy._speedups.plane.system cimport (
    AF_INET,
    AF_INET6,
    EINPROGRESS,
    EMFILE,
    ENFILE,
    EPOLLET,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    IPPROTO_TCP,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    SO_ERROR,
    TCP_NODELAY,
    close,
    connect,
    getsockopt,
    mcp_epoll_add,
    mcp_errno,
    mcp_pack,
    mcp_set_option,
    sockaddr,
    sockaddr_storage,
    socket,
    socklen_t,
)
from mcproxy._speedups.plane.tags cimport TAG_BACKEND
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport say


cdef void dial(session* s, int attempt) noexcept nogil:
    cdef worker* w = s.owner
    cdef sockaddr_storage name
    cdef socklen_t length
    cdef endpoint* target
    cdef int fd, error
    while attempt < s.server.endpoint_count:
        target = &s.server.endpoints[attempt]
        length = mcp_pack(&name, target.address, target.port)
        fd = socket(AF_INET if length == 16 else AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:
            error = mcp_errno()
            pause_accepting(w, error)
            say(s, s.server.unavailable,
                REASON_DESCRIPTORS if error in (EMFILE, ENFILE) else REASON_MEMORY)
            return
        s.backend.fd = fd
        s.attempt = attempt
        mcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)
        if (connect(fd, <sockaddr*>&name, length) == 0 or mcp_errno() == EINPROGRESS) and \
                mcp_epoll_add(w.epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              <uint64_t>s | TAG_BACKEND) == 0:
            if s.state != STATE_DIAL:
                move(s, STATE_DIAL)
            wheel_set(s, w.now_ms + w.current.connect_ms)
            return
        dial_failed(s, mcp_errno())
        attempt += 1
    say(s, s.server.unavailable, REASON_NO_BACKEND)


cdef void dial_failed(session* s, int error) noexcept nogil:
    # error: an errno, 0: the socket knows it.
    cdef worker* w = s.owner
    cdef socklen_t size = sizeof(error)
    cdef event* e
    if error == 0:
        getsockopt(s.backend.fd, SOL_SOCKET, SO_ERROR, &error, &size)
    close(s.backend.fd)
    s.backend.fd = -1
    count(w, COUNT_DIAL_FAILED)
    e = ring_begin(w, EVENT_DIAL_FAILED, 0)
    if e != NULL:
        event_session(e, s)
        memcpy(e.address, s.server.endpoints[s.attempt].address, 16)
        e.port = s.server.endpoints[s.attempt].port
        e.detail = error
        ring_commit(w, e)


cdef void relay_begin(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e = identified(s, EVENT_OPENED)
    move(s, STATE_RELAY)
    s.active_ms = w.now_ms
    wheel_set(s, w.now_ms + w.current.idle_ms)
    count(w, COUNT_RELAYED)
    count(w, COUNT_RELAYING)
    if e != NULL:
        memcpy(e.local, s.server.endpoints[s.attempt].address, 16)
        e.local_port = s.server.endpoints[s.attempt].port
        ring_commit(w, e)
    if not relay_send(s, &s.backend, <char*>s.first, s.first_size):
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
        session_end(s, s.end_reason)
    elif result == RELAY_NO_MEMORY:
        session_end(s, REASON_MEMORY)
