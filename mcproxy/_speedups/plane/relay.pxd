# The relay: bytes from one side of a session to the other, as few system calls as they take.
from libc.stdint cimport uint32_t

from mcproxy._speedups.plane.layout cimport session, side, worker

cdef enum relay_result:
    RELAY_WAITS = 0             # nothing more to do until an event comes
    RELAY_AGAIN = 1             # more to do in the next turn
    RELAY_OVER = 2              # both directions have ended; session.end_reason says why
    RELAY_NO_MEMORY = 3
    RELAY_TOO_FAST = 4          # session.end_reason says of what there was too much

# Moves what can be moved in both directions, within the bounds of one turn.
cdef int relay_step(session* s) noexcept nogil
# Sends, and holds what the socket does not take. False: no block to hold it in.
cdef bint relay_send(session* s, side* target, const char* data, uint32_t size) noexcept nogil
# Gives back what a side holds: its block and its pipe.
cdef void relay_drop(session* s, side* target) noexcept nogil
