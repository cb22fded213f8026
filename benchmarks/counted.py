"""Functions whose instructions are counted: ``counted.py FUNCTION COUNT`` calls one so often."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable

from mcproxy._speedups.plane.routes import RouteTable
from mcproxy._speedups.wire.frames import FrameSplitter, scan_frames
from mcproxy._speedups.wire.handshake import parse_handshake, parse_login_start

BATCH = 100
SMALL_FRAMES = (b"\x0b\x1a" + bytes(10)) * BATCH
HOST = b"play.survival.example.com"
HANDSHAKE = b"\x00\xff\x05" + bytes([len(HOST)]) + HOST + struct.pack(">H", 25565) + b"\x02"
LOGIN_START = b"\x00\x05Notch" + bytes(range(16))


def scanned_frames() -> Callable[[], object]:
    spans = array("i", bytes(8 * BATCH))
    return lambda: scan_frames(SMALL_FRAMES, spans)


def split_frames() -> Callable[[], object]:
    splitter = FrameSplitter()

    def split() -> None:
        for _ in splitter.feed(SMALL_FRAMES):
            pass

    return split


def first_packets() -> Callable[[], object]:
    return lambda: (parse_handshake(HANDSHAKE), parse_login_start(LOGIN_START, 767))


def route() -> Callable[[], object]:
    table = RouteTable([(f"server{i}.example.com", i) for i in range(1000)], (), 0)
    return lambda: table.lookup(b"server500.example.com")


FUNCTIONS = {
    "scan_100_frames": scanned_frames,
    "split_100_frames": split_frames,
    "handshake_and_login_start": first_packets,
    "route": route,
}


def main() -> None:
    function = FUNCTIONS[sys.argv[1]]()
    for _ in range(int(sys.argv[2])):
        function()


if __name__ == "__main__":
    main()
