"""The status table of a worker.

Bounded by the servers of the snapshot times the known protocols: nobody outside can make keys.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from mcproxy._speedups.plane.layout cimport PROTOCOL_UNKNOWN, STATUS_BUCKETS
from mcproxy._speedups.plane.records cimport blob_release


cdef int32_t status_key(const snapshot* s, int32_t protocol) noexcept nogil:
    cdef int32_t low = 0, high = s.protocol_count, middle
    while low < high:
        middle = (low + high) >> 1
        if s.protocols[middle] < protocol:
            low = middle + 1
        else:
            high = middle
    if low < s.protocol_count and s.protocols[low] == protocol:
        return protocol
    return PROTOCOL_UNKNOWN


cdef inline status_entry** bucket(worker* w, int32_t server, int32_t protocol) noexcept nogil:
    return &w.status[(<uint32_t>server * 31 + <uint32_t>protocol) % STATUS_BUCKETS]


cdef status_entry* status_find(worker* w, int32_t server, int32_t protocol) noexcept nogil:
    cdef status_entry** head = bucket(w, server, protocol)
    cdef status_entry* entry = head[0]
    while entry != NULL:
        if entry.server == server and entry.protocol == protocol:
            return entry
        entry = entry.next
    entry = <status_entry*>calloc(1, sizeof(status_entry))
    if entry == NULL:
        return NULL
    entry.server = server
    entry.protocol = protocol
    entry.next = head[0]
    head[0] = entry
    w.status_count += 1
    return entry


cdef void status_wait(status_entry* entry, session* s) noexcept nogil:
    s.wait_next = entry.waiters
    if s.wait_next != NULL:
        s.wait_next.wait_link = &s.wait_next
    s.wait_link = &entry.waiters
    entry.waiters = s


cdef void status_leave(session* s) noexcept nogil:
    if s.wait_link == NULL:
        return
    s.wait_link[0] = s.wait_next
    if s.wait_next != NULL:
        s.wait_next.wait_link = s.wait_link
    s.wait_link = NULL


cdef void status_forget(worker* w) noexcept nogil:
    cdef status_entry** link
    cdef status_entry* entry
    cdef int i
    for i in range(STATUS_BUCKETS):
        link = &w.status[i]
        while link[0] != NULL:
            entry = link[0]
            if entry.waiters != NULL:
                entry.expires_ms = 0
                link = &entry.next
                continue
            link[0] = entry.next
            blob_release(entry.frame)
            blob_release(entry.beta)
            free(entry)
            w.status_count -= 1
