# What a single address may do, what is done when it does more, and the flood mode.
from libc.stdint cimport uint8_t, uint64_t

from mcproxy._speedups.plane.layout cimport session, worker

# For a new connection: REASON_NONE, or why it is one too many. The key and whether it counts as
# open belong into its session.
cdef int entry_refused(worker* w, const uint8_t* address, uint64_t* key, bint* open) noexcept nogil
# Whether a connection needs no session to be refused; prepares its socket for being closed.
cdef bint refused_at_once(worker* w, int fd, int reason) noexcept nogil
# What is done for this reason now.
cdef int entry_action(worker* w, int reason) noexcept nogil
# True: the request is one too many for a limit (of match.limits), and the session was refused.
cdef bint over_limit(session* s, int kind) noexcept nogil
# Ends, holds or tells a session; one that has not asked for anything yet goes on until then.
cdef void refuse_session(session* s, int reason) noexcept nogil
# Holds a session without an answer, or ends it where too many are held.
cdef void tarpit(session* s, int reason) noexcept nogil
# Ends a second of counting, and a flood that is over; for every turn while there is one.
cdef void flood_tick(worker* w) noexcept nogil
