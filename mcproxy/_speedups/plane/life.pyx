"""Sessions begin and end here, and connections are turned away."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from mcproxy._speedups.buffers cimport block_pool_give
from mcproxy._speedups.match.limits cimport limit_leave
from mcproxy._speedups.plane.layout cimport LISTENERS_MOST, side
from mcproxy._speedups.plane.limits cimport (
    PAUSE_MS,
    REFUSALS_PER_SECOND,
    SESSION_MOST,
    SESSION_SLAB,
)
from mcproxy._speedups.plane.reasons cimport (
    COUNT_ACCEPT_PAUSED,
    COUNT_OPEN,
    COUNT_RELAYING,
    COUNT_TARPIT,
    REASON_CLOSED_EARLY,
    REASON_LAST_REFUSAL,
    REASON_STATUS_DONE,
)
from mcproxy._speedups.plane.records cimport blob_release, server_release
from mcproxy._speedups.plane.relay cimport relay_drop
from mcproxy._speedups.plane.ring cimport (
    EVENT_CLOSED,
    EVENT_PAUSED,
    EVENT_REFUSED,
    event,
    event_session,
    ring_begin,
    ring_commit,
)
from mcproxy._speedups.plane.states cimport STATE_FREE, STATE_TARPIT
from mcproxy._speedups.plane.status cimport status_leave
from mcproxy._speedups.plane.system cimport close, mcp_add, mcp_epoll_remove, mcp_load
from mcproxy._speedups.plane.wheel cimport wheel_clear


cdef session* session_new(worker* w) noexcept nogil:
    cdef session* s = w.free_sessions
    if s == NULL:
        if not grow(w):
            return NULL
        s = w.free_sessions
    w.free_sessions = s.ready_next
    cdef uint32_t slot = s.slot
    cdef uint32_t generation = s.generation
    memset(s, 0, sizeof(session))
    s.slot = slot
    s.generation = generation
    s.owner = w
    s.client.fd = s.backend.fd = -1
    s.client.pipe_in = s.client.pipe_out = -1
    s.backend.pipe_in = s.backend.pipe_out = -1
    s.opened_ms = s.first_ms = s.active_ms = w.now_ms
    return s


cdef bint grow(worker* w) noexcept nogil:
    cdef session** slabs
    cdef session** before
    cdef session* slab
    cdef int i
    if w.slab_count * SESSION_SLAB >= SESSION_MOST:
        return False
    slabs = <session**>malloc((w.slab_count + 1) * sizeof(session*))
    slab = <session*>calloc(SESSION_SLAB, sizeof(session))
    if slabs == NULL or slab == NULL:
        free(slabs)
        free(slab)
        return False
    if w.slab_count:
        memcpy(slabs, w.slabs, w.slab_count * sizeof(session*))
    slabs[w.slab_count] = slab
    before = w.slabs
    w.slabs = slabs                 # a child forked at any moment finds a whole list
    free(before)
    for i in range(SESSION_SLAB - 1, -1, -1):
        slab[i].slot = w.slab_count * SESSION_SLAB + i
        slab[i].owner = w
        slab[i].ready_next = w.free_sessions
        w.free_sessions = &slab[i]
    w.slab_count += 1
    return True


cdef session* session_find(worker* w, unsigned int slot, unsigned int generation) noexcept nogil:
    cdef session* s
    if slot >= w.slab_count * SESSION_SLAB:
        return NULL
    s = &w.slabs[slot // SESSION_SLAB][slot % SESSION_SLAB]
    return s if s.state != STATE_FREE and s.generation == generation else NULL


cdef void session_end(session* s, int reason) noexcept nogil:
    cdef worker* w = s.owner
    if s.state == STATE_FREE:
        return
    if s.client.fd >= 0:
        part_from_client(s, s.limited if s.limited and not s.relayed else reason)
    if s.limit_open:
        limit_leave(w.common.limits, s.limit_key)
    if s.state == STATE_TARPIT:
        mcp_add(&w.common.tarpit, -1)
        mcp_count(&w.counters[COUNT_TARPIT], <uint64_t>-1)
    wheel_clear(s)
    status_leave(s)
    if s.consulting:
        w.consulting -= 1
        s.consulting = False
    if s.backend.fd >= 0:
        close_side(&s.backend)
    if s.engaged != NULL:
        mcp_add(&s.engaged.sessions, -1)
        s.engaged = NULL
    relay_drop(s, &s.client)
    relay_drop(s, &s.backend)
    drop_first(s)
    blob_release(s.words)
    s.words = NULL
    server_release(s.server)
    s.server = NULL
    move(s, STATE_FREE)
    s.generation += 1
    # Later events of this turn may still name the session: it is reused from the next on.
    s.wait_next = w.dead_sessions
    w.dead_sessions = s


cdef void part_from_client(session* s, int reason) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e
    mcp_count(&w.ended[reason], 1)
    if s.relayed:
        mcp_count(&w.counters[COUNT_RELAYING], <uint64_t>-1)
        e = ring_begin(w, EVENT_CLOSED, 0) if mcp_load(&w.common.tells_sessions) else NULL
    else:
        e = refusal(w, reason) if reason <= REASON_LAST_REFUSAL and not s.told else NULL
    if e != NULL:
        event_session(e, s)
        e.reason = reason
        ring_commit(w, e)
    close_side(&s.client)
    w.session_count -= 1
    mcp_count(&w.counters[COUNT_OPEN], <uint64_t>-1)
    mcp_add(&w.common.open_sessions, -1)


cdef inline void close_side(side* one) noexcept nogil:
    cdef int fd = one.fd
    one.fd = -1                     # first: a child forked in between must not close it as well
    close(fd)


cdef void drop_first(session* s) noexcept nogil:
    if s.first != NULL:
        block_pool_give(&s.owner.first_blocks, <char*>s.first)
        s.first = NULL


cdef int left_early(session* s) noexcept nogil:
    # The reason, when the client left before a relay.
    if s.words_reason:
        return s.words_reason
    return REASON_STATUS_DONE if s.status_asked and s.words == NULL else REASON_CLOSED_EARLY


cdef void turn_away(worker* w, int fd, int why, const uint8_t* address,
                    uint16_t port) noexcept nogil:
    cdef event* e = refusal(w, why)
    mcp_count(&w.ended[why], 1)
    close(fd)
    if e != NULL:
        memcpy(e.address, address, 16)
        e.port = port
        e.server = -1
        ring_commit(w, e)


cdef bint refusal_may_be_told(worker* w) noexcept nogil:
    if mcp_load(&w.common.flooding):
        return False                # in a flood there is no time for each one
    if w.now_ms // 1000 != w.refusals_second:
        w.refusals_second = w.now_ms // 1000
        w.refusals_told = 0
    if w.refusals_told >= REFUSALS_PER_SECOND:
        return False
    w.refusals_told += 1
    return True


cdef event* refusal(worker* w, int why) noexcept nogil:
    cdef event* e = ring_begin(w, EVENT_REFUSED, 0) if refusal_may_be_told(w) else NULL
    if e != NULL:
        e.reason = why
    return e


cdef void tell(worker* w, int kind, int detail) noexcept nogil:
    cdef event* e = ring_begin(w, kind, 0)
    if e != NULL:
        e.detail = detail
        ring_commit(w, e)


cdef void pause_accepting(worker* w, int error) noexcept nogil:
    # The connections wait in the kernel's queue; the worker's loop tries again.
    cdef uint64_t i
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            mcp_epoll_remove(w.epoll, w.listeners[i].fd)
    w.paused_until_ms = w.now_ms + PAUSE_MS
    if not w.pause_told:
        w.pause_told = True
        count(w, COUNT_ACCEPT_PAUSED)
        tell(w, EVENT_PAUSED, error)
