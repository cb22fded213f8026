# Fixed-size blocks, allocated ahead and handed out last-in-first-out: the C pool that the
# data plane's workers use (one per worker, no lock), and the Python Pool built on it.
from libc.stdint cimport uint32_t, uint64_t

cdef struct block_pool:
    char** free_blocks              # a stack of blocks that nobody holds
    uint32_t free_count
    char** slabs                    # what was allocated, to be freed at the end
    uint32_t slab_count
    uint32_t slab_blocks            # blocks per slab
    uint32_t block_size             # bytes
    uint32_t block_count            # blocks allocated so far
    uint32_t block_max              # the bound; free_blocks has room for so many

# 0, or -1 without memory. "ahead" blocks are allocated now, further ones slab by slab up to "most".
cdef int block_pool_init(block_pool* pool, uint32_t block_size, uint32_t ahead,
                         uint32_t most) noexcept nogil
# NULL at the bound or without memory.
cdef char* block_pool_take(block_pool* pool) noexcept nogil
# Only a block that was taken from this pool, once.
cdef void block_pool_give(block_pool* pool, char* block) noexcept nogil
cdef void block_pool_destroy(block_pool* pool) noexcept nogil


cdef class Pool:
    cdef block_pool blocks
    cdef uint32_t peak
    cdef uint64_t leases
    cdef uint64_t refused


# A block in use. It goes back when nobody uses it any more (count) and no buffer of it is
# exported (exports), whichever comes last.
cdef class Lease:
    cdef Pool pool
    cdef char* block
    cdef uint32_t count            # how often it must be released
    cdef uint32_t exports

    cdef int check(self) except -1
    cdef void settle(self) noexcept
