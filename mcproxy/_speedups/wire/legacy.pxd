# Pings from before 1.7, told apart from modern frames. 0xFE is also the first byte of a
# modern length prefix (254 = FE 01, 382 = FE 02 ...), so one byte never decides.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum:
    LEGACY_PING_MAX = 1024          # bytes of the longest 1.6 ping that is read

cdef enum legacy_kind:
    LEGACY_NOT = 0                  # a modern frame
    LEGACY_UNDECIDED = 1            # more bytes, or the timer, must decide
    LEGACY_BETA = 2                 # FE: Beta 1.8 to 1.3
    LEGACY_14 = 3                   # FE 01: 1.4 and 1.5
    LEGACY_16 = 4                   # FE 01 FA MC|PingHost: 1.6, host and port are known
    LEGACY_LOGIN = 5                # 02: a login from before 1.7
    LEGACY_BAD = -1                 # FE 01 FA and then nonsense

cdef struct legacy_ping_t:
    int32_t protocol                # 1.6 only
    int32_t port                    # 1.6 only
    const uint8_t* host             # 1.6 only: UTF-16BE, borrowed
    uint32_t host_units             # UTF-16 units
    uint32_t size                   # bytes that the ping took

# timer_expired: nothing came for LEGACY_PING_WAIT; then FE and FE 01 alone are legacy pings.
cdef int legacy_probe(const uint8_t* data, uint32_t length, bint timer_expired,
                      legacy_ping_t* out) noexcept nogil
