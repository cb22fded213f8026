# The header of the PROXY protocol: who is at the other end of a connection that was passed on.
# Sections are those of HAProxy's doc/proxy-protocol.txt. Addresses are 16 bytes, IPv4 mapped.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    HAPROXY_V1_MAX = 107            # bytes of the longest line, CRLF included (2.1)
    HAPROXY_V2_HEAD = 16            # bytes in front of the address block (2.2)
    HAPROXY_HEADER_MAX = 2048       # bytes that are waited for; senders keep below 536 (2)
    HAPROXY_ENCODED_MAX = HAPROXY_V1_MAX

cdef enum haproxy_result:           # a size above zero: the header is whole
    HAPROXY_MORE = 0                # so far it could be one
    HAPROXY_NOT = -1                # it begins like no header
    HAPROXY_MALFORMED = -2
    HAPROXY_TOO_LONG = -3           # more than HAPROXY_HEADER_MAX are announced

cdef struct haproxy_header_t:
    int version
    bint proxied                    # False (LOCAL, UNKNOWN, not TCP): those of the socket count
    uint8_t source[16]
    uint8_t destination[16]
    uint16_t source_port
    uint16_t destination_port

# The version of the header whose whole signature is there, HAPROXY_MORE or HAPROXY_NOT.
cdef int haproxy_probe(const uint8_t* data, uint32_t length) noexcept nogil
# The size of the header that the data begins with, or a haproxy_result. Nothing is written
# behind "out" unless it is a size.
cdef int haproxy_parse(const uint8_t* data, uint32_t length, haproxy_header_t* out) noexcept nogil
# Writes at most HAPROXY_ENCODED_MAX bytes and returns how many. source NULL: a connection of
# our own, LOCAL in version 2 and UNKNOWN in version 1.
cdef uint32_t haproxy_encode(int version, const uint8_t* source, uint16_t source_port,
                             const uint8_t* destination, uint16_t destination_port,
                             uint8_t* out) noexcept nogil
