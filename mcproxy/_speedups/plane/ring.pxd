# Events go up to Python in a ring per worker, commands come down on a stack per worker.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from mcproxy._speedups.plane.layout cimport command, session, worker

cdef enum event_kind:
    EVENT_SKIP = 0              # the rest of the ring up to its end
    EVENT_OPENED = 1            # a relay began
    EVENT_CLOSED = 2            # a relay ended
    EVENT_REFUSED = 3
    EVENT_DIAL_FAILED = 4
    EVENT_STATUS_WANTED = 5     # from here on: must not be dropped
    EVENT_CONSULT_ROUTE = 6
    EVENT_CONSULT_STATUS = 7
    EVENT_CONSULT_LOGIN = 8
    EVENT_PAUSED = 9
    EVENT_RESUMED = 10
    EVENT_APPLIED = 11
    EVENT_FLOOD_BEGAN = 12      # detail: new connections in a second
    EVENT_FLOOD_ENDED = 13      # detail: milliseconds it lasted

cdef enum command_kind:
    COMMAND_SNAPSHOT = 1        # thing: snapshot
    COMMAND_STATUS = 2          # thing, other: blobs of the status entry (server, protocol)
    COMMAND_ROUTE = 3           # thing: server_rec, for a session that consults
    COMMAND_ADMIT = 4           # a session that consults may go on
    COMMAND_ANSWER = 5          # thing: blob with the status, for a session that consults
    COMMAND_REFUSE = 6          # thing: blob with the last words, or NULL
    COMMAND_LISTEN = 7          # slot: descriptor of a listening socket
    COMMAND_UNLISTEN = 8        # server: port; address
    COMMAND_LEAVE = 9           # close the listeners, end with the last session
    COMMAND_CLOSE = 10          # end every session, then the worker

cdef struct event:
    uint32_t size               # of the whole record, a multiple of eight
    uint16_t kind
    uint16_t reason
    uint32_t slot
    uint32_t generation
    int32_t server
    int32_t protocol
    uint32_t intent
    int32_t detail              # errno, attempt or sequence number
    uint64_t serverbound        # bytes
    uint64_t clientbound
    int64_t duration_ms
    uint8_t address[16]
    uint8_t local[16]
    uint8_t uuid[16]
    uint16_t port
    uint16_t local_port
    uint16_t host_size          # bytes of the host as it came, behind the record
    uint16_t name_size          # bytes of the name, behind the host
    uint8_t has_uuid
    uint8_t legacy

# Room for a record with "extra" bytes behind it, to be filled and then committed.
# NULL: the ring is full; an accounting event is then counted as dropped.
cdef event* ring_begin(worker* w, int kind, uint32_t extra) noexcept nogil
cdef void ring_commit(worker* w, event* e) noexcept nogil
# The oldest record, or NULL; ring_pop gives its room back.
cdef event* ring_peek(worker* w) noexcept nogil
cdef void ring_pop(worker* w, event* e) noexcept nogil
# Wakes Python if the turn put something urgent into the ring.
cdef void ring_notify(worker* w) noexcept nogil

cdef void event_session(event* e, session* s) noexcept nogil

# Thread-safe; the worker owns the command from then on.
cdef void command_push(worker* w, command* c) noexcept nogil
# All commands so far, oldest first.
cdef command* command_take(worker* w) noexcept nogil
