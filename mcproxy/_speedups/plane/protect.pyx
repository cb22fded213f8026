"""Protection: limits per address, what is done beyond them, and the flood mode."""

from libc.stdint cimport int32_t, int64_t

from mcproxy._speedups.match.limits cimport (
    LIMIT_CONCURRENT,
    LIMIT_PASSED,
    LIMIT_RATE,
    LIMIT_UNTRACKED,
    limit_enter,
    limit_key,
    limit_take,
    limit_verdict,
)
from mcproxy._speedups.match.prefixes cimport prefix_lookup
from mcproxy._speedups.plane.layout cimport (
    ACTION_CLOSE,
    ACTION_DROP,
    ACTION_MESSAGE,
    ACTION_TARPIT,
    protection,
    shared,
)
from mcproxy._speedups.plane.life cimport count, drop_first, handshake_ms, move, session_end, tell
from mcproxy._speedups.plane.limits cimport FLOOD_WINDOW_MS, TARPIT_MOST, TARPIT_MS
from mcproxy._speedups.plane.reasons cimport (
    COUNT_FLOODS,
    COUNT_TARPIT,
    COUNT_UNTRACKED,
    REASON_NONE,
    REASON_RATE_CONNECTIONS,
    REASON_TOO_MANY_OPEN,
)
from mcproxy._speedups.plane.records cimport blob_retain
from mcproxy._speedups.plane.ring cimport EVENT_FLOOD_BEGAN, EVENT_FLOOD_ENDED
from mcproxy._speedups.plane.states cimport STATE_TARPIT
from mcproxy._speedups.plane.system cimport (
    mcp_add,
    mcp_load,
    mcp_load64,
    mcp_replace64,
    mcp_reset_on_close,
    mcp_store,
    mcp_store64,
    mcp_swap,
)
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport say, words_on
from mcproxy._speedups.wire.legacy cimport LEGACY_BETA

# ---- Limits. ----

cdef int entry_refused(worker* w, const uint8_t* address, uint64_t* key,
                       bint* open) noexcept nogil:
    cdef protection* p = &w.current.protect
    cdef limit_verdict verdict
    if p.exempt != NULL and prefix_lookup(p.exempt, address) >= 0:
        return REASON_NONE
    flood_count(w)
    key[0] = limit_key(&p.rates, address)
    verdict = limit_enter(w.common.limits, &p.rates, key[0], w.now_ms * 1000)
    if verdict == LIMIT_RATE:
        return REASON_RATE_CONNECTIONS
    if verdict == LIMIT_CONCURRENT:
        return REASON_TOO_MANY_OPEN
    open[0] = verdict == LIMIT_PASSED
    if verdict == LIMIT_UNTRACKED and p.rates.concurrent:
        count(w, COUNT_UNTRACKED)
    return REASON_NONE


cdef int entry_action(worker* w, int reason) noexcept nogil:
    # In a flood everything that is too much goes the cheapest way.
    if mcp_load(&w.common.flooding):
        return ACTION_DROP
    return w.current.protect.actions[reason - REASON_RATE_CONNECTIONS]


cdef bint refused_at_once(worker* w, int fd, int reason) noexcept nogil:
    cdef int action = entry_action(w, reason)
    if action == ACTION_DROP:
        mcp_reset_on_close(fd)
    return action == ACTION_DROP or action == ACTION_CLOSE or (
        action == ACTION_TARPIT and mcp_load(&w.common.tarpit) >= TARPIT_MOST)


cdef bint over_limit(session* s, int kind) noexcept nogil:
    cdef worker* w = s.owner
    if s.limited:
        tell_limit(s)
        return True
    if s.limit_key == 0 or limit_take(w.common.limits, &w.current.protect.rates, kind,
                                      s.limit_key, w.now_ms * 1000) != LIMIT_RATE:
        return False
    refuse_session(s, REASON_RATE_CONNECTIONS + kind)
    return True


cdef void refuse_session(session* s, int reason) noexcept nogil:
    cdef int action = entry_action(s.owner, reason)
    if action == ACTION_TARPIT:
        tarpit(s, reason)
    elif action == ACTION_MESSAGE:
        s.limited = reason
        tell_limit(s)
    else:
        if action == ACTION_DROP:
            mcp_reset_on_close(s.client.fd)
        session_end(s, reason)


cdef void tell_limit(session* s) noexcept nogil:
    cdef protection* p = &s.owner.current.protect
    if s.legacy:
        say(s, p.beta_text if s.legacy == LEGACY_BETA else p.legacy_text, s.limited)
    elif s.intent >= 2:
        say(s, p.login_text, s.limited)
    elif s.intent == 1:
        # Like any status; the ping behind it is answered too.
        wheel_set(s, s.owner.now_ms + handshake_ms(s.owner))
        s.words = blob_retain(p.status_text)
        s.words_sent = 0
        words_on(s)


cdef void tarpit(session* s, int reason) noexcept nogil:
    cdef worker* w = s.owner
    s.limited = reason
    if s.client.hung_up:
        session_end(s, reason)
        return
    if mcp_add(&w.common.tarpit, 1) > TARPIT_MOST:
        mcp_add(&w.common.tarpit, -1)
        session_end(s, reason)
        return
    move(s, STATE_TARPIT)
    count(w, COUNT_TARPIT)
    drop_first(s)
    wheel_set(s, w.now_ms + TARPIT_MS)


# ---- The flood mode. ----

cdef inline void flood_count(worker* w) noexcept nogil:
    cdef shared* c = w.common
    cdef int64_t bound = w.current.protect.flood_begin
    cdef int32_t fresh
    if bound == 0:
        return
    if w.now_ms - mcp_load64(&c.window_ms) >= FLOOD_WINDOW_MS:
        flood_tick(w)
    fresh = mcp_add(&c.fresh, 1)
    if fresh > bound and mcp_swap(&c.flooding, 1) == 0:
        mcp_store64(&c.flood_ms, w.now_ms)
        mcp_store64(&c.noisy_ms, w.now_ms)
        count(w, COUNT_FLOODS)
        tell(w, EVENT_FLOOD_BEGAN, fresh)


cdef void flood_tick(worker* w) noexcept nogil:
    # One worker ends the window for all.
    cdef shared* c = w.common
    cdef protection* p = &w.current.protect
    cdef int64_t began = mcp_load64(&c.window_ms)
    cdef int64_t passed = w.now_ms - began
    cdef int64_t fresh
    if passed < FLOOD_WINDOW_MS or not mcp_replace64(&c.window_ms, began, w.now_ms):
        return
    fresh = mcp_swap(&c.fresh, 0)
    if not mcp_load(&c.flooding):
        return
    if p.flood_begin and fresh * 1000 > p.flood_end * passed:
        mcp_store64(&c.noisy_ms, w.now_ms)
    elif w.now_ms - mcp_load64(&c.noisy_ms) >= p.flood_calm_ms or p.flood_begin == 0:
        mcp_store(&c.flooding, 0)
        tell(w, EVENT_FLOOD_ENDED, <int>(w.now_ms - mcp_load64(&c.flood_ms)))
