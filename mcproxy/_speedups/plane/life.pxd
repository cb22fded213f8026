# The table of sessions of a worker: birth, moves between states, end, and refusals.
from libc.stdint cimport int64_t, uint16_t, uint8_t

from mcproxy._speedups.plane.layout cimport session, worker
from mcproxy._speedups.plane.reasons cimport REASON_INTERNAL
from mcproxy._speedups.plane.states cimport state_allows
from mcproxy._speedups.plane.system cimport mcp_count, mcp_load

cdef extern from * nogil:
    """
    #include <stdio.h>
    #include <stdlib.h>
    #ifdef MCPROXY_CHECKS
    #define MCP_ILLEGAL(before, after) \\
        (fprintf(stderr, "mcproxy: no move from state %d to %d\\n", before, after), abort())
    #else
    #define MCP_ILLEGAL(before, after) ((void)0)
    #endif
    """
    void MCP_ILLEGAL(int before, int after)


cdef inline void move(session* s, int after) noexcept nogil:
    if not state_allows(s.state, after):
        MCP_ILLEGAL(s.state, after)
        mcp_count(&s.owner.ended[REASON_INTERNAL], 1)
    s.state = after


cdef inline void count(worker* w, int counter) noexcept nogil:
    mcp_count(&w.counters[counter], 1)


# The time for the first packets, which is short while there is a flood.
cdef inline int64_t handshake_ms(worker* w) noexcept nogil:
    if mcp_load(&w.common.flooding):
        return min(w.current.handshake_ms, w.current.protect.flood_handshake_ms)
    return w.current.handshake_ms


# A session in state FREE with its sockets unset, or NULL.
cdef session* session_new(worker* w) noexcept nogil
# The session in a slot, or NULL when the slot has moved on to another.
cdef session* session_find(worker* w, unsigned int slot, unsigned int generation) noexcept nogil
# Counts and tells the reason, closes both sockets, gives everything back.
cdef void session_end(session* s, int reason) noexcept nogil
# Gives back the block of first bytes.
cdef void drop_first(session* s) noexcept nogil
# The reason, when the client left before a relay.
cdef int left_early(session* s) noexcept nogil
# Refuses a connection that has no session yet.
cdef void turn_away(worker* w, int fd, int why, const uint8_t* address,
                    uint16_t port) noexcept nogil
# An event without a session.
cdef void tell(worker* w, int kind, int detail) noexcept nogil
# No descriptor is left: connections wait in the kernel until the loop tries again.
cdef void pause_accepting(worker* w, int error) noexcept nogil
# All refusals are counted; a bounded number a second is told one by one.
cdef bint refusal_may_be_told(worker* w) noexcept nogil
