# From a server to a relay.
from mcproxy._speedups.plane.layout cimport session

# Takes a warm socket, or tries the addresses of the session's server that were not tried yet.
cdef void dial(session* s) noexcept nogil
# The address did not take the connection: on to the next. error: an errno, 0: the socket knows it.
cdef void dial_failed(session* s, int error) noexcept nogil
# It did.
cdef void dial_done(session* s) noexcept nogil
# Moves bytes, and ends the session when both directions have ended.
cdef void relay_on(session* s) noexcept nogil
# The deadline of a relay has passed.
cdef void relay_due(session* s) noexcept nogil
