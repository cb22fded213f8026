"""A worker of the data plane: its thread, its loop, and what it does with commands.

The turn of the loop: sleep in epoll, handle what happened, give sessions that have more to do
their turn, end what is overdue, carry out commands, tell Python.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp

from mcproxy._speedups.buffers cimport block_pool_destroy, block_pool_init
from mcproxy._speedups.plane.accept cimport sessions_accept, sessions_accept_rest
from mcproxy._speedups.plane.answer cimport session_status
from mcproxy._speedups.plane.layout cimport (
    LISTENERS_MOST,
    blob,
    command,
    listener,
    server_rec,
    session,
    side,
)
from mcproxy._speedups.plane.life cimport session_end
from mcproxy._speedups.plane.limits cimport (
    BLOCKS_FIRST,
    BLOCKS_RELAY,
    EPOLL_BATCH,
    FIRST_BYTES,
    FLOOD_WINDOW_MS,
    RELAY_BLOCK,
    RING_BYTES,
    SESSION_SLAB,
)
from mcproxy._speedups.plane.protect cimport flood_tick
from mcproxy._speedups.plane.reasons cimport REASON_SHUTDOWN
from mcproxy._speedups.plane.records cimport blob_release, server_release, snapshot_release
from mcproxy._speedups.plane.ring cimport (
    COMMAND_CLOSE,
    COMMAND_LEAVE,
    COMMAND_LISTEN,
    COMMAND_ROUTE,
    COMMAND_SNAPSHOT,
    COMMAND_STATUS,
    COMMAND_UNLISTEN,
    EVENT_APPLIED,
    command_take,
    event,
    ring_begin,
    ring_commit,
    ring_notify,
)
from mcproxy._speedups.plane.session cimport (
    session_backend_event,
    session_client_event,
    session_command,
    session_due,
    session_turn,
)
from mcproxy._speedups.plane.states cimport STATE_FREE
from mcproxy._speedups.plane.status cimport status_forget
from mcproxy._speedups.plane.system cimport *
from mcproxy._speedups.plane.tags cimport (
    TAG_BACKEND,
    TAG_BITS,
    TAG_CLIENT,
    TAG_COMMANDS,
    TAG_LISTENER,
    TAG_MASK,
)
from mcproxy._speedups.plane.warm cimport warm_reset, warm_tend
from mcproxy._speedups.plane.wheel cimport wheel_due, wheel_wait

# ---- Birth and death. ----

cdef worker* worker_new(int index, int event_fd, shared* common, snapshot* first) noexcept nogil:
    cdef worker* w = <worker*>calloc(1, sizeof(worker))
    if w == NULL:
        snapshot_release(first)
        return NULL
    w.index = index
    w.event_fd = event_fd
    w.common = common
    w.current = first
    w.now_ms = w.wheel_ms = w.wheel_next_ms = mcp_now_ms()
    w.epoll = epoll_create1(EPOLL_CLOEXEC)
    w.command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    w.scratch = <char*>malloc(RELAY_BLOCK)
    w.ring = <unsigned char*>malloc(RING_BYTES)
    if (w.epoll < 0 or w.command_fd < 0 or w.scratch == NULL or w.ring == NULL
            or block_pool_init(&w.first_blocks, FIRST_BYTES, 16, BLOCKS_FIRST) < 0
            or block_pool_init(&w.relay_blocks, RELAY_BLOCK, 4, BLOCKS_RELAY) < 0
            or mcp_epoll_add(w.epoll, w.command_fd, EPOLLIN, TAG_COMMANDS) < 0):
        worker_free(w)
        return NULL
    return w


cdef void worker_free(worker* w) noexcept nogil:
    cdef command* c = command_take(w)
    cdef command* following
    cdef uint64_t i
    while c != NULL:
        following = c.next
        if c.kind == COMMAND_LISTEN:
            close(c.slot)
        release_command(c)
        c = following
    close_listeners(w)
    for i in range(w.pipe_count):
        close(w.pipes[2 * i])
        close(w.pipes[2 * i + 1])
    status_forget(w)
    for i in range(w.slab_count):
        free(w.slabs[i])
    free(w.slabs)
    block_pool_destroy(&w.first_blocks)
    block_pool_destroy(&w.relay_blocks)
    snapshot_release(w.current)
    free(w.scratch)
    free(w.ring)
    if w.epoll >= 0:
        close(w.epoll)
    if w.command_fd >= 0:
        close(w.command_fd)
    free(w)


cdef void worker_abandon(worker* w) noexcept nogil:
    cdef session* s
    cdef uint64_t i
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            close(w.listeners[i].fd)    # and no more: the child shares the epoll of its parent
    for i in range(w.slab_count * SESSION_SLAB):
        s = &w.slabs[i // SESSION_SLAB][i % SESSION_SLAB]
        if s.state != STATE_FREE:
            abandon_side(&s.client)
            abandon_side(&s.backend)
    for i in range(w.pipe_count):
        close(w.pipes[2 * i])
        close(w.pipes[2 * i + 1])
    close(w.epoll)
    close(w.command_fd)


cdef inline void abandon_side(side* one) noexcept nogil:
    if one.fd >= 0:
        close(one.fd)
    if one.pipe_in >= 0:
        close(one.pipe_in)
        close(one.pipe_out)


cdef int worker_start(worker* w) noexcept nogil:
    cdef int error
    mcp_add(&w.common.running, 1)
    error = mcp_start_thread(&w.thread, worker_run, w)
    if error:
        mcp_add(&w.common.running, -1)
    return error


# ---- The loop. ----

cdef void* worker_run(void* argument) noexcept nogil:
    cdef worker* w = <worker*>argument
    cdef epoll_event happened[EPOLL_BATCH]
    cdef int i, count
    warm_reset(w, w.current)
    while not (w.closing or (w.leaving and w.session_count == 0)):
        count = epoll_wait(w.epoll, happened, EPOLL_BATCH, patience(w))
        w.now_ms = mcp_now_ms()
        w.turn += 1
        for i in range(count):
            dispatch(w, happened[i].data.u64, happened[i].events)
        give_turns(w)
        end_overdue(w)
        if w.paused_until_ms and w.paused_until_ms <= w.now_ms:
            accept_again(w)
        if w.warm_next_ms and w.warm_next_ms <= w.now_ms:
            warm_tend(w)
        if mcp_load(&w.common.flooding):
            flood_tick(w)
        bury(w)
        ring_notify(w)
    warm_reset(w, NULL)
    end_all(w)
    close_listeners(w)
    mcp_add(&w.common.running, -1)
    w.ring_urgent = True            # so that Python sees the end
    ring_notify(w)
    return NULL


cdef inline int patience(worker* w) noexcept nogil:
    cdef int wait
    if w.ready_first != NULL:
        return 0
    wait = wheel_wait(w)
    if w.paused_until_ms:
        wait = sooner(wait, w.paused_until_ms - w.now_ms)
    if mcp_load(&w.common.flooding):
        wait = sooner(wait, mcp_load64(&w.common.window_ms) + FLOOD_WINDOW_MS - w.now_ms)
    if w.warm_next_ms:
        wait = sooner(wait, w.warm_next_ms - w.now_ms)
    return wait


cdef inline int sooner(int wait, int64_t other) noexcept nogil:
    if other < 0:
        return 0
    return <int>other if wait < 0 or other < wait else wait


cdef inline void dispatch(worker* w, uint64_t data, unsigned int events) noexcept nogil:
    cdef uint64_t tag = data & TAG_MASK
    if tag == TAG_CLIENT:
        session_client_event(<session*>data, events)
    elif tag == TAG_BACKEND:
        session_backend_event(<session*>(data & ~<uint64_t>TAG_MASK), events)
    elif tag == TAG_LISTENER:
        if w.listeners[data >> TAG_BITS].open:
            sessions_accept(w, &w.listeners[data >> TAG_BITS])
    else:
        carry_out(w)


cdef inline void give_turns(worker* w) noexcept nogil:
    cdef session* s = w.ready_first
    cdef session* following
    w.ready_first = w.ready_last = NULL
    while s != NULL:
        following = s.ready_next
        s.ready = False
        session_turn(s)
        s = following


cdef inline void end_overdue(worker* w) noexcept nogil:
    cdef session* s
    if w.timer_count == 0:
        w.wheel_ms = w.now_ms
        return
    if w.now_ms < w.wheel_next_ms:
        return
    s = wheel_due(w)
    while s != NULL:
        session_due(s)
        s = wheel_due(w)


cdef inline void bury(worker* w) noexcept nogil:
    # Sessions that ended in this turn may be used again, but for those that a list still names.
    cdef session* s = w.dead_sessions
    cdef session* following
    w.dead_sessions = NULL
    while s != NULL:
        following = s.wait_next
        if s.ready:
            s.wait_next = w.dead_sessions
            w.dead_sessions = s
        else:
            s.ready_next = w.free_sessions
            w.free_sessions = s
        s = following


cdef void end_all(worker* w) noexcept nogil:
    cdef session* s
    cdef unsigned int i
    for i in range(w.slab_count * SESSION_SLAB):
        s = &w.slabs[i // SESSION_SLAB][i % SESSION_SLAB]
        if s.state != STATE_FREE:
            session_end(s, REASON_SHUTDOWN)


# ---- Listeners. ----

cdef void add_listener(worker* w, int fd) noexcept nogil:
    cdef sockaddr_storage name
    cdef socklen_t length = sizeof(name)
    cdef listener* slot
    cdef uint64_t i
    for i in range(LISTENERS_MOST):
        slot = &w.listeners[i]
        if slot.open:
            continue
        if getsockname(fd, <sockaddr*>&name, &length) < 0:
            break
        slot.fd = fd
        if watch_listener(w, i) < 0:
            break
        mcp_unpack(&name, slot.address, &slot.port)
        slot.any_address = is_any(slot.address)
        slot.burst = 1
        slot.open = True
        return
    close(fd)


cdef inline bint is_any(const unsigned char* address) noexcept nogil:
    cdef int i
    for i in range(12 if address[10] == 0xFF else 0, 16):
        if address[i]:
            return False
    return True


cdef void remove_listener(worker* w, const unsigned char* address, int port) noexcept nogil:
    cdef int i
    for i in range(LISTENERS_MOST):
        if (w.listeners[i].open and w.listeners[i].port == port
                and memcmp(w.listeners[i].address, address, 16) == 0):
            leave_listener(w, &w.listeners[i])


cdef void leave_listeners(worker* w) noexcept nogil:
    cdef int i
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            leave_listener(w, &w.listeners[i])


cdef void leave_listener(worker* w, listener* slot) noexcept nogil:
    if not w.paused_until_ms:
        mcp_epoll_remove(w.epoll, slot.fd)
        sessions_accept_rest(w, slot)
    close(slot.fd)
    slot.open = False


cdef void close_listeners(worker* w) noexcept nogil:
    cdef int i
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            w.listeners[i].open = False
            close(w.listeners[i].fd)


cdef inline int watch_listener(worker* w, uint64_t index) noexcept nogil:
    # Workers may share a socket that was inherited: one of them is woken, not all.
    return mcp_epoll_add(w.epoll, w.listeners[index].fd, EPOLLIN | EPOLLEXCLUSIVE,
                         index << TAG_BITS | TAG_LISTENER)


cdef void accept_again(worker* w) noexcept nogil:
    cdef uint64_t i
    w.paused_until_ms = 0
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            watch_listener(w, i)


# ---- Commands. ----

cdef void carry_out(worker* w) noexcept nogil:
    cdef uint64_t count
    cdef command* c
    cdef command* following
    read(w.command_fd, &count, sizeof(count))
    c = command_take(w)
    while c != NULL:
        following = c.next
        if c.kind == COMMAND_SNAPSHOT:
            apply_snapshot(w, c)
        elif c.kind == COMMAND_STATUS:
            session_status(w, c)
        elif c.kind == COMMAND_LISTEN:
            add_listener(w, c.slot)
        elif c.kind == COMMAND_UNLISTEN:
            remove_listener(w, c.address, c.server)
        elif c.kind == COMMAND_LEAVE:
            leave_listeners(w)
            warm_reset(w, NULL)
            w.leaving = True
        elif c.kind == COMMAND_CLOSE:
            w.closing = True
        else:
            session_command(w, c)
        if c.kind == COMMAND_SNAPSHOT or c.kind == COMMAND_LISTEN or c.kind == COMMAND_UNLISTEN:
            applied(w, c.protocol)
        release_command(c)
        c = following


cdef void apply_snapshot(worker* w, command* c) noexcept nogil:
    # Between two turns nobody reads the old one; sessions hold their server's record themselves.
    snapshot_release(w.current)
    w.current = <snapshot*>c.thing
    c.thing = NULL
    status_forget(w)
    warm_reset(w, w.current)


cdef void applied(worker* w, int sequence) noexcept nogil:
    cdef event* e = ring_begin(w, EVENT_APPLIED, 0)
    if e != NULL:
        e.detail = sequence
        ring_commit(w, e)


cdef void release_command(command* c) noexcept nogil:
    if c.kind == COMMAND_SNAPSHOT:
        snapshot_release(<snapshot*>c.thing)
    elif c.kind == COMMAND_ROUTE:
        server_release(<server_rec*>c.thing)
    else:
        blob_release(<blob*>c.thing)
        blob_release(<blob*>c.other)
    free(c)
