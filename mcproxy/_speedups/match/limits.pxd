# Token buckets and connection counts per network prefix, for all threads, in fixed memory.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    LIMIT_CONNECTIONS = 0
    LIMIT_STATUS = 1
    LIMIT_LOGINS = 2
    LIMIT_KINDS = 3

cdef enum limit_verdict:
    LIMIT_PASSED = 0
    LIMIT_UNTRACKED = 1         # passed, and nothing is remembered of it
    LIMIT_RATE = 2              # no token is left
    LIMIT_CONCURRENT = 3        # too many are open

cdef struct limit_rates:        # what the buckets hold; may differ from call to call
    int64_t interval_us[LIMIT_KINDS]    # in which one token comes back, 0: no limit
    int64_t burst_us[LIMIT_KINDS]       # in which an empty bucket is full again
    uint32_t concurrent                 # 0: no limit
    uint32_t v4_bits
    uint32_t v6_bits                    # 64 at the most

cdef struct limit_table         # opaque; its memory is taken once

# "entries" is rounded up to a power of two. NULL without memory.
cdef limit_table* limit_table_new(uint32_t entries, uint64_t seed, uint64_t salt) noexcept nogil
cdef void limit_table_free(limit_table* table) noexcept nogil
# What the buckets of an address (16 bytes, IPv4 mapped) go by; never 0.
cdef uint64_t limit_key(const limit_rates* rates, const uint8_t* address) noexcept nogil
# One more connection: takes a token and counts it as open. Only after LIMIT_PASSED must
# limit_leave follow, once, with the same key.
cdef limit_verdict limit_enter(limit_table* table, const limit_rates* rates, uint64_t key,
                               int64_t now_us) noexcept nogil
cdef void limit_leave(limit_table* table, uint64_t key) noexcept nogil
# Takes a token.
cdef limit_verdict limit_take(limit_table* table, const limit_rates* rates, int kind,
                              uint64_t key, int64_t now_us) noexcept nogil
# The token bucket itself: whether a token was there; "full_us" is when it is full again.
cdef bint bucket_take(int64_t* full_us, int64_t interval_us, int64_t burst_us,
                      int64_t now_us) noexcept nogil
