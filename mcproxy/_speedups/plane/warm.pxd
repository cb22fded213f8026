# Warm sockets: connected to a backend before anybody asks, so that a join costs no round trip.
from mcproxy._speedups.plane.layout cimport session, snapshot, worker

# Gives the session a connected socket of its server if one is ready and alive.
cdef bint warm_take(session* s) noexcept nogil
# Connects what is missing; called when worker.warm_next_ms has come.
cdef void warm_tend(worker* w) noexcept nogil
# Something happened on a socket that waits or is being connected; its deadline has passed.
cdef void warm_event(session* s, unsigned int events) noexcept nogil
cdef void warm_due(session* s) noexcept nogil
# Begins anew with the servers of a snapshot; NULL: ends all.
cdef void warm_reset(worker* w, const snapshot* now) noexcept nogil
