"""Connecting to one address of a backend."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from mcproxy._speedups.plane.balance cimport balance_bad, balance_good
from mcproxy._speedups.plane.layout cimport endpoint, worker
from mcproxy._speedups.plane.life cimport count
from mcproxy._speedups.plane.reasons cimport COUNT_DIAL_FAILED, COUNT_EJECTED
from mcproxy._speedups.plane.ring cimport (
    EVENT_DIAL_FAILED,
    event,
    event_session,
    ring_begin,
    ring_commit,
)
from mcproxy._speedups.plane.system cimport (
    AF_INET,
    AF_INET6,
    EINPROGRESS,
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
    TCP_QUICKACK,
    close,
    connect,
    getsockopt,
    mcp_add,
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


cdef int connect_begin(session* s, int index) noexcept nogil:
    cdef endpoint* e = &s.server.endpoints[index]
    cdef sockaddr_storage name
    cdef socklen_t length = mcp_pack(&name, e.address, e.port)
    cdef int fd = socket(AF_INET if length == 16 else AF_INET6,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    s.tried |= 1u << index
    if fd < 0:
        return mcp_errno()
    s.backend.fd = fd
    s.attempt = index
    s.engaged = e.known
    mcp_add(&s.engaged.sessions, 1)
    mcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)
    # The handshake's last segment waits for the first bytes, which are here: one segment less.
    mcp_set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0)
    if connect(fd, <sockaddr*>&name, length) < 0 and mcp_errno() != EINPROGRESS:
        return mcp_errno()
    if mcp_epoll_add(s.owner.epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                     <uint64_t>s | TAG_BACKEND) < 0:
        return mcp_errno()
    return 0


cdef void connect_done(session* s) noexcept nogil:
    s.backend.writable = True
    balance_good(s.server.endpoints[s.attempt].known, s.owner.now_ms)


cdef void connect_failed(session* s, int error) noexcept nogil:
    cdef worker* w = s.owner
    cdef socklen_t size = sizeof(error)
    cdef event* e
    if error == 0:
        getsockopt(s.backend.fd, SOL_SOCKET, SO_ERROR, &error, &size)
    close(s.backend.fd)
    s.backend.fd = -1
    count(w, COUNT_DIAL_FAILED)
    if balance_bad(s.server.endpoints[s.attempt].known, w.now_ms):
        count(w, COUNT_EJECTED)
    connect_release(s)
    e = ring_begin(w, EVENT_DIAL_FAILED, 0)
    if e != NULL:
        event_session(e, s)
        memcpy(e.address, s.server.endpoints[s.attempt].address, 16)
        e.port = s.server.endpoints[s.attempt].port
        e.detail = error
        ring_commit(w, e)


cdef void connect_release(session* s) noexcept nogil:
    if s.engaged != NULL:
        mcp_add(&s.engaged.sessions, -1)
        s.engaged = NULL
