# Counted objects that threads share: blobs, servers, snapshots.
from mcproxy._speedups.plane.layout cimport blob, server_rec, snapshot, target

cdef blob* blob_new(const unsigned char* data, size_t size) noexcept nogil
cdef blob* blob_retain(blob* b) noexcept nogil
cdef void blob_release(blob* b) noexcept nogil
cdef server_rec* server_retain(server_rec* r) noexcept nogil
cdef void server_release(server_rec* r) noexcept nogil
cdef target* target_retain(target* t) noexcept nogil
cdef void target_release(target* t) noexcept nogil
cdef snapshot* snapshot_retain(snapshot* s) noexcept nogil
cdef void snapshot_release(snapshot* s) noexcept nogil
