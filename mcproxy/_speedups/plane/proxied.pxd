# The PROXY header: read from a load balancer in front of us, written to a backend behind.
from mcproxy._speedups.plane.layout cimport session

# Looks at the first bytes of a connection from a trusted network. A whole header is dropped from
# them, its address becomes that of the session, and the first packet is awaited.
cdef void header_read(session* s) noexcept nogil
# Asks the socket for the local address, where only a listener on any address was known.
cdef void learn_local(session* s) noexcept nogil
# Puts the header and the first bytes into the worker's scratch buffer, to be sent in one go.
# Their size.
cdef unsigned int header_write(session* s) noexcept nogil
