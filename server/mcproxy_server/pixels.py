"""The icons of the demo, drawn in code: 64 x 64 pixels, as PNG files."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

__all__ = ["lobby", "survival", "unknown"]

_SIDE = 64
_DOT = 4
"""The pictures are drawn in dots of 4 x 4 pixels."""

_Colour = tuple[int, int, int]


def lobby() -> bytes:
    """A beacon in the night."""

    def dot(x: int, y: int) -> _Colour:
        if y > 12:
            return (60, 62, 74)
        if 5 <= x <= 10 and 7 <= y <= 12:
            edge = x in (5, 10) or y in (7, 12)
            return (180, 225, 235) if edge else (90, 230, 240)
        if x in (7, 8) and y < 7:
            return (215, 250, 255)
        if x in (6, 9) and y < 7:
            return (70, 120, 160)
        return (24, 30, 58)

    return _png(_speckled(dot, 1))


def survival() -> bytes:
    """A block of grass."""

    def dot(x: int, y: int) -> _Colour:
        hang = (2, 4, 3, 5, 3, 4, 2, 5)[x % 8]
        return (96, 168, 62) if y < hang else (134, 96, 67)

    return _png(_speckled(dot, 2))


def unknown() -> bytes:
    """A question mark."""
    shape = (
        "................",
        "................",
        "....########....",
        "...##########...",
        "...###....###...",
        "..........###...",
        ".........###....",
        ".......####.....",
        "......####......",
        "......###.......",
        "......###.......",
        "................",
        "......###.......",
        "......###.......",
        "................",
        "................",
    )

    def dot(x: int, y: int) -> _Colour:
        return (235, 235, 235) if shape[y][x] == "#" else (120, 40, 40)

    return _png(_speckled(dot, 3))


def _speckled(dot: Callable[[int, int], _Colour], seed: int) -> Callable[[int, int], _Colour]:
    """The same picture with the uneven brightness of old textures."""
    dice = random.Random(seed)
    dots = _SIDE // _DOT
    light = [[dice.uniform(0.88, 1.06) for _ in range(dots)] for _ in range(dots)]

    def speckled(x: int, y: int) -> _Colour:
        red, green, blue = (min(255, int(part * light[y][x])) for part in dot(x, y))
        return red, green, blue

    return speckled


def _png(dot: Callable[[int, int], _Colour]) -> bytes:
    """An 8-bit RGB image (ISO/IEC 15948)."""
    rows = bytearray()
    for y in range(_SIDE):
        rows.append(0)  # no filter
        for x in range(_SIDE):
            rows += bytes(dot(x // _DOT, y // _DOT))
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
