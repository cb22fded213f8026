"""Token buckets and connection counts per network prefix, for all threads, in fixed memory.

The table is set-associative: the seeded hash of a prefix chooses a set of eight places, and a
prefix stands in one of them or nowhere. Nothing is allocated after the beginning.

A bucket is one number, the time at which it is full again (the "generic cell rate algorithm").
A place whose buckets are full and which counts no open connection says the same as no place at
all: forgetting it loses nothing, so it needs no sweep; it is given to the next newcomer. Where no
such place is left, the one goes that would be full soonest. What an attacker with many addresses
can bring about is therefore this:

- He cannot make the table grow.
- He cannot choose whom he displaces: the seed is secret. Whoever is displaced starts with full
  buckets, which is in the favour of a player who kept within his limits.
- To have an address forgotten that has used its tokens up, he needs eight more in the same set
  that have used more; with so many addresses he has that many tokens anyway.
- A place that counts open connections is never given away. With all eight of a set counting, a
  newcomer passes without being remembered: refusing would let an attacker who holds many
  connections open lock players out. He is bounded by the number of connections at once.

The workers accept connections of one address side by side (SO_REUSEPORT), so the table is one for
all, with a spin lock per set. A lock is held for some ten nanoseconds and two workers rarely want
the same; that is simpler than several words changed by compare-and-swap, and exact.
"""

import os
import time

cimport cython
from libc.stdlib cimport free
from libc.string cimport memset

from mcproxy._speedups.match.prefixes cimport packed_address

__all__ = ["RateLimiter"]

cdef enum:
    WAYS = 8
    ENTRIES_MOST = 1 << 24

cdef extern from * nogil:
    """
    #include <sched.h>
    #include <stdint.h>
    #include <stdlib.h>

    static inline void mcp_spin_lock(uint32_t *lock) {
        int spins = 0;
        while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) {
            /* Its holder may have been put to sleep by the kernel. */
            while (__atomic_load_n(lock, __ATOMIC_RELAXED)) {
                if (++spins > 200) { spins = 0; sched_yield(); }
            }
        }
    }

    static inline void mcp_spin_unlock(uint32_t *lock) {
        __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    }

    /* The two halves of a product of 128 bits, folded: every bit of both moves all of it. */
    static inline uint64_t mcp_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

    static inline uint64_t mcp_big_endian(const uint8_t *bytes, int count) {
        uint64_t value = 0;
        for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
        return value;
    }

    static inline void *mcp_lines(size_t size) {
        void *lines = NULL;
        return posix_memalign(&lines, 64, size) == 0 ? lines : NULL;
    }
    """
    void mcp_spin_lock(uint32_t* lock)
    void mcp_spin_unlock(uint32_t* lock)
    uint64_t mcp_fold(uint64_t a, uint64_t b)
    uint64_t mcp_big_endian(const uint8_t* address, int count)
    void* mcp_lines(size_t size)

cdef struct limit_set:              # five lines of the cache
    uint32_t lock
    uint32_t open[WAYS]
    uint32_t spare[7]
    uint64_t keys[WAYS]             # 0: nobody
    int64_t full_us[LIMIT_KINDS][WAYS]

cdef struct limit_table:
    limit_set* sets
    uint32_t mask
    uint64_t seed
    uint64_t salt


cdef limit_table* limit_table_new(uint32_t entries, uint64_t seed, uint64_t salt) noexcept nogil:
    cdef uint32_t count = 1
    cdef limit_table* table
    while count * WAYS < entries and count * WAYS < ENTRIES_MOST:
        count *= 2
    table = <limit_table*>mcp_lines(sizeof(limit_table))
    if table == NULL:
        return NULL
    table.sets = <limit_set*>mcp_lines(count * sizeof(limit_set))
    if table.sets == NULL:
        free(table)
        return NULL
    memset(table.sets, 0, count * sizeof(limit_set))
    table.mask = count - 1
    table.seed = seed
    table.salt = salt | 1
    return table


cdef void limit_table_free(limit_table* table) noexcept nogil:
    if table != NULL:
        free(table.sets)
        free(table)


cdef uint64_t limit_key(const limit_rates* rates, const uint8_t* address) noexcept nogil:
    cdef uint64_t head = mcp_big_endian(address, 8)
    cdef uint64_t tail = mcp_big_endian(address + 8, 8)
    cdef uint64_t form = 0xFFFF, one = 1, key
    if head == 0 and tail >> 32 == 0xFFFF:
        # Multicast has this form in IPv6, and multicast connects to nobody.
        return form << 48 | (<uint32_t>tail & ~((one << (32 - rates.v4_bits)) - 1))
    key = head & ~((one << (64 - rates.v6_bits)) - 1) if rates.v6_bits else 0
    return key if key else 1        # ::/64, of which only ::1 is ever seen


cdef inline limit_set* set_of(limit_table* table, uint64_t key) noexcept nogil:
    return &table.sets[mcp_fold(key ^ table.seed, table.salt) & table.mask]


cdef inline int find(const limit_set* s, uint64_t key) noexcept nogil:
    cdef int way
    for way in range(WAYS):
        if s.keys[way] == key:
            return way
    return -1


cdef inline int64_t all_full_us(const limit_set* s, int way) noexcept nogil:
    cdef int64_t latest = s.full_us[0][way]
    cdef int kind
    for kind in range(1, LIMIT_KINDS):
        if s.full_us[kind][way] > latest:
            latest = s.full_us[kind][way]
    return latest


cdef int claim(limit_set* s, uint64_t key) noexcept nogil:
    # A place for a newcomer, with full buckets; -1: every place counts open connections.
    cdef int way, kind
    cdef int best = -1
    cdef int64_t soonest = 0, full
    for way in range(WAYS):
        if s.keys[way] == 0:
            best = way
            break
        if s.open[way]:
            continue
        full = all_full_us(s, way)
        if best < 0 or full < soonest:
            best = way
            soonest = full
    if best >= 0:
        s.keys[best] = key
        for kind in range(LIMIT_KINDS):
            s.full_us[kind][best] = 0
    return best


cdef bint bucket_take(int64_t* full_us, int64_t interval_us, int64_t burst_us,
                      int64_t now_us) noexcept nogil:
    cdef int64_t full = full_us[0] if full_us[0] > now_us else now_us
    if full + interval_us - now_us > burst_us:
        return False
    full_us[0] = full + interval_us
    return True


cdef limit_verdict limit_enter(limit_table* table, const limit_rates* rates, uint64_t key,
                               int64_t now_us) noexcept nogil:
    cdef limit_set* s
    cdef int way
    cdef int64_t interval = rates.interval_us[LIMIT_CONNECTIONS]
    cdef limit_verdict verdict = LIMIT_PASSED
    if interval == 0 and rates.concurrent == 0:
        return LIMIT_UNTRACKED
    s = set_of(table, key)
    mcp_spin_lock(&s.lock)
    way = find(s, key)
    if way < 0:
        way = claim(s, key)
    if way < 0:
        verdict = LIMIT_UNTRACKED
    elif s.open[way] >= rates.concurrent > 0:
        verdict = LIMIT_CONCURRENT
    elif interval and not bucket_take(&s.full_us[LIMIT_CONNECTIONS][way], interval,
                                      rates.burst_us[LIMIT_CONNECTIONS], now_us):
        verdict = LIMIT_RATE
    elif rates.concurrent:
        s.open[way] += 1
    else:
        verdict = LIMIT_UNTRACKED
    mcp_spin_unlock(&s.lock)
    return verdict


cdef void limit_leave(limit_table* table, uint64_t key) noexcept nogil:
    cdef limit_set* s = set_of(table, key)
    cdef int way
    mcp_spin_lock(&s.lock)
    way = find(s, key)
    if way >= 0 and s.open[way]:
        s.open[way] -= 1
    mcp_spin_unlock(&s.lock)


cdef limit_verdict limit_take(limit_table* table, const limit_rates* rates, int kind,
                              uint64_t key, int64_t now_us) noexcept nogil:
    cdef limit_set* s
    cdef int way
    cdef limit_verdict verdict = LIMIT_PASSED
    if rates.interval_us[kind] == 0:
        return LIMIT_UNTRACKED
    s = set_of(table, key)
    mcp_spin_lock(&s.lock)
    way = find(s, key)
    if way < 0:
        way = claim(s, key)
    if way < 0:
        verdict = LIMIT_UNTRACKED
    elif not bucket_take(&s.full_us[kind][way], rates.interval_us[kind], rates.burst_us[kind],
                         now_us):
        verdict = LIMIT_RATE
    mcp_spin_unlock(&s.lock)
    return verdict


@cython.final
cdef class RateLimiter:
    """A token bucket, and a count of open connections, for every address prefix.

    ``rate``: tokens per second that come back, more than 0; ``burst``: tokens of a full bucket,
    at least 1; ``concurrent``: connections of one prefix that may be open, 0: any number.
    ``prefix_v4`` (0 to 32) and ``prefix_v6`` (0 to 64) are the lengths of the prefixes that share
    a bucket: whoever has an IPv6 address has a /64 of them. ``entries`` prefixes are remembered
    at the most, in memory that is taken at once (40 bytes each, rounded up to a power of two);
    beyond that, those are forgotten first whose buckets are nearly full. Safe to use from
    several threads.

    Addresses are text, 4 or 16 bytes, or objects of `ipaddress`; times are seconds of any clock
    that does not go back, `time.monotonic` where ``now`` is left out. Raises `ValueError` for
    what is out of range, and for what is no address.
    """

    cdef limit_table* table
    cdef limit_rates rates

    def __cinit__(self, double rate, int64_t burst, *, uint32_t concurrent=0,
                  uint32_t prefix_v4=32, uint32_t prefix_v6=64, uint32_t entries=65536):
        if not 1e-6 <= rate <= 1e6 or not 1 <= burst <= 1000000:
            raise ValueError("rate is above 0 and burst at least 1; both are 1,000,000 at most")
        if prefix_v4 > 32 or prefix_v6 > 64:
            raise ValueError("prefix_v4 is 0 to 32, prefix_v6 is 0 to 64")
        if not 1 <= entries <= ENTRIES_MOST:
            raise ValueError(f"entries is 1 to {ENTRIES_MOST}")
        self.rates.interval_us[LIMIT_CONNECTIONS] = max(<int64_t>1, <int64_t>(1e6 / rate))
        self.rates.burst_us[LIMIT_CONNECTIONS] = \
            burst * self.rates.interval_us[LIMIT_CONNECTIONS]
        self.rates.concurrent = concurrent
        self.rates.v4_bits = prefix_v4
        self.rates.v6_bits = prefix_v6
        self.table = limit_table_new(entries, int.from_bytes(os.urandom(8), "big"),
                                     int.from_bytes(os.urandom(8), "big"))
        if self.table == NULL:
            raise MemoryError

    def __dealloc__(self):
        limit_table_free(self.table)

    cdef uint64_t key(self, object address) except 0:
        cdef bytes packed = packed_address(address)
        return limit_key(&self.rates, <const uint8_t*><const char*>packed)

    def allow(self, address, now=None):
        """Take a token of the address's prefix; False when none is left."""
        return limit_take(self.table, &self.rates, LIMIT_CONNECTIONS, self.key(address),
                          _microseconds(now)) != LIMIT_RATE

    def enter(self, address, now=None):
        """Take a token and count a connection as open; False when either limit forbids it.

        After True, call `leave` once when the connection has ended.
        """
        return limit_enter(self.table, &self.rates, self.key(address),
                           _microseconds(now)) < LIMIT_RATE

    def leave(self, address):
        """A connection that was entered has ended."""
        limit_leave(self.table, self.key(address))

    def remembered(self, now=None):
        """Prefixes that have used tokens which are not back yet, or have connections open."""
        cdef int64_t now_us = _microseconds(now)
        cdef limit_set* s
        cdef uint32_t i
        cdef int way
        cdef int count = 0
        for i in range(self.table.mask + 1):
            s = &self.table.sets[i]
            for way in range(WAYS):
                if s.keys[way] and (s.open[way] or all_full_us(s, way) > now_us):
                    count += 1
        return count

    @property
    def size(self):
        """Bytes of memory, whatever happens."""
        return sizeof(limit_table) + (self.table.mask + 1) * sizeof(limit_set)


cdef int64_t _microseconds(object now) except? -1:
    return <int64_t>(1e6 * <double>(time.monotonic() if now is None else now))


def _bench(RateLimiter limiter, uint32_t prefixes, uint32_t rounds):
    # Nanoseconds per decision, over so many prefixes again and again; for benchmarks.
    cdef uint32_t i, _
    cdef int64_t passed = 0
    started = time.perf_counter()
    with nogil:
        for _ in range(rounds):
            for i in range(prefixes):
                passed += limit_take(limiter.table, &limiter.rates, LIMIT_CONNECTIONS,
                                     i + 1, i) != LIMIT_RATE
    return 1e9 * (time.perf_counter() - started) / (rounds * prefixes), passed
