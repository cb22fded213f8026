# Why a connection was refused or a session ended, and what is counted: the one list that
# the data plane, logs, metrics, events and docs use. Names and sentences: reasons.pyx.

cdef enum:
    # Refused before a backend was reached.
    REASON_NONE = 0
    REASON_FILTERED
    REASON_FILTERED_SERVER
    REASON_MAX_CONNECTIONS
    REASON_DESCRIPTORS
    REASON_MEMORY
    REASON_SILENT
    REASON_CLOSED_EARLY
    REASON_MALFORMED
    REASON_FRAME_TOO_LONG
    REASON_HOST_TOO_LONG
    REASON_BAD_INTENT
    REASON_BAD_LOGIN
    REASON_BAD_STATUS
    REASON_LEGACY_LOGIN
    REASON_PROXY_MISSING
    REASON_PROXY_MALFORMED
    REASON_PROXY_UNTRUSTED
    REASON_RATE_CONNECTIONS     # these four in the order of protection.actions
    REASON_RATE_STATUS
    REASON_RATE_LOGINS
    REASON_TOO_MANY_OPEN
    REASON_UNKNOWN_HOST
    REASON_NO_BACKEND
    REASON_CONTROL_BUSY
    REASON_CONTROL_SLOW
    REASON_HOOK
    REASON_INTERNAL
    # The ordinary ends.
    REASON_STATUS_DONE
    REASON_CLIENT_CLOSED
    REASON_BACKEND_CLOSED
    REASON_CLIENT_LOST
    REASON_BACKEND_LOST
    REASON_IDLE
    REASON_RATE_BYTES
    REASON_RATE_PACKETS
    REASON_SHUTDOWN
    REASON_COUNT

cdef enum:
    REASON_LAST_REFUSAL = REASON_INTERNAL

cdef enum:
    COUNT_ACCEPTED = 0
    COUNT_OPEN                  # a gauge: sessions now
    COUNT_RELAYED
    COUNT_RELAYING              # a gauge: relays now
    COUNT_SERVERBOUND_BYTES
    COUNT_CLIENTBOUND_BYTES
    COUNT_STATUS_ANSWERED
    COUNT_STATUS_WANTED
    COUNT_PINGS
    COUNT_LEGACY_PINGS
    COUNT_DIAL_FAILED
    COUNT_SPLICED
    COUNT_ACCEPT_PAUSED
    COUNT_EVENTS_DROPPED
    COUNT_WARM                  # a gauge: connected sockets that wait for a player
    COUNT_WARM_USED
    COUNT_WARM_LOST
    COUNT_EJECTED
    COUNT_BUFFERED_BYTES        # a gauge: blocks and pipes that hold relayed bytes
    COUNT_TARPIT                # a gauge: sessions held without an answer
    COUNT_UNTRACKED
    COUNT_PACED
    COUNT_UNBUFFERED
    COUNT_FLOODS
    COUNTER_COUNT
