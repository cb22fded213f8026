# What the proxy says itself, and how a session ends so that the client can read it.
from mcproxy._speedups.plane.layout cimport blob, session

# Sends the words, then ends the session for the reason. NULL: ends it at once.
cdef void say(session* s, blob* words, int reason) noexcept nogil
# Sends on what is left of the words.
cdef void words_on(session* s) noexcept nogil
# All is said: shut down, and wait for the client to close.
cdef void linger(session* s) noexcept nogil
# Reads on while lingering.
cdef void discard(session* s) noexcept nogil
# Answers the ping, which ends a status exchange.
cdef void pong(session* s) noexcept nogil
