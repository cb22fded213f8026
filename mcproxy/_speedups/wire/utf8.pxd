# UTF-8 as the protocol counts it: texts are limited in UTF-16 units, which is what Java
# counts, and their bytes must be well formed (RFC 3629: no surrogates, no overlong forms).
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy


cdef inline int64_t utf8_units(const uint8_t* p, const uint8_t* end) noexcept nogil:
    # The number of UTF-16 units of the text, or -1 if it is not well formed.
    cdef int64_t units = 0
    cdef uint64_t word
    cdef uint8_t lead, low, high
    cdef int extra
    while p < end:
        while end - p >= 8:
            memcpy(&word, p, 8)
            if word & <uint64_t>0x8080808080808080:
                break
            p += 8
            units += 8
        if p == end:
            break
        lead = p[0]
        p += 1
        if lead < 0x80:
            units += 1
            continue
        low = 0x80
        high = 0xBF
        if lead < 0xC2 or lead > 0xF4:
            return -1
        elif lead < 0xE0:
            extra = 1
        elif lead < 0xF0:
            extra = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        else:
            extra = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        if end - p < extra or p[0] < low or p[0] > high:
            return -1
        if extra > 1 and (p[1] & 0xC0) != 0x80:
            return -1
        if extra > 2 and (p[2] & 0xC0) != 0x80:
            return -1
        p += extra
        units += 2 if extra == 3 else 1
    return units
