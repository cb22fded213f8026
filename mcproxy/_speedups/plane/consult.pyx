"""Hooks: a session asks Python and waits; the worker goes on."""

from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memcpy, memset

from mcproxy._speedups.plane.frame cimport frame_at
from mcproxy._speedups.plane.layout cimport worker
from mcproxy._speedups.plane.life cimport move, refusal_may_be_told, session_end
from mcproxy._speedups.plane.limits cimport CONSULT_MOST, CONSULT_MS, LOGIN_BODY_MAX
from mcproxy._speedups.plane.reasons cimport REASON_CONTROL_BUSY, REASON_UNKNOWN_HOST
from mcproxy._speedups.plane.ring cimport EVENT_REFUSED, event_session, ring_begin, ring_commit
from mcproxy._speedups.plane.states cimport STATE_CONSULT
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.wire.handshake cimport (
    HANDSHAKE_BODY_MAX,
    HANDSHAKE_OK,
    handshake_parse,
    handshake_t,
    login_start_parse,
    login_start_t,
)
from mcproxy._speedups.wire.legacy cimport LEGACY_16, legacy_ping_t, legacy_probe


cdef void consult(session* s, int kind) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e = NULL
    if w.consulting < CONSULT_MOST:
        e = identified(s, kind)
    if e == NULL:
        session_end(s, REASON_CONTROL_BUSY)
        return
    ring_commit(w, e)
    w.consulting += 1
    s.consulting = True
    move(s, STATE_CONSULT)
    wheel_set(s, w.now_ms + CONSULT_MS)


cdef event* identified(session* s, int kind) noexcept nogil:
    # An event with the host as it came and, where Login Start was read, the name and UUID.
    cdef handshake_t h
    cdef login_start_t login
    cdef legacy_ping_t ping
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef const uint8_t* host = NULL
    cdef uint32_t host_size = 0
    cdef uint32_t used = s.first_used
    cdef int size
    cdef event* e
    memset(&login, 0, sizeof(login))
    if s.legacy:
        if legacy_probe(s.first, s.first_size, True, &ping) == LEGACY_16:
            host = ping.host
            host_size = 2 * ping.host_units
    else:
        s.first_used = 0
        size = frame_at(s, HANDSHAKE_BODY_MAX, &body, &end)
        if size > 0 and handshake_parse(body, end, &h) == HANDSHAKE_OK:
            host = h.host
            host_size = h.host_len
            s.first_used = size
            if used > <uint32_t>size and h.intent != 1 and \
                    frame_at(s, LOGIN_BODY_MAX, &body, &end) > 0:
                login_start_parse(body, end, s.protocol, &login)
        s.first_used = used
    e = ring_begin(s.owner, kind, host_size + login.name_len)
    if e == NULL:
        return NULL
    event_session(e, s)
    e.host_size = host_size
    e.name_size = login.name_len
    e.has_uuid = login.has_uuid
    memcpy(e.uuid, login.uuid, 16)
    # C forbids memcpy from NULL, even of nothing.
    if host_size:
        memcpy(<uint8_t*>e + sizeof(event), host, host_size)
    if login.name_len:
        memcpy(<uint8_t*>e + sizeof(event) + host_size, login.name, login.name_len)
    return e


cdef void tell_unknown_host(session* s) noexcept nogil:
    cdef event* e = identified(s, EVENT_REFUSED) if refusal_may_be_told(s.owner) else NULL
    s.told = True
    if e != NULL:
        e.reason = REASON_UNKNOWN_HOST
        ring_commit(s.owner, e)
