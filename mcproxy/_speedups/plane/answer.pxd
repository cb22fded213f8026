# Status requests and their answers.
from mcproxy._speedups.plane.layout cimport blob, command, session, worker

# Reads what has come: one request and one ping, in this order; a ping alone is answered too.
cdef void status_packets(session* s) noexcept nogil
# Answers from the table, asks a hook, or waits.
cdef void ask_status(session* s) noexcept nogil
# Sends the answer.
cdef void answer_status(session* s, blob* answer) noexcept nogil
# Python published a status answer: those who waited for it get it.
cdef void session_status(worker* w, command* c) noexcept nogil
