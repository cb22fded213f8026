"""Splitting a stream of bytes into frames, and joining packets into a stream.

A frame is a VarInt length of at most three bytes and that many bytes: a packet, from its id on.
With compression on, a VarInt stands in front of the packet: its size before compression, or 0
for a packet that is not compressed.
https://minecraft.wiki/w/Java_Edition_protocol/Packets#Packet_format
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_REFCNT
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove

from mcproxy._speedups.wire.cursor cimport CURSOR_OK, cursor, cursor_varint
from mcproxy._speedups.wire.deflate cimport (
    INFLATE_CORRUPT,
    INFLATE_MEMORY,
    INFLATE_OK,
    INFLATE_TOO_LONG,
    INFLATE_TOO_SHORT,
    deflate_all,
    deflater_free,
    grow,
    inflate_exact,
    inflater_free,
)
from mcproxy._speedups.wire.varint cimport varint_size, varint_write

from mcproxy.errors import LocalProtocolError, ReleasedError, RemoteProtocolError

__all__ = [
    "MAX_FRAME",
    "MAX_INFLATED_CLIENTBOUND",
    "MAX_INFLATED_SERVERBOUND",
    "Frame",
    "FrameJoiner",
    "FrameSplitter",
    "join_frame",
    "scan_frames",
]

MAX_FRAME = FRAME_MAX
MAX_INFLATED_SERVERBOUND = 2 << 20
MAX_INFLATED_CLIENTBOUND = 8 << 20

cdef enum:
    EMPTY_FRAMES_MAX = 16           # in a row, serverbound
    KEPT_CAPACITY = 65536           # bytes of a buffer that is kept for the next use
    PACKET_MAX = 8 << 20

cdef enum taken:
    MALFORMED = -1
    INCOMPLETE = 0
    WHOLE = 1

cdef dict INFLATE_MESSAGES = {
    INFLATE_CORRUPT: "the compressed packet is not a zlib stream",
    INFLATE_TOO_SHORT: "the packet is shorter than its claimed size",
    INFLATE_TOO_LONG: "the packet is longer than its claimed size",
}


cdef int64_t frames_scan(const uint8_t* p, const uint8_t* end, int32_t max_frame, int32_t* spans,
                         int64_t most, int64_t* consumed) noexcept nogil:
    cdef const uint8_t* start = p
    cdef int64_t count = 0
    cdef int32_t length
    cdef int n
    while count < most or spans == NULL:
        n = frame_length_read(p, end, &length)
        if n <= 0 or length > max_frame:
            if n == 0:
                break
            consumed[0] = p - start
            return -1
        if end - p - n < length:
            break
        p += n
        if length:
            if spans != NULL:
                spans[2 * count] = <int32_t>(p - start)
                spans[2 * count + 1] = <int32_t>(p - start) + length
            count += 1
            p += length
    consumed[0] = p - start
    return count


@cython.final
cdef class Storage:
    def __dealloc__(self):
        free(self.memory.data)


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Frame:
    """One packet, from its id on, borrowed from a splitter until the next ``feed``.

    It has the buffer protocol: ``bytes(frame)`` keeps a copy, ``memoryview(frame)`` and
    ``Reader(frame)`` look at it in place. Used after the next feed it raises ReleasedError; a
    memoryview that was taken before that stays valid and unchanged.
    """

    cdef int check(self) except -1:
        if self.splitter is None or self.generation != self.splitter.generation:
            raise ReleasedError("this frame was released by the next feed; bytes(frame) keeps one")
        return 0

    def __getbuffer__(self, Py_buffer* view, int flags):
        self.check()
        PyBuffer_FillInfo(view, self, <void*>self.data, self.size, True, flags)

    def __len__(self) -> int:
        self.check()
        return self.size

    def __bytes__(self) -> bytes:
        self.check()
        return PyBytes_FromStringAndSize(<const char*>self.data, self.size)

    @property
    def packet_id(self) -> int:
        """The VarInt in front; RemoteProtocolError if there is none."""
        cdef cursor c
        cdef int32_t packet_id
        self.check()
        c = cursor(self.data, self.data + self.size)
        if cursor_varint(&c, &packet_id) != CURSOR_OK:
            raise RemoteProtocolError("the packet has no id")
        return packet_id


cdef bint is_serverbound(str direction) except -1:
    if direction not in ("serverbound", "clientbound"):
        raise ValueError(f"direction is 'serverbound' or 'clientbound', not {direction!r}")
    return direction == "serverbound"


@cython.final
cdef class FrameSplitter:
    """Splits a stream into frames, however its bytes are cut.

    ``for frame in splitter.feed(data)`` yields what has become whole. Frames are split one by
    one as they are asked for, so ``set_compression`` in the loop holds from the next frame on,
    and what the loop has left behind is in ``pending`` and comes first after the next feed.

    ``direction`` says who sends: "serverbound" (a client, the default) is held to stricter
    limits. ``max_frame`` bounds a frame, ``max_inflated`` a packet after decompression (2 MiB
    serverbound, 8 MiB clientbound by default), both in bytes. Memory is taken for bytes that
    came, never for a length that was announced; empty frames are passed over, at most 16 in a
    row serverbound.

    A stream that breaks these rules raises RemoteProtocolError, at the frame that does, then
    and ever after.
    """

    def __cinit__(self, compression_threshold=-1, *, direction="serverbound",
                  max_frame=FRAME_MAX, max_inflated=None):
        self.serverbound = is_serverbound(direction)
        if not 0 < max_frame <= FRAME_MAX:
            raise ValueError(f"max_frame is 1 to {FRAME_MAX}, not {max_frame}")
        if max_inflated is None:
            max_inflated = (
                MAX_INFLATED_SERVERBOUND if self.serverbound else MAX_INFLATED_CLIENTBOUND
            )
        if max_inflated <= 0:
            raise ValueError(f"max_inflated is above 0, not {max_inflated}")
        self.max_frame = max_frame
        self.max_inflated = max_inflated
        self.threshold = compression_threshold
        self.fed = b""
        self.carry = Storage.__new__(Storage)
        self.inflated = [None, None]

    def __dealloc__(self):
        inflater_free(&self.z)

    def set_compression(self, int32_t threshold) -> None:
        """From the next frame on, packets of ``threshold`` bytes are compressed; -1: none."""
        self.threshold = threshold

    @property
    def pending(self) -> bytes:
        """What was fed and is not part of a frame that was returned: for a change of protocol."""
        cdef bytes carried = b""
        if self.carry_size > self.carry_start:
            carried = (<char*>self.carry.memory.data)[self.carry_start:self.carry_size]
        return carried + (<const char*>self.p)[:self.end - self.p] if self.p != NULL else carried

    def feed(self, data, /) -> FrameSplitter:
        """Take bytes as they came from the peer; iterate over the result for the frames.

        Releases all frames of earlier feeds. ``bytes`` are borrowed until the next feed, any
        other buffer is copied. Raises LocalProtocolError if a whole frame of the last feed was
        not asked for and more than ``max_frame`` bytes are pending: nothing piles up here.
        """
        cdef bytes taken = data if type(data) is bytes else bytes(memoryview(data))
        cdef size_t left = self.end - self.p
        if self.carry_size - self.carry_start + left > <size_t>self.max_frame + FRAME_HEADER_MAX:
            raise LocalProtocolError("the frames of the last feed have not been asked for")
        self.generation += 1
        self.settle()
        if left:
            self.append(self.p, left)
        self.fed = taken
        self.p = <const uint8_t*>PyBytes_AS_STRING(taken)
        self.end = self.p + len(taken)
        return self

    def __iter__(self) -> FrameSplitter:
        return self

    def __next__(self) -> Frame:
        cdef const uint8_t* body = NULL
        cdef int32_t length = 0
        cdef int result
        cdef object owner
        if self.broken is not None:
            raise RemoteProtocolError(self.broken)
        while True:
            if self.carry_start < self.carry_size:
                result = self.take_from_carry(&body, &length)
                owner = self.carry
            else:
                result = self.take_from_fed(&body, &length)
                owner = self.fed
            if result == INCOMPLETE:
                raise StopIteration
            if result == MALFORMED:
                raise self.refuse(f"a frame is longer than {self.max_frame} bytes")
            if length:
                break
            self.empty_run += 1
            if self.serverbound and self.empty_run > EMPTY_FRAMES_MAX:
                raise self.refuse(f"more than {EMPTY_FRAMES_MAX} empty frames in a row")
        self.empty_run = 0
        if self.threshold < 0:
            return self.borrow(owner, body, length)
        return self.inflate_frame(owner, body, length)

    cdef object refuse(self, str message):
        self.broken = message
        return RemoteProtocolError(message)

    cdef int settle(self) except -1:
        # Before a feed: what is left of the carry moves to the front of memory that no frame
        # borrows from, so that it may grow and move.
        cdef Storage before = self.carry
        cdef size_t left = self.carry_size - self.carry_start
        if self.carry_start:
            if Py_REFCNT(self.carry) > 2 or (not left and before.memory.capacity > KEPT_CAPACITY):
                self.carry = Storage.__new__(Storage)
                if left:
                    if grow(&self.carry.memory, 0, left) != 0:
                        raise MemoryError
                    memcpy(self.carry.memory.data, before.memory.data + self.carry_start, left)
            elif left:
                memmove(before.memory.data, before.memory.data + self.carry_start, left)
        self.carry_start = 0
        self.carry_size = left
        return 0

    cdef int append(self, const uint8_t* data, size_t size) except -1:
        if grow(&self.carry.memory, self.carry_size, self.carry_size + size) != 0:
            raise MemoryError
        memcpy(self.carry.memory.data + self.carry_size, data, size)
        self.carry_size += size
        return 0

    cdef int take_from_carry(self, const uint8_t** body, int32_t* length) except -2:
        # Only what the frame needs is moved behind it; frames that follow borrow from the feed.
        cdef const uint8_t* data
        cdef size_t have, need
        cdef int n
        while True:
            have = self.carry_size - self.carry_start
            data = self.carry.memory.data + self.carry_start
            n = frame_length_read(data, data + have, length)
            if n < 0 or (n > 0 and length[0] > self.max_frame):
                return MALFORMED
            need = have + 1 if n == 0 else <size_t>n + <size_t>length[0]
            if n > 0 and have >= need:
                body[0] = data + n
                self.carry_start += need
                return WHOLE
            need = min(need - have, <size_t>(self.end - self.p))
            if need == 0:
                return INCOMPLETE
            if self.carry_start:
                self.settle()
            self.append(self.p, need)
            self.p += need

    cdef int take_from_fed(self, const uint8_t** body, int32_t* length) except -2:
        cdef int n = frame_length_read(self.p, self.end, length)
        if n < 0 or (n > 0 and length[0] > self.max_frame):
            return MALFORMED
        if n == 0 or self.end - self.p - n < length[0]:
            return INCOMPLETE
        body[0] = self.p + n
        self.p += n + length[0]
        return WHOLE

    cdef Frame borrow(self, object owner, const uint8_t* data, Py_ssize_t size):
        cdef Frame frame = Frame.__new__(Frame)
        frame.owner = owner
        frame.splitter = self
        frame.generation = self.generation
        frame.data = data
        frame.size = size
        return frame

    cdef Frame inflate_frame(self, object owner, const uint8_t* body, int32_t length):
        cdef cursor c = cursor(body, body + length)
        cdef int32_t claimed
        cdef int error
        cdef Storage storage
        if cursor_varint(&c, &claimed) != CURSOR_OK:
            raise self.refuse("the size of a compressed packet is malformed")
        if claimed == 0:
            if self.serverbound and c.end - c.p >= self.threshold:
                raise self.refuse("a packet above the compression threshold is not compressed")
            return self.borrow(owner, c.p, c.end - c.p)
        if claimed < self.threshold:
            raise self.refuse("a packet below the compression threshold is compressed")
        if claimed > self.max_inflated:
            raise self.refuse(f"a compressed packet is larger than {self.max_inflated} bytes")
        storage = self.free_storage()
        error = inflate_exact(&self.z, c.p, <uint32_t>(c.end - c.p), <uint32_t>claimed,
                              &storage.memory)
        if error == INFLATE_MEMORY:
            raise MemoryError
        if error != INFLATE_OK:
            raise self.refuse(INFLATE_MESSAGES[error])
        return self.borrow(storage, storage.memory.data, claimed)

    cdef Storage free_storage(self):
        # Two take turns, because the frame before is still the loop's variable.
        cdef Storage storage
        self.next_inflated ^= 1
        storage = self.inflated[self.next_inflated]
        if storage is None or Py_REFCNT(storage) > 2:
            storage = Storage.__new__(Storage)
            self.inflated[self.next_inflated] = storage
        elif storage.memory.capacity > KEPT_CAPACITY:
            free(storage.memory.data)
            storage.memory.data = NULL
            storage.memory.capacity = 0
        return storage


@cython.final
cdef class FrameJoiner:
    """Makes frames out of packets; keeps one zlib context for all of them.

    ``level`` is zlib's: 0 (none) to 9 (best), -1 for its default.
    """

    def __cinit__(self, compression_threshold=-1, *, level=-1):
        if not -1 <= level <= 9:
            raise ValueError(f"level is -1 to 9, not {level}")
        self.threshold = compression_threshold
        self.level = level

    def __dealloc__(self):
        deflater_free(&self.z)
        free(self.scratch.data)

    def set_compression(self, int32_t threshold) -> None:
        """From the next packet on, ``threshold`` bytes or more are compressed; -1: none."""
        self.threshold = threshold

    def join(self, packet, /) -> bytes:
        """The frame of a packet (from its id on).

        Raises LocalProtocolError for a packet that is empty, larger than 8 MiB, or longer than
        2,097,151 bytes as a frame.
        """
        cdef Py_buffer view
        PyObject_GetBuffer(packet, &view, PyBUF_SIMPLE)
        try:
            if not 0 < view.len <= PACKET_MAX:
                raise LocalProtocolError(f"a packet has 1 to {PACKET_MAX} bytes, not {view.len}")
            if self.threshold < 0:
                return joined(<const uint8_t*>view.buf, view.len, -1)
            if view.len < self.threshold:
                return joined(<const uint8_t*>view.buf, view.len, 0)
            return self.compressed(<const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef bytes compressed(self, const uint8_t* data, Py_ssize_t size):
        cdef bytes frame
        cdef long n = deflate_all(&self.z, self.level, data, <uint32_t>size, 0, &self.scratch)
        if n < 0:
            raise MemoryError
        frame = joined(self.scratch.data, n, size)
        if self.scratch.capacity > KEPT_CAPACITY:
            free(self.scratch.data)
            self.scratch.data = NULL
            self.scratch.capacity = 0
        return frame


cdef bytes joined(const uint8_t* data, Py_ssize_t size, Py_ssize_t inflated):
    # A length, then (unless "inflated" is below zero) the size before compression, then data.
    cdef Py_ssize_t length = size
    cdef bytes frame
    cdef uint8_t* out
    if inflated >= 0:
        length += varint_size(<uint32_t>inflated)
    if length > FRAME_MAX:
        raise LocalProtocolError(f"a frame has at most {FRAME_MAX} bytes, not {length}")
    frame = PyBytes_FromStringAndSize(NULL, varint_size(<uint32_t>length) + length)
    out = <uint8_t*>PyBytes_AS_STRING(frame)
    out += varint_write(out, <uint32_t>length)
    if inflated >= 0:
        out += varint_write(out, <uint32_t>inflated)
    memcpy(out, data, <size_t>size)
    return frame


def join_frame(packet, /, compression_threshold=-1) -> bytes:
    """The frame of one packet; a FrameJoiner is quicker for many.

    Raises LocalProtocolError as FrameJoiner.join does.
    """
    return FrameJoiner(compression_threshold).join(packet)


def scan_frames(data, /, spans=None, *, int32_t max_frame=FRAME_MAX) -> tuple[int, int]:
    """Find whole frames without making an object of each: ``(count, bytes consumed)``.

    ``spans``, if given, is a writable buffer of 32-bit numbers (``array("i", bytes(8 * n))``)
    that receives the start and the end of each packet in ``data``, length prefix left out; the
    scan stops when it is full. Empty frames are left out. Compression is not looked at.

    Raises RemoteProtocolError at a frame longer than ``max_frame`` bytes.
    """
    cdef Py_buffer view, target
    cdef int64_t count, consumed = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len > 0x7FFFFFFF:
            raise ValueError("data is longer than 2 GiB")
        if spans is None:
            count = frames_scan(<const uint8_t*>view.buf, <const uint8_t*>view.buf + view.len,
                                max_frame, NULL, 0, &consumed)
        else:
            PyObject_GetBuffer(spans, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
            count = frames_scan(<const uint8_t*>view.buf, <const uint8_t*>view.buf + view.len,
                                max_frame, <int32_t*>target.buf, target.len // 8, &consumed)
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&view)
    if count < 0:
        raise RemoteProtocolError(f"the frame at byte {consumed} is longer than {max_frame} bytes")
    return count, consumed
