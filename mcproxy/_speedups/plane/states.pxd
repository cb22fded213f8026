# The states of a session. What moves a session between them: the table in states.pyx.

cdef enum state:
    STATE_FREE = 0
    STATE_HEADER            # the PROXY header is awaited
    STATE_FIRST             # the first packet is awaited
    STATE_STATUS            # a status request or a ping is awaited
    STATE_STATUS_WAIT       # the control plane was asked for the status
    STATE_LOGIN             # Login Start is awaited
    STATE_CONSULT           # a hook decides
    STATE_DIAL              # a backend address is being connected
    STATE_RELAY             # bytes go both ways
    STATE_WARM_DIAL         # no client yet: a socket for the next one is being connected
    STATE_WARM              # no client yet: a socket waits for one
    STATE_TARPIT            # over a limit: held without an answer
    STATE_LINGER            # the last words are on their way to the client
    STATE_COUNT

# Whether the table has a row from one state to the other.
cdef bint state_allows(int before, int after) noexcept nogil
