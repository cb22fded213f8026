from typing import Any

from typing_extensions import Buffer

from mcproxy._speedups.wire.cursor import Reader, Writer

__all__ = ["MAX_DEPTH", "decode_nbt", "encode_nbt", "read_nbt", "write_nbt"]

MAX_DEPTH: int

def read_nbt(reader: Reader, *, max_values: int = ...) -> Any: ...
def decode_nbt(data: Buffer, /, *, max_values: int = ...) -> Any: ...
def write_nbt(writer: Writer, value: object) -> None: ...
def encode_nbt(value: object, /) -> bytes: ...
