# Frames: a VarInt of at most three bytes says how many bytes follow.
from libc.stdint cimport int32_t, uint8_t

cdef enum:
    FRAME_HEADER_MAX = 3
    FRAME_MAX = 2097151             # the longest frame, what three groups of seven bits hold


cdef inline int frame_length_read(const uint8_t* p, const uint8_t* end,
                                  int32_t* length) noexcept nogil:
    # The size of the length prefix; 0: more bytes are needed; -1: longer than three bytes.
    # What three bytes hold is neither negative nor above FRAME_MAX.
    if p == end:
        return 0
    if p[0] < 0x80:
        length[0] = p[0]
        return 1
    if end - p < 2:
        return 0
    if p[1] < 0x80:
        length[0] = (p[0] & 0x7F) | (<int32_t>p[1] << 7)
        return 2
    if end - p < 3:
        return 0
    if p[2] < 0x80:
        length[0] = (p[0] & 0x7F) | (<int32_t>(p[1] & 0x7F) << 7) | (<int32_t>p[2] << 14)
        return 3
    return -1
