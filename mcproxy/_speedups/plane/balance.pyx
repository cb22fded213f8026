"""Load balancing over the addresses of a server.

An address is left out while health checks find it down, while it is drained, and for a while after
dials to it failed. When nothing else is left, those that seem down are tried all the same: a wrong
verdict must not close a server that answers.
"""

from libc.stdint cimport int32_t

from mcproxy._speedups.plane.layout cimport (
    BALANCE_FIRST_AVAILABLE,
    BALANCE_LEAST_CONN,
    BALANCE_ROUND_ROBIN,
    endpoint,
)
from mcproxy._speedups.plane.limits cimport EJECT_MOST_MS, EJECT_MS
from mcproxy._speedups.plane.system cimport mcp_add, mcp_load, mcp_load64, mcp_store, mcp_store64

cdef enum:
    FULL_SHARE = 100            # of a weight; slow start begins with a tenth


cdef int balance_choose(server_rec* r, uint32_t tried, int64_t now_ms) noexcept nogil:
    cdef int chosen
    if r.balance == BALANCE_ROUND_ROBIN:
        chosen = round_robin(r, tried, now_ms)
    elif r.balance == BALANCE_LEAST_CONN:
        chosen = least_connections(r, tried, now_ms)
    else:
        chosen = first(r, tried, now_ms, False)
    return chosen if chosen >= 0 else first(r, tried, now_ms, True)


cdef bint balance_usable(const endpoint* e, int64_t now_ms) noexcept nogil:
    return (mcp_load(&e.known.up) and not mcp_load(&e.known.draining)
            and mcp_load64(&e.known.ejected_until_ms) <= now_ms)


cdef int first(server_rec* r, uint32_t tried, int64_t now_ms, bint desperate) noexcept nogil:
    cdef int i
    for i in range(r.endpoint_count):
        if tried >> i & 1:
            continue
        if balance_usable(&r.endpoints[i], now_ms):
            return i
        if desperate and not mcp_load(&r.endpoints[i].known.draining):
            return i
    return -1


cdef inline int64_t share(server_rec* r, endpoint* e, int64_t now_ms) noexcept nogil:
    # The weight in hundredths, less while an address that came back is warming up.
    cdef int64_t up_for = now_ms - mcp_load64(&e.known.up_since_ms)
    if up_for >= r.slow_start_ms:
        return <int64_t>e.weight * FULL_SHARE
    return e.weight * max(FULL_SHARE // 10, FULL_SHARE * up_for // r.slow_start_ms)


cdef int round_robin(server_rec* r, uint32_t tried, int64_t now_ms) noexcept nogil:
    # A share of the circle for each address; a turn moves on by the share of one weight, so that
    # as many turns as there are weights are one circle, exactly.
    cdef int64_t total = 0, at
    cdef int i
    for i in range(r.endpoint_count):
        if not tried >> i & 1 and balance_usable(&r.endpoints[i], now_ms):
            total += share(r, &r.endpoints[i], now_ms)
    if total == 0:
        return -1
    at = (<int64_t>mcp_add(&r.turn, 1) & 0x7FFFFFFF) * FULL_SHARE % total
    for i in range(r.endpoint_count):
        if not tried >> i & 1 and balance_usable(&r.endpoints[i], now_ms):
            at -= share(r, &r.endpoints[i], now_ms)
            if at < 0:
                return i
    return -1


cdef int least_connections(server_rec* r, uint32_t tried, int64_t now_ms) noexcept nogil:
    # The fewest sessions per weight; among equals the turn decides.
    cdef int best = -1, i, k
    cdef int64_t best_load = 0, best_share = 1, load, part
    cdef int start = <int>((<uint32_t>mcp_add(&r.turn, 1)) % <uint32_t>max(r.endpoint_count, 1))
    for k in range(r.endpoint_count):
        i = (start + k) % r.endpoint_count
        if tried >> i & 1 or not balance_usable(&r.endpoints[i], now_ms):
            continue
        load = mcp_load(&r.endpoints[i].known.sessions) + 1
        part = share(r, &r.endpoints[i], now_ms)
        if best < 0 or load * best_share < best_load * part:
            best, best_load, best_share = i, load, part
    return best


cdef bint balance_fits(server_rec* r, int index, int best, int64_t now_ms) noexcept nogil:
    cdef endpoint* one = &r.endpoints[index]
    cdef endpoint* other = &r.endpoints[best]
    if r.balance == BALANCE_FIRST_AVAILABLE:
        return index == best
    return (mcp_load(&one.known.sessions) * share(r, other, now_ms)
            <= mcp_load(&other.known.sessions) * share(r, one, now_ms))


cdef void balance_good(target* t, int64_t now_ms) noexcept nogil:
    if mcp_load(&t.failures):
        mcp_store(&t.failures, 0)
        mcp_store64(&t.ejected_until_ms, 0)
        mcp_store64(&t.up_since_ms, now_ms)


cdef bint balance_bad(target* t, int64_t now_ms) noexcept nogil:
    cdef int32_t failures
    cdef int64_t pause = EJECT_MS
    if mcp_load64(&t.ejected_until_ms) > now_ms:
        return False            # a dial that had begun before: it says nothing new
    failures = mcp_add(&t.failures, 1)
    while failures > 1 and pause < EJECT_MOST_MS:
        failures -= 1
        pause *= 2
    mcp_store64(&t.ejected_until_ms, now_ms + min(pause, <int64_t>EJECT_MOST_MS))
    return True
