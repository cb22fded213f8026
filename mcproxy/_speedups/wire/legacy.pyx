"""Pings from before 1.7, told apart from modern frames."""

import enum

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcmp

from mcproxy._speedups.wire.cursor cimport load_u16, load_u32

from mcproxy.errors import RemoteProtocolError

__all__ = ["LegacyKind", "LegacyPing", "probe"]

cdef enum:
    HEAD = 29                       # FE 01 FA, u16 11, "MC|PingHost", u16 bytes that remain
    TAIL_FIXED = 7                  # u8 protocol, u16 units, i32 port

cdef const uint8_t* PING_HOST = b"\xFE\x01\xFA\x00\x0B\0M\0C\0|\0P\0i\0n\0g\0H\0o\0s\0t"


cdef int probe_16(const uint8_t* data, uint32_t length, legacy_ping_t* out) noexcept nogil:
    # Refused at the first byte that cannot belong to it; what it announces is bounded.
    cdef uint32_t remaining, units
    if memcmp(data, PING_HOST, length if length < HEAD - 2 else HEAD - 2) != 0:
        return LEGACY_BAD
    if length < HEAD:
        return LEGACY_UNDECIDED
    remaining = load_u16(data + HEAD - 2)
    if remaining < TAIL_FIXED or HEAD + remaining > LEGACY_PING_MAX:
        return LEGACY_BAD
    if length < HEAD + 3:
        return LEGACY_UNDECIDED
    units = load_u16(data + HEAD + 1)
    if TAIL_FIXED + 2 * units != remaining:
        return LEGACY_BAD
    if length < HEAD + remaining:
        return LEGACY_UNDECIDED
    out.protocol = data[HEAD]
    out.host = data + HEAD + 3
    out.host_units = units
    out.port = <int32_t>load_u32(data + HEAD + 3 + 2 * units)
    out.size = HEAD + remaining
    return LEGACY_16


cdef int legacy_probe(const uint8_t* data, uint32_t length, bint timer_expired,
                      legacy_ping_t* out) noexcept nogil:
    out.protocol = -1
    out.port = -1
    out.host = NULL
    out.host_units = 0
    out.size = 0
    if length == 0:
        return LEGACY_UNDECIDED
    if data[0] == 0x02:             # no modern first frame is two bytes long
        return LEGACY_LOGIN
    if data[0] != 0xFE or (length > 1 and data[1] != 0x01) or (length > 2 and data[2] != 0xFA):
        return LEGACY_NOT
    if length > 3:
        return probe_16(data, length, out)
    if not timer_expired:
        return LEGACY_UNDECIDED
    # FE 01 FA alone is what some ping tools send; it gets the answer of 1.4.
    out.size = length
    return LEGACY_BETA if length == 1 else LEGACY_14


class LegacyKind(enum.IntEnum):
    """What the first bytes of a connection are."""

    BAD = LEGACY_BAD
    """``FE 01 FA`` and then nonsense."""
    NOT = LEGACY_NOT
    """A modern frame."""
    UNDECIDED = LEGACY_UNDECIDED
    """More bytes, or the timer, must decide."""
    BETA = LEGACY_BETA
    """``FE``: a ping of Beta 1.8 to 1.3."""
    V1_4 = LEGACY_14
    """``FE 01``: a ping of 1.4 or 1.5."""
    V1_6 = LEGACY_16
    """``FE 01 FA MC|PingHost``: a ping of 1.6, with host and port."""
    LOGIN = LEGACY_LOGIN
    """``02``: a login from before 1.7."""


cdef tuple KINDS = tuple([LegacyKind(value) for value in range(LEGACY_BAD, LEGACY_LOGIN + 1)])


@cython.final
cdef class LegacyPing:
    """What :func:`probe` found.

    ``protocol``, ``host`` and ``port`` are known for kind V1_6 and None otherwise; ``size`` is
    the number of bytes that the ping took, 0 when there is none.
    """

    cdef readonly object kind
    cdef readonly object protocol
    cdef readonly object host
    cdef readonly object port
    cdef readonly uint32_t size

    def __repr__(self) -> str:
        return (
            f"LegacyPing(kind={self.kind.name}, protocol={self.protocol}, host={self.host!r}, "
            f"port={self.port}, size={self.size})"
        )


def probe(data, /, bint timer_expired=False) -> LegacyPing:
    """Tell a legacy ping (before 1.7) from a modern frame by the first bytes received.

    ``data`` is everything received so far. ``timer_expired`` says that nothing followed for a
    moment: then ``FE``, ``FE 01`` and ``FE 01 FA`` alone count as pings. ``FE`` is also the
    first byte of a modern length prefix (frames of 254, 382, 510 bytes and so on), so it never
    decides alone.

    Raises RemoteProtocolError if the host of a 1.6 ping is not UTF-16; nonsense behind
    ``FE 01 FA`` is kind BAD.
    """
    cdef Py_buffer view
    cdef legacy_ping_t out
    cdef int kind
    cdef LegacyPing ping = LegacyPing.__new__(LegacyPing)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        kind = legacy_probe(<const uint8_t*>view.buf, <uint32_t>min(view.len, LEGACY_PING_MAX),
                            timer_expired, &out)
        ping.kind = KINDS[kind - LEGACY_BAD]
        ping.size = out.size
        if kind == LEGACY_16:
            ping.host = (<const char*>out.host)[:2 * out.host_units].decode("utf-16-be")
            ping.protocol = out.protocol
            ping.port = out.port
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("legacy ping: the host is not UTF-16") from error
    finally:
        PyBuffer_Release(&view)
    return ping
