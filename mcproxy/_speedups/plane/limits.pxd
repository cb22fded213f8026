# Every bound and every wait of the data plane that is not configuration.

cdef enum:
    FIRST_BYTES = 4096          # bytes read before a session is routed; more stays in the kernel
    RELAY_BLOCK = 65536         # bytes of one read in a relay, and the most held for a slow reader
    RELAY_TURNS = 4             # reads per direction before other sessions get their turn
    PIPE_BYTES = 1048576        # a splice pipe, where the system allows it
    PIPE_SPARE = 64             # clean pipes kept for the next session that needs one
    SPLICE_AFTER = 3            # full reads in a row that switch a direction to splice
    SPLICE_LEAVE = 8            # small moves in a row that switch it back
    ACCEPTS_PER_TURN = 64
    ACCEPTS_LAST = 4096         # connections taken from the queue of a listener that closes
    DEFER_MS = 1000             # the kernel keeps a client that says nothing, see listeners.py
    EPOLL_BATCH = 256
    CONSULT_MOST = 256          # sessions of one worker that may wait for a hook
    RING_BYTES = 1048576        # events to Python, per worker
    RING_RESERVED = 524288      # of these, kept for events that must not be dropped
    REFUSALS_PER_SECOND = 20    # refusals told one by one, per worker; all are counted
    LEGACY_WAIT_MS = 300        # FE, FE 01 or FE 01 FA, and then nothing
    TARPIT_MOST = 1000          # connections that are held without an answer, over all workers
    TARPIT_MS = 60000           # and for how long
    FLOOD_WINDOW_MS = 1000      # in which new connections are counted
    LIMIT_ENTRIES = 65536       # address prefixes that are remembered, in 2.5 MiB
    LINGER_MS = 2000            # for the client to read the last words
    LINGER_BYTES = 262144       # bytes thrown away meanwhile
    CONSULT_MS = 15000          # for a hook to decide
    STATUS_WAIT_MS = 15000      # for the control plane to answer a status
    EJECT_MS = 1000             # an address that failed is left out; doubled with every failure
    EJECT_MOST_MS = 30000
    WARM_RETRY_MS = 500         # before a warm socket is tried again; doubled with every failure
    WARM_RETRY_MOST_MS = 30000
    GUARD_MS = 15000            # a relay that lives longer gets keep-alive on both sides
    PAUSE_MS = 100              # between attempts to accept again
    BLOCKS_FIRST = 65536        # most blocks of FIRST_BYTES per worker
    BLOCKS_RELAY = 16384        # most blocks of RELAY_BLOCK per worker
    SESSION_SLAB = 64
    SESSION_MOST = 1048576      # sessions of one worker
    LOGIN_BODY_MAX = 1024       # Login Start with a signature key is 885 bytes at the most
