from typing import final

from typing_extensions import Buffer

__all__ = ["MAX_HEADER", "ProxyHeader", "encode_proxy_header", "parse_proxy_header"]

MAX_HEADER: int

@final
class ProxyHeader:
    @property
    def version(self) -> int: ...
    @property
    def source(self) -> tuple[str, int] | None: ...
    @property
    def destination(self) -> tuple[str, int] | None: ...
    @property
    def size(self) -> int: ...

def parse_proxy_header(data: Buffer, /) -> ProxyHeader | None: ...
def encode_proxy_header(
    version: int,
    source: tuple[str, int] | None = None,
    destination: tuple[str, int] | None = None,
    /,
) -> bytes: ...
