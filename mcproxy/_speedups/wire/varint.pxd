# VarInt and VarLong: little-endian groups of seven bits, the high bit says "more follows".
# Inline, because every parser of the wire and the data plane reads one first.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    VARINT_MAX = 5
    VARLONG_MAX = 10


cdef inline int varint_read(const uint8_t* p, const uint8_t* end, int32_t* value) noexcept nogil:
    # The number of bytes read; 0: more bytes are needed; -1: longer than five bytes.
    cdef uint32_t result = 0
    cdef int i = 0
    while i < VARINT_MAX:
        if p + i >= end:
            return 0
        result |= <uint32_t>(p[i] & 0x7F) << (7 * i)
        i += 1
        if p[i - 1] < 0x80:
            value[0] = <int32_t>result
            return i
    return -1


cdef inline int varlong_read(const uint8_t* p, const uint8_t* end, int64_t* value) noexcept nogil:
    # As varint_read, up to ten bytes.
    cdef uint64_t result = 0
    cdef int i = 0
    while i < VARLONG_MAX:
        if p + i >= end:
            return 0
        result |= <uint64_t>(p[i] & 0x7F) << (7 * i)
        i += 1
        if p[i - 1] < 0x80:
            value[0] = <int64_t>result
            return i
    return -1


cdef inline int varint_size(uint32_t value) noexcept nogil:
    cdef int n = 1
    while value >= 0x80:
        value >>= 7
        n += 1
    return n


cdef inline int varint_write(uint8_t* out, uint32_t value) noexcept nogil:
    # The number of bytes written, at most VARINT_MAX.
    cdef int n = 0
    while value >= 0x80:
        out[n] = <uint8_t>(value & 0x7F) | 0x80
        value >>= 7
        n += 1
    out[n] = <uint8_t>value
    return n + 1


cdef inline int varlong_write(uint8_t* out, uint64_t value) noexcept nogil:
    cdef int n = 0
    while value >= 0x80:
        out[n] = <uint8_t>(value & 0x7F) | 0x80
        value >>= 7
        n += 1
    out[n] = <uint8_t>value
    return n + 1
