# Use counts of immutable objects that several threads of the data plane share.
from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #ifndef MCPROXY_COUNTS
    #define MCPROXY_COUNTS
    #include <stdint.h>
    static inline void count_up(uint32_t *count) {
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
    }
    /* What remains; at 0 the caller is the last and may free. */
    static inline uint32_t count_down(uint32_t *count) {
        return __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL);
    }
    #endif
    """
    void count_up(uint32_t* count) noexcept nogil
    uint32_t count_down(uint32_t* count) noexcept nogil
