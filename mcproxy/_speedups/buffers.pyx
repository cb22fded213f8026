"""A pool of equal blocks of memory, allocated ahead."""

from libc.stdlib cimport calloc, free, malloc


cdef int add_slab(block_pool* pool, uint32_t blocks) noexcept nogil:
    cdef uint32_t i
    cdef char* slab = <char*>malloc(<size_t>blocks * pool.block_size)
    if slab == NULL:
        return -1
    pool.slabs[pool.slab_count] = slab
    pool.slab_count += 1
    for i in range(blocks):
        # The first block of the slab comes out first.
        pool.free_blocks[pool.free_count] = slab + <size_t>(blocks - 1 - i) * pool.block_size
        pool.free_count += 1
    pool.block_count += blocks
    return 0


cdef int block_pool_init(block_pool* pool, uint32_t block_size, uint32_t ahead,
                         uint32_t most) noexcept nogil:
    cdef uint32_t slabs
    pool.free_count = 0
    pool.slab_count = 0
    pool.block_count = 0
    pool.block_size = block_size
    pool.block_max = most if most > ahead else ahead
    # A slab of about 1 MiB: few calls to malloc, and little that a small pool never uses.
    pool.slab_blocks = max(1, (1 << 20) // max(1, block_size))
    slabs = 2 + (pool.block_max - ahead) // pool.slab_blocks
    pool.free_blocks = <char**>malloc(max(<size_t>1, pool.block_max) * sizeof(char*))
    pool.slabs = <char**>calloc(slabs, sizeof(char*))
    if (pool.free_blocks == NULL or pool.slabs == NULL or block_size == 0
            or (ahead and add_slab(pool, ahead) != 0)):
        block_pool_destroy(pool)
        return -1
    return 0


cdef char* block_pool_take(block_pool* pool) noexcept nogil:
    cdef uint32_t more
    if pool.free_count == 0:
        more = min(pool.slab_blocks, pool.block_max - pool.block_count)
        if more == 0 or add_slab(pool, more) != 0:
            return NULL
    pool.free_count -= 1
    return pool.free_blocks[pool.free_count]


cdef void block_pool_give(block_pool* pool, char* block) noexcept nogil:
    pool.free_blocks[pool.free_count] = block
    pool.free_count += 1


cdef void block_pool_destroy(block_pool* pool) noexcept nogil:
    cdef uint32_t i
    if pool.slabs != NULL:
        for i in range(pool.slab_count):
            free(pool.slabs[i])
    free(pool.slabs)
    free(pool.free_blocks)
    pool.slabs = NULL
    pool.free_blocks = NULL
    pool.free_count = 0
    pool.slab_count = 0
    pool.block_count = 0
    pool.block_max = 0
