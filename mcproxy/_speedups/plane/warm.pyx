"""Warm sockets: some connections per server are ready before a player comes.

Each is a session without a client. It is thrown away when it gets old (a backend closes who stays
silent), when the backend closes it, and when the snapshot changes; what is missing is connected in
the background, with growing pauses while that fails.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from mcproxy._speedups.plane.balance cimport balance_choose, balance_fits, balance_usable
from mcproxy._speedups.plane.connect cimport (
    connect_begin,
    connect_done,
    connect_failed,
    connect_release,
)
from mcproxy._speedups.plane.layout cimport BALANCE_ROUND_ROBIN, server_rec, warm_set
from mcproxy._speedups.plane.life cimport count, move, session_end, session_new
from mcproxy._speedups.plane.limits cimport WARM_RETRY_MOST_MS, WARM_RETRY_MS
from mcproxy._speedups.plane.reasons cimport (
    COUNT_WARM,
    COUNT_WARM_LOST,
    COUNT_WARM_USED,
    REASON_NONE,
)
from mcproxy._speedups.plane.records cimport server_release, server_retain
from mcproxy._speedups.plane.states cimport STATE_WARM, STATE_WARM_DIAL
from mcproxy._speedups.plane.system cimport (
    EAGAIN,
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    ETIMEDOUT,
    MSG_PEEK,
    mcp_add,
    mcp_count,
    mcp_epoll_change,
    mcp_errno,
    recv,
)
from mcproxy._speedups.plane.tags cimport TAG_BACKEND
from mcproxy._speedups.plane.wheel cimport wheel_set


cdef inline warm_set* set_of(worker* w, const server_rec* r) noexcept nogil:
    cdef warm_set* one = w.warm
    while one != NULL and one.server != r:
        one = one.next
    return one


# ---- Taking. ----

cdef bint warm_take(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef warm_set* one
    cdef session* warm
    cdef session* following
    cdef int best = -1
    if s.server.warm == 0:
        return False
    one = set_of(w, s.server)
    if one == NULL or one.ready == NULL:
        return False
    if s.server.balance != BALANCE_ROUND_ROBIN:     # its turn came when it was connected
        best = balance_choose(s.server, 0, w.now_ms)
    warm = one.ready
    while warm != NULL:
        following = warm.wait_next
        if not balance_usable(&s.server.endpoints[warm.attempt], w.now_ms):
            drop(warm)                  # connected before the address went down or was drained
        elif best < 0 or balance_fits(s.server, warm.attempt, best, w.now_ms):
            if alive(warm) and hand_over(s, warm):
                return True
            lose(warm)
        warm = following
    return False


cdef bint hand_over(session* s, session* warm) noexcept nogil:
    if mcp_epoll_change(s.owner.epoll, warm.backend.fd,
                        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                        <uint64_t>s | TAG_BACKEND) < 0:
        return False
    s.backend.fd = warm.backend.fd
    s.backend.writable = True
    s.attempt = warm.attempt
    s.tried |= 1u << warm.attempt
    s.engaged = s.server.endpoints[s.attempt].known
    mcp_add(&s.engaged.sessions, 1)
    warm.backend.fd = -1
    drop(warm)
    count(s.owner, COUNT_WARM_USED)
    return True


cdef inline bint alive(session* warm) noexcept nogil:
    # A backend does not speak first: anything but "nothing yet" means that it is of no use.
    cdef char one
    return recv(warm.backend.fd, &one, 1, MSG_PEEK) < 0 and mcp_errno() == EAGAIN


# ---- Keeping. ----

cdef void warm_tend(worker* w) noexcept nogil:
    cdef warm_set* one = w.warm
    cdef int64_t following = 0
    while one != NULL:
        while one.count < one.server.warm and one.retry_ms <= w.now_ms:
            begin(w, one)
        if one.count < one.server.warm and (following == 0 or one.retry_ms < following):
            following = one.retry_ms
        one = one.next
    w.warm_next_ms = following


cdef void begin(worker* w, warm_set* one) noexcept nogil:
    cdef int index = balance_choose(one.server, 0, w.now_ms)
    cdef session* warm = NULL
    cdef int error
    # One that is only tried for want of a better is none to keep sockets to.
    if index >= 0 and balance_usable(&one.server.endpoints[index], w.now_ms):
        warm = session_new(w)
    if warm == NULL:
        pause(one, w.now_ms)
        return
    warm.server = server_retain(one.server)
    move(warm, STATE_WARM_DIAL)
    one.count += 1
    warm.wait_next = one.dialling
    one.dialling = warm
    error = connect_begin(warm, index)
    connect_release(warm)               # nobody's session yet: it weighs on no balance
    if error == 0:
        wheel_set(warm, w.now_ms + w.current.connect_ms)
    else:
        fail(warm, error)


cdef inline void pause(warm_set* one, int64_t now_ms) noexcept nogil:
    if one.retry_ms > now_ms:
        return                          # several that fail together are one failure
    one.pause_ms = min(max(<int64_t>WARM_RETRY_MS, 2 * one.pause_ms), <int64_t>WARM_RETRY_MOST_MS)
    one.retry_ms = now_ms + one.pause_ms


cdef void fail(session* warm, int error) noexcept nogil:
    cdef worker* w = warm.owner
    cdef warm_set* one = set_of(w, warm.server)
    if warm.backend.fd >= 0:
        connect_failed(warm, error)
    pause(one, w.now_ms)
    drop(warm)


cdef void warm_event(session* s, unsigned int events) noexcept nogil:
    cdef warm_set* one
    if s.state == STATE_WARM:
        if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            lose(s)
    elif events & (EPOLLERR | EPOLLHUP):
        fail(s, 0)
    elif events & EPOLLOUT:
        one = set_of(s.owner, s.server)
        connect_done(s)
        unlink(&one.dialling, s)
        move(s, STATE_WARM)
        one.pause_ms = 0
        s.wait_next = one.ready
        one.ready = s
        wheel_set(s, s.owner.now_ms + s.server.warm_ms)
        count(s.owner, COUNT_WARM)


cdef void warm_due(session* s) noexcept nogil:
    if s.state == STATE_WARM:
        drop(s)                         # too old; a young one takes its place
    else:
        fail(s, ETIMEDOUT)


cdef void lose(session* warm) noexcept nogil:
    # The backend closed it. It may be going down: no hurry to connect again.
    cdef warm_set* one = set_of(warm.owner, warm.server)
    count(warm.owner, COUNT_WARM_LOST)
    pause(one, warm.owner.now_ms)
    drop(warm)


cdef void drop(session* warm) noexcept nogil:
    cdef worker* w = warm.owner
    cdef warm_set* one = set_of(w, warm.server)
    one.count -= 1
    unlink(&one.ready if warm.state == STATE_WARM else &one.dialling, warm)
    if w.warm_next_ms == 0 or one.retry_ms < w.warm_next_ms:
        w.warm_next_ms = max(one.retry_ms, w.now_ms)
    if warm.state == STATE_WARM:
        mcp_count(&w.counters[COUNT_WARM], <uint64_t>-1)
    session_end(warm, REASON_NONE)


cdef void unlink(session** link, session* warm) noexcept nogil:
    while link[0] != warm:
        link = &link[0].wait_next
    link[0] = warm.wait_next


# ---- Snapshots. ----

cdef void warm_reset(worker* w, const snapshot* now) noexcept nogil:
    cdef warm_set* one
    cdef int i
    while w.warm != NULL:
        one = w.warm
        while one.ready != NULL:
            drop(one.ready)
        while one.dialling != NULL:
            drop(one.dialling)
        w.warm = one.next
        server_release(one.server)
        free(one)
    w.warm_next_ms = 0
    if now == NULL:
        return
    for i in range(now.server_count):
        if now.servers[i].warm == 0 or now.servers[i].endpoint_count == 0:
            continue
        one = <warm_set*>calloc(1, sizeof(warm_set))
        if one == NULL:
            return
        one.server = server_retain(now.servers[i])
        one.next = w.warm
        w.warm = one
        w.warm_next_ms = w.now_ms
