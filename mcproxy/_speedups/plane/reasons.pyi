import enum

class Reason(enum.IntEnum):
    NONE = 0
    FILTERED = 1
    FILTERED_SERVER = 2
    MAX_CONNECTIONS = 3
    DESCRIPTORS = 4
    MEMORY = 5
    SILENT = 6
    CLOSED_EARLY = 7
    MALFORMED = 8
    FRAME_TOO_LONG = 9
    HOST_TOO_LONG = 10
    BAD_INTENT = 11
    BAD_LOGIN = 12
    BAD_STATUS = 13
    LEGACY_LOGIN = 14
    UNKNOWN_HOST = 15
    NO_BACKEND = 16
    CONTROL_BUSY = 17
    CONTROL_SLOW = 18
    HOOK = 19
    INTERNAL = 20
    STATUS_DONE = 21
    CLIENT_CLOSED = 22
    BACKEND_CLOSED = 23
    CLIENT_LOST = 24
    BACKEND_LOST = 25
    IDLE = 26
    SHUTDOWN = 27

REASONS: dict[Reason, str]
REFUSALS: tuple[Reason, ...]
COUNTERS: dict[str, str]
GAUGES: frozenset[str]
