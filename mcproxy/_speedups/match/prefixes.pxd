# Sets of network prefixes with longest-prefix match, immutable once built.
from libc.stdint cimport int32_t, uint8_t

# An address is 16 bytes in network order; IPv4 is ::ffff:a.b.c.d.
cdef struct prefix_set              # opaque, counted, immutable

# The value of the longest prefix that covers the address, or -1.
cdef int32_t prefix_lookup(const prefix_set* prefixes, const uint8_t* address) noexcept nogil
cdef prefix_set* prefix_retain(prefix_set* prefixes) noexcept nogil
cdef void prefix_release(prefix_set* prefixes) noexcept nogil
# 16 bytes of text, 4 or 16 bytes, or an object of the ipaddress module.
cdef bytes packed_address(object address)


cdef class PrefixSet:
    cdef prefix_set* prefixes
