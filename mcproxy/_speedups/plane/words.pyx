"""What the proxy says itself: answers and last words, sent whole before a session ends."""

from libc.stdint cimport uint32_t, uint8_t
from libc.string cimport memcpy

from mcproxy._speedups.plane.life cimport count, drop_first, left_early, move, session_end
from mcproxy._speedups.plane.limits cimport LINGER_BYTES, LINGER_MS, RELAY_BLOCK
from mcproxy._speedups.plane.reasons cimport COUNT_PINGS, REASON_CLOSED_EARLY, REASON_STATUS_DONE
from mcproxy._speedups.plane.records cimport blob_release, blob_retain
from mcproxy._speedups.plane.states cimport STATE_LINGER
from mcproxy._speedups.plane.system cimport (
    EAGAIN,
    MSG_MORE,
    MSG_NOSIGNAL,
    SHUT_WR,
    mcp_errno,
    recv,
    send,
    shutdown,
)
from mcproxy._speedups.plane.wheel cimport wheel_set


cdef void say(session* s, blob* words, int reason) noexcept nogil:
    # Send the words, then end the session.
    if words == NULL:
        session_end(s, reason)
        return
    if s.state != STATE_LINGER:
        move(s, STATE_LINGER)
    wheel_set(s, s.owner.now_ms + LINGER_MS)
    s.words = blob_retain(words)
    s.words_sent = 0
    s.words_reason = reason
    words_on(s)


cdef void words_on(session* s) noexcept nogil:
    cdef ssize_t taken
    while s.words_sent < s.words.size:
        if not s.client.writable:
            return
        taken = send(s.client.fd, s.words.data + s.words_sent, s.words.size - s.words_sent,
                     MSG_NOSIGNAL | (MSG_MORE if ping_follows(s) else 0))
        if taken >= 0:
            s.words_sent += <uint32_t>taken
        elif mcp_errno() == EAGAIN:
            s.client.writable = False
        else:
            session_end(s, left_early(s))
            return
    blob_release(s.words)
    s.words = NULL
    if s.ping_waits:
        pong(s)
    elif s.client.ended and not s.words_reason and not ping_follows(s):
        s.words_reason = REASON_STATUS_DONE
        linger(s)
    elif s.words_reason:
        linger(s)


cdef void linger(session* s) noexcept nogil:
    if s.state != STATE_LINGER:
        move(s, STATE_LINGER)
        wheel_set(s, s.owner.now_ms + LINGER_MS)
    shutdown(s.client.fd, SHUT_WR)
    drop_first(s)
    s.client.readable = True
    discard(s)


cdef void discard(session* s) noexcept nogil:
    # Read on until the client has closed, so that it sees the last words and no reset.
    cdef ssize_t size
    while s.client.readable:
        size = recv(s.client.fd, s.owner.scratch, RELAY_BLOCK, 0)
        if size > 0:
            s.discarded += <uint32_t>size
            if s.discarded < LINGER_BYTES:
                continue
        elif size < 0 and mcp_errno() == EAGAIN:
            s.client.readable = False
            return
        if s.words == NULL:
            session_end(s, s.words_reason)
        else:
            s.client.readable = False   # half closed, and still taking the words
        return


cdef void pong(session* s) noexcept nogil:
    cdef uint8_t frame[10]
    cdef ssize_t taken
    frame[0] = 9
    frame[1] = 1
    memcpy(frame + 2, s.ping, 8)
    s.ping_waits = False
    count(s.owner, COUNT_PINGS)
    taken = send(s.client.fd, frame, 10, MSG_NOSIGNAL)
    if taken == 10 and (s.client.readable or s.client.hung_up):
        s.words_reason = REASON_STATUS_DONE
        linger(s)                   # something unread would turn the close into a reset
    else:
        session_end(s, REASON_STATUS_DONE if taken == 10 else REASON_CLOSED_EARLY)


cdef inline bint ping_follows(session* s) noexcept nogil:
    # Whether the ping is here already: then both answers leave in one segment.
    return s.ping_waits or (s.intent == 1 and s.first_size - s.first_used == 10)
