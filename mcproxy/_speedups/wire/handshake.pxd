# The first packets of a modern connection, read without a Python object: the data plane
# and mcproxy.minecraft.handshake share these, so there is one reading of the protocol.
# "body" starts at the packet id, behind the length prefix of the frame; "end" is its end.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum:
    HANDSHAKE_BODY_MAX = 793        # packet id + 9 + 3 * (255 + len("\0FML\0") + 1)
    HOST_UNITS_MAX = 255            # UTF-16 units of the host before a Forge suffix
    HOST_CLEAN_MAX = 255            # bytes of a host that can be routed
    NAME_UNITS_MAX = 16
    LOGIN_START_NEWEST = 777        # the newest protocol whose Login Start is known
    SNAPSHOT_BIT = 0x40000000       # protocol numbers of snapshots have it

cdef enum handshake_error:
    HANDSHAKE_OK = 0
    HANDSHAKE_TRUNCATED = -1        # a field runs past the end of the frame
    HANDSHAKE_TRAILING = -2         # bytes are left over
    HANDSHAKE_BAD_ID = -3           # not packet 0x00
    HANDSHAKE_BAD_INTENT = -4       # not 1, 2, 3
    HANDSHAKE_HOST_TOO_LONG = -5
    HANDSHAKE_BAD_TEXT = -6         # not UTF-8
    HANDSHAKE_NAME_TOO_LONG = -7
    HANDSHAKE_NAME_EMPTY = -8
    HANDSHAKE_BAD_LENGTH = -9       # a length below zero or above its bound, an endless VarInt

cdef struct handshake_t:
    int32_t protocol
    int32_t intent                  # 1 status, 2 login, 3 transfer
    const uint8_t* host             # borrowed from the frame, with every suffix
    uint32_t host_len
    uint16_t port

cdef struct login_start_t:
    const uint8_t* name             # borrowed from the frame
    uint32_t name_len               # bytes
    bint has_uuid
    uint8_t uuid[16]                # big-endian, as on the wire

# Both return handshake_error values. The caller bounds the frame: HANDSHAKE_BODY_MAX and
# login_start_body_max, before it buffers anything.
cdef int handshake_parse(const uint8_t* body, const uint8_t* end, handshake_t* out) noexcept nogil
cdef int login_start_parse(const uint8_t* body, const uint8_t* end, int32_t protocol,
                           login_start_t* out) noexcept nogil
# Bytes of the longest Login Start that this protocol can have, packet id included.
cdef uint32_t login_start_body_max(int32_t protocol) noexcept nogil

# The host as routes know it: lower case, without Forge suffix (from the first NUL),
# TCPShield suffix (from "///"), trailing dots, IPv6 brackets, and the prefix of an SRV target
# ("_minecraft._tcp.", at Cloudflare "_dc-srv.130c90ab9de1._minecraft._tcp."). ASCII case only:
# clients send international names in their xn-- form.
# out has room for HOST_CLEAN_MAX bytes; returns the length, or HANDSHAKE_HOST_TOO_LONG.
cdef int host_clean(const uint8_t* raw, uint32_t length, uint8_t* out) noexcept nogil
