"""Reading and writing the primitives of the Minecraft protocol, up to login and configuration.

Types as in https://minecraft.wiki/w/Java_Edition_protocol/Data_types. Numbers are big-endian.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isinf
from libc.stdint cimport INT8_MAX, INT8_MIN, INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT8_MAX, UINT16_MAX, UINT32_MAX
from libc.stdint cimport int8_t, int16_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from mcproxy._speedups.wire.varint cimport VARINT_MAX, VARLONG_MAX, varint_write, varlong_write

import uuid

from mcproxy.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["Reader", "Writer"]

cdef object UUID = uuid.UUID

cdef dict MESSAGES = {
    CURSOR_TRUNCATED: "runs past the end",
    CURSOR_BAD_VARINT: "has a VarInt with too many bytes",
    CURSOR_NEGATIVE: "has a negative length",
    CURSOR_TOO_LONG: "is longer than allowed",
    CURSOR_BAD_TEXT: "is not UTF-8",
}


cdef bint is_identifier(const uint8_t* p, const uint8_t* end) noexcept nogil:
    # [namespace:]path of a-z 0-9 _ - . and, in the path, /
    cdef bint in_path = False
    while p < end:
        if p[0] == c':':
            if in_path:
                return False
            in_path = True
        elif p[0] == c'/':
            # Only a path has slashes, so no namespace may follow.
            in_path = True
        elif not (c'a' <= p[0] <= c'z' or c'0' <= p[0] <= c'9'
                  or p[0] == c'_' or p[0] == c'-' or p[0] == c'.'):
            return False
        p += 1
    return True


@cython.final
cdef class Reader:
    """Reads fields one after the other from any object with the buffer protocol.

    The object is held, not copied, as long as the reader lives. Every method returns the value
    of one field and moves behind it, or raises RemoteProtocolError and stays.
    """

    def __cinit__(self, data, /):
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        self.open = True
        self.start = <const uint8_t*>self.view.buf
        self.c = cursor(self.start, self.start + self.view.len)

    def __dealloc__(self):
        if self.open:
            PyBuffer_Release(&self.view)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self.c.p - self.start

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return self.c.end - self.c.p

    cdef object refusal(self, str what, int error):
        return RemoteProtocolError(f"{what} at byte {self.c.p - self.start} {MESSAGES[error]}")

    cdef const uint8_t* fixed(self, str what, Py_ssize_t size) except NULL:
        cdef const uint8_t* p = cursor_take(&self.c, <size_t>size)
        if p == NULL:
            raise self.refusal(what, CURSOR_TRUNCATED)
        return p

    def boolean(self) -> bool:
        """One byte; anything but zero is true, as in the game."""
        return self.fixed("boolean", 1)[0] != 0

    def i8(self) -> int:
        """A signed byte."""
        return <int8_t>self.fixed("i8", 1)[0]

    def u8(self) -> int:
        """An unsigned byte."""
        return self.fixed("u8", 1)[0]

    def i16(self) -> int:
        """A signed 16-bit number."""
        return <int16_t>load_u16(self.fixed("i16", 2))

    def u16(self) -> int:
        """An unsigned 16-bit number."""
        return load_u16(self.fixed("u16", 2))

    def i32(self) -> int:
        """A signed 32-bit number."""
        return <int32_t>load_u32(self.fixed("i32", 4))

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        return load_u32(self.fixed("u32", 4))

    def i64(self) -> int:
        """A signed 64-bit number."""
        return <int64_t>load_u64(self.fixed("i64", 8))

    def f32(self) -> float:
        """An IEEE 754 number of 32 bits."""
        cdef uint32_t bits = load_u32(self.fixed("f32", 4))
        cdef float value
        memcpy(&value, &bits, 4)
        return value

    def f64(self) -> float:
        """An IEEE 754 number of 64 bits."""
        cdef uint64_t bits = load_u64(self.fixed("f64", 8))
        cdef double value
        memcpy(&value, &bits, 8)
        return value

    def varint(self) -> int:
        """A signed 32-bit number in one to five bytes."""
        cdef int32_t value
        cdef int error = cursor_varint(&self.c, &value)
        if error:
            raise self.refusal("VarInt", error)
        return value

    def varlong(self) -> int:
        """A signed 64-bit number in one to ten bytes."""
        cdef int64_t value
        cdef int error = cursor_varlong(&self.c, &value)
        if error:
            raise self.refusal("VarLong", error)
        return value

    def string(self, uint16_t max_units=32767) -> str:
        """A text of at most ``max_units`` UTF-16 units, hence three times as many bytes."""
        cdef const uint8_t* data
        cdef uint32_t length
        cdef const uint8_t* before = self.c.p
        cdef int error = cursor_text(&self.c, max_units, &data, &length)
        if error:
            self.c.p = before
            raise self.refusal("string", error)
        return (<const char*>data)[:length].decode("utf-8")

    def identifier(self) -> str:
        """A resource name such as ``minecraft:brand``, as the peer wrote it."""
        cdef const uint8_t* data
        cdef uint32_t length
        cdef const uint8_t* before = self.c.p
        cdef int error = cursor_text(&self.c, 32767, &data, &length)
        if error or not is_identifier(data, data + length):
            self.c.p = before
            if error:
                raise self.refusal("identifier", error)
            raise RemoteProtocolError(
                f"identifier at byte {before - self.start} has characters that are not allowed"
            )
        return (<const char*>data)[:length].decode("ascii")

    def uuid(self) -> uuid.UUID:
        """A UUID of 16 bytes."""
        return UUID(bytes=(<const char*>self.fixed("UUID", 16))[:16])

    def take(self, Py_ssize_t size, /) -> bytes:
        """The next ``size`` bytes."""
        if size < 0:
            raise RemoteProtocolError(f"bytes at byte {self.position} have a negative length")
        return (<const char*>self.fixed("bytes", size))[:size]

    def byte_array(self, uint32_t max_length=65536) -> bytes:
        """Bytes with a VarInt length in front, at most ``max_length``."""
        cdef const uint8_t* data
        cdef uint32_t length
        cdef const uint8_t* before = self.c.p
        cdef int error = cursor_block(&self.c, max_length, &data, &length)
        if error:
            self.c.p = before
            raise self.refusal("byte array", error)
        return (<const char*>data)[:length]

    def array(self, read, int32_t max_length=32768) -> list:
        """Values with a VarInt count in front, at most ``max_length``; ``read()`` reads one."""
        cdef const uint8_t* before = self.c.p
        cdef int32_t count
        cdef int error = cursor_varint(&self.c, &count)
        if not error and (count < 0 or count > max_length):
            error = CURSOR_NEGATIVE if count < 0 else CURSOR_TOO_LONG
        if error:
            self.c.p = before
            raise self.refusal("array", error)
        return [read() for _ in range(count)]

    def optional(self, read):
        """A boolean and, if it is true, the value that ``read()`` reads; None otherwise."""
        return read() if self.boolean() else None

    def rest(self) -> bytes:
        """All bytes that remain."""
        return self.take(self.c.end - self.c.p)

    def end(self) -> None:
        """Raise RemoteProtocolError if bytes remain."""
        if self.c.p != self.c.end:
            raise RemoteProtocolError(f"{self.remaining} bytes are left over")


cdef object checked(value, low, high, str kind):
    if not low <= value <= high:
        raise LocalProtocolError(f"{value} does not fit into {kind}")
    return value


@cython.final
cdef class Writer:
    """Writes fields one after the other; ``bytes(writer)`` is the result.

    Every method returns the writer, so that calls can be chained. Values that the protocol
    cannot express raise LocalProtocolError and write nothing.
    """

    def __dealloc__(self):
        free(self.data)

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return (<char*>self.data)[:self.size] if self.size else b""

    cdef uint8_t* room(self, size_t size) except NULL:
        # Space for "size" more bytes, counted as written.
        cdef size_t capacity
        cdef uint8_t* data
        if self.data == NULL or self.capacity - self.size < size:
            capacity = max(<size_t>64, max(2 * self.capacity, self.size + size))
            data = <uint8_t*>realloc(self.data, capacity)
            if data == NULL:
                raise MemoryError
            self.data = data
            self.capacity = capacity
        self.size += size
        return self.data + self.size - size

    def boolean(self, value) -> Writer:
        """One byte, 0 or 1."""
        self.room(1)[0] = 1 if value else 0
        return self

    def i8(self, value) -> Writer:
        """A signed byte."""
        cdef int8_t number = checked(value, INT8_MIN, INT8_MAX, "i8")
        self.room(1)[0] = <uint8_t>number
        return self

    def u8(self, value) -> Writer:
        """An unsigned byte."""
        cdef uint8_t number = checked(value, 0, UINT8_MAX, "u8")
        self.room(1)[0] = number
        return self

    def i16(self, value) -> Writer:
        """A signed 16-bit number."""
        cdef int16_t number = checked(value, INT16_MIN, INT16_MAX, "i16")
        store_u16(self.room(2), <uint16_t>number)
        return self

    def u16(self, value) -> Writer:
        """An unsigned 16-bit number."""
        cdef uint16_t number = checked(value, 0, UINT16_MAX, "u16")
        store_u16(self.room(2), number)
        return self

    def i32(self, value) -> Writer:
        """A signed 32-bit number."""
        cdef int32_t number = checked(value, INT32_MIN, INT32_MAX, "i32")
        store_u32(self.room(4), <uint32_t>number)
        return self

    def u32(self, value) -> Writer:
        """An unsigned 32-bit number."""
        cdef uint32_t number = checked(value, 0, UINT32_MAX, "u32")
        store_u32(self.room(4), number)
        return self

    def i64(self, value) -> Writer:
        """A signed 64-bit number."""
        cdef int64_t number = checked(value, INT64_MIN, INT64_MAX, "i64")
        store_u64(self.room(8), <uint64_t>number)
        return self

    def f32(self, double value) -> Writer:
        """An IEEE 754 number of 32 bits."""
        cdef float number = <float>value
        cdef uint32_t bits
        if isinf(number) and not isinf(value):
            raise LocalProtocolError(f"{value} does not fit into f32")
        memcpy(&bits, &number, 4)
        store_u32(self.room(4), bits)
        return self

    def f64(self, double value) -> Writer:
        """An IEEE 754 number of 64 bits."""
        cdef uint64_t bits
        memcpy(&bits, &value, 8)
        store_u64(self.room(8), bits)
        return self

    def varint(self, value) -> Writer:
        """A signed 32-bit number in one to five bytes."""
        cdef int32_t number = checked(value, INT32_MIN, INT32_MAX, "a VarInt")
        self.size -= VARINT_MAX - varint_write(self.room(VARINT_MAX), <uint32_t>number)
        return self

    def varlong(self, value) -> Writer:
        """A signed 64-bit number in one to ten bytes."""
        cdef int64_t number = checked(value, INT64_MIN, INT64_MAX, "a VarLong")
        self.size -= VARLONG_MAX - varlong_write(self.room(VARLONG_MAX), <uint64_t>number)
        return self

    def string(self, str value not None, uint16_t max_units=32767) -> Writer:
        """A text of at most ``max_units`` UTF-16 units."""
        cdef bytes data
        try:
            data = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise LocalProtocolError("string has half a surrogate pair") from error
        cdef const uint8_t* p = data
        cdef int64_t units = utf8_units(p, p + len(data))
        if units > max_units:
            raise LocalProtocolError(f"string has {units} UTF-16 units, at most {max_units} fit")
        self.varint(len(data))
        memcpy(self.room(len(data)), p, len(data))
        return self

    def identifier(self, str value not None) -> Writer:
        """A resource name such as ``minecraft:brand``."""
        cdef bytes data = value.encode("utf-8", "replace")
        cdef const uint8_t* p = data
        if not is_identifier(p, p + len(data)):
            raise LocalProtocolError(f"{value!r} is not an identifier")
        return self.string(value)

    def uuid(self, value) -> Writer:
        """A UUID (``uuid.UUID`` or its 16 bytes)."""
        cdef bytes data = value if isinstance(value, bytes) else value.bytes
        if len(data) != 16:
            raise LocalProtocolError(f"a UUID has 16 bytes, not {len(data)}")
        return self.raw(data)

    def raw(self, data, /) -> Writer:
        """Bytes as they are, without a length."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len:
                memcpy(self.room(<size_t>view.len), view.buf, <size_t>view.len)
        finally:
            PyBuffer_Release(&view)
        return self

    def byte_array(self, data, uint32_t max_length=65536) -> Writer:
        """Bytes with a VarInt length in front, at most ``max_length``."""
        cdef Py_ssize_t length = memoryview(data).nbytes
        if length > max_length:
            raise LocalProtocolError(f"byte array has {length} bytes, at most {max_length} fit")
        return self.varint(length).raw(data)

    def array(self, values, write, int32_t max_length=32768) -> Writer:
        """A VarInt count, then every value as ``write(value)`` writes it."""
        cdef size_t before = self.size
        if len(values) > max_length:
            raise LocalProtocolError(f"array has {len(values)} values, at most {max_length} fit")
        self.varint(len(values))
        try:
            for value in values:
                write(value)
        except BaseException:
            self.size = before
            raise
        return self

    def optional(self, value, write) -> Writer:
        """False for None, otherwise true and the value as ``write(value)`` writes it."""
        cdef size_t before = self.size
        self.boolean(value is not None)
        if value is not None:
            try:
                write(value)
            except BaseException:
                self.size = before
                raise
        return self
