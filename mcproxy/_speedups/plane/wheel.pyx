"""The deadline wheel of a worker."""


cdef int wheel_wait(worker* w) noexcept nogil:
    if w.timer_count == 0:
        return -1
    if w.wheel_next_ms <= w.now_ms:
        w.wheel_next_ms = earliest(w)
    return <int>(w.wheel_next_ms - w.now_ms) if w.wheel_next_ms > w.now_ms else 0


cdef int64_t earliest(worker* w) noexcept nogil:
    # The next tick with a session that is due in it; a turn of the wheel ahead at the most.
    cdef int64_t tick = w.wheel_ms // WHEEL_TICK_MS
    cdef int64_t end
    cdef session* s
    cdef int i
    for i in range(1, WHEEL_SLOTS + 1):
        end = (tick + i) * WHEEL_TICK_MS
        s = w.wheel[(tick + i) % WHEEL_SLOTS]
        while s != NULL:
            if s.deadline_ms <= end:
                return end
            s = s.timer_next
    return (tick + WHEEL_SLOTS) * WHEEL_TICK_MS


cdef session* wheel_due(worker* w) noexcept nogil:
    cdef session* s
    cdef int64_t tick = w.wheel_ms // WHEEL_TICK_MS
    cdef int64_t now = w.now_ms // WHEEL_TICK_MS
    if now - tick > WHEEL_SLOTS:
        tick = now - WHEEL_SLOTS        # slept for more than a turn: once round reaches every slot
    while True:
        s = w.wheel[tick % WHEEL_SLOTS]
        while s != NULL:
            if s.deadline_ms <= w.now_ms:
                w.wheel_ms = tick * WHEEL_TICK_MS
                wheel_clear(s)
                return s
            s = s.timer_next
        if tick >= now:
            break
        tick += 1
    w.wheel_ms = now * WHEEL_TICK_MS
    return NULL
