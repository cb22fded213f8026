import enum
from typing import final

from typing_extensions import Buffer

__all__ = ["LegacyKind", "LegacyPing", "probe"]

class LegacyKind(enum.IntEnum):
    BAD = -1
    NOT = 0
    UNDECIDED = 1
    BETA = 2
    V1_4 = 3
    V1_6 = 4
    LOGIN = 5

@final
class LegacyPing:
    @property
    def kind(self) -> LegacyKind: ...
    @property
    def protocol(self) -> int | None: ...
    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def size(self) -> int: ...

def probe(data: Buffer, /, timer_expired: bool = False) -> LegacyPing: ...
