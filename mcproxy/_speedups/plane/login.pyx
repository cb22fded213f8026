"""Login Start, where somebody wants to know who joins."""

from libc.stdint cimport uint8_t

from mcproxy._speedups.plane.consult cimport consult
from mcproxy._speedups.plane.dial cimport dial
from mcproxy._speedups.plane.frame cimport FRAME_INCOMPLETE, FRAME_OVERSIZED, frame_at
from mcproxy._speedups.plane.layout cimport HOOK_LOGIN
from mcproxy._speedups.plane.life cimport session_end
from mcproxy._speedups.plane.limits cimport LOGIN_BODY_MAX
from mcproxy._speedups.plane.reasons cimport REASON_BAD_LOGIN, REASON_FRAME_TOO_LONG
from mcproxy._speedups.plane.ring cimport EVENT_CONSULT_LOGIN
from mcproxy._speedups.wire.handshake cimport HANDSHAKE_OK, login_start_parse, login_start_t


cdef void login_packet(session* s) noexcept nogil:
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef login_start_t login
    cdef int size = frame_at(s, LOGIN_BODY_MAX, &body, &end)
    if size == FRAME_INCOMPLETE:
        return
    if size < 0:
        session_end(s, REASON_FRAME_TOO_LONG if size == FRAME_OVERSIZED else REASON_BAD_LOGIN)
        return
    if login_start_parse(body, end, s.protocol, &login) != HANDSHAKE_OK:
        session_end(s, REASON_BAD_LOGIN)
        return
    s.first_used += size
    if s.owner.current.hooks & HOOK_LOGIN:
        consult(s, EVENT_CONSULT_LOGIN)
    else:
        dial(s)
