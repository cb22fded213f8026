"""The first packet: a handshake, or a ping from before 1.7."""

from libc.stdint cimport uint32_t, uint8_t

from mcproxy._speedups.buffers cimport block_pool_take
from mcproxy._speedups.plane.answer cimport status_packets
from mcproxy._speedups.plane.frame cimport FRAME_MALFORMED, FRAME_OVERSIZED, frame_at
from mcproxy._speedups.plane.life cimport drop_first, handshake_ms, left_early, session_end
from mcproxy._speedups.plane.limits cimport FIRST_BYTES, LEGACY_WAIT_MS
from mcproxy._speedups.plane.login cimport login_packet
from mcproxy._speedups.plane.proxied cimport header_read
from mcproxy._speedups.plane.reasons cimport (
    REASON_BAD_INTENT,
    REASON_BAD_LOGIN,
    REASON_BAD_STATUS,
    REASON_FRAME_TOO_LONG,
    REASON_HOST_TOO_LONG,
    REASON_LEGACY_LOGIN,
    REASON_MALFORMED,
    REASON_MEMORY,
    REASON_PROXY_UNTRUSTED,
)
from mcproxy._speedups.plane.route cimport route
from mcproxy._speedups.plane.states cimport (
    STATE_FIRST,
    STATE_HEADER,
    STATE_LINGER,
    STATE_LOGIN,
    STATE_STATUS,
    STATE_STATUS_WAIT,
)
from mcproxy._speedups.plane.system cimport EAGAIN, mcp_errno, recv
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport discard, say
from mcproxy._speedups.wire.handshake cimport (
    HANDSHAKE_BAD_INTENT,
    HANDSHAKE_BODY_MAX,
    HANDSHAKE_HOST_TOO_LONG,
    HANDSHAKE_OK,
    HOST_CLEAN_MAX,
    handshake_parse,
    handshake_t,
    host_clean,
)
from mcproxy._speedups.wire.haproxy cimport HAPROXY_MORE, HAPROXY_NOT, haproxy_probe
from mcproxy._speedups.wire.legacy cimport (
    LEGACY_16,
    LEGACY_BAD,
    LEGACY_LOGIN,
    LEGACY_NOT,
    LEGACY_UNDECIDED,
    legacy_ping_t,
    legacy_probe,
)


cdef void client_readable(session* s) noexcept nogil:
    while s.client.readable and s.state in (STATE_HEADER, STATE_FIRST, STATE_STATUS,
                                            STATE_STATUS_WAIT, STATE_LOGIN):
        if not read_first(s):
            return
        if s.state == STATE_HEADER:
            header_read(s)
            if s.state == STATE_FIRST and s.first_size > 0:
                first_packet(s, False)
        elif s.state == STATE_FIRST:
            first_packet(s, False)
        elif s.state == STATE_LOGIN:
            login_packet(s)
        else:
            status_packets(s)
    if s.state == STATE_LINGER:
        discard(s)


cdef bint read_first(session* s) noexcept nogil:
    # True when there are new bytes; what does not fit stays in the kernel.
    cdef ssize_t size
    cdef uint32_t room
    if not s.client.readable:
        return False
    if s.first == NULL:
        s.first = <uint8_t*>block_pool_take(&s.owner.first_blocks)
        if s.first == NULL:
            session_end(s, REASON_MEMORY)
            return False
    room = FIRST_BYTES - s.first_size
    if room == 0:
        session_end(s, REASON_BAD_STATUS if s.intent == 1 else REASON_BAD_LOGIN)
        return False
    size = recv(s.client.fd, s.first + s.first_size, room, 0)
    if size > 0:
        s.first_size += <uint32_t>size
        if size < room and not s.client.hung_up:
            s.client.readable = False
        return True
    if size < 0 and mcp_errno() == EAGAIN:
        s.client.readable = False
        if s.first_size == 0:
            drop_first(s)
        return False
    if size == 0 and end_of_requests(s):
        return False
    session_end(s, left_early(s))
    return False


cdef bint end_of_requests(session* s) noexcept nogil:
    # Whether the client only shut its side down and still waits for an answer.
    s.client.ended = True
    s.client.readable = False
    if s.state == STATE_FIRST and s.first_size > 0 and s.first[0] == 0xFE:
        first_packet(s, True)       # a ping from before 1.6
        return s.state != STATE_FIRST
    return s.state == STATE_STATUS_WAIT or s.words != NULL


cdef void first_packet(session* s, bint timer_expired) noexcept nogil:
    cdef legacy_ping_t ping
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef int size, version
    cdef int kind = legacy_probe(s.first, s.first_size, timer_expired, &ping)
    if kind == LEGACY_UNDECIDED:
        if s.first_size <= 3 and not timer_expired:
            wheel_set(s, min(s.owner.now_ms + LEGACY_WAIT_MS,
                             s.first_ms + handshake_ms(s.owner)))
        elif timer_expired:
            wheel_set(s, s.first_ms + handshake_ms(s.owner))
        return
    if kind == LEGACY_BAD:
        session_end(s, REASON_MALFORMED)
        return
    if kind == LEGACY_LOGIN:
        say(s, s.owner.current.legacy_kick, REASON_LEGACY_LOGIN)
        return
    if kind != LEGACY_NOT:
        s.legacy = kind
        legacy_ping(s, &ping)
        return
    wheel_set(s, s.first_ms + handshake_ms(s.owner))
    version = haproxy_probe(s.first, s.first_size)
    if version != HAPROXY_NOT:
        # No handshake goes on like a header; one of 80 or 13 bytes begins like one.
        if version != HAPROXY_MORE:
            session_end(s, REASON_PROXY_UNTRUSTED)
        return
    size = frame_at(s, HANDSHAKE_BODY_MAX, &body, &end)
    if size > 0:
        s.first_used = size
        handshake(s, body, end)
    elif size == FRAME_OVERSIZED:
        session_end(s, REASON_FRAME_TOO_LONG)
    elif size == FRAME_MALFORMED:
        session_end(s, REASON_MALFORMED)


cdef void handshake(session* s, const uint8_t* body, const uint8_t* end) noexcept nogil:
    cdef handshake_t h
    cdef uint8_t host[HOST_CLEAN_MAX]
    cdef int length
    cdef int error = handshake_parse(body, end, &h)
    if error != HANDSHAKE_OK:
        session_end(s, REASON_HOST_TOO_LONG if error == HANDSHAKE_HOST_TOO_LONG
                    else REASON_BAD_INTENT if error == HANDSHAKE_BAD_INTENT
                    else REASON_MALFORMED)
        return
    s.protocol = h.protocol
    s.intent = h.intent
    length = host_clean(h.host, h.host_len, host)
    if length < 0:
        session_end(s, REASON_HOST_TOO_LONG)
        return
    route(s, host, length)


cdef void legacy_ping(session* s, legacy_ping_t* ping) noexcept nogil:
    # Only 1.6 says which host it means: elsewhere an address or the default decides.
    cdef uint8_t raw[HOST_CLEAN_MAX]
    cdef uint8_t host[HOST_CLEAN_MAX]
    cdef uint32_t i, units = 0
    cdef int length
    if s.legacy == LEGACY_16:
        s.protocol = ping.protocol
        units = min(ping.host_units, <uint32_t>HOST_CLEAN_MAX)
        for i in range(units):
            raw[i] = ping.host[2 * i + 1] if ping.host[2 * i] == 0 else c"?"
    length = host_clean(raw, units, host)
    route(s, host, length if length > 0 else 0)
