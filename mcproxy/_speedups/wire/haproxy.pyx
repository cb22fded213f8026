"""The PROXY protocol, versions 1 and 2: the header that tells the real address of a client.

Sections are those of HAProxy's ``doc/proxy-protocol.txt``. The C functions are what the data
plane uses; the Python functions are thin covers over them.
"""

cimport cython
from libc.string cimport memchr, memcmp, memcpy, strlen

from mcproxy._speedups.wire.cursor cimport load_u16, store_u16

from mcproxy.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_HEADER", "ProxyHeader", "encode_proxy_header", "parse_proxy_header"]

MAX_HEADER = HAPROXY_HEADER_MAX

cdef extern from "<arpa/inet.h>" nogil:
    int AF_INET, AF_INET6
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, unsigned int size)

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* out, size_t size, const char* form, ...)

cdef enum:
    ADDRESS_TEXT = 46               # ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 and a NUL
    FAMILY_INET = 1
    FAMILY_UNIX = 3
    TRANSPORT_STREAM = 1
    TRANSPORT_DGRAM = 2

cdef const uint8_t* V1_SIGNATURE = b"PROXY "
cdef const uint8_t* V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
cdef const uint8_t* MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xFF\xFF"
# Bytes of the address block by family: unspecified, IPv4, IPv6, Unix (2.2).
cdef uint16_t[4] BLOCK = [0, 12, 36, 216]


cdef int haproxy_probe(const uint8_t* data, uint32_t length) noexcept nogil:
    if length == 0:
        return HAPROXY_MORE
    if data[0] == V1_SIGNATURE[0]:
        if memcmp(data, V1_SIGNATURE, min(length, 6u)) == 0:
            return 1 if length >= 6 else HAPROXY_MORE
    elif memcmp(data, V2_SIGNATURE, min(length, 12u)) == 0:
        return 2 if length >= 12 else HAPROXY_MORE
    return HAPROXY_NOT


cdef int haproxy_parse(const uint8_t* data, uint32_t length, haproxy_header_t* out) noexcept nogil:
    cdef int version = haproxy_probe(data, length)
    if version == 1:
        return parse_v1(data, length, out)
    if version == 2:
        return parse_v2(data, length, out)
    return version


# ---- Version 1: a line of text (2.1). ----

cdef int parse_v1(const uint8_t* data, uint32_t length, haproxy_header_t* out) noexcept nogil:
    cdef const uint8_t* p = data + 6
    cdef const uint8_t* end = line_end(data, min(length, <uint32_t>HAPROXY_V1_MAX))
    cdef haproxy_header_t found
    cdef int family
    if end == NULL:
        return HAPROXY_MORE if length < HAPROXY_V1_MAX else HAPROXY_MALFORMED
    found.version = 1
    if end - p >= 7 and memcmp(p, b"UNKNOWN", 7) == 0 and (p + 7 == end or p[7] == c" "):
        found.proxied = False       # whatever else is in the line is ignored
    elif end - p >= 5 and memcmp(p, b"TCP", 3) == 0 and p[3] in (c"4", c"6") and p[4] == c" ":
        family = AF_INET if p[3] == c"4" else AF_INET6
        p += 5
        found.proxied = (
            take_address(&p, end, family, found.source)
            and take_address(&p, end, family, found.destination)
            and take_port(&p, end, &found.source_port)
            and p < end and p[0] == c" "
        )
        p += 1
        if not (found.proxied and take_port(&p, end, &found.destination_port) and p == end):
            return HAPROXY_MALFORMED
    else:
        return HAPROXY_MALFORMED
    out[0] = found
    return <int>(end + 2 - data)


cdef const uint8_t* line_end(const uint8_t* data, uint32_t length) noexcept nogil:
    # Where the first CRLF begins, or NULL.
    cdef const uint8_t* end = data + length
    cdef const uint8_t* p = <const uint8_t*>memchr(data, c"\r", length)
    while p != NULL and p + 1 < end:
        if p[1] == c"\n":
            return p
        p = <const uint8_t*>memchr(p + 1, c"\r", end - p - 1)
    return NULL


cdef bint take_address(const uint8_t** p, const uint8_t* end, int family,
                       uint8_t* out) noexcept nogil:
    # An address and the space behind it.
    cdef char text[ADDRESS_TEXT]
    cdef const uint8_t* space = <const uint8_t*>memchr(p[0], c" ", end - p[0])
    cdef Py_ssize_t size
    if space == NULL or space - p[0] >= ADDRESS_TEXT:
        return False
    size = space - p[0]
    memcpy(text, p[0], size)
    text[size] = 0
    p[0] = space + 1
    return strlen(text) == <size_t>size and read_address(text, family, out)


cdef bint read_address(const char* text, int family, uint8_t* out) noexcept nogil:
    if family == AF_INET6:
        return inet_pton(AF_INET6, text, out) == 1
    memcpy(out, MAPPED, 12)
    return inet_pton(AF_INET, text, out + 12) == 1


cdef bint take_port(const uint8_t** p, const uint8_t* end, uint16_t* out) noexcept nogil:
    cdef const uint8_t* start = p[0]
    cdef uint32_t value = 0
    while p[0] < end and c"0" <= p[0][0] <= c"9" and p[0] - start < 5:
        value = 10 * value + p[0][0] - c"0"
        p[0] += 1
    out[0] = <uint16_t>value
    return p[0] > start and value <= 65535 and (start[0] != c"0" or p[0] - start == 1)


# ---- Version 2: binary (2.2). ----

cdef int parse_v2(const uint8_t* data, uint32_t length, haproxy_header_t* out) noexcept nogil:
    cdef uint8_t family, transport
    cdef uint16_t block
    cdef bint own
    # Refused at the first byte that is wrong.
    if length > 12 and (data[12] >> 4 != 2 or data[12] & 15 > 1):
        return HAPROXY_MALFORMED
    if length < HAPROXY_V2_HEAD:
        return HAPROXY_MORE
    own = data[12] & 15 == 0        # LOCAL: the rest means nothing
    family = data[13] >> 4
    transport = data[13] & 15
    block = load_u16(data + 14)
    if not own and (family > FAMILY_UNIX or transport > TRANSPORT_DGRAM
                    or (transport != 0 and block < BLOCK[family])):
        return HAPROXY_MALFORMED
    if HAPROXY_V2_HEAD + block > HAPROXY_HEADER_MAX:
        return HAPROXY_TOO_LONG
    if length < <uint32_t>(HAPROXY_V2_HEAD + block):
        return HAPROXY_MORE
    out.version = 2
    out.proxied = (not own and transport == TRANSPORT_STREAM
                   and family != 0 and family != FAMILY_UNIX)
    if out.proxied:
        take_block(data + HAPROXY_V2_HEAD, family, out)
    return HAPROXY_V2_HEAD + block  # what follows the addresses (TLVs) is skipped


cdef void take_block(const uint8_t* p, uint8_t family, haproxy_header_t* out) noexcept nogil:
    if family == FAMILY_INET:
        memcpy(out.source, MAPPED, 12)
        memcpy(out.source + 12, p, 4)
        memcpy(out.destination, MAPPED, 12)
        memcpy(out.destination + 12, p + 4, 4)
        p += 8
    else:
        memcpy(out.source, p, 16)
        memcpy(out.destination, p + 16, 16)
        p += 32
    out.source_port = load_u16(p)
    out.destination_port = load_u16(p + 2)


# ---- Writing. ----

cdef inline bint is_mapped(const uint8_t* address) noexcept nogil:
    return memcmp(address, MAPPED, 12) == 0


cdef uint32_t haproxy_encode(int version, const uint8_t* source, uint16_t source_port,
                             const uint8_t* destination, uint16_t destination_port,
                             uint8_t* out) noexcept nogil:
    # Both addresses are of one family: IPv4 stays mapped beside IPv6.
    cdef bint v4 = source != NULL and is_mapped(source) and is_mapped(destination)
    if version == 1:
        return encode_v1(v4, source, source_port, destination, destination_port, out)
    cdef uint32_t skipped = 12 if v4 else 0
    cdef uint32_t size = 16 - skipped
    cdef uint8_t* p = out + HAPROXY_V2_HEAD
    memcpy(out, V2_SIGNATURE, 12)
    out[12] = 0x20 if source == NULL else 0x21
    out[13] = 0 if source == NULL else 0x11 if v4 else 0x21
    out[14] = 0
    out[15] = 0 if source == NULL else <uint8_t>(2 * size + 4)
    if source == NULL:
        return HAPROXY_V2_HEAD
    memcpy(p, source + skipped, size)
    memcpy(p + size, destination + skipped, size)
    store_u16(p + 2 * size, source_port)
    store_u16(p + 2 * size + 2, destination_port)
    return HAPROXY_V2_HEAD + out[15]


cdef uint32_t encode_v1(bint v4, const uint8_t* source, uint16_t source_port,
                        const uint8_t* destination, uint16_t destination_port,
                        uint8_t* out) noexcept nogil:
    cdef char line[HAPROXY_V1_MAX + 1]
    cdef char first[ADDRESS_TEXT]
    cdef char second[ADDRESS_TEXT]
    cdef int size
    if source == NULL:
        memcpy(out, b"PROXY UNKNOWN\r\n", 15)
        return 15
    write_address(v4, source, first)
    write_address(v4, destination, second)
    size = snprintf(line, sizeof(line), b"PROXY TCP%d %s %s %u %u\r\n", <int>(4 if v4 else 6),
                    first, second, <unsigned int>source_port, <unsigned int>destination_port)
    memcpy(out, line, size)
    return <uint32_t>size


cdef void write_address(bint v4, const uint8_t* address, char* out) noexcept nogil:
    if v4:
        inet_ntop(AF_INET, address + 12, out, ADDRESS_TEXT)
    elif is_mapped(address):        # inet_ntop would write dots, which 2.1 has in IPv4 only
        snprintf(out, ADDRESS_TEXT, b"::ffff:%x:%x", <unsigned int>load_u16(address + 12),
                 <unsigned int>load_u16(address + 14))
    else:
        inet_ntop(AF_INET6, address, out, ADDRESS_TEXT)


# ---- For Python. ----

cdef dict MESSAGES = {
    HAPROXY_NOT: "the first bytes are not those of a header",
    HAPROXY_MALFORMED: "the header is malformed",
    HAPROXY_TOO_LONG: f"the header is longer than {HAPROXY_HEADER_MAX} bytes",
}


@cython.final
cdef class ProxyHeader:
    """A header as :func:`parse_proxy_header` read it.

    ``source`` and ``destination`` are ``(IP address, port)`` of the client's own connection, or
    None where the addresses of the socket count: LOCAL, UNKNOWN, and what is not TCP over IP.
    ``size`` is the number of bytes that the header took, ``version`` 1 or 2.
    """

    cdef readonly int version
    cdef readonly object source
    cdef readonly object destination
    cdef readonly uint32_t size

    def __repr__(self) -> str:
        return (
            f"ProxyHeader(version={self.version}, source={self.source!r}, "
            f"destination={self.destination!r}, size={self.size})"
        )


cdef str show_address(const uint8_t* address):
    cdef char text[ADDRESS_TEXT]
    cdef bint v4 = is_mapped(address)
    inet_ntop(AF_INET if v4 else AF_INET6, address + 12 if v4 else address, text, ADDRESS_TEXT)
    return (<bytes>text).decode("ascii")


cdef int pack(str host, uint8_t* out) except -1:
    cdef bytes text = host.encode()
    if len(text) == <Py_ssize_t>strlen(text):
        if read_address(text, AF_INET, out) or read_address(text, AF_INET6, out):
            return 0
    raise LocalProtocolError(f"PROXY header: {host!r} is not an IP address")


def parse_proxy_header(data, /) -> ProxyHeader | None:
    """Read the PROXY header that ``data`` begins with; None while it is not whole.

    ``data`` is everything received so far (any object with the buffer protocol); what follows
    the header is left alone. Version 1 as in section 2.1, version 2 as in section 2.2 of the
    specification; TLVs are skipped. At most :data:`MAX_HEADER` bytes are waited for.

    Raises RemoteProtocolError if the data is no header, or a malformed or over-long one.
    """
    cdef const uint8_t[::1] view = data
    cdef uint32_t length = <uint32_t>min(view.shape[0], <Py_ssize_t>HAPROXY_HEADER_MAX)
    cdef haproxy_header_t found
    cdef int size = haproxy_parse(&view[0] if length else NULL, length, &found)
    if size < 0:
        raise RemoteProtocolError(f"PROXY header: {MESSAGES[size]}")
    if size == HAPROXY_MORE:
        return None
    cdef ProxyHeader header = ProxyHeader.__new__(ProxyHeader)
    header.version = found.version
    header.size = size
    if found.proxied:
        header.source = (show_address(found.source), found.source_port)
        header.destination = (show_address(found.destination), found.destination_port)
    return header


def encode_proxy_header(int version, tuple source=None, tuple destination=None, /) -> bytes:
    """Write a PROXY header of version 1 or 2 for TCP (sections 2.1 and 2.2).

    ``source`` and ``destination`` are ``(IP address, port)`` of the connection that is passed
    on; where one is IPv4 and the other IPv6, the IPv4 address is mapped. Without them the
    header says that the connection is the sender's own: LOCAL in version 2; UNKNOWN in version
    1, which some receivers refuse.

    Raises LocalProtocolError for anything that is not such an address, port or version.
    """
    cdef uint8_t near[16]
    cdef uint8_t far[16]
    cdef uint8_t out[HAPROXY_ENCODED_MAX]
    if version not in (1, 2):
        raise LocalProtocolError(f"PROXY header: there is no version {version}")
    if (source is None) != (destination is None):
        raise LocalProtocolError("PROXY header: it has both addresses, or none")
    if source is None:
        return (<char*>out)[:haproxy_encode(version, NULL, 0, NULL, 0, out)]
    for _, port in (source, destination):
        if not 0 <= port <= 65535:
            raise LocalProtocolError(f"PROXY header: {port} is not a port")
    pack(source[0], far)
    pack(destination[0], near)
    return (<char*>out)[:haproxy_encode(version, far, source[1], near, destination[1], out)]
