from ipaddress import IPv4Address, IPv6Address
from typing import Self, TypeAlias, final

__all__ = ["RateLimiter"]

_Address: TypeAlias = str | bytes | IPv4Address | IPv6Address

@final
class RateLimiter:
    def __new__(
        cls,
        rate: float,
        burst: int,
        *,
        concurrent: int = 0,
        prefix_v4: int = 32,
        prefix_v6: int = 64,
        entries: int = 65536,
    ) -> Self: ...
    def allow(self, address: _Address, now: float | None = None) -> bool: ...
    def enter(self, address: _Address, now: float | None = None) -> bool: ...
    def leave(self, address: _Address) -> None: ...
    def remembered(self, now: float | None = None) -> int: ...
    @property
    def size(self) -> int: ...
