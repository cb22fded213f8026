"""Connections that are passed on: the PROXY header tells the client's own address.

A header comes from trusted networks only, and from those always: see accept, and first for the
headers of everybody else.
"""

from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memcpy, memmove

from mcproxy._speedups.plane.layout cimport snapshot
from mcproxy._speedups.plane.life cimport drop_first, handshake_ms, move, session_end
from mcproxy._speedups.plane.protect cimport entry_refused, refuse_session
from mcproxy._speedups.plane.reasons cimport (
    REASON_FILTERED,
    REASON_PROXY_MALFORMED,
    REASON_PROXY_MISSING,
)
from mcproxy._speedups.plane.route cimport admitted
from mcproxy._speedups.plane.states cimport STATE_FIRST, STATE_HEADER
from mcproxy._speedups.plane.system cimport (
    getsockname,
    mcp_unpack,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.wire.haproxy cimport (
    HAPROXY_MORE,
    HAPROXY_NOT,
    haproxy_encode,
    haproxy_header_t,
    haproxy_parse,
)


cdef void header_read(session* s) noexcept nogil:
    cdef snapshot* now = s.owner.current
    cdef haproxy_header_t header
    cdef int limited
    cdef int size = haproxy_parse(s.first, s.first_size, &header)
    if size == HAPROXY_MORE:
        return
    if size < 0:
        session_end(s, REASON_PROXY_MISSING if size == HAPROXY_NOT else REASON_PROXY_MALFORMED)
        return
    if header.proxied:
        memcpy(s.address, header.source, 16)
        s.port = header.source_port
        memcpy(s.local, header.destination, 16)
        s.local_port = header.destination_port
        s.local_known = True
    if not admitted(now.admit, now.refuse, s.address):
        session_end(s, REASON_FILTERED)
        return
    # No limit concerns what the load balancer does on its own.
    if header.proxied:
        limited = entry_refused(s.owner, s.address, &s.limit_key, &s.limit_open)
        if limited:
            refuse_session(s, limited)
            if s.state != STATE_HEADER:
                return
    s.first_size -= size
    if s.first_size > 0:
        memmove(s.first, s.first + size, s.first_size)
    else:
        drop_first(s)
    move(s, STATE_FIRST)
    # The client had to wait for the header like us: its own time begins now.
    s.first_ms = s.owner.now_ms
    wheel_set(s, s.first_ms + handshake_ms(s.owner))


cdef unsigned int header_write(session* s) noexcept nogil:
    cdef uint8_t* out = <uint8_t*>s.owner.scratch
    cdef uint32_t size
    learn_local(s)
    size = haproxy_encode(s.server.send_proxy, s.address, s.port, s.local, s.local_port, out)
    memcpy(out + size, s.first, s.first_size)
    return size + s.first_size


cdef void learn_local(session* s) noexcept nogil:
    cdef sockaddr_storage name
    cdef socklen_t length = sizeof(name)
    if not s.local_known and getsockname(s.client.fd, <sockaddr*>&name, &length) == 0:
        mcp_unpack(&name, s.local, &s.local_port)
        s.local_known = True
