# Frames: a VarInt of at most three bytes says how many bytes follow.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from mcproxy._speedups.wire.deflate cimport deflater, growing, inflater

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


# The spans [start, end) of whole frames, relative to p, as pairs in "spans", which has room
# for "most" pairs (NULL: only count); empty frames are left out. Stops at the first frame that
# is not whole: consumed says how far it came. The number of spans, or -1: malformed, or longer
# than max_frame.
cdef int64_t frames_scan(const uint8_t* p, const uint8_t* end, int32_t max_frame, int32_t* spans,
                         int64_t most, int64_t* consumed) noexcept nogil


cdef class Storage:
    cdef growing memory


# A frame borrows from "owner" and is valid as long as the splitter's generation is its own.
cdef class Frame:
    cdef object owner
    cdef FrameSplitter splitter
    cdef uint64_t generation
    cdef const uint8_t* data
    cdef Py_ssize_t size

    cdef int check(self) except -1


cdef class FrameSplitter:
    # What was fed and not taken yet: first carry[carry_start:carry_size], which holds what the
    # last feed left over, then [p, end) of fed, which frames borrow from without a copy.
    cdef bytes fed
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef Storage carry
    cdef size_t carry_start
    cdef size_t carry_size
    cdef uint64_t generation        # counts feeds: frames of an earlier one are released
    cdef list inflated                # reused as soon as no frame borrows from them
    cdef int next_inflated
    cdef inflater z
    cdef int32_t threshold          # compression is off below zero
    cdef int32_t max_frame
    cdef int32_t max_inflated
    cdef bint serverbound
    cdef int empty_run
    cdef str broken                 # what was wrong; then nothing is split any more

    cdef int settle(self) except -1
    cdef int append(self, const uint8_t* data, size_t size) except -1
    cdef int take_from_carry(self, const uint8_t** body, int32_t* length) except -2
    cdef int take_from_fed(self, const uint8_t** body, int32_t* length) except -2
    cdef object refuse(self, str message)
    cdef Frame borrow(self, object owner, const uint8_t* data, Py_ssize_t size)
    cdef Frame inflate_frame(self, object owner, const uint8_t* body, int32_t length)
    cdef Storage free_storage(self)


cdef class FrameJoiner:
    cdef deflater z
    cdef growing scratch
    cdef int32_t threshold
    cdef int level

    cdef bytes compressed(self, const uint8_t* data, Py_ssize_t size)
