"""Server icons: PNG files of 64 x 64 pixels, given as a path or as a data URI."""

from __future__ import annotations

import base64
import binascii
import struct
from pathlib import Path

__all__ = ["SCHEME", "data_uri", "read_icon"]

SCHEME = "data:image/png;base64,"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST = 20 << 10
"""Bytes of PNG: a status answer holds at most 32767 characters, base64 and all the rest."""


def read_icon(text: str, path: Path) -> str:
    """The icon as a data URI; ``path`` is what ``text`` means when it names a file.

    Raises ``ValueError`` with a sentence for the operator.
    """
    if text.startswith("data:"):
        if not text.startswith(SCHEME):
            raise ValueError(f'a data URI for an icon begins with "{SCHEME}"')
        try:
            png = base64.b64decode("".join(text[len(SCHEME) :].split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"the data URI is not base64: {error}") from None
    else:
        try:
            with path.open("rb") as file:
                png = file.read(_LARGEST + 1)
        except FileNotFoundError:
            raise ValueError(
                f"there is no icon file {path}; paths are relative to the file that names them"
            ) from None
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
    _check(png)
    return data_uri(png)


def data_uri(png: bytes) -> str:
    """The data URI that clients expect for the bytes of a PNG file."""
    return SCHEME + base64.b64encode(png).decode("ascii")


def _check(png: bytes) -> None:
    if len(png) < 24 or not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR":
        raise ValueError("the icon is not a PNG file")
    width, height = struct.unpack(">II", png[16:24])
    if (width, height) != (64, 64):
        raise ValueError(f"the icon has {width} x {height} pixels; clients show 64 x 64 only")
    if len(png) > _LARGEST:
        raise ValueError(f"the icon is larger than {_LARGEST >> 10} KiB; clients would refuse it")
