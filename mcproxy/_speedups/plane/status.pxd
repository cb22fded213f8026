# The status table of a worker: what a (server, protocol) is answered, and who waits for it.
from libc.stdint cimport int32_t

from mcproxy._speedups.plane.layout cimport session, snapshot, status_entry, worker

# The protocol numbers that the table tells apart: known ones, and one for all others.
cdef int32_t status_key(const snapshot* s, int32_t protocol) noexcept nogil
# The entry, made if need be; NULL without memory.
cdef status_entry* status_find(worker* w, int32_t server, int32_t protocol) noexcept nogil
cdef void status_wait(status_entry* entry, session* s) noexcept nogil
cdef void status_leave(session* s) noexcept nogil
# Forgets every answer that nobody waits for.
cdef void status_forget(worker* w) noexcept nogil
