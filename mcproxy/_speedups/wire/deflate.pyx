"""zlib for the compression layer: no Python names, see the .pxd."""

from libc.stdlib cimport free, realloc
from libc.string cimport memset

cdef enum:
    FIRST_CAPACITY = 4096


cdef int grow(growing* out, size_t keep, size_t need) noexcept nogil:
    cdef size_t capacity = max(<size_t>FIRST_CAPACITY, 2 * out.capacity)
    cdef uint8_t* data
    if need <= out.capacity:
        return 0
    if capacity < need:
        capacity = need
    if keep == 0:
        # Nothing to move: spare realloc the copy.
        free(out.data)
        out.data = NULL
        out.capacity = 0
    data = <uint8_t*>realloc(out.data, capacity)
    if data == NULL:
        return -1
    out.data = data
    out.capacity = capacity
    return 0


cdef int inflater_begin(inflater* z) noexcept nogil:
    if z.ready:
        return 0 if inflateReset(&z.stream) == Z_OK else -1
    memset(&z.stream, 0, sizeof(z_stream))
    if inflateInit(&z.stream) != Z_OK:
        return -1
    z.ready = True
    return 0


cdef int inflate_exact(inflater* z, const uint8_t* data, uint32_t length, uint32_t claimed,
                       growing* out) noexcept nogil:
    cdef z_stream* stream = &z.stream
    cdef uint8_t surplus
    cdef size_t done = 0
    cdef size_t room
    cdef int status = Z_OK
    if inflater_begin(z) != 0 or grow(out, 0, min(claimed, 4 * <size_t>length)) != 0:
        return INFLATE_MEMORY
    stream.next_in = <uint8_t*>data
    stream.avail_in = length
    while status == Z_OK and done < claimed:
        if done == out.capacity and grow(out, done, done + 1) != 0:
            return INFLATE_MEMORY
        room = min(out.capacity, <size_t>claimed) - done
        stream.next_out = out.data + done
        stream.avail_out = <unsigned int>room
        status = inflate(stream, Z_NO_FLUSH)
        done += room - stream.avail_out
    if status == Z_OK or status == Z_BUF_ERROR:
        # The claimed bytes are there: only the checksum may follow.
        stream.next_out = &surplus
        stream.avail_out = 1
        status = inflate(stream, Z_FINISH)
        if stream.avail_out == 0:
            return INFLATE_TOO_LONG
    if status == Z_MEM_ERROR:
        return INFLATE_MEMORY
    if status != Z_STREAM_END or stream.avail_in:
        return INFLATE_CORRUPT
    return INFLATE_OK if done == claimed else INFLATE_TOO_SHORT


cdef void inflater_free(inflater* z) noexcept nogil:
    if z.ready:
        inflateEnd(&z.stream)
        z.ready = False


cdef long deflate_all(deflater* z, int level, const uint8_t* data, uint32_t length, size_t head,
                      growing* out) noexcept nogil:
    cdef z_stream* stream = &z.stream
    cdef unsigned long bound
    if not z.ready:
        memset(stream, 0, sizeof(z_stream))
        if deflateInit(stream, level) != Z_OK:
            return -1
        z.ready = True
    elif deflateReset(stream) != Z_OK:
        return -1
    bound = deflateBound(stream, length)
    if grow(out, 0, head + bound) != 0:
        return -1
    stream.next_in = <uint8_t*>data
    stream.avail_in = length
    stream.next_out = out.data + head
    stream.avail_out = <unsigned int>bound
    if deflate(stream, Z_FINISH) != Z_STREAM_END:
        return -1
    return <long>(bound - stream.avail_out)


cdef void deflater_free(deflater* z) noexcept nogil:
    if z.ready:
        deflateEnd(&z.stream)
        z.ready = False
