"""Status requests: from the table, or the control plane is asked once for all who wait."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from mcproxy._speedups.match.limits cimport LIMIT_STATUS
from mcproxy._speedups.plane.consult cimport consult
from mcproxy._speedups.plane.frame cimport FRAME_INCOMPLETE, FRAME_OVERSIZED, frame_at
from mcproxy._speedups.plane.layout cimport HOOK_STATUS, PROTOCOL_LEGACY, status_entry
from mcproxy._speedups.plane.life cimport count, handshake_ms, move, session_end
from mcproxy._speedups.plane.limits cimport STATUS_WAIT_MS
from mcproxy._speedups.plane.protect cimport over_limit
from mcproxy._speedups.plane.reasons cimport (
    COUNT_LEGACY_PINGS,
    COUNT_STATUS_ANSWERED,
    COUNT_STATUS_WANTED,
    REASON_BAD_STATUS,
    REASON_CONTROL_BUSY,
    REASON_FRAME_TOO_LONG,
    REASON_MEMORY,
    REASON_STATUS_DONE,
)
from mcproxy._speedups.plane.records cimport blob_release, blob_retain
from mcproxy._speedups.plane.ring cimport (
    EVENT_CONSULT_STATUS,
    EVENT_STATUS_WANTED,
    event,
    event_session,
    ring_begin,
    ring_commit,
)
from mcproxy._speedups.plane.states cimport (
    STATE_FREE,
    STATE_LINGER,
    STATE_STATUS,
    STATE_STATUS_WAIT,
    STATE_TARPIT,
)
from mcproxy._speedups.plane.status cimport status_find, status_key, status_leave, status_wait
from mcproxy._speedups.plane.wheel cimport wheel_set
from mcproxy._speedups.plane.words cimport pong, say, words_on
from mcproxy._speedups.wire.legacy cimport LEGACY_BETA


cdef void status_packets(session* s) noexcept nogil:
    # One request and one ping, in this order; a ping alone is answered too.
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef int size
    while s.state not in (STATE_FREE, STATE_LINGER, STATE_TARPIT):
        size = frame_at(s, 9, &body, &end)
        if size == FRAME_INCOMPLETE:
            return
        if size == 2 and body[0] == 0 and not s.status_asked:
            s.first_used += size
            s.status_asked = True
            ask_status(s)
        elif size == 10 and body[0] == 1 and not s.ping_waits:
            s.first_used += size
            memcpy(s.ping, body + 1, 8)
            s.ping_waits = True
            if s.state == STATE_STATUS and s.words == NULL:
                pong(s)
            return
        else:
            session_end(s, REASON_FRAME_TOO_LONG if size == FRAME_OVERSIZED else REASON_BAD_STATUS)


cdef void ask_status(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef int32_t key = PROTOCOL_LEGACY if s.legacy else status_key(w.current, s.protocol)
    cdef status_entry* entry
    cdef event* e
    if over_limit(s, LIMIT_STATUS):
        return
    if w.current.hooks & HOOK_STATUS:
        consult(s, EVENT_CONSULT_STATUS)
        return
    entry = status_find(w, s.server.id, key)
    if entry == NULL:
        session_end(s, REASON_MEMORY)
        return
    if entry.frame != NULL and entry.expires_ms > w.now_ms:
        answer_entry(s, entry)
        return
    if entry.asked_ms == 0 or entry.asked_ms + STATUS_WAIT_MS < w.now_ms:
        e = ring_begin(w, EVENT_STATUS_WANTED, 0)
        if e == NULL:
            session_end(s, REASON_CONTROL_BUSY)
            return
        event_session(e, s)
        e.protocol = key
        ring_commit(w, e)
        entry.asked_ms = w.now_ms
        count(w, COUNT_STATUS_WANTED)
    move(s, STATE_STATUS_WAIT)
    status_wait(entry, s)
    wheel_set(s, w.now_ms + STATUS_WAIT_MS)


cdef inline void answer_entry(session* s, status_entry* entry) noexcept nogil:
    answer_status(s, entry.beta if s.legacy == LEGACY_BETA else entry.frame)


cdef void answer_status(session* s, blob* answer) noexcept nogil:
    if s.legacy:
        count(s.owner, COUNT_LEGACY_PINGS)
        say(s, answer, REASON_STATUS_DONE)
        return
    count(s.owner, COUNT_STATUS_ANSWERED)
    if s.state != STATE_STATUS:
        move(s, STATE_STATUS)
    wheel_set(s, s.owner.now_ms + handshake_ms(s.owner))
    s.words = blob_retain(answer)
    s.words_sent = 0
    words_on(s)


cdef void session_status(worker* w, command* c) noexcept nogil:
    cdef status_entry* entry = status_find(w, c.server, c.protocol)
    cdef session* s
    if entry == NULL:
        return
    blob_release(entry.frame)
    blob_release(entry.beta)
    entry.frame = blob_retain(<blob*>c.thing)
    entry.beta = blob_retain(<blob*>c.other)
    entry.expires_ms = c.expires_ms
    entry.asked_ms = 0
    while entry.waiters != NULL:
        s = entry.waiters
        status_leave(s)
        answer_entry(s, entry)
        if s.state == STATE_STATUS and s.words == NULL and s.first_used < s.first_size:
            status_packets(s)
