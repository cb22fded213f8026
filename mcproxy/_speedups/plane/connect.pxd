# A socket to one address of a session's server.
from mcproxy._speedups.plane.layout cimport session

# Begins to connect: session.backend, attempt and engaged are set. 0, or an errno.
cdef int connect_begin(session* s, int index) noexcept nogil
# The socket is connected.
cdef void connect_done(session* s) noexcept nogil
# Closes the socket, counts and tells the failure. error: an errno, 0: the socket knows it.
cdef void connect_failed(session* s, int error) noexcept nogil
# The session no longer counts as one of its address.
cdef void connect_release(session* s) noexcept nogil
