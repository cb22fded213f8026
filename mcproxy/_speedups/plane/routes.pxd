# The route table: which server a cleaned host name or a local address reaches.
# Immutable and counted, so that a snapshot of the data plane can hold it.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum route_rule:
    ROUTE_NONE = 0
    ROUTE_EXACT = 1
    ROUTE_WILDCARD = 2
    ROUTE_ADDRESS = 3
    ROUTE_DEFAULT = 4

cdef struct route_hit:
    int32_t server                  # index in the list the table was built from, or -1
    int32_t rule                    # route_rule
    int32_t entry                   # index of the pattern that matched, or -1

cdef struct route_table             # opaque, counted, immutable

# host: already cleaned (wire.handshake.host_clean). local: the 16-byte address (IPv4 mapped)
# and port on which the connection came in.
cdef route_hit route_lookup(const route_table* table, const uint8_t* host, uint32_t length,
                            const uint8_t* local, uint16_t local_port) noexcept nogil
cdef route_table* route_retain(route_table* table) noexcept nogil
cdef void route_release(route_table* table) noexcept nogil


cdef class RouteTable:
    cdef route_table* table
    cdef readonly tuple entries
