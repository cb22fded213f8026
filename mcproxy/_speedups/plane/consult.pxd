# Asking Python about a session.
from mcproxy._speedups.plane.layout cimport session
from mcproxy._speedups.plane.ring cimport event

# Puts the question to Python and lets the session wait for the command.
cdef void consult(session* s, int kind) noexcept nogil
# An event with the host as it came and, where Login Start was read, the name and UUID;
# NULL when the ring is full. The caller commits it.
cdef event* identified(session* s, int kind) noexcept nogil
# Tells of a player whose host name leads nowhere, while the name is still there.
cdef void tell_unknown_host(session* s) noexcept nogil
