"""The data plane as Python sees it: start, publish, ask, decide, count, stop.

Nothing here runs on the way of a relayed byte. Use `mcproxy.proxy.DataPlane`.
"""

cimport cython

import atexit
import os
import socket as sockets
import weakref

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mcproxy._speedups.match.limits cimport (
    LIMIT_CONNECTIONS,
    LIMIT_LOGINS,
    LIMIT_STATUS,
    limit_rates,
    limit_table_free,
    limit_table_new,
)
from mcproxy._speedups.match.prefixes cimport PrefixSet, prefix_retain
from mcproxy._speedups.plane.balance cimport balance_good
from mcproxy._speedups.plane.layout cimport (
    ADDRESSES_MOST,
    blob,
    command,
    endpoint,
    protection,
    server_rec,
    shared,
    snapshot,
    target,
    worker,
)
from mcproxy._speedups.plane.limits cimport LIMIT_ENTRIES
from mcproxy._speedups.plane.reasons cimport REASON_COUNT
from mcproxy._speedups.plane.records cimport (
    blob_new,
    blob_release,
    blob_retain,
    server_release,
    server_retain,
    snapshot_release,
    snapshot_retain,
    target_release,
    target_retain,
)
from mcproxy._speedups.plane.ring cimport (
    COMMAND_ADMIT,
    COMMAND_ANSWER,
    COMMAND_CLOSE,
    COMMAND_LEAVE,
    COMMAND_LISTEN,
    COMMAND_REFUSE,
    COMMAND_ROUTE,
    COMMAND_SNAPSHOT,
    COMMAND_STATUS,
    COMMAND_UNLISTEN,
    EVENT_APPLIED,
    EVENT_CLOSED,
    EVENT_CONSULT_LOGIN,
    EVENT_CONSULT_ROUTE,
    EVENT_CONSULT_STATUS,
    EVENT_DIAL_FAILED,
    EVENT_FLOOD_BEGAN,
    EVENT_FLOOD_ENDED,
    EVENT_OPENED,
    EVENT_PAUSED,
    EVENT_REFUSED,
    EVENT_RESUMED,
    EVENT_STATUS_WANTED,
    command_push,
    event,
    ring_peek,
    ring_pop,
)
from mcproxy._speedups.plane.routes cimport RouteTable, route_retain
from mcproxy._speedups.plane.system cimport *
from mcproxy._speedups.plane.worker cimport worker_abandon, worker_free, worker_new, worker_start

from mcproxy._speedups.plane.reasons import COUNTERS as _COUNTERS
from mcproxy._speedups.plane.reasons import Reason
from mcproxy.errors import DataPlaneUnavailable

OPENED = EVENT_OPENED
CLOSED = EVENT_CLOSED
REFUSED = EVENT_REFUSED
DIAL_FAILED = EVENT_DIAL_FAILED
STATUS_WANTED = EVENT_STATUS_WANTED
CONSULT_ROUTE = EVENT_CONSULT_ROUTE
CONSULT_STATUS = EVENT_CONSULT_STATUS
CONSULT_LOGIN = EVENT_CONSULT_LOGIN
PAUSED = EVENT_PAUSED
RESUMED = EVENT_RESUMED
APPLIED = EVENT_APPLIED
FLOOD_BEGAN = EVENT_FLOOD_BEGAN
FLOOD_ENDED = EVENT_FLOOD_ENDED

MAPPED = b"\0" * 10 + b"\xff\xff"

_planes = weakref.WeakSet()


def pack_address(str text not None) -> bytes:
    """The 16 bytes of a literal IP address, IPv4 mapped; ValueError for anything else."""
    try:
        return MAPPED + sockets.inet_pton(sockets.AF_INET, text)
    except OSError:
        pass
    try:
        return sockets.inet_pton(sockets.AF_INET6, text)
    except OSError:
        raise ValueError(f"{text!r} is not an IP address") from None


def unpack_address(bytes packed not None) -> str:
    """The text of 16 bytes, a mapped IPv4 address as IPv4."""
    if packed.startswith(MAPPED):
        return sockets.inet_ntop(sockets.AF_INET, packed[12:])
    return sockets.inet_ntop(sockets.AF_INET6, packed)


cdef blob* blob_of(bytes data) except? NULL:
    # NULL for None.
    if data is None:
        return NULL
    cdef blob* b = blob_new(<const unsigned char*><char*>data, len(data))
    if b == NULL:
        raise MemoryError
    return b


cdef command* command_new(int kind, void* thing) except NULL:
    cdef command* c = <command*>calloc(1, sizeof(command))
    if c == NULL:
        raise MemoryError
    c.kind = kind
    c.thing = thing
    return c


@cython.final
cdef class Target:
    """One address of a server, as all workers know it now; it outlives reloads.

    ``host`` is an IP address. Health checks set ``up``; ``draining`` keeps new sessions away.
    """

    cdef target* known
    cdef readonly str host
    cdef readonly int port
    cdef unsigned char packed[16]

    def __cinit__(self, str host not None, int port):
        cdef bytes packed = pack_address(host)
        memcpy(self.packed, <char*>packed, 16)
        self.host = host
        self.port = port
        self.known = <target*>calloc(1, sizeof(target))
        if self.known == NULL:
            raise MemoryError
        self.known.uses = 1
        self.known.up = 1

    def __dealloc__(self):
        target_release(self.known)

    @property
    def up(self):
        """Whether health checks find it well."""
        return bool(mcp_load(&self.known.up))

    @up.setter
    def up(self, bint value):
        if value and not mcp_load(&self.known.up):
            # What dials learnt while it was down is out of date too.
            balance_good(self.known, mcp_now_ms())
            mcp_store64(&self.known.up_since_ms, mcp_now_ms())
        mcp_store(&self.known.up, value)

    @property
    def draining(self):
        """Whether new sessions are kept away."""
        return bool(mcp_load(&self.known.draining))

    @draining.setter
    def draining(self, bint value):
        mcp_store(&self.known.draining, value)

    @property
    def sessions(self):
        """Sessions that are being dialled or relayed there now."""
        return mcp_load(&self.known.sessions)

    @property
    def ejected(self):
        """Whether it is left out for a while because dials to it failed."""
        return mcp_load64(&self.known.ejected_until_ms) > mcp_now_ms()


@cython.final
cdef class ServerRecord:
    """A server as the workers know it: immutable, its addresses resolved.

    ``endpoints`` are (`Target`, weight) in the order in which they are configured;
    ``unavailable`` is the frame sent to a joining player when none answers; ``warm`` sockets
    stay connected per worker, each for ``warm_age`` seconds at the most; ``send_proxy`` is the
    version of the PROXY header in front of a session's bytes, 0: none.
    """

    cdef server_rec* record
    cdef readonly int id

    def __cinit__(self, int id, int mode, endpoints, PrefixSet admit=None, PrefixSet refuse=None,
                  bytes unavailable=None, bint unknown=False, int balance=0,
                  double slow_start=0, int warm=0, double warm_age=10, int send_proxy=0):
        cdef endpoint* place
        self.id = id
        if len(endpoints) > ADDRESSES_MOST:
            raise ValueError(f"a server has at most {ADDRESSES_MOST} addresses")
        if send_proxy not in (0, 1, 2):
            raise ValueError(f"there is no PROXY header of version {send_proxy}")
        self.record = <server_rec*>calloc(1, sizeof(server_rec))
        if self.record == NULL:
            raise MemoryError
        self.record.uses = 1
        self.record.id = id
        self.record.mode = mode
        self.record.unknown = unknown
        self.record.balance = balance
        self.record.slow_start_ms = <int64_t>(slow_start * 1000)
        self.record.warm = warm
        self.record.warm_ms = max(1, <int64_t>(warm_age * 1000))
        self.record.send_proxy = send_proxy
        for one, weight in endpoints:
            if weight < 1:
                raise ValueError("a weight is at least 1")
            place = &self.record.endpoints[self.record.endpoint_count]
            memcpy(place.address, (<Target?>one).packed, 16)
            place.port = (<Target>one).port
            place.weight = weight
            place.known = target_retain((<Target>one).known)
            self.record.endpoint_count += 1
        if admit is not None:
            self.record.admit = prefix_retain(admit.prefixes)
        if refuse is not None:
            self.record.refuse = prefix_retain(refuse.prefixes)
        self.record.unavailable = blob_of(unavailable)

    def __dealloc__(self):
        server_release(self.record)


@cython.final
cdef class Event:
    """What a worker tells: ``kind`` is one of this module's constants."""

    cdef readonly int kind
    cdef readonly int worker
    cdef readonly unsigned int slot
    cdef readonly unsigned int generation
    cdef readonly int reason
    cdef readonly int server
    cdef readonly int protocol
    cdef readonly unsigned int intent
    cdef readonly int detail
    cdef readonly int legacy
    cdef readonly uint64_t serverbound
    cdef readonly uint64_t clientbound
    cdef readonly int64_t duration_ms
    cdef readonly int port
    cdef readonly int local_port
    cdef readonly bytes host
    cdef readonly bytes name
    cdef readonly bytes uuid
    cdef bytes packed
    cdef bytes packed_local

    @property
    def address(self):
        """The client's IP address; the backend's for DIAL_FAILED."""
        return unpack_address(self.packed)

    @property
    def local(self):
        """The local IP address; the backend's for OPENED."""
        return unpack_address(self.packed_local)

    @property
    def session(self):
        """A number that no other session of the process has."""
        return <uint64_t>self.worker << 56 | <uint64_t>self.generation << 24 | self.slot


cdef Event event_of(worker* w, event* e):
    cdef Event told = Event.__new__(Event)
    cdef char* behind = <char*>e + sizeof(event)
    told.kind = e.kind
    told.worker = w.index
    told.slot = e.slot
    told.generation = e.generation
    told.reason = e.reason
    told.server = e.server
    told.protocol = e.protocol
    told.intent = e.intent
    told.detail = e.detail
    told.legacy = e.legacy
    told.serverbound = e.serverbound
    told.clientbound = e.clientbound
    told.duration_ms = e.duration_ms
    told.port = e.port
    told.local_port = e.local_port
    told.packed = PyBytes_FromStringAndSize(<char*>e.address, 16)
    told.packed_local = PyBytes_FromStringAndSize(<char*>e.local, 16)
    told.host = PyBytes_FromStringAndSize(behind, e.host_size)
    told.name = PyBytes_FromStringAndSize(behind + e.host_size, e.name_size)
    if e.has_uuid:
        told.uuid = PyBytes_FromStringAndSize(<char*>e.uuid, 16)
    return told


@cython.final
cdef class Plane:
    """Workers that accept, route and relay on their own.

    Its methods belong to one thread. ``fileno()`` is readable when ``events()`` has something
    that must not wait; accounting is fetched by calling ``events()`` now and then.
    """

    cdef worker** workers
    cdef readonly int worker_count
    cdef shared* common
    cdef int event_fd
    cdef int process
    cdef int sequence
    cdef readonly bint closed
    cdef bint joined
    cdef object __weakref__

    def __cinit__(self, int workers, settings):
        cdef snapshot* first
        cdef int i, error
        if workers < 1:
            raise ValueError("a data plane has at least one worker")
        self.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.common = <shared*>calloc(1, sizeof(shared))
        self.workers = <worker**>calloc(workers, sizeof(worker*))
        if self.common != NULL:
            # The seeds are secret, so that nobody can choose who shares a place with whom.
            self.common.limits = limit_table_new(
                LIMIT_ENTRIES, int.from_bytes(os.urandom(8), "big"),
                int.from_bytes(os.urandom(8), "big"))
        if (self.event_fd < 0 or self.common == NULL or self.common.limits == NULL
                or self.workers == NULL):
            raise DataPlaneUnavailable("no memory or no file descriptor for the data plane")
        self.process = os.getpid()
        first = snapshot_of(settings)
        for i in range(workers):
            self.workers[i] = worker_new(i, self.event_fd, self.common, snapshot_retain(first))
            if self.workers[i] == NULL:
                snapshot_release(first)
                raise DataPlaneUnavailable("no memory or no file descriptor for a worker")
            error = worker_start(self.workers[i])
            if error:
                snapshot_release(first)
                worker_free(self.workers[i])
                self.workers[i] = NULL
                raise DataPlaneUnavailable(f"cannot start a thread: {os.strerror(error)}")
            self.worker_count += 1
        snapshot_release(first)
        _planes.add(self)

    def __dealloc__(self):
        cdef int i
        if self.workers != NULL and self.process == os.getpid():
            self.end()
            if self.joined:
                for i in range(self.worker_count):
                    worker_free(self.workers[i])
        free(self.workers)
        if self.common != NULL:
            limit_table_free(self.common.limits)
        free(self.common)
        if self.event_fd >= 0:
            close(self.event_fd)

    cdef int check(self) except -1:
        if self.process != os.getpid():
            raise DataPlaneUnavailable(
                "the data plane does not live on after fork(): make a new one in the child")
        if self.closed:
            raise DataPlaneUnavailable("the data plane has been closed")
        return 0

    cdef int decide(self, Event asked, int kind, void* thing) except -1:
        # About one session; the command owns the use of the thing that it is given.
        cdef command* c
        self.check()
        c = command_new(kind, thing)
        c.slot = asked.slot
        c.generation = asked.generation
        command_push(self.workers[asked.worker], c)
        return 0

    # ---- What is told to all workers. ----

    def publish(self, settings) -> int:
        """Replace the snapshot; every worker says APPLIED with the number that is returned."""
        self.check()
        cdef snapshot* s = snapshot_of(settings)
        cdef command* c
        cdef int i
        self.sequence += 1
        for i in range(self.worker_count):
            c = command_new(COMMAND_SNAPSHOT, snapshot_retain(s))
            c.protocol = self.sequence
            command_push(self.workers[i], c)
        snapshot_release(s)
        return self.sequence

    def put_status(self, int server, int protocol, double lifetime, bytes frame not None,
                   bytes beta=None) -> None:
        """Answer (server, protocol) with these bytes for ``lifetime`` seconds."""
        self.check()
        cdef blob* answer = blob_of(frame)
        cdef blob* old = blob_of(beta)
        cdef int64_t expires = mcp_now_ms() + <int64_t>(lifetime * 1000)
        cdef command* c
        cdef int i
        for i in range(self.worker_count):
            c = command_new(COMMAND_STATUS, blob_retain(answer))
            c.other = blob_retain(old)
            c.server = server
            c.protocol = protocol
            c.expires_ms = expires
            command_push(self.workers[i], c)
        blob_release(answer)
        blob_release(old)

    def listen(self, list descriptors not None) -> int:
        """Give each worker its listening socket (descriptors, owned by the worker from now on)."""
        self.check()
        cdef command* c
        cdef int i
        if len(descriptors) != self.worker_count:
            raise ValueError("every worker wants a listening socket of its own")
        self.sequence += 1
        for i in range(self.worker_count):
            c = command_new(COMMAND_LISTEN, NULL)
            c.slot = descriptors[i]
            c.protocol = self.sequence
            command_push(self.workers[i], c)
        return self.sequence

    def unlisten(self, str address not None, int port) -> int:
        """Close the listeners that are bound to the address and port."""
        self.check()
        cdef bytes packed = pack_address(address)
        cdef command* c
        cdef int i
        self.sequence += 1
        for i in range(self.worker_count):
            c = command_new(COMMAND_UNLISTEN, NULL)
            memcpy(c.address, <char*>packed, 16)
            c.server = port
            c.protocol = self.sequence
            command_push(self.workers[i], c)
        return self.sequence

    def leave(self) -> None:
        """Close the listeners; each worker ends with its last session."""
        self.check()
        cdef int i
        for i in range(self.worker_count):
            command_push(self.workers[i], command_new(COMMAND_LEAVE, NULL))

    # ---- What is decided about one session that consults. ----

    def route(self, Event asked not None, ServerRecord server not None) -> None:
        """Send the session to this server."""
        self.decide(asked, COMMAND_ROUTE, server_retain(server.record))

    def admit(self, Event asked not None) -> None:
        """Let the session go on to its server."""
        self.decide(asked, COMMAND_ADMIT, NULL)

    def answer(self, Event asked not None, bytes frame not None) -> None:
        """Answer the status request."""
        self.decide(asked, COMMAND_ANSWER, blob_of(frame))

    def refuse(self, Event asked not None, bytes frame=None) -> None:
        """End the session, with last words if there are any."""
        self.decide(asked, COMMAND_REFUSE, blob_of(frame))

    # ---- What the workers tell. ----

    def fileno(self) -> int:
        """An eventfd."""
        return self.event_fd

    def events(self, int most=4096) -> list:
        """The events so far, at most ``most`` of each worker; resets ``fileno()``."""
        cdef uint64_t count
        cdef list told = []
        cdef event* e
        cdef int i, taken
        read(self.event_fd, &count, sizeof(count))
        for i in range(self.worker_count):
            taken = 0
            e = ring_peek(self.workers[i])
            while e != NULL:
                told.append(event_of(self.workers[i], e))
                ring_pop(self.workers[i], e)
                taken += 1
                if taken == most:
                    count = 1
                    write(self.event_fd, &count, sizeof(count))
                    break
                e = ring_peek(self.workers[i])
        return told

    def counters(self) -> dict:
        """Every counter by name, and ``ended``: sessions and refusals by reason."""
        cdef dict result = {}
        cdef dict ended = {}
        cdef uint64_t total
        cdef int i, k
        for k, name in enumerate(_COUNTERS):
            total = 0
            for i in range(self.worker_count):
                total += mcp_read(&self.workers[i].counters[k])
            result[name] = total
        for k in range(1, REASON_COUNT):
            total = 0
            for i in range(self.worker_count):
                total += mcp_read(&self.workers[i].ended[k])
            ended[Reason(k)] = total
        result["ended"] = ended
        return result

    @property
    def running(self) -> int:
        """Workers whose thread has not ended."""
        return mcp_load(&self.common.running)

    @property
    def tells_sessions(self):
        """Whether OPENED and CLOSED are told: a program that nobody listens to saves their cost."""
        return bool(mcp_load(&self.common.tells_sessions))

    @tells_sessions.setter
    def tells_sessions(self, bint value):
        mcp_store(&self.common.tells_sessions, value)

    def close(self) -> None:
        """End every session and every worker, now; may be called again."""
        if self.process == os.getpid():
            self.end()

    cdef void end(self):
        cdef int i
        cdef command* c
        if self.closed:
            return
        self.closed = True
        for i in range(self.worker_count):
            c = <command*>calloc(1, sizeof(command))
            if c == NULL:
                return              # nothing can be freed while the threads run
            c.kind = COMMAND_CLOSE
            command_push(self.workers[i], c)
        with nogil:
            for i in range(self.worker_count):
                pthread_join(self.workers[i].thread, NULL)
        self.joined = True

    def free(self) -> None:
        """Give back the workers' memory after ``close()``; the last events and counters go too."""
        cdef int i
        if not self.joined:
            raise ValueError("close() comes first")
        for i in range(self.worker_count):
            worker_free(self.workers[i])
        self.worker_count = 0
        if self.event_fd >= 0:
            close(self.event_fd)
            self.event_fd = -1


cdef snapshot* snapshot_of(settings) except NULL:
    """settings: an object with the attributes that are read here."""
    cdef snapshot* s = <snapshot*>calloc(1, sizeof(snapshot))
    if s == NULL:
        raise MemoryError
    s.uses = 1
    try:
        s.routes = route_retain((<RouteTable?>settings.routes).table)
        s.wants_local = settings.wants_local
        s.servers = <server_rec**>calloc(len(settings.servers) + 1, sizeof(server_rec*))
        s.protocols = <int32_t*>calloc(len(settings.protocols) + 1, sizeof(int32_t))
        if s.servers == NULL or s.protocols == NULL:
            raise MemoryError
        for server in settings.servers:
            s.servers[s.server_count] = server_retain((<ServerRecord?>server).record)
            s.server_count += 1
        for protocol in sorted(settings.protocols):
            s.protocols[s.protocol_count] = protocol
            s.protocol_count += 1
        s.unknown = server_retain((<ServerRecord?>settings.unknown).record)
        if settings.admit is not None:
            s.admit = prefix_retain((<PrefixSet?>settings.admit).prefixes)
        if settings.refuse is not None:
            s.refuse = prefix_retain((<PrefixSet?>settings.refuse).prefixes)
        if settings.trusted is not None:
            s.trusted = prefix_retain((<PrefixSet?>settings.trusted).prefixes)
        s.legacy_kick = blob_of(settings.legacy_kick)
        protect_by(&s.protect, settings.protection)
        s.buffer_session, s.buffer_total = settings.buffers
        s.hooks = settings.hooks
        s.max_connections = settings.max_connections
        s.connect_ms = max(1, <int64_t>(settings.connect * 1000))
        s.handshake_ms = max(1, <int64_t>(settings.handshake * 1000))
        s.idle_ms = max(1, <int64_t>(settings.idle * 1000))
        s.dead_peer_ms = max(1000, <int64_t>(settings.dead_peer * 1000))
    except BaseException:
        snapshot_release(s)
        raise
    return s


cdef int protect_by(protection* p, given) except -1:
    set_rate(&p.rates, LIMIT_CONNECTIONS, given.connections)
    set_rate(&p.rates, LIMIT_STATUS, given.status)
    set_rate(&p.rates, LIMIT_LOGINS, given.logins)
    p.rates.concurrent = given.open
    p.rates.v4_bits, p.rates.v6_bits = given.prefixes
    if p.rates.v4_bits > 32 or p.rates.v6_bits > 64:
        raise ValueError("prefixes are at most 32 and 64 bits long")
    for i, action in enumerate(given.actions):
        p.actions[<int>i] = action
    if given.exempt is not None:
        p.exempt = prefix_retain((<PrefixSet?>given.exempt).prefixes)
    login, status, legacy, beta = given.texts
    p.login_text = blob_of(login)
    p.status_text = blob_of(status)
    p.legacy_text = blob_of(legacy)
    p.beta_text = blob_of(beta)
    p.serverbound = given.serverbound
    p.clientbound = given.clientbound
    p.packets = given.packets
    p.paced = given.serverbound > 0 or given.clientbound > 0 or given.packets > 0
    p.pace_close = given.pace_close
    p.flood_begin = given.flood_begin
    p.flood_end = given.flood_end
    p.flood_calm_ms = <int64_t>(given.flood_calm * 1000)
    p.flood_handshake_ms = max(1, <int64_t>(given.flood_handshake * 1000))
    return 0


cdef int set_rate(limit_rates* rates, int kind, given) except -1:
    cdef double rate = given[0]
    cdef int64_t burst = given[1]
    if rate > 0:
        rate = max(rate, 1e-6)          # so that no sum of intervals is too large
        rates.interval_us[kind] = max(<int64_t>1, <int64_t>(1e6 / rate))
        rates.burst_us[kind] = burst * rates.interval_us[kind]
    return 0


def _abandon_all() -> None:
    # Otherwise the child would hold its parent's ports and connections open.
    cdef Plane plane
    cdef int i
    for one in list(_planes):
        plane = one
        if not plane.closed:
            for i in range(plane.worker_count):
                worker_abandon(plane.workers[i])
    _planes.clear()


os.register_at_fork(after_in_child=_abandon_all)


@atexit.register
def _close_all() -> None:
    for plane in list(_planes):
        plane.close()
