"""A pool of equal blocks of memory: allocated ahead, leased, counted and bounded."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport calloc, free, malloc

from mcproxy.errors import PoolExhausted, ReleasedError

__all__ = ["Lease", "Pool"]

cdef extern from * nogil:
    # Under AddressSanitizer a block that nobody holds cannot be touched unnoticed.
    """
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    #define mcproxy_poison(p, n) __asan_poison_memory_region(p, n)
    #define mcproxy_unpoison(p, n) __asan_unpoison_memory_region(p, n)
    #else
    #define mcproxy_poison(p, n) ((void)0)
    #define mcproxy_unpoison(p, n) ((void)0)
    #endif
    """
    void mcproxy_poison(void* p, size_t n)
    void mcproxy_unpoison(void* p, size_t n)


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
    mcproxy_poison(slab, <size_t>blocks * pool.block_size)
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
    mcproxy_unpoison(pool.free_blocks[pool.free_count], pool.block_size)
    return pool.free_blocks[pool.free_count]


cdef void block_pool_give(block_pool* pool, char* block) noexcept nogil:
    mcproxy_poison(block, pool.block_size)
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


@cython.final
cdef class Pool:
    """Blocks of ``block_size`` bytes: ``ahead`` of them are allocated now, at most ``most`` ever.

    Memory is kept until the pool and all its leases are gone. Not to be shared between threads
    without the GIL.
    """

    def __cinit__(self, uint32_t block_size, uint32_t ahead, uint32_t most):
        if block_size == 0 or most == 0 or ahead > most:
            raise ValueError("a pool has blocks of one byte or more, and at most as many ahead "
                             f"as it may have: not {block_size}, {ahead}, {most}")
        if block_pool_init(&self.blocks, block_size, ahead, most) != 0:
            raise MemoryError

    def __dealloc__(self):
        block_pool_destroy(&self.blocks)

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return self.blocks.block_size

    def lease(self) -> Lease:
        """A block, with one use. What it holds is what its last user left there.

        Raises PoolExhausted at the bound.
        """
        cdef Lease lease
        cdef uint32_t in_use
        cdef char* block = block_pool_take(&self.blocks)
        if block == NULL:
            self.refused += 1
            raise PoolExhausted(f"all {self.blocks.block_max} blocks are in use")
        try:
            lease = Lease.__new__(Lease)
        except BaseException:
            block_pool_give(&self.blocks, block)
            raise
        lease.pool = self
        lease.block = block
        lease.count = 1
        self.leases += 1
        in_use = self.blocks.block_count - self.blocks.free_count
        if in_use > self.peak:
            self.peak = in_use
        return lease

    def stats(self) -> dict[str, int]:
        """Counts of blocks: allocated, in_use, peak, most; of calls: leases, refused."""
        return {
            "allocated": self.blocks.block_count,
            "in_use": self.blocks.block_count - self.blocks.free_count,
            "peak": self.peak,
            "most": self.blocks.block_max,
            "leases": self.leases,
            "refused": self.refused,
        }


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Lease:
    """A block of a pool in use: a writable buffer, counted.

    ``release`` gives one use back; after the last one every use raises ReleasedError. A
    memoryview that was taken before keeps the block away from others until it is gone.
    As a context manager it releases at the end.
    """

    def __dealloc__(self):
        self.count = 0
        self.settle()

    cdef int check(self) except -1:
        if self.count == 0:
            raise ReleasedError("this lease was released")
        return 0

    cdef void settle(self) noexcept:
        if self.count == 0 and self.exports == 0 and self.block != NULL:
            block_pool_give(&self.pool.blocks, self.block)
            self.block = NULL

    @property
    def uses(self) -> int:
        """How often it must be released."""
        return self.count

    def retain(self) -> Lease:
        """One more use, for whoever keeps it beside you."""
        self.check()
        self.count += 1
        return self

    def release(self) -> None:
        """Give one use back; ReleasedError if none is left."""
        self.check()
        self.count -= 1
        self.settle()

    def __enter__(self) -> Lease:
        self.check()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def __len__(self) -> int:
        self.check()
        return self.pool.blocks.block_size

    def __getbuffer__(self, Py_buffer* view, int flags):
        self.check()
        PyBuffer_FillInfo(view, self, self.block, self.pool.blocks.block_size, False, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.exports -= 1
        self.settle()
