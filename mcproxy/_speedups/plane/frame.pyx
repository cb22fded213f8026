"""Frames among the first bytes of a session."""

from libc.stdint cimport uint32_t

from mcproxy._speedups.wire.varint cimport varint_read


cdef int frame_at(session* s, int32_t most, const uint8_t** body,
                  const uint8_t** end) noexcept nogil:
    # The frame at first_used: its size with the prefix, or FRAME_...
    cdef const uint8_t* p = s.first + s.first_used
    cdef uint32_t left = s.first_size - s.first_used
    cdef int32_t length = 0
    cdef int head = varint_read(p, p + (left if left < 3 else 3), &length)
    if head <= 0:
        return FRAME_INCOMPLETE if left < 3 else FRAME_MALFORMED
    if length <= 0:
        return FRAME_MALFORMED
    if length > most:
        return FRAME_OVERSIZED
    if left < <uint32_t>(head + length):
        return FRAME_INCOMPLETE
    body[0] = p + head
    end[0] = p + head + length
    return head + length
