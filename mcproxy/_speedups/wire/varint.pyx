"""VarInt and VarLong of the Minecraft protocol: little-endian groups of seven bits.

A VarInt is a signed 32-bit number in at most five bytes, a VarLong a signed 64-bit number in
at most ten. https://minecraft.wiki/w/Java_Edition_protocol/Data_types#VarInt_and_VarLong
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN

from mcproxy.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "decode_varint",
    "decode_varlong",
    "encode_varint",
    "encode_varlong",
    "size_of_varint",
]


cdef object checked(value, int64_t low, int64_t high, str kind):
    # The value as an int; what does not fit is the caller's mistake.
    if not low <= value <= high:
        raise LocalProtocolError(f"{value} does not fit into a {kind}")
    return value


cdef tuple decoded(data, Py_ssize_t offset, bint wide):
    cdef Py_buffer view
    cdef int64_t value = 0
    cdef int32_t narrow = 0
    cdef int n
    cdef const uint8_t* p
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if offset < 0 or offset > view.len:
            raise ValueError(f"offset {offset} lies outside of {view.len} bytes")
        p = <const uint8_t*>view.buf
        if wide:
            n = varlong_read(p + offset, p + view.len, &value)
        else:
            n = varint_read(p + offset, p + view.len, &narrow)
            value = narrow
    finally:
        PyBuffer_Release(&view)
    if n <= 0:
        kind = "VarLong" if wide else "VarInt"
        what = "runs past the end" if n == 0 else "has too many bytes"
        raise RemoteProtocolError(f"{kind} at byte {offset} {what}")
    return value, offset + n


def decode_varint(data, Py_ssize_t offset=0) -> tuple[int, int]:
    """Read a VarInt: ``(value, offset behind it)``.

    Raises RemoteProtocolError if it is cut off or longer than five bytes.
    """
    return decoded(data, offset, False)


def decode_varlong(data, Py_ssize_t offset=0) -> tuple[int, int]:
    """Read a VarLong: ``(value, offset behind it)``.

    Raises RemoteProtocolError if it is cut off or longer than ten bytes.
    """
    return decoded(data, offset, True)


def encode_varint(value, /) -> bytes:
    """The one to five bytes of a signed 32-bit number; LocalProtocolError for any other."""
    cdef uint8_t out[VARINT_MAX]
    cdef int32_t number = checked(value, INT32_MIN, INT32_MAX, "VarInt")
    return (<char*>out)[:varint_write(out, <uint32_t>number)]


def encode_varlong(value, /) -> bytes:
    """The one to ten bytes of a signed 64-bit number; LocalProtocolError for any other."""
    cdef uint8_t out[VARLONG_MAX]
    cdef int64_t number = checked(value, INT64_MIN, INT64_MAX, "VarLong")
    return (<char*>out)[:varlong_write(out, <uint64_t>number)]


def size_of_varint(value, /) -> int:
    """How many bytes the VarInt of a signed 32-bit number takes."""
    cdef int32_t number = checked(value, INT32_MIN, INT32_MAX, "VarInt")
    return varint_size(<uint32_t>number)
