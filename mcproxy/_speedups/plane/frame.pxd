# Frames among the first bytes of a session.
from libc.stdint cimport int32_t, uint8_t

from mcproxy._speedups.plane.layout cimport session

cdef enum:
    FRAME_INCOMPLETE = 0
    FRAME_MALFORMED = -1
    FRAME_OVERSIZED = -2

# The frame at session.first_used with a body of at most so many bytes: its size with the
# prefix, or FRAME_...
cdef int frame_at(session* s, int32_t most, const uint8_t** body,
                  const uint8_t** end) noexcept nogil
