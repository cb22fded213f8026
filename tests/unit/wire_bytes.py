"""Packets put together by hand, without the code under test."""

import struct


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(len(data)) + data


def hello(host: str | bytes = "localhost", protocol=763, port=25565, intent=2) -> bytes:
    return b"\0" + varint(protocol) + text(host) + struct.pack(">H", port) + varint(intent)
