from collections.abc import Iterable
from typing import Self, final

__all__ = ["RouteTable"]

@final
class RouteTable:
    def __new__(
        cls,
        domains: Iterable[tuple[str, int]] = (),
        addresses: Iterable[tuple[str, int, int]] = (),
        default: int = -1,
    ) -> Self: ...
    @property
    def entries(self) -> tuple[tuple[int, str, int], ...]: ...
    def lookup(
        self, host: bytes, local: bytes | None = None, port: int = 0
    ) -> tuple[int, int, int]: ...
