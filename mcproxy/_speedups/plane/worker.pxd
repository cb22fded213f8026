# A worker: one thread, one epoll, its own listeners and sessions.
from mcproxy._speedups.plane.layout cimport shared, snapshot, worker

# A worker at rest, or NULL without memory or descriptors. Takes a use of the snapshot, either way.
cdef worker* worker_new(int index, int event_fd, shared* common, snapshot* first) noexcept nogil
# 0, or an errno.
cdef int worker_start(worker* w) noexcept nogil
# In a forked child, where no worker runs: closes what the child has inherited.
cdef void worker_abandon(worker* w) noexcept nogil
# Frees a worker that never started or whose thread has been joined.
cdef void worker_free(worker* w) noexcept nogil
