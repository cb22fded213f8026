# zlib streams of known size, with contexts that are set up once and reset for each packet.
from libc.stdint cimport uint8_t, uint32_t

cdef extern from "zlib.h" nogil:
    ctypedef struct z_stream:
        uint8_t* next_in
        unsigned int avail_in
        uint8_t* next_out
        unsigned int avail_out
    int inflateInit(z_stream*)
    int inflateReset(z_stream*)
    int inflate(z_stream*, int)
    int inflateEnd(z_stream*)
    int deflateInit(z_stream*, int)
    int deflateReset(z_stream*)
    int deflate(z_stream*, int)
    int deflateEnd(z_stream*)
    unsigned long deflateBound(z_stream*, unsigned long)
    enum:
        Z_OK
        Z_STREAM_END
        Z_BUF_ERROR
        Z_MEM_ERROR
        Z_FINISH
        Z_NO_FLUSH

cdef enum inflate_error:
    INFLATE_OK = 0
    INFLATE_CORRUPT = -1            # not a zlib stream, or bytes behind its end
    INFLATE_TOO_SHORT = -2          # fewer bytes than claimed
    INFLATE_TOO_LONG = -3           # more bytes than claimed
    INFLATE_MEMORY = -4

# Bytes that grow by doubling; begin with all zero, end with free(data).
cdef struct growing:
    uint8_t* data
    size_t capacity

# Room for "need" bytes of which the first "keep" are preserved: 0, or -1 without memory.
cdef int grow(growing* out, size_t keep, size_t need) noexcept nogil

cdef struct inflater:
    z_stream stream
    bint ready

cdef struct deflater:
    z_stream stream
    bint ready

# An inflate_error. "out" holds exactly "claimed" bytes afterwards; it grows with what really
# comes out, so a claim costs nothing.
cdef int inflate_exact(inflater* z, const uint8_t* data, uint32_t length, uint32_t claimed,
                       growing* out) noexcept nogil
cdef void inflater_free(inflater* z) noexcept nogil

# The number of compressed bytes, written from out.data + head on, or -1 without memory. The
# level (zlib's 0 to 9, or -1) counts when the context is first used.
cdef long deflate_all(deflater* z, int level, const uint8_t* data, uint32_t length, size_t head,
                      growing* out) noexcept nogil
cdef void deflater_free(deflater* z) noexcept nogil
