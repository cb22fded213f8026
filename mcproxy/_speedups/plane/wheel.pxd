# The deadline wheel: one deadline per session, set and cleared in constant time.
# A deadline beyond the wheel's reach comes round once or more before it is due.
from libc.stdint cimport int64_t

from mcproxy._speedups.plane.layout cimport WHEEL_SLOTS, WHEEL_TICK_MS, session, worker


cdef inline void wheel_clear(session* s) noexcept nogil:
    if s.timer_link == NULL:
        return
    s.timer_link[0] = s.timer_next
    if s.timer_next != NULL:
        s.timer_next.timer_link = s.timer_link
    s.timer_link = NULL
    s.owner.timer_count -= 1


cdef inline void wheel_set(session* s, int64_t deadline_ms) noexcept nogil:
    cdef worker* w = s.owner
    cdef int64_t tick
    wheel_clear(s)
    s.deadline_ms = deadline_ms
    tick = deadline_ms // WHEEL_TICK_MS + 1
    if tick <= w.wheel_ms // WHEEL_TICK_MS:
        tick = w.wheel_ms // WHEEL_TICK_MS + 1
    cdef session** head = &w.wheel[tick % WHEEL_SLOTS]
    s.timer_next = head[0]
    if s.timer_next != NULL:
        s.timer_next.timer_link = &s.timer_next
    head[0] = s
    s.timer_link = head
    w.timer_count += 1
    if tick * WHEEL_TICK_MS < w.wheel_next_ms:
        w.wheel_next_ms = tick * WHEEL_TICK_MS


# How long epoll may sleep before a slot with a session in it is due, in milliseconds.
cdef int wheel_wait(worker* w) noexcept nogil

# The next session whose deadline has passed, taken off the wheel; NULL when there is none.
cdef session* wheel_due(worker* w) noexcept nogil
