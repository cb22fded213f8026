# What epoll's data says: a session's address, whose two lowest bits are free for the side, or,
# where those bits name neither side, something else of the worker.

cdef enum:
    TAG_CLIENT = 0
    TAG_BACKEND = 1
    TAG_LISTENER = 2            # the index of the listener above the tag
    TAG_COMMANDS = 3
    TAG_MASK = 3
    TAG_BITS = 2
