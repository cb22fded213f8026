"""The two queues between a worker and Python."""

from libc.string cimport memcpy, memset

from mcproxy._speedups.plane.limits cimport RING_BYTES, RING_RESERVED
from mcproxy._speedups.plane.reasons cimport COUNT_EVENTS_DROPPED
from mcproxy._speedups.plane.system cimport (
    mcp_count,
    mcp_exchange,
    mcp_load64,
    mcp_push,
    mcp_store64,
    write,
)

cdef event* ring_begin(worker* w, int kind, uint32_t extra) noexcept nogil:
    cdef uint32_t size = (<uint32_t>sizeof(event) + extra + 7) & ~<uint32_t>7
    cdef uint64_t used = w.ring_head - <uint64_t>mcp_load64(<int64_t*>&w.ring_tail)
    cdef uint32_t at = <uint32_t>(w.ring_head % RING_BYTES)
    cdef uint32_t skip = 0
    cdef uint32_t bound = RING_BYTES
    cdef event* e
    if kind < EVENT_STATUS_WANTED:
        bound = RING_BYTES - RING_RESERVED
    if at + size > RING_BYTES:
        skip = RING_BYTES - at
    if used + skip + size > bound:
        if kind < EVENT_STATUS_WANTED:
            mcp_count(&w.counters[COUNT_EVENTS_DROPPED], 1)
        return NULL
    if skip:
        e = <event*>(w.ring + at)
        e.size = skip
        e.kind = EVENT_SKIP
        mcp_store64(<int64_t*>&w.ring_head, w.ring_head + skip)
        at = 0
    e = <event*>(w.ring + at)
    memset(e, 0, sizeof(event))
    e.size = size
    e.kind = kind
    return e


cdef void ring_commit(worker* w, event* e) noexcept nogil:
    if e.kind >= EVENT_STATUS_WANTED:
        w.ring_urgent = True
    mcp_store64(<int64_t*>&w.ring_head, w.ring_head + e.size)


cdef event* ring_peek(worker* w) noexcept nogil:
    cdef event* e
    while w.ring_tail != <uint64_t>mcp_load64(<int64_t*>&w.ring_head):
        e = <event*>(w.ring + w.ring_tail % RING_BYTES)
        if e.kind != EVENT_SKIP:
            return e
        mcp_store64(<int64_t*>&w.ring_tail, w.ring_tail + e.size)
    return NULL


cdef void ring_pop(worker* w, event* e) noexcept nogil:
    mcp_store64(<int64_t*>&w.ring_tail, w.ring_tail + e.size)


cdef void ring_notify(worker* w) noexcept nogil:
    cdef uint64_t one = 1
    if w.ring_urgent:
        w.ring_urgent = False
        write(w.event_fd, &one, sizeof(one))


cdef void event_session(event* e, session* s) noexcept nogil:
    e.slot = s.slot
    e.generation = s.generation
    e.server = s.server.id if s.server != NULL else -1
    e.protocol = s.protocol
    e.intent = s.intent
    e.legacy = s.legacy
    e.serverbound = s.backend.written
    e.clientbound = s.client.written
    e.duration_ms = s.owner.now_ms - s.opened_ms
    memcpy(e.address, s.address, 16)
    memcpy(e.local, s.local, 16)
    e.port = s.port
    e.local_port = s.local_port


cdef void command_push(worker* w, command* c) noexcept nogil:
    cdef uint64_t one = 1
    mcp_push(&w.commands, c, <void**>&c.next)
    write(w.command_fd, &one, sizeof(one))


cdef command* command_take(worker* w) noexcept nogil:
    cdef command* newest = <command*>mcp_exchange(&w.commands, NULL)
    cdef command* oldest = NULL
    cdef command* following
    while newest != NULL:
        following = newest.next
        newest.next = oldest
        oldest = newest
        newest = following
    return oldest
