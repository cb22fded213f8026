"""Counted, immutable objects that the control plane makes and the workers share."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mcproxy._speedups.match.prefixes cimport prefix_release
from mcproxy._speedups.plane.routes cimport route_release
from mcproxy._speedups.plane.system cimport mcp_add


cdef blob* blob_new(const unsigned char* data, size_t size) noexcept nogil:
    cdef blob* b = <blob*>malloc(sizeof(blob) + size)
    if b == NULL:
        return NULL
    b.uses = 1
    b.size = <unsigned int>size
    b.data = <unsigned char*>b + sizeof(blob)
    memcpy(b.data, data, size)
    return b


cdef blob* blob_retain(blob* b) noexcept nogil:
    if b != NULL:
        mcp_add(&b.uses, 1)
    return b


cdef void blob_release(blob* b) noexcept nogil:
    if b != NULL and mcp_add(&b.uses, -1) == 0:
        free(b)


cdef server_rec* server_retain(server_rec* r) noexcept nogil:
    if r != NULL:
        mcp_add(&r.uses, 1)
    return r


cdef void server_release(server_rec* r) noexcept nogil:
    cdef int i
    if r == NULL or mcp_add(&r.uses, -1) != 0:
        return
    if r.admit != NULL:
        prefix_release(r.admit)
    if r.refuse != NULL:
        prefix_release(r.refuse)
    blob_release(r.unavailable)
    for i in range(r.endpoint_count):
        target_release(r.endpoints[i].known)
    free(r)


cdef target* target_retain(target* t) noexcept nogil:
    mcp_add(&t.uses, 1)
    return t


cdef void target_release(target* t) noexcept nogil:
    if t != NULL and mcp_add(&t.uses, -1) == 0:
        free(t)


cdef snapshot* snapshot_retain(snapshot* s) noexcept nogil:
    mcp_add(&s.uses, 1)
    return s


cdef void snapshot_release(snapshot* s) noexcept nogil:
    cdef int i
    if s == NULL or mcp_add(&s.uses, -1) != 0:
        return
    for i in range(s.server_count):
        server_release(s.servers[i])
    server_release(s.unknown)
    if s.routes != NULL:
        route_release(s.routes)
    if s.admit != NULL:
        prefix_release(s.admit)
    if s.refuse != NULL:
        prefix_release(s.refuse)
    if s.trusted != NULL:
        prefix_release(s.trusted)
    blob_release(s.legacy_kick)
    if s.protect.exempt != NULL:
        prefix_release(s.protect.exempt)
    blob_release(s.protect.login_text)
    blob_release(s.protect.status_text)
    blob_release(s.protect.legacy_text)
    blob_release(s.protect.beta_text)
    free(s.servers)
    free(s.protocols)
    free(s)
