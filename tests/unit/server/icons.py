"""PNG files for the tests, made from the standard."""

from __future__ import annotations

import struct
import zlib


def png(width: int = 64, height: int = 64) -> bytes:
    """A one-colour PNG: signature, IHDR, IDAT, IEND (ISO/IEC 15948)."""
    rows = (b"\0" + b"\x33\x66\x99" * width) * height

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
