# A session between its first event and its last: what happens is led to the step it is at.
from mcproxy._speedups.plane.layout cimport command, session, worker

# Something happened on one of the two sockets.
cdef void session_client_event(session* s, unsigned int events) noexcept nogil
cdef void session_backend_event(session* s, unsigned int events) noexcept nogil
# The session asked for another turn; its deadline has passed; Python decided about it.
cdef void session_turn(session* s) noexcept nogil
cdef void session_due(session* s) noexcept nogil
cdef void session_command(worker* w, command* c) noexcept nogil
