# A session from accept to end: the steps of the pipeline, in the order in which they happen.
from mcproxy._speedups.plane.layout cimport command, listener, session, status_entry, worker

# Takes connections from a listener until there are none, or the turn's share is used up.
cdef void sessions_accept(worker* w, listener* l) noexcept nogil
# Something happened on one of the two sockets.
cdef void session_client_event(session* s, unsigned int events) noexcept nogil
cdef void session_backend_event(session* s, unsigned int events) noexcept nogil
# The session asked for another turn; its deadline has passed; Python decided about it.
cdef void session_turn(session* s) noexcept nogil
cdef void session_due(session* s) noexcept nogil
cdef void session_command(worker* w, command* c) noexcept nogil
# Python published a status answer: those who waited for it get it.
cdef void session_status(worker* w, command* c) noexcept nogil
cdef void session_end(session* s, int reason) noexcept nogil
# The session in a slot, or NULL when the slot has moved on to another.
cdef session* session_find(worker* w, unsigned int slot, unsigned int generation) noexcept nogil
