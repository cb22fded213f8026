# The layout of the data plane: what a worker, a session, a server and a snapshot are.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from mcproxy._speedups.buffers cimport block_pool
from mcproxy._speedups.match.limits cimport limit_rates, limit_table
from mcproxy._speedups.match.prefixes cimport prefix_set
from mcproxy._speedups.plane.reasons cimport COUNTER_COUNT, REASON_COUNT
from mcproxy._speedups.plane.routes cimport route_table
from mcproxy._speedups.plane.system cimport pthread_t

cdef enum:
    ADDRESSES_MOST = 32         # addresses of one server that are tried
    WHEEL_SLOTS = 1024
    WHEEL_TICK_MS = 16
    PROTOCOL_UNKNOWN = -1       # the status key of every protocol number that is not known
    PROTOCOL_LEGACY = -2        # the status key of pings from before 1.7

cdef enum mode:
    MODE_PASSTHROUGH = 0
    MODE_ZERO_COPY = 1
    MODE_SERVER_ONLY = 2

cdef enum hook:
    HOOK_ROUTE = 1
    HOOK_STATUS = 2
    HOOK_LOGIN = 4


# ---- What the control plane publishes: immutable, counted, shared by the workers. ----

cdef struct blob:               # bytes ready to be sent
    int32_t uses
    uint32_t size
    uint8_t* data

cdef enum balance:
    BALANCE_FIRST_AVAILABLE = 0
    BALANCE_ROUND_ROBIN = 1
    BALANCE_LEAST_CONN = 2

cdef struct target:             # what is known of one address, over reloads and by all workers
    int32_t uses
    int32_t up                  # the verdict of health checks
    int32_t draining            # no new session is sent there
    int32_t sessions            # being dialled or relayed now
    int32_t failures            # dials in a row that failed
    int64_t ejected_until_ms    # after failures: not before this
    int64_t up_since_ms         # for slow start

cdef struct endpoint:
    uint8_t address[16]         # IPv4 mapped
    uint16_t port
    int32_t weight
    target* known

cdef struct server_rec:
    int32_t uses
    int32_t id                  # stays with the name of the server over reloads
    int32_t mode
    int32_t balance
    int32_t turn                # of round robin, counted by all workers
    int64_t slow_start_ms
    int32_t warm                # sockets that each worker keeps connected
    int64_t warm_ms             # how old one may get
    int32_t endpoint_count
    endpoint endpoints[ADDRESSES_MOST]
    prefix_set* admit           # NULL: everybody
    prefix_set* refuse          # NULL: nobody
    blob* unavailable           # login disconnect for a player whom no address answered
    bint unknown                # stands for the hosts that no route knows
    int32_t send_proxy          # version of the PROXY header it is sent, 0: none

cdef enum action:               # against a connection or request that is one too many
    ACTION_CLOSE = 0
    ACTION_DROP = 1             # with a reset: nothing of it stays in the kernel
    ACTION_TARPIT = 2           # hold it and say nothing
    ACTION_MESSAGE = 3          # tell the player, or the server list

cdef struct protection:
    limit_rates rates
    int32_t actions[4]          # connections, status, logins, open connections
    prefix_set* exempt          # whom no limit concerns, NULL: nobody
    blob* login_text
    blob* status_text
    blob* legacy_text           # to pings from 1.4 on
    blob* beta_text             # and before
    int64_t serverbound         # bytes per second of one relay, 0: no limit
    int64_t clientbound
    int64_t packets             # serverbound, per second, while they can be told apart
    bint paced                  # one of these three is set
    bint pace_close             # what exceeds them ends
    int64_t flood_begin         # new connections per second of all workers, 0: no flood mode
    int64_t flood_end
    int64_t flood_calm_ms       # below flood_end for so long, and the flood has ended
    int64_t flood_handshake_ms

cdef struct snapshot:
    int32_t uses
    route_table* routes
    server_rec** servers        # by the route table's index
    int32_t server_count
    server_rec* unknown
    prefix_set* admit
    prefix_set* refuse
    prefix_set* trusted         # who sends a PROXY header, NULL: nobody
    int32_t* protocols          # known protocol numbers, ascending
    int32_t protocol_count
    int32_t hooks
    bint wants_local            # some route asks for the local address
    int64_t max_connections     # 0: no bound
    int64_t connect_ms
    int64_t handshake_ms
    int64_t idle_ms
    int64_t dead_peer_ms        # a peer that acknowledges nothing for so long is gone
    blob* legacy_kick           # to a login from before 1.7
    protection protect
    int64_t buffer_session      # most bytes in blocks and pipes of one session
    int64_t buffer_total        # and of all


# ---- A session. ----

cdef struct worker

cdef struct side:               # one socket, and what waits to be written to it
    int fd
    bint readable               # the last read did not drain it
    bint writable               # the last write was taken whole
    bint hung_up                # EPOLLRDHUP came: a short read may hide an end of file
    bint ended                  # end of file was read from it
    bint broken                 # writing to it failed: nothing more can reach it
    bint shut                   # its peer has been told that no more will come
    uint8_t large_reads         # full reads in a row, or small moves while spliced
    bint spliced
    char* held                  # a RELAY_BLOCK of bytes that it did not take yet
    uint32_t held_from
    uint32_t held_to
    int pipe_in                 # the pipe on the way to it, -1: none
    int pipe_out
    uint32_t piped              # bytes in that pipe
    uint64_t written            # bytes that it took
    int64_t read_us             # when the bucket of bytes read from it is full again
    int64_t paced_until_ms      # nothing is read from it before

cdef struct session:
    int32_t state
    uint32_t slot               # index in the worker's table
    uint32_t generation         # of the slot, so that a late command misses
    uint32_t intent             # 1 status, 2 login, 3 transfer; 0: legacy
    int32_t protocol
    worker* owner
    # The deadline wheel.
    session* timer_next
    session** timer_link        # NULL: no deadline
    int64_t deadline_ms
    # Work for the next turn, and the list of waiters for a status.
    session* ready_next
    bint ready
    session* wait_next
    session** wait_link         # NULL: not waiting
    # The two sides of a relay.
    side client
    side backend
    server_rec* server
    int32_t attempt             # index of the endpoint in use
    uint32_t tried              # a bit for each endpoint that was tried
    target* engaged             # counts this session; the server's record keeps it alive
    bint guarded                # keep-alive is set on both sockets
    # The bytes before the relay; they are replayed to the backend.
    uint8_t* first              # a block of FIRST_BYTES, or NULL
    uint32_t first_size
    uint32_t first_used         # bytes of it that were understood
    int32_t legacy              # legacy_kind, 0: modern
    bint status_asked
    bint ping_waits             # a ping came before the status was out
    uint8_t ping[8]
    # Last words: a blob and how much of it was taken.
    blob* words
    uint32_t words_sent
    uint8_t words_reason        # why the session ends when they are out, 0: it goes on
    bint told                   # its refusal has been told
    uint8_t end_reason          # what ended the relay first
    bint relayed                # a backend was reached
    # Who.
    uint8_t address[16]
    uint16_t port
    uint16_t local_port
    uint8_t local[16]
    bint local_known            # not yet where a listener on any address took it
    int64_t opened_ms
    int64_t first_ms            # since when the first packet is awaited
    int64_t active_ms
    uint32_t discarded          # bytes thrown away in LINGER
    uint64_t limit_key          # of the address in the table of limits, 0: no limit concerns it
    bint limit_open             # counts there as open
    bint too_fast               # passed a limit on bytes or packets that ends it
    int64_t packets_us          # when the bucket of packets is full again
    uint32_t frame_left         # serverbound bytes that the frame still has
    uint32_t frame_size         # of the next frame, as far as its length was read
    uint8_t frame_bits
    bint frame_fresh            # nothing of the frame but its length was seen
    uint8_t frames              # seen so far, while it matters
    bint frames_hidden          # from here on they cannot be told apart
    uint8_t limited             # the limit that it passed, when it is held or told so
    bint consulting             # counts in owner.consulting


# ---- A worker. ----

cdef struct warm_set:           # the connected sockets that wait for players of one server
    server_rec* server
    int32_t count               # connecting or ready
    session* ready              # through wait_next, the youngest first
    session* dialling           # likewise
    int64_t retry_ms            # after a failure: not before this
    int64_t pause_ms            # how long the next pause after a failure is
    warm_set* next

cdef struct status_entry:       # what one (server, protocol) is answered
    int32_t server
    int32_t protocol
    blob* frame                 # modern: the status response; legacy: the reply from 1.4 on
    blob* beta                  # legacy: the reply up to 1.3
    int64_t expires_ms
    int64_t asked_ms            # 0: nobody asks at the moment
    session* waiters
    status_entry* next          # in the bucket

cdef struct listener:
    int fd
    bint open
    bint any_address            # the local address differs from connection to connection
    int burst                   # connections that one turn takes: follows the load
    uint64_t turn               # of the worker, when it took its burst last
    uint8_t address[16]
    uint16_t port

cdef struct command:            # from Python to a worker
    command* next
    int32_t kind
    uint32_t slot
    uint32_t generation
    int32_t server
    int32_t protocol
    int64_t expires_ms
    void* thing                 # a counted object; the command owns one use
    void* other
    uint8_t address[16]

cdef enum:
    LISTENERS_MOST = 64
    STATUS_BUCKETS = 256

cdef struct shared:             # what the workers of one plane have in common
    int32_t open_sessions
    int32_t running             # workers that have not ended
    int32_t tells_sessions      # somebody wants to hear when relays begin and end
    int64_t buffered            # bytes in blocks and pipes
    limit_table* limits
    int32_t tarpit              # sessions that are held
    int32_t flooding
    int32_t fresh               # new connections in this window of a second
    int64_t window_ms           # since when they are counted
    int64_t noisy_ms            # the last window of a flood with too many
    int64_t flood_ms            # since when there is a flood

cdef struct worker:
    int index
    int epoll
    int command_fd              # eventfd: commands wait
    int event_fd                # eventfd of the plane: events wait
    pthread_t thread
    int64_t now_ms
    uint64_t turn               # turns of the loop so far
    shared* common
    snapshot* current
    bint leaving                # ends when the last session has
    bint closing                # ends now
    listener listeners[LISTENERS_MOST]
    int64_t paused_until_ms     # accepting is paused, 0: it is not
    bint pause_told
    char* scratch               # RELAY_BLOCK bytes that every read goes through
    block_pool first_blocks
    block_pool relay_blocks
    int pipes[128]              # PIPE_SPARE pairs
    int pipe_count
    # Sessions.
    session** slabs
    uint32_t slab_count
    session* free_sessions
    session* dead_sessions      # freed in this turn; an event of the turn may still name them
    session* ready_first
    session* ready_last
    uint32_t session_count      # with a client
    warm_set* warm
    int64_t warm_next_ms        # when the sets are looked at again
    int32_t consulting
    # Deadlines.
    session* wheel[WHEEL_SLOTS]
    int64_t wheel_ms            # the tick that was handled last
    int64_t wheel_next_ms       # no deadline is due before, -1: not known
    uint32_t timer_count
    # Status answers.
    status_entry* status[STATUS_BUCKETS]
    uint32_t status_count
    # The ring to Python and the stack of commands from it.
    uint8_t* ring
    uint64_t ring_head          # written by the worker
    uint64_t ring_tail          # written by Python
    bint ring_urgent            # something in it must be seen at once
    void* commands
    int64_t refusals_second
    int32_t refusals_told
    # Counted here, read from Python.
    uint64_t ended[REASON_COUNT]
    uint64_t counters[COUNTER_COUNT]
