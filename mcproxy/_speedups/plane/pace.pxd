# What one relay may carry per second: bytes each way, and packets where they can be told apart.
from libc.stdint cimport int64_t

from mcproxy._speedups.plane.layout cimport session, side


cdef inline bint is_paced(session* s) noexcept nogil:
    return s.limit_key != 0 and s.owner.current.protect.paced


# Whether its serverbound bytes have to be seen.
cdef inline bint frames_watched(session* s, side* source) noexcept nogil:
    return source == &s.client and not s.frames_hidden and s.owner.current.protect.packets != 0


# How many bytes may be read from a side now; 0: none before side.paced_until_ms.
cdef int64_t pace_room(session* s, side* source) noexcept nogil
# So many were read; data is NULL where they were not seen. Sets session.too_fast.
cdef void pace_charge(session* s, side* source, const char* data, int64_t size) noexcept nogil
