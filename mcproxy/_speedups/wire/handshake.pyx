"""Handshake and Login Start: the first packets of a modern connection (1.7 and newer).

The C functions are what the data plane uses; the Python functions are thin covers over them,
so there is one reading of these packets.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memchr, memcmp, memcpy, memmove

from mcproxy._speedups.wire.cursor cimport (
    CURSOR_BAD_TEXT,
    CURSOR_OK,
    CURSOR_TOO_LONG,
    CURSOR_TRUNCATED,
    cursor,
    cursor_block,
    cursor_take,
    cursor_text,
    cursor_varint,
    load_u16,
)
from mcproxy._speedups.wire.utf8 cimport utf8_units

from mcproxy.errors import RemoteProtocolError

__all__ = [
    "MAX_BODY",
    "MAX_CLEAN_HOST",
    "MAX_HOST_UNITS",
    "MAX_NAME_UNITS",
    "NEWEST_LOGIN_START",
    "clean_host",
    "max_login_start_body",
    "parse_handshake",
    "parse_login_start",
]

MAX_BODY = HANDSHAKE_BODY_MAX
MAX_HOST_UNITS = HOST_UNITS_MAX
MAX_CLEAN_HOST = HOST_CLEAN_MAX
MAX_NAME_UNITS = NAME_UNITS_MAX
NEWEST_LOGIN_START = LOGIN_START_NEWEST

cdef enum:
    RAW_HOST_UNITS = 32767          # with what a forwarding proxy appends behind a NUL
    KEY_MAX = 512                   # bytes of the public key of 1.19 to 1.19.2
    SIGNATURE_MAX = 4096


cdef int packet_error(int error) noexcept nogil:
    # What a cursor_error is called here, where no better name is known.
    if error == CURSOR_OK or error == CURSOR_TRUNCATED:
        return error
    return HANDSHAKE_BAD_TEXT if error == CURSOR_BAD_TEXT else HANDSHAKE_BAD_LENGTH


cdef int take_id(cursor* c) noexcept nogil:
    cdef int32_t packet_id
    cdef int error = packet_error(cursor_varint(c, &packet_id))
    if error:
        return error
    return HANDSHAKE_OK if packet_id == 0 else HANDSHAKE_BAD_ID


cdef int take_host(cursor* c, handshake_t* out) noexcept nogil:
    cdef const uint8_t* nul
    cdef int error = cursor_text(c, RAW_HOST_UNITS, &out.host, &out.host_len)
    if error == CURSOR_TOO_LONG:
        return HANDSHAKE_HOST_TOO_LONG
    if error:
        return packet_error(error)
    nul = <const uint8_t*>memchr(out.host, 0, out.host_len)
    if utf8_units(out.host, nul if nul != NULL else out.host + out.host_len) > HOST_UNITS_MAX:
        return HANDSHAKE_HOST_TOO_LONG
    return HANDSHAKE_OK


cdef int handshake_parse(const uint8_t* body, const uint8_t* end, handshake_t* out) noexcept nogil:
    cdef cursor c = cursor(body, end)
    cdef const uint8_t* port
    cdef int error = take_id(&c)
    if error:
        return error
    error = packet_error(cursor_varint(&c, &out.protocol))
    if error:
        return error
    error = take_host(&c, out)
    if error:
        return error
    port = cursor_take(&c, 2)
    if port == NULL:
        return HANDSHAKE_TRUNCATED
    out.port = load_u16(port)
    error = packet_error(cursor_varint(&c, &out.intent))
    if error:
        return error
    if c.p != end:
        return HANDSHAKE_TRAILING
    if out.intent < 1 or out.intent > 3:
        return HANDSHAKE_BAD_INTENT
    return HANDSHAKE_OK


cdef int take_name(cursor* c, login_start_t* out) noexcept nogil:
    cdef int error = cursor_text(c, NAME_UNITS_MAX, &out.name, &out.name_len)
    if error == CURSOR_TOO_LONG:
        return HANDSHAKE_NAME_TOO_LONG
    if error:
        return packet_error(error)
    return HANDSHAKE_NAME_EMPTY if out.name_len == 0 else HANDSHAKE_OK


cdef int take_flag(cursor* c, bint* flag) noexcept nogil:
    cdef const uint8_t* p = cursor_take(c, 1)
    if p == NULL:
        return HANDSHAKE_TRUNCATED
    flag[0] = p[0] != 0
    return HANDSHAKE_OK


cdef int skip_signature(cursor* c) noexcept nogil:
    # 759 and 760: optional i64 expiry, public key, signature.
    cdef const uint8_t* data
    cdef uint32_t length
    cdef bint present
    cdef int error = take_flag(c, &present)
    if error or not present:
        return error
    if cursor_take(c, 8) == NULL:
        return HANDSHAKE_TRUNCATED
    error = packet_error(cursor_block(c, KEY_MAX, &data, &length))
    if error:
        return error
    return packet_error(cursor_block(c, SIGNATURE_MAX, &data, &length))


cdef int take_uuid(cursor* c, login_start_t* out) noexcept nogil:
    cdef const uint8_t* p = cursor_take(c, 16)
    if p == NULL:
        return HANDSHAKE_TRUNCATED
    memcpy(out.uuid, p, 16)
    out.has_uuid = True
    return HANDSHAKE_OK


cdef void guess_uuid(cursor* c, login_start_t* out) noexcept nogil:
    # A snapshot's number says nothing about its layout: what is left over does.
    if c.end - c.p == 16:
        take_uuid(c, out)
    elif c.end - c.p == 17 and c.p[0] == 1:
        c.p += 1
        take_uuid(c, out)


cdef int login_start_parse(const uint8_t* body, const uint8_t* end, int32_t protocol,
                           login_start_t* out) noexcept nogil:
    cdef cursor c = cursor(body, end)
    cdef bint present = protocol >= 764
    cdef int error = take_id(&c)
    out.has_uuid = False
    if error:
        return error
    error = take_name(&c, out)
    if error:
        return error
    if protocol > 0 and protocol & SNAPSHOT_BIT:
        guess_uuid(&c, out)
        return HANDSHAKE_OK
    if protocol == 759 or protocol == 760:
        error = skip_signature(&c)
        if error:
            return error
    if 760 <= protocol <= 763:
        error = take_flag(&c, &present)
        if error:
            return error
    if present:
        error = take_uuid(&c, out)
        if error:
            return error
    # What a version that is not known yet appends does not concern us.
    return HANDSHAKE_OK if c.p == end or protocol > LOGIN_START_NEWEST else HANDSHAKE_TRAILING


cdef uint32_t login_start_body_max(int32_t protocol) noexcept nogil:
    # Packet id, name, signature data (Velocity's bound: a key of 294 bytes and a signature
    # of 512), optional UUID.
    cdef uint32_t most = 1 + 1 + 3 * NAME_UNITS_MAX
    if protocol >= 759:
        most += 1 + 16
    if protocol == 759 or protocol == 760 or protocol > LOGIN_START_NEWEST:
        most += 819
    return most


cdef bint begins(const uint8_t* p, const uint8_t* end, const char* text, uint32_t n) noexcept nogil:
    return end - p >= n and memcmp(p, text, n) == 0


cdef const uint8_t* behind_srv_prefix(const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef const uint8_t* label = p
    if begins(p, end, b"_dc-srv.", 8):
        p += 8
        label = p
        while label < end and label[0] != c'.':
            label += 1
        if begins(label, end, b"._minecraft._tcp.", 17):
            return label + 17
    return p + 16 if begins(p, end, b"_minecraft._tcp.", 16) else p


cdef int host_clean(const uint8_t* raw, uint32_t length, uint8_t* out) noexcept nogil:
    cdef const uint8_t* p = raw
    cdef const uint8_t* end = raw
    cdef uint8_t byte
    cdef uint32_t n = 0
    while end < raw + length and end[0] != 0 and not begins(end, raw + length, b"///", 3):
        end += 1
    while end > raw and end[-1] == c'.':
        end -= 1
    if end - raw >= 2 and raw[0] == c'[' and end[-1] == c']':
        p += 1
        end -= 1
    if end - p > HOST_CLEAN_MAX:
        return HANDSHAKE_HOST_TOO_LONG
    while p + n < end:
        byte = p[n]
        out[n] = byte + 32 if c'A' <= byte <= c'Z' else byte
        n += 1
    p = behind_srv_prefix(out, out + n)
    n -= <uint32_t>(p - out)
    if p != out:
        memmove(out, p, n)
    return <int>n


cdef dict MESSAGES = {
    HANDSHAKE_TRUNCATED: "a field runs past the end of the packet",
    HANDSHAKE_TRAILING: "bytes are left over behind the last field",
    HANDSHAKE_BAD_ID: "the packet id is not 0x00",
    HANDSHAKE_BAD_INTENT: "the intent is not status, login or transfer",
    HANDSHAKE_HOST_TOO_LONG: "the host is longer than 255 characters",
    HANDSHAKE_BAD_TEXT: "a text is not UTF-8",
    HANDSHAKE_NAME_TOO_LONG: "the name is longer than 16 characters",
    HANDSHAKE_NAME_EMPTY: "the name is empty",
    HANDSHAKE_BAD_LENGTH: "a length is negative or above its bound",
}


cdef object refusal(str packet, int error):
    return RemoteProtocolError(f"{packet}: {MESSAGES[error]}")


def parse_handshake(body, /) -> tuple[int, str, int, int]:
    """Read a handshake: ``(protocol, raw_host, port, intent)``.

    ``body`` is a frame without its length prefix (any object with the buffer protocol).
    ``raw_host`` keeps every suffix that the client or a proxy put behind the name; see
    :func:`clean_host`. The host in front of a NUL has at most 255 UTF-16 units. The frame as
    a whole is not bounded here: :data:`MAX_BODY` is what a client needs.

    Raises RemoteProtocolError for anything that is not a handshake with intent 1, 2 or 3.
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef handshake_t out
    cdef int error
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        p = <const uint8_t*>view.buf
        error = handshake_parse(p, p + view.len, &out)
        if error:
            raise refusal("handshake", error)
        return out.protocol, (<char*>out.host)[:out.host_len].decode("utf-8"), out.port, out.intent
    finally:
        PyBuffer_Release(&view)


def parse_login_start(body, int32_t protocol, /) -> tuple[str, bytes | None]:
    """Read a Login Start in the layout of ``protocol``: ``(name, uuid)``.

    ``body`` is a frame without its length prefix. ``uuid`` is 16 bytes, or None where the
    client sent none. Numbers newer than :data:`NEWEST_LOGIN_START` are read as the newest
    layout and may have more bytes behind it; of snapshots (bit 30) only the name is required.

    Raises RemoteProtocolError for anything else.
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef login_start_t out
    cdef int error
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        p = <const uint8_t*>view.buf
        error = login_start_parse(p, p + view.len, protocol, &out)
        if error:
            raise refusal("login start", error)
        return (
            (<char*>out.name)[:out.name_len].decode("utf-8"),
            (<char*>out.uuid)[:16] if out.has_uuid else None,
        )
    finally:
        PyBuffer_Release(&view)


def max_login_start_body(int32_t protocol, /) -> int:
    """Bytes of the longest Login Start that ``protocol`` can have, packet id included."""
    return login_start_body_max(protocol)


def clean_host(raw, /) -> str:
    """The host as routes know it.

    Lower case (ASCII), without Forge's marker (from the first NUL), TCPShield's suffix (from
    ``///``), trailing dots, IPv6 brackets and the prefix of an SRV target
    (``_minecraft._tcp.``, ``_dc-srv.<id>._minecraft._tcp.``).

    Raises RemoteProtocolError if more than 255 bytes remain, or bytes that are not UTF-8.
    """
    cdef uint8_t out[HOST_CLEAN_MAX]
    cdef bytes data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else bytes(raw)
    cdef const uint8_t* p = data
    cdef int n = host_clean(p, <uint32_t>len(data), out)
    if n < 0:
        raise refusal("host", n)
    if utf8_units(out, out + n) < 0:
        raise refusal("host", HANDSHAKE_BAD_TEXT)
    return (<char*>out)[:n].decode("utf-8")
