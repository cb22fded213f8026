"""A session, step by step: accept, filter, first packet, route, consult, status or dial, relay.

Each step ends the session, waits for an event, or calls the next one. The states and the moves
between them are the table in states.pyx.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from mcproxy._speedups.buffers cimport block_pool_give, block_pool_take
from mcproxy._speedups.match.prefixes cimport prefix_lookup, prefix_set
from mcproxy._speedups.plane.layout cimport (
    HOOK_LOGIN,
    HOOK_ROUTE,
    HOOK_STATUS,
    LISTENERS_MOST,
    MODE_SERVER_ONLY,
    PROTOCOL_LEGACY,
    blob,
    endpoint,
    server_rec,
    side,
    snapshot,
)
from mcproxy._speedups.plane.limits cimport (
    ACCEPTS_PER_TURN,
    CONSULT_MOST,
    CONSULT_MS,
    FIRST_BYTES,
    LEGACY_WAIT_MS,
    LINGER_BYTES,
    LINGER_MS,
    PAUSE_MS,
    REFUSALS_PER_SECOND,
    RELAY_BLOCK,
    SESSION_MOST,
    SESSION_SLAB,
    STATUS_WAIT_MS,
)
from mcproxy._speedups.plane.reasons cimport *
from mcproxy._speedups.plane.records cimport (
    blob_new,
    blob_release,
    blob_retain,
    server_release,
    server_retain,
)
from mcproxy._speedups.plane.relay cimport (
    RELAY_AGAIN,
    RELAY_NO_MEMORY,
    RELAY_OVER,
    relay_drop,
    relay_send,
    relay_step,
)
from mcproxy._speedups.plane.ring cimport (
    COMMAND_ADMIT,
    COMMAND_ANSWER,
    COMMAND_REFUSE,
    COMMAND_ROUTE,
    EVENT_CLOSED,
    EVENT_CONSULT_LOGIN,
    EVENT_CONSULT_ROUTE,
    EVENT_CONSULT_STATUS,
    EVENT_DIAL_FAILED,
    EVENT_OPENED,
    EVENT_PAUSED,
    EVENT_REFUSED,
    EVENT_RESUMED,
    EVENT_STATUS_WANTED,
    event,
    event_session,
    ring_begin,
    ring_commit,
)
from mcproxy._speedups.plane.routes cimport route_hit, route_lookup
from mcproxy._speedups.plane.states cimport *
from mcproxy._speedups.plane.status cimport status_find, status_key, status_leave, status_wait
from mcproxy._speedups.plane.system cimport *
from mcproxy._speedups.plane.tags cimport TAG_BACKEND, TAG_BITS, TAG_LISTENER
from mcproxy._speedups.plane.wheel cimport wheel_clear, wheel_set
from mcproxy._speedups.wire.handshake cimport (
    HANDSHAKE_BAD_INTENT,
    HANDSHAKE_BODY_MAX,
    HANDSHAKE_HOST_TOO_LONG,
    HANDSHAKE_OK,
    HOST_CLEAN_MAX,
    handshake_parse,
    handshake_t,
    host_clean,
    login_start_parse,
    login_start_t,
)
from mcproxy._speedups.wire.legacy cimport (
    LEGACY_16,
    LEGACY_BAD,
    LEGACY_BETA,
    LEGACY_LOGIN,
    LEGACY_NOT,
    LEGACY_UNDECIDED,
    legacy_ping_t,
    legacy_probe,
)
from mcproxy._speedups.wire.varint cimport varint_read

cdef extern from * nogil:
    """
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/socket.h>
    #ifdef MCPROXY_CHECKS
    #define MCP_ILLEGAL(before, after) \\
        (fprintf(stderr, "mcproxy: no move from state %d to %d\\n", before, after), abort())
    #else
    #define MCP_ILLEGAL(before, after) ((void)0)
    #endif
    """
    void MCP_ILLEGAL(int before, int after)
    int MSG_MORE

cdef enum:
    LOGIN_BODY_MAX = 1024       # Login Start with a signature key is 885 bytes at the most
    FRAME_INCOMPLETE = 0
    FRAME_MALFORMED = -1
    FRAME_OVERSIZED = -2


cdef inline void move(session* s, int after) noexcept nogil:
    if not state_allows(s.state, after):
        MCP_ILLEGAL(s.state, after)
        mcp_count(&s.owner.ended[REASON_INTERNAL], 1)
    s.state = after


cdef inline void count(worker* w, int counter) noexcept nogil:
    mcp_count(&w.counters[counter], 1)


# ---- Accept. ----

cdef void sessions_accept(worker* w, listener* l) noexcept nogil:
    cdef sockaddr_storage name
    cdef socklen_t length
    cdef int turn, fd, error
    for turn in range(ACCEPTS_PER_TURN):
        length = sizeof(name)
        fd = accept4(l.fd, <sockaddr*>&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            if w.pause_told:
                w.pause_told = False
                tell(w, EVENT_RESUMED, 0)
            admit(w, l, fd, &name)
            continue
        error = mcp_errno()
        if error == EAGAIN:
            return
        if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
            pause_accepting(w, error)
            return


cdef void pause_accepting(worker* w, int error) noexcept nogil:
    # The connections wait in the kernel's queue; the worker's loop tries again.
    cdef uint64_t i
    for i in range(LISTENERS_MOST):
        if w.listeners[i].open:
            mcp_epoll_change(w.epoll, w.listeners[i].fd, 0, i << TAG_BITS | TAG_LISTENER)
    w.paused_until_ms = w.now_ms + PAUSE_MS
    if not w.pause_told:
        w.pause_told = True
        count(w, COUNT_ACCEPT_PAUSED)
        tell(w, EVENT_PAUSED, error)


cdef void tell(worker* w, int kind, int detail) noexcept nogil:
    cdef event* e = ring_begin(w, kind, 0)
    if e != NULL:
        e.detail = detail
        ring_commit(w, e)


cdef inline bint admitted(const prefix_set* admit, const prefix_set* refuse,
                          const uint8_t* address) noexcept nogil:
    if refuse != NULL and prefix_lookup(refuse, address) >= 0:
        return False
    return admit == NULL or prefix_lookup(admit, address) >= 0


cdef void admit(worker* w, listener* l, int fd, sockaddr_storage* name) noexcept nogil:
    cdef snapshot* now = w.current
    cdef uint8_t address[16]
    cdef uint16_t port
    cdef session* s
    count(w, COUNT_ACCEPTED)
    mcp_unpack(name, address, &port)
    if not admitted(now.admit, now.refuse, address):
        turn_away(w, fd, REASON_FILTERED, address, port)
        return
    if mcp_add(&w.common.open_sessions, 1) > now.max_connections > 0:
        mcp_add(&w.common.open_sessions, -1)
        turn_away(w, fd, REASON_MAX_CONNECTIONS, address, port)
        return
    s = session_new(w)
    if s == NULL:
        mcp_add(&w.common.open_sessions, -1)
        turn_away(w, fd, REASON_MEMORY, address, port)
        return
    s.client.fd = fd
    memcpy(s.address, address, 16)
    s.port = port
    learn_local(s, l)
    move(s, STATE_FIRST)
    wheel_set(s, w.now_ms + now.handshake_ms)
    if mcp_epoll_add(w.epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, <uint64_t>s) < 0:
        session_end(s, REASON_MEMORY)
        return
    s.client.readable = True
    s.client.writable = True
    client_readable(s)


cdef void learn_local(session* s, listener* l) noexcept nogil:
    cdef sockaddr_storage name
    cdef socklen_t length = sizeof(name)
    if l.any_address and s.owner.current.wants_local:
        if getsockname(s.client.fd, <sockaddr*>&name, &length) == 0:
            mcp_unpack(&name, s.local, &s.local_port)
            return
    memcpy(s.local, l.address, 16)
    s.local_port = l.port


cdef void turn_away(worker* w, int fd, int why, const uint8_t* address,
                    uint16_t port) noexcept nogil:
    close(fd)
    mcp_count(&w.ended[why], 1)
    cdef event* e = refusal(w, why)
    if e != NULL:
        memcpy(e.address, address, 16)
        e.port = port
        e.server = -1
        ring_commit(w, e)


cdef event* refusal(worker* w, int why) noexcept nogil:
    # All refusals are counted; a bounded number a second is told one by one.
    cdef event* e
    if w.now_ms // 1000 != w.refusals_second:
        w.refusals_second = w.now_ms // 1000
        w.refusals_told = 0
    if w.refusals_told >= REFUSALS_PER_SECOND:
        return NULL
    w.refusals_told += 1
    e = ring_begin(w, EVENT_REFUSED, 0)
    if e != NULL:
        e.reason = why
    return e


# ---- The table of sessions. ----

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
    s.opened_ms = s.active_ms = w.now_ms
    w.session_count += 1
    count(w, COUNT_OPEN)
    return s


cdef bint grow(worker* w) noexcept nogil:
    cdef session** slabs
    cdef session* slab
    cdef int i
    if w.slab_count * SESSION_SLAB >= SESSION_MOST:
        return False
    slabs = <session**>realloc(w.slabs, (w.slab_count + 1) * sizeof(session*))
    if slabs == NULL:
        return False
    w.slabs = slabs
    slab = <session*>calloc(SESSION_SLAB, sizeof(session))
    if slab == NULL:
        return False
    slabs[w.slab_count] = slab
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
    cdef event* e
    if s.state == STATE_FREE:
        return
    mcp_count(&w.ended[reason], 1)
    if s.state == STATE_RELAY:
        mcp_count(&w.counters[COUNT_RELAYING], <uint64_t>-1)
        e = ring_begin(w, EVENT_CLOSED, 0)
    else:
        e = refusal(w, reason) if reason <= REASON_LAST_REFUSAL else NULL
    if e != NULL:
        event_session(e, s)
        e.reason = reason
        ring_commit(w, e)
    wheel_clear(s)
    status_leave(s)
    if s.consulting:
        w.consulting -= 1
        s.consulting = False
    close(s.client.fd)
    if s.backend.fd >= 0:
        close(s.backend.fd)
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
    w.session_count -= 1
    mcp_count(&w.counters[COUNT_OPEN], <uint64_t>-1)
    mcp_add(&w.common.open_sessions, -1)


cdef void drop_first(session* s) noexcept nogil:
    if s.first != NULL:
        block_pool_give(&s.owner.first_blocks, <char*>s.first)
        s.first = NULL


# ---- Events. ----

cdef inline void note(side* one, unsigned int events) noexcept nogil:
    if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        one.readable = True
    if events & EPOLLOUT:
        one.writable = True
    if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        one.hung_up = True


cdef void session_client_event(session* s, unsigned int events) noexcept nogil:
    if s.state == STATE_FREE:
        return
    note(&s.client, events)
    if s.state == STATE_RELAY:
        relay_on(s)
        return
    if events & (EPOLLERR | EPOLLHUP):
        session_end(s, left_early(s))
        return
    if s.words != NULL and s.client.writable:
        words_on(s)
        if s.state == STATE_FREE:
            return
    client_readable(s)


cdef void session_backend_event(session* s, unsigned int events) noexcept nogil:
    if s.state == STATE_RELAY:
        note(&s.backend, events)
        relay_on(s)
    elif s.state == STATE_DIAL:
        if events & (EPOLLERR | EPOLLHUP):
            dial_failed(s, 0)
            dial(s, s.attempt + 1)
        elif events & EPOLLOUT:
            note(&s.backend, events)
            relay_begin(s)


cdef void session_turn(session* s) noexcept nogil:
    if s.state == STATE_RELAY:
        relay_on(s)


cdef void session_due(session* s) noexcept nogil:
    cdef worker* w = s.owner
    if s.state == STATE_RELAY:
        if s.active_ms + w.current.idle_ms > w.now_ms:
            wheel_set(s, s.active_ms + w.current.idle_ms)
        else:
            session_end(s, REASON_IDLE)
    elif s.state == STATE_DIAL:
        dial_failed(s, ETIMEDOUT)
        dial(s, s.attempt + 1)
    elif s.state == STATE_FIRST and s.opened_ms + w.current.handshake_ms > w.now_ms:
        first_packet(s, True)
    elif s.state == STATE_STATUS and s.status_asked:
        session_end(s, REASON_STATUS_DONE)      # answered, and no ping came
    elif s.state == STATE_LINGER:
        session_end(s, s.words_reason)
    elif s.state in (STATE_STATUS_WAIT, STATE_CONSULT):
        session_end(s, REASON_CONTROL_SLOW)
    else:
        session_end(s, REASON_SILENT)


# ---- Before the relay: reading into the block of first bytes. ----

cdef inline int left_early(session* s) noexcept nogil:
    # The reason, when the client left before a relay.
    if s.words_reason:
        return s.words_reason
    return REASON_STATUS_DONE if s.status_asked and s.words == NULL else REASON_CLOSED_EARLY


cdef void client_readable(session* s) noexcept nogil:
    while s.client.readable and s.state in (STATE_FIRST, STATE_STATUS, STATE_STATUS_WAIT,
                                            STATE_LOGIN):
        if not read_first(s):
            return
        if s.state == STATE_FIRST:
            first_packet(s, False)
        elif s.state == STATE_LOGIN:
            login_packet(s)
        else:
            status_packets(s)
    if s.state == STATE_LINGER:
        discard(s)


cdef bint read_first(session* s) noexcept nogil:
    # True when there are new bytes; what does not fit stays in the kernel.
    cdef ssize_t size
    cdef uint32_t room
    if not s.client.readable:
        return False
    if s.first == NULL:
        s.first = <uint8_t*>block_pool_take(&s.owner.first_blocks)
        if s.first == NULL:
            session_end(s, REASON_MEMORY)
            return False
    room = FIRST_BYTES - s.first_size
    if room == 0:
        session_end(s, REASON_BAD_STATUS if s.intent == 1 else REASON_BAD_LOGIN)
        return False
    size = recv(s.client.fd, s.first + s.first_size, room, 0)
    if size > 0:
        s.first_size += <uint32_t>size
        if size < room and not s.client.hung_up:
            s.client.readable = False
        return True
    if size < 0 and mcp_errno() == EAGAIN:
        s.client.readable = False
        if s.first_size == 0:
            drop_first(s)
        return False
    if size == 0 and end_of_requests(s):
        return False
    session_end(s, left_early(s))
    return False


cdef bint end_of_requests(session* s) noexcept nogil:
    # Whether the client only shut its side down and still waits for an answer.
    s.client.ended = True
    s.client.readable = False
    if s.state == STATE_FIRST and s.first_size > 0 and s.first[0] == 0xFE:
        first_packet(s, True)       # a ping from before 1.6
        return s.state != STATE_FIRST
    return s.state == STATE_STATUS_WAIT or s.words != NULL


cdef int frame_at(session* s, int32_t most, const uint8_t** body, const uint8_t** end) noexcept nogil:
    # The frame at first_used: its size with the prefix, or FRAME_...
    cdef const uint8_t* p = s.first + s.first_used
    cdef uint32_t left = s.first_size - s.first_used
    cdef int32_t length = 0
    cdef int head = varint_read(p, p + (left if left < 3 else 3), &length)
    if head <= 0:
        return FRAME_INCOMPLETE if left < 3 else FRAME_MALFORMED
    if length <= 0:
        return FRAME_MALFORMED
    if length > most:
        return FRAME_OVERSIZED
    if left < <uint32_t>(head + length):
        return FRAME_INCOMPLETE
    body[0] = p + head
    end[0] = p + head + length
    return head + length


cdef void first_packet(session* s, bint timer_expired) noexcept nogil:
    cdef legacy_ping_t ping
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef int size
    cdef int kind = legacy_probe(s.first, s.first_size, timer_expired, &ping)
    if kind == LEGACY_UNDECIDED:
        if s.first_size <= 2 and not timer_expired:
            wheel_set(s, min(s.owner.now_ms + LEGACY_WAIT_MS,
                             s.opened_ms + s.owner.current.handshake_ms))
        elif timer_expired:
            wheel_set(s, s.opened_ms + s.owner.current.handshake_ms)
        return
    if kind == LEGACY_BAD:
        session_end(s, REASON_MALFORMED)
        return
    if kind == LEGACY_LOGIN:
        say(s, s.owner.current.legacy_kick, REASON_LEGACY_LOGIN)
        return
    if kind != LEGACY_NOT:
        s.legacy = kind
        legacy_ping(s, &ping)
        return
    wheel_set(s, s.opened_ms + s.owner.current.handshake_ms)
    size = frame_at(s, HANDSHAKE_BODY_MAX, &body, &end)
    if size > 0:
        s.first_used = size
        handshake(s, body, end)
    elif size == FRAME_OVERSIZED:
        session_end(s, REASON_FRAME_TOO_LONG)
    elif size == FRAME_MALFORMED:
        session_end(s, REASON_MALFORMED)


cdef void handshake(session* s, const uint8_t* body, const uint8_t* end) noexcept nogil:
    cdef handshake_t h
    cdef uint8_t host[HOST_CLEAN_MAX]
    cdef int length
    cdef int error = handshake_parse(body, end, &h)
    if error != HANDSHAKE_OK:
        session_end(s, REASON_HOST_TOO_LONG if error == HANDSHAKE_HOST_TOO_LONG
                    else REASON_BAD_INTENT if error == HANDSHAKE_BAD_INTENT
                    else REASON_MALFORMED)
        return
    s.protocol = h.protocol
    s.intent = h.intent
    length = host_clean(h.host, h.host_len, host)
    if length < 0:
        session_end(s, REASON_HOST_TOO_LONG)
        return
    route(s, host, length)


cdef void legacy_ping(session* s, legacy_ping_t* ping) noexcept nogil:
    # Only 1.6 says which host it means: elsewhere an address or the default decides.
    cdef uint8_t raw[HOST_CLEAN_MAX]
    cdef uint8_t host[HOST_CLEAN_MAX]
    cdef uint32_t i, units = 0
    cdef int length
    if s.legacy == LEGACY_16:
        s.protocol = ping.protocol
        units = min(ping.host_units, <uint32_t>HOST_CLEAN_MAX)
        for i in range(units):
            raw[i] = ping.host[2 * i + 1] if ping.host[2 * i] == 0 else c"?"
    length = host_clean(raw, units, host)
    route(s, host, length if length > 0 else 0)


# ---- Route. ----

cdef void route(session* s, const uint8_t* host, int length) noexcept nogil:
    cdef snapshot* now = s.owner.current
    cdef route_hit hit = route_lookup(now.routes, host, length, s.local, s.local_port)
    s.server = server_retain(now.servers[hit.server] if hit.server >= 0 else now.unknown)
    if now.hooks & HOOK_ROUTE:
        consult(s, EVENT_CONSULT_ROUTE)
    else:
        routed(s)


cdef void routed(session* s) noexcept nogil:
    if not admitted(s.server.admit, s.server.refuse, s.address):
        session_end(s, REASON_FILTERED_SERVER)
    elif s.legacy:
        ask_status(s)
    elif s.intent == 1:
        move(s, STATE_STATUS)
        wheel_set(s, s.owner.now_ms + s.owner.current.handshake_ms)
        status_packets(s)
    elif s.server.unknown:
        say(s, s.server.unavailable, REASON_UNKNOWN_HOST)
    elif s.server.mode == MODE_SERVER_ONLY or s.owner.current.hooks & HOOK_LOGIN:
        move(s, STATE_LOGIN)
        wheel_set(s, s.owner.now_ms + s.owner.current.handshake_ms)
        login_packet(s)
    else:
        dial(s, 0)


# ---- Hooks: Python decides. ----

cdef void consult(session* s, int kind) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e = NULL
    if w.consulting < CONSULT_MOST:
        e = identified(s, kind)
    if e == NULL:
        session_end(s, REASON_CONTROL_BUSY)
        return
    ring_commit(w, e)
    w.consulting += 1
    s.consulting = True
    move(s, STATE_CONSULT)
    wheel_set(s, w.now_ms + CONSULT_MS)


cdef event* identified(session* s, int kind) noexcept nogil:
    # An event with the host as it came and, where Login Start was read, the name and UUID.
    cdef handshake_t h
    cdef login_start_t login
    cdef legacy_ping_t ping
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef const uint8_t* host = NULL
    cdef uint32_t host_size = 0
    cdef uint32_t used = s.first_used
    cdef int size
    cdef event* e
    memset(&login, 0, sizeof(login))
    if s.legacy:
        if legacy_probe(s.first, s.first_size, True, &ping) == LEGACY_16:
            host = ping.host
            host_size = 2 * ping.host_units
    else:
        s.first_used = 0
        size = frame_at(s, HANDSHAKE_BODY_MAX, &body, &end)
        if size > 0 and handshake_parse(body, end, &h) == HANDSHAKE_OK:
            host = h.host
            host_size = h.host_len
            s.first_used = size
            if used > <uint32_t>size and h.intent != 1 and \
                    frame_at(s, LOGIN_BODY_MAX, &body, &end) > 0:
                login_start_parse(body, end, s.protocol, &login)
        s.first_used = used
    e = ring_begin(s.owner, kind, host_size + login.name_len)
    if e == NULL:
        return NULL
    event_session(e, s)
    e.host_size = host_size
    e.name_size = login.name_len
    e.has_uuid = login.has_uuid
    memcpy(e.uuid, login.uuid, 16)
    memcpy(<uint8_t*>e + sizeof(event), host, host_size)
    memcpy(<uint8_t*>e + sizeof(event) + host_size, login.name, login.name_len)
    return e


cdef void session_command(worker* w, command* c) noexcept nogil:
    cdef session* s = session_find(w, c.slot, c.generation)
    if s == NULL or s.state != STATE_CONSULT:
        return                      # it left while Python was deciding
    w.consulting -= 1
    s.consulting = False
    if c.kind == COMMAND_ROUTE:
        server_release(s.server)
        s.server = server_retain(<server_rec*>c.thing)
        routed(s)
    elif c.kind == COMMAND_ADMIT:
        dial(s, 0)
    elif c.kind == COMMAND_ANSWER:
        answer_status(s, <blob*>c.thing)
    elif c.thing == NULL:
        session_end(s, REASON_HOOK)
    else:
        say(s, <blob*>c.thing, REASON_HOOK)
    client_readable(s)              # nothing was read while Python was deciding


# ---- Status. ----

cdef void status_packets(session* s) noexcept nogil:
    # One request and one ping, in this order; a ping alone is answered too.
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef int size
    while s.state != STATE_FREE and s.state != STATE_LINGER:
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


cdef inline bint ping_follows(session* s) noexcept nogil:
    # Whether the ping is here already: then both answers leave in one segment.
    return s.ping_waits or (s.intent == 1 and s.first_size - s.first_used == 10)


cdef void ask_status(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef int32_t key = PROTOCOL_LEGACY if s.legacy else status_key(w.current, s.protocol)
    cdef status_entry* entry
    cdef event* e
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
    wheel_set(s, s.owner.now_ms + s.owner.current.handshake_ms)
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


# ---- Last words, and everything else that the proxy says itself. ----

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


# ---- Login. ----

cdef void login_packet(session* s) noexcept nogil:
    cdef const uint8_t* body
    cdef const uint8_t* end
    cdef login_start_t login
    cdef int size = frame_at(s, LOGIN_BODY_MAX, &body, &end)
    if size == FRAME_INCOMPLETE:
        return
    if size < 0:
        session_end(s, REASON_FRAME_TOO_LONG if size == FRAME_OVERSIZED else REASON_BAD_LOGIN)
        return
    if login_start_parse(body, end, s.protocol, &login) != HANDSHAKE_OK:
        session_end(s, REASON_BAD_LOGIN)
        return
    s.first_used += size
    if s.owner.current.hooks & HOOK_LOGIN:
        consult(s, EVENT_CONSULT_LOGIN)
    else:
        dial(s, 0)


# ---- Dial. ----

cdef void dial(session* s, int attempt) noexcept nogil:
    cdef worker* w = s.owner
    cdef sockaddr_storage name
    cdef socklen_t length
    cdef endpoint* target
    cdef int fd, error
    while attempt < s.server.endpoint_count:
        target = &s.server.endpoints[attempt]
        length = mcp_pack(&name, target.address, target.port)
        fd = socket(AF_INET if length == 16 else AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:
            error = mcp_errno()
            pause_accepting(w, error)
            say(s, s.server.unavailable,
                REASON_DESCRIPTORS if error in (EMFILE, ENFILE) else REASON_MEMORY)
            return
        s.backend.fd = fd
        s.attempt = attempt
        mcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)
        if (connect(fd, <sockaddr*>&name, length) == 0 or mcp_errno() == EINPROGRESS) and \
                mcp_epoll_add(w.epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              <uint64_t>s | TAG_BACKEND) == 0:
            if s.state != STATE_DIAL:
                move(s, STATE_DIAL)
            wheel_set(s, w.now_ms + w.current.connect_ms)
            return
        dial_failed(s, mcp_errno())
        attempt += 1
    say(s, s.server.unavailable, REASON_NO_BACKEND)


cdef void dial_failed(session* s, int error) noexcept nogil:
    # error: an errno, 0: the socket knows it.
    cdef worker* w = s.owner
    cdef socklen_t size = sizeof(error)
    cdef event* e
    if error == 0:
        getsockopt(s.backend.fd, SOL_SOCKET, SO_ERROR, &error, &size)
    close(s.backend.fd)
    s.backend.fd = -1
    count(w, COUNT_DIAL_FAILED)
    e = ring_begin(w, EVENT_DIAL_FAILED, 0)
    if e != NULL:
        event_session(e, s)
        memcpy(e.address, s.server.endpoints[s.attempt].address, 16)
        e.port = s.server.endpoints[s.attempt].port
        e.detail = error
        ring_commit(w, e)


# ---- Relay. ----

cdef void relay_begin(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef event* e = identified(s, EVENT_OPENED)
    move(s, STATE_RELAY)
    s.active_ms = w.now_ms
    wheel_set(s, w.now_ms + w.current.idle_ms)
    count(w, COUNT_RELAYED)
    count(w, COUNT_RELAYING)
    if e != NULL:
        memcpy(e.local, s.server.endpoints[s.attempt].address, 16)
        e.local_port = s.server.endpoints[s.attempt].port
        ring_commit(w, e)
    if not relay_send(s, &s.backend, <char*>s.first, s.first_size):
        session_end(s, REASON_MEMORY)
        return
    drop_first(s)
    relay_on(s)


cdef void relay_on(session* s) noexcept nogil:
    cdef worker* w = s.owner
    cdef int result = relay_step(s)
    if result == RELAY_AGAIN:
        if not s.ready:
            s.ready = True
            s.ready_next = NULL
            if w.ready_last == NULL:
                w.ready_first = s
            else:
                w.ready_last.ready_next = s
            w.ready_last = s
    elif result == RELAY_OVER:
        session_end(s, s.end_reason)
    elif result == RELAY_NO_MEMORY:
        session_end(s, REASON_MEMORY)
