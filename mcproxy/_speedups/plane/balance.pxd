# Which address of a server is tried next, and what is learnt from it.
from libc.stdint cimport int64_t, uint32_t

from mcproxy._speedups.plane.layout cimport endpoint, server_rec, target

# The index of the address to try, or -1 when all were tried. tried: a bit for each that was.
cdef int balance_choose(server_rec* r, uint32_t tried, int64_t now_ms) noexcept nogil
# Whether new sessions are sent to the address now.
cdef bint balance_usable(const endpoint* e, int64_t now_ms) noexcept nogil
# Whether an address is as good a choice as the one that was chosen.
cdef bint balance_fits(server_rec* r, int index, int best, int64_t now_ms) noexcept nogil
# A dial to the address succeeded, or failed; True: the failure ejected it.
cdef void balance_good(target* t, int64_t now_ms) noexcept nogil
cdef bint balance_bad(target* t, int64_t now_ms) noexcept nogil
