from typing import Literal, Self, final

from typing_extensions import Buffer

__all__ = [
    "MAX_FRAME",
    "MAX_INFLATED_CLIENTBOUND",
    "MAX_INFLATED_SERVERBOUND",
    "Frame",
    "FrameJoiner",
    "FrameSplitter",
    "join_frame",
    "scan_frames",
]

MAX_FRAME: int
MAX_INFLATED_SERVERBOUND: int
MAX_INFLATED_CLIENTBOUND: int

@final
class Frame:
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    @property
    def packet_id(self) -> int: ...

@final
class FrameSplitter:
    def __new__(
        cls,
        compression_threshold: int = -1,
        *,
        direction: Literal["serverbound", "clientbound"] = "serverbound",
        max_frame: int = ...,
        max_inflated: int | None = None,
    ) -> Self: ...
    def set_compression(self, threshold: int) -> None: ...
    @property
    def pending(self) -> bytes: ...
    def feed(self, data: Buffer, /) -> FrameSplitter: ...
    def __iter__(self) -> FrameSplitter: ...
    def __next__(self) -> Frame: ...

@final
class FrameJoiner:
    def __new__(cls, compression_threshold: int = -1, *, level: int = -1) -> Self: ...
    def set_compression(self, threshold: int) -> None: ...
    def join(self, packet: Buffer, /) -> bytes: ...

def join_frame(packet: Buffer, /, compression_threshold: int = -1) -> bytes: ...
def scan_frames(
    data: Buffer, /, spans: Buffer | None = None, *, max_frame: int = ...
) -> tuple[int, int]: ...
