# A position in bytes that somebody else owns. Every read checks the bounds once, in
# cursor_take; everything else is built on it.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from mcproxy._speedups.wire.utf8 cimport utf8_units
from mcproxy._speedups.wire.varint cimport varint_read, varlong_read

cdef enum cursor_error:
    CURSOR_OK = 0
    CURSOR_TRUNCATED = -1           # the field runs past the end
    CURSOR_BAD_VARINT = -2          # more groups than the type has
    CURSOR_NEGATIVE = -3            # a length below zero
    CURSOR_TOO_LONG = -4            # a length above the bound
    CURSOR_BAD_TEXT = -5            # not UTF-8

cdef struct cursor:
    const uint8_t* p
    const uint8_t* end


cdef inline const uint8_t* cursor_take(cursor* c, size_t n) noexcept nogil:
    # The next n bytes, or NULL if there are fewer.
    cdef const uint8_t* p = c.p
    if <size_t>(c.end - p) < n:
        return NULL
    c.p = p + n
    return p


cdef inline int cursor_varint(cursor* c, int32_t* value) noexcept nogil:
    cdef int n = varint_read(c.p, c.end, value)
    if n <= 0:
        return CURSOR_TRUNCATED if n == 0 else CURSOR_BAD_VARINT
    c.p += n
    return CURSOR_OK


cdef inline int cursor_varlong(cursor* c, int64_t* value) noexcept nogil:
    cdef int n = varlong_read(c.p, c.end, value)
    if n <= 0:
        return CURSOR_TRUNCATED if n == 0 else CURSOR_BAD_VARINT
    c.p += n
    return CURSOR_OK


cdef inline int cursor_block(cursor* c, uint32_t most, const uint8_t** data,
                             uint32_t* length) noexcept nogil:
    # Bytes with a VarInt length in front, at most "most".
    cdef int32_t n
    cdef int error = cursor_varint(c, &n)
    if error:
        return error
    if n < 0:
        return CURSOR_NEGATIVE
    if <uint32_t>n > most:
        return CURSOR_TOO_LONG
    data[0] = cursor_take(c, <size_t>n)
    if data[0] == NULL:
        return CURSOR_TRUNCATED
    length[0] = <uint32_t>n
    return CURSOR_OK


cdef inline int cursor_text(cursor* c, uint32_t units_max, const uint8_t** text,
                            uint32_t* length) noexcept nogil:
    # A string of at most units_max UTF-16 units, hence of at most three times as many bytes.
    cdef int64_t units
    cdef int error = cursor_block(c, 3 * units_max, text, length)
    if error:
        return error
    units = utf8_units(text[0], text[0] + length[0])
    if units < 0:
        return CURSOR_BAD_TEXT
    if units > units_max:
        return CURSOR_TOO_LONG
    return CURSOR_OK


cdef inline uint16_t load_u16(const uint8_t* p) noexcept nogil:
    return <uint16_t>((<uint16_t>p[0] << 8) | p[1])


cdef inline uint32_t load_u32(const uint8_t* p) noexcept nogil:
    return ((<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3])


cdef inline uint64_t load_u64(const uint8_t* p) noexcept nogil:
    return (<uint64_t>load_u32(p) << 32) | load_u32(p + 4)


cdef inline void store_u16(uint8_t* p, uint16_t value) noexcept nogil:
    p[0] = <uint8_t>(value >> 8)
    p[1] = <uint8_t>value


cdef inline void store_u32(uint8_t* p, uint32_t value) noexcept nogil:
    store_u16(p, <uint16_t>(value >> 16))
    store_u16(p + 2, <uint16_t>value)


cdef inline void store_u64(uint8_t* p, uint64_t value) noexcept nogil:
    store_u32(p, <uint32_t>(value >> 32))
    store_u32(p + 4, <uint32_t>value)


cdef class Reader:
    cdef cursor c
    cdef const uint8_t* start
    cdef Py_buffer view             # held, so that the bytes outlive the reader
    cdef bint open

    cdef object refusal(self, str what, int error)
    cdef const uint8_t* fixed(self, str what, Py_ssize_t size) except NULL


cdef class Writer:
    cdef uint8_t* data
    cdef size_t size
    cdef size_t capacity

    cdef uint8_t* room(self, size_t size) except NULL
