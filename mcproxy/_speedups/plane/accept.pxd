# New connections.
from mcproxy._speedups.plane.layout cimport listener, worker

# Takes connections from a listener until there are none, or the turn's share is used up.
cdef void sessions_accept(worker* w, listener* l) noexcept nogil

# Takes what waits at a listener that is no longer watched and will be closed.
cdef void sessions_accept_rest(worker* w, listener* l) noexcept nogil
