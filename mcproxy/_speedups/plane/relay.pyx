"""The relay: adaptive per direction, with half-close and back-pressure.

Small reads go through the worker's one scratch buffer and are sent at once. A direction that
keeps filling large reads is switched to splice through a pipe, and back when it stops. What a
slow reader does not take is held in one block, or in the pipe; until that is gone, its sender
is not read. Where the bounds on buffered bytes leave no room, bytes are looked at, sent, and taken
from the sender's socket only as far as the reader took them: then nothing waits here, nothing is
lost, and readers that keep up go on.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from mcproxy._speedups.buffers cimport block_pool_give, block_pool_take
from mcproxy._speedups.plane.layout cimport MODE_ZERO_COPY, shared
from mcproxy._speedups.plane.limits cimport (
    PIPE_BYTES,
    PIPE_SPARE,
    RELAY_BLOCK,
    RELAY_TURNS,
    SPLICE_AFTER,
    SPLICE_LEAVE,
)
from mcproxy._speedups.plane.pace cimport frames_watched, is_paced, pace_charge, pace_room
from mcproxy._speedups.plane.reasons cimport (
    COUNT_BUFFERED_BYTES,
    COUNT_CLIENTBOUND_BYTES,
    COUNT_SERVERBOUND_BYTES,
    COUNT_SPLICED,
    COUNT_UNBUFFERED,
    REASON_BACKEND_CLOSED,
    REASON_BACKEND_LOST,
    REASON_CLIENT_CLOSED,
    REASON_CLIENT_LOST,
    REASON_NONE,
)
from mcproxy._speedups.plane.system cimport (
    EAGAIN,
    EINTR,
    F_SETPIPE_SZ,
    MSG_MORE,
    MSG_NOSIGNAL,
    MSG_PEEK,
    MSG_TRUNC,
    O_CLOEXEC,
    O_NONBLOCK,
    SHUT_WR,
    SPLICE_F_MOVE,
    SPLICE_F_NONBLOCK,
    close,
    fcntl,
    mcp_add64,
    mcp_count,
    mcp_errno,
    mcp_load,
    mcp_load64,
    pipe2,
    recv,
    send,
    shutdown,
    splice,
)


cdef int relay_step(session* s) noexcept nogil:
    cdef bint more = False
    cdef bint broken = s.client.broken
    if not direction(s, &s.client, &s.backend, &more):
        return RELAY_NO_MEMORY
    if not direction(s, &s.backend, &s.client, &more):
        return RELAY_NO_MEMORY
    if s.too_fast:
        return RELAY_TOO_FAST
    if over(&s.client, &s.backend) and over(&s.backend, &s.client):
        return RELAY_OVER
    if s.client.broken and not broken:
        more = True                     # found out only now: what it sent before is to be read
    return RELAY_AGAIN if more else RELAY_WAITS


cdef bint direction(session* s, side* source, side* target, bint* more) noexcept nogil:
    # False: no memory for what the target did not take.
    if target.broken:
        relay_drop(s, target)
        return True
    if target.held != NULL and not flush(s, target):
        return True
    if target.broken:
        return True
    if source.spliced and (target.piped or relay_room(s) >= RELAY_BLOCK):
        pump_splice(s, source, target)
    elif not pump_copy(s, source, target):
        return False
    if target.broken:
        relay_drop(s, target)
    elif target.held == NULL and target.piped == 0:
        if source.ended:
            if not target.shut and not target.ended:    # where both have ended, close follows
                target.shut = True
                shutdown(target.fd, SHUT_WR)
        elif (source.readable and not source.ended and target.writable
                and not source.paced_until_ms):
            more[0] = True
    elif target.writable and target.held == NULL:
        more[0] = True                  # the pipe still flows: only the turns were used up
    return True


cdef inline bint over(side* source, side* target) noexcept nogil:
    return target.broken or (source.ended and target.held == NULL and target.piped == 0)


cdef inline void mark_end(session* s, side* source, bint lost) noexcept nogil:
    source.ended = True
    source.readable = False
    if lost:
        source.broken = True
    if s.end_reason == REASON_NONE:
        if source == &s.client:
            s.end_reason = REASON_CLIENT_LOST if lost else REASON_CLIENT_CLOSED
        else:
            s.end_reason = REASON_BACKEND_LOST if lost else REASON_BACKEND_CLOSED


cdef inline void mark_broken(session* s, side* target) noexcept nogil:
    # What it sent before may still be read, so that its last words are not lost.
    target.broken = True
    target.writable = False
    target.readable = True
    if s.end_reason == REASON_NONE:
        s.end_reason = REASON_CLIENT_LOST if target == &s.client else REASON_BACKEND_LOST


cdef inline void count_written(session* s, side* target, size_t size) noexcept nogil:
    target.written += size
    mcp_count(&s.owner.counters[COUNT_SERVERBOUND_BYTES if target == &s.backend
                                else COUNT_CLIENTBOUND_BYTES], size)


# ---- Bounds. ----

cdef inline int64_t relay_room(session* s) noexcept nogil:
    # Bytes that the session may hold besides what it holds. Every worker may be about to fill a
    # block, so that much is kept for them.
    cdef worker* w = s.owner
    cdef int64_t own = s.client.piped + s.backend.piped
    cdef int64_t all = mcp_load64(&w.common.buffered) + mcp_load(&w.common.running) * RELAY_BLOCK
    if s.client.held != NULL:
        own += RELAY_BLOCK
    if s.backend.held != NULL:
        own += RELAY_BLOCK
    return min(w.current.buffer_session - own, w.current.buffer_total - all + RELAY_BLOCK)


cdef inline void count_buffered(worker* w, int64_t size) noexcept nogil:
    mcp_add64(&w.common.buffered, size)
    mcp_count(&w.counters[COUNT_BUFFERED_BYTES], <size_t>size)


# ---- Copying. ----

cdef bint pump_copy(session* s, side* source, side* target) noexcept nogil:
    cdef worker* w = s.owner
    cdef ssize_t size
    cdef size_t most
    cdef bint room
    cdef int _turn
    for _turn in range(RELAY_TURNS):
        if (not source.readable or source.ended or target.held != NULL or target.broken
                or not target.writable):
            return True
        most = RELAY_BLOCK
        if is_paced(s):
            most = min(<int64_t>RELAY_BLOCK, pace_room(s, source))
            if most == 0:
                return True
        room = relay_room(s) >= RELAY_BLOCK
        if room and not frames_watched(s, source) and (
                source.large_reads >= SPLICE_AFTER or s.server.mode == MODE_ZERO_COPY):
            if take_pipe(w, target):
                source.spliced = True
                source.large_reads = 0
                mcp_count(&w.counters[COUNT_SPLICED], 1)
                pump_splice(s, source, target)
                return True
            source.large_reads = 0
        size = recv(source.fd, w.scratch, most, 0 if room else MSG_PEEK)
        if size < 0:
            if mcp_errno() == EAGAIN:
                source.readable = False
            elif mcp_errno() != EINTR:
                mark_end(s, source, True)
            continue
        if size == 0:
            mark_end(s, source, False)
            return True
        if not room:
            mcp_count(&w.counters[COUNT_UNBUFFERED], 1)
            if not pass_on(s, source, target, size):
                return True
        s.active_ms = w.now_ms
        if size == RELAY_BLOCK:
            source.large_reads += 1
        else:
            source.large_reads = 0
            if <size_t>size < most and not source.hung_up:
                source.readable = False     # a short read has drained the socket
        if not room:
            continue
        if is_paced(s):
            pace_charge(s, source, w.scratch, size)
            if s.too_fast:
                return True
        if not relay_send(s, target, w.scratch, <uint32_t>size):
            return False
    return True


cdef bint pass_on(session* s, side* source, side* target, size_t size) noexcept nogil:
    # Bytes that were only looked at; what the target does not take stays where it is. True: it
    # took all of them.
    cdef worker* w = s.owner
    cdef ssize_t taken = send(target.fd, w.scratch, size, MSG_NOSIGNAL)
    if taken < 0:
        if mcp_errno() == EAGAIN:
            target.writable = False
        elif mcp_errno() != EINTR:
            mark_broken(s, target)
        return False
    count_written(s, target, taken)
    s.active_ms = w.now_ms
    if is_paced(s):
        pace_charge(s, source, w.scratch, taken)
    recv(source.fd, NULL, taken, MSG_TRUNC)
    if <size_t>taken < size:
        target.writable = False
    return taken == size and not s.too_fast


cdef bint relay_send(session* s, side* target, const char* data, uint32_t size) noexcept nogil:
    cdef worker* w = s.owner
    cdef side* source = &s.client if target == &s.backend else &s.backend
    # Behind a sender that has hung up comes its end: it goes out on the last bytes' segment.
    cdef int flags = MSG_NOSIGNAL | (MSG_MORE if source.hung_up else 0)
    cdef ssize_t taken = send(target.fd, data, size, flags)
    if taken < 0:
        if mcp_errno() != EAGAIN and mcp_errno() != EINTR:
            mark_broken(s, target)
            return True
        taken = 0
    count_written(s, target, taken)
    if taken == size:
        return True
    target.writable = False
    target.held = block_pool_take(&w.relay_blocks)
    if target.held == NULL:
        return False
    memcpy(target.held, data + taken, size - taken)
    target.held_from = 0
    target.held_to = <uint32_t>(size - taken)
    count_buffered(w, RELAY_BLOCK)
    return True


cdef bint flush(session* s, side* target) noexcept nogil:
    # True: nothing is held any more.
    cdef ssize_t taken
    while target.writable and target.held_from < target.held_to:
        taken = send(target.fd, target.held + target.held_from,
                     target.held_to - target.held_from, MSG_NOSIGNAL)
        if taken < 0:
            if mcp_errno() == EAGAIN:
                target.writable = False
            elif mcp_errno() != EINTR:
                mark_broken(s, target)
            continue
        s.active_ms = s.owner.now_ms
        target.held_from += <uint32_t>taken
        count_written(s, target, taken)
    if target.held_from < target.held_to and not target.broken:
        return False
    release_block(s, target)
    return True


cdef inline void release_block(session* s, side* target) noexcept nogil:
    block_pool_give(&s.owner.relay_blocks, target.held)
    target.held = NULL
    count_buffered(s.owner, -RELAY_BLOCK)


# ---- Splicing. ----

cdef void pump_splice(session* s, side* source, side* target) noexcept nogil:
    cdef worker* w = s.owner
    cdef ssize_t size
    cdef int _turn
    if target.pipe_in < 0 and not take_pipe(w, target):
        source.spliced = False
        return
    for _turn in range(RELAY_TURNS):
        if source.readable and not source.ended and target.piped < PIPE_BYTES:
            fill_pipe(s, source, target)
        if target.piped == 0:
            break
        if not target.writable:
            return
        size = splice(target.pipe_out, NULL, target.fd, NULL, target.piped,
                      SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if size > 0:
            s.active_ms = w.now_ms
            count_piped(s, target, -size)
            count_written(s, target, size)
        elif size < 0 and mcp_errno() == EAGAIN:
            target.writable = False
            return
        elif size == 0 or mcp_errno() != EINTR:
            mark_broken(s, target)
            return
    if target.piped == 0:
        give_pipe(w, target)
        if source.large_reads >= SPLICE_LEAVE and s.server.mode != MODE_ZERO_COPY:
            source.spliced = False
            source.large_reads = 0


cdef inline void fill_pipe(session* s, side* source, side* target) noexcept nogil:
    cdef shared* c = s.owner.common
    cdef ssize_t size
    cdef int64_t most = min(<int64_t>(PIPE_BYTES - target.piped), relay_room(s))
    if is_paced(s):
        most = min(most, pace_room(s, source))
    if most <= 0:
        return
    # Reserved before, so that all workers together stay within the bound.
    if mcp_add64(&c.buffered, most) > s.owner.current.buffer_total:
        mcp_add64(&c.buffered, -most)
        return
    size = splice(source.fd, NULL, target.pipe_in, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    mcp_add64(&c.buffered, -most)
    if size > 0:
        if is_paced(s):
            pace_charge(s, source, NULL, size)
        s.active_ms = s.owner.now_ms
        count_piped(s, target, size)
        if size >= RELAY_BLOCK:
            source.large_reads = 0
        elif source.large_reads < SPLICE_LEAVE:
            source.large_reads += 1
    elif size == 0:
        mark_end(s, source, False)
    elif mcp_errno() == EAGAIN:
        if target.piped == 0:           # otherwise the pipe may be what is full
            source.readable = False
    elif mcp_errno() != EINTR:
        mark_end(s, source, True)


cdef inline void count_piped(session* s, side* target, ssize_t size) noexcept nogil:
    target.piped += <uint32_t>size
    count_buffered(s.owner, size)


cdef bint take_pipe(worker* w, side* target) noexcept nogil:
    cdef int ends[2]
    if w.pipe_count > 0:
        w.pipe_count -= 1
        target.pipe_out = w.pipes[2 * w.pipe_count]
        target.pipe_in = w.pipes[2 * w.pipe_count + 1]
        return True
    if pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0:
        return False
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES)    # refused above the user's share: it stays smaller
    target.pipe_out = ends[0]
    target.pipe_in = ends[1]
    return True


cdef void give_pipe(worker* w, side* target) noexcept nogil:
    # Only an empty pipe may serve another session.
    if target.piped == 0 and w.pipe_count < PIPE_SPARE:
        w.pipes[2 * w.pipe_count] = target.pipe_out
        w.pipes[2 * w.pipe_count + 1] = target.pipe_in
        w.pipe_count += 1
    else:
        close(target.pipe_out)
        close(target.pipe_in)
    target.pipe_out = -1
    target.pipe_in = -1


cdef void relay_drop(session* s, side* target) noexcept nogil:
    if target.held != NULL:
        release_block(s, target)
    if target.pipe_in >= 0:
        give_pipe(s.owner, target)
        count_piped(s, target, -<ssize_t>target.piped)
