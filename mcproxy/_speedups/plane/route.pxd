# From a host name to a server, and from there to what the client wants.
from libc.stdint cimport uint8_t

from mcproxy._speedups.match.prefixes cimport prefix_set
from mcproxy._speedups.plane.layout cimport session

# Looks the cleaned host up and goes on, through the route hook if there is one.
cdef void route(session* s, const uint8_t* host, int length) noexcept nogil
# session.server is known: filter, then status, login or dial.
cdef void routed(session* s) noexcept nogil
# Whether two lists, each of which may be NULL, let an address in.
cdef bint admitted(const prefix_set* admit, const prefix_set* refuse,
                   const uint8_t* address) noexcept nogil
