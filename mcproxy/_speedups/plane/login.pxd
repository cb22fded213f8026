# Login Start.
from mcproxy._speedups.plane.layout cimport session

# Reads Login Start if it is whole, then consults or dials.
cdef void login_packet(session* s) noexcept nogil
