# The first bytes of a session, until it is routed.
from mcproxy._speedups.plane.layout cimport session

# Reads what the client sent and hands it to the step that waits for it.
cdef void client_readable(session* s) noexcept nogil
# Looks at the first bytes. timer_expired: nothing came for LEGACY_WAIT_MS.
cdef void first_packet(session* s, bint timer_expired) noexcept nogil
