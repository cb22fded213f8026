# Connecting to a backend, and from there to the relay.
from mcproxy._speedups.plane.layout cimport session

# Tries the addresses of the session's server from this one on.
cdef void dial(session* s, int attempt) noexcept nogil
# Closes the backend's socket. error: an errno, 0: the socket knows it.
cdef void dial_failed(session* s, int error) noexcept nogil
# The backend is connected: replays the first bytes.
cdef void relay_begin(session* s) noexcept nogil
# Moves bytes, and ends the session when both directions have ended.
cdef void relay_on(session* s) noexcept nogil
