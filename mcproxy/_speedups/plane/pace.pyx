"""The pace of a relay: limits on bytes and packets per second, with a second's worth at once."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from mcproxy._speedups.plane.layout cimport protection
from mcproxy._speedups.plane.life cimport count
from mcproxy._speedups.plane.limits cimport FRAME_BITS_MOST, PACE_PARTS, PIPE_BYTES
from mcproxy._speedups.plane.reasons cimport (
    COUNT_PACED,
    REASON_RATE_BYTES,
    REASON_RATE_PACKETS,
)

cdef enum:
    SECOND_US = 1000000
    ENCRYPTION_RESPONSE = 1     # ids in the state login, of every version
    PLUGIN_RESPONSE = 2
    SECRET_BYTES = 128          # two blocks of RSA-1024 make the frame longer than this


cdef int64_t pace_room(session* s, side* source) noexcept nogil:
    cdef protection* p = &s.owner.current.protect
    cdef int64_t rate = p.serverbound if source == &s.client else p.clientbound
    cdef int64_t now_us = s.owner.now_ms * 1000
    cdef int64_t debt, least, room
    if source.paced_until_ms > s.owner.now_ms:
        return 0
    source.paced_until_ms = 0
    if rate == 0 or p.pace_close:
        return PIPE_BYTES
    debt = max(<int64_t>0, source.read_us - now_us)
    room = (SECOND_US - debt) * rate // SECOND_US if debt < SECOND_US else 0
    least = 1 + rate // PACE_PARTS          # less is not worth waking up for
    if room < least:
        wait_until(s, source, now_us + debt - SECOND_US + least * SECOND_US // rate)
        return 0
    return room


cdef void wait_until(session* s, side* source, int64_t moment_us) noexcept nogil:
    count(s.owner, COUNT_PACED)
    source.paced_until_ms = max(source.paced_until_ms, moment_us // 1000 + 1)


cdef void pace_charge(session* s, side* source, const char* data, int64_t size) noexcept nogil:
    cdef protection* p = &s.owner.current.protect
    cdef int64_t rate = p.serverbound if source == &s.client else p.clientbound
    cdef int64_t now_us = s.owner.now_ms * 1000
    if rate:
        source.read_us = max(source.read_us, now_us) + size * SECOND_US // rate
        if p.pace_close and source.read_us - now_us > SECOND_US:
            s.too_fast = True
            s.end_reason = REASON_RATE_BYTES
    if p.packets and source == &s.client and not s.frames_hidden:
        if data == NULL:
            s.frames_hidden = True          # spliced: where a frame ends is not known any more
            return
        s.packets_us = max(s.packets_us, now_us) + \
            frames_in(s, <const uint8_t*>data, <uint32_t>size) * SECOND_US // p.packets
        if s.packets_us - now_us <= SECOND_US:
            return
        if p.pace_close:
            s.too_fast = True
            s.end_reason = REASON_RATE_PACKETS
        else:
            wait_until(s, source, s.packets_us - SECOND_US)


cdef int64_t frames_in(session* s, const uint8_t* data, uint32_t size) noexcept nogil:
    # How many frames begin in these bytes. A compressed frame has its length in front too; of
    # an encrypted one nothing can be told, so this ends with the answer that turns it on.
    cdef int64_t found = 0
    cdef uint32_t at = 0, step
    while at < size and not s.frames_hidden:
        if s.frame_left:
            if s.frame_fresh and s.frames < 3:
                login_frame(s, data[at])
            s.frame_fresh = False
            step = min(s.frame_left, size - at)
            s.frame_left -= step
            at += step
            continue
        s.frame_size |= <uint32_t>(data[at] & 0x7F) << s.frame_bits
        s.frame_bits += 7
        at += 1
        if data[at - 1] < 0x80:
            found += 1
            s.frame_left = s.frame_size
            s.frame_size = 0
            s.frame_bits = 0
            s.frame_fresh = True
        elif s.frame_bits >= FRAME_BITS_MOST:
            s.frames_hidden = True
    return found


cdef void login_frame(session* s, uint8_t first) noexcept nogil:
    # The first two are the handshake and Login Start. What follows them says whether the rest
    # will be encrypted; answers to the backend's plugin may come before.
    s.frames += 1
    if s.frames == 3:
        if first == ENCRYPTION_RESPONSE and s.frame_left > SECRET_BYTES:
            s.frames_hidden = True
        elif first == PLUGIN_RESPONSE:
            s.frames = 2
