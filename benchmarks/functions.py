"""Time single functions with pyperf, beside mcproto and quarry where they have the same function.

``python benchmarks/functions.py -o FILE.json`` (``make bench`` does); ``--fast`` for a look.
A batch is timed and divided, so that the figure is that of one frame, handshake or lookup.
"""

from __future__ import annotations

import ipaddress
import struct
from array import array
from collections.abc import Callable

import pyperf
from mcproto.buffer import Buffer
from mcproto.packets.handshaking.handshake import Handshake
from mcproto.packets.login.login import LoginStart
from quarry.types.buffer import Buffer1_19_1

from mcproxy._speedups.match.prefixes import PrefixSet
from mcproxy._speedups.plane.routes import RouteTable
from mcproxy._speedups.wire.frames import FrameSplitter, scan_frames
from mcproxy._speedups.wire.handshake import parse_handshake, parse_login_start

PROTOCOL = 767
HOST = "play.survival.example.com"
NAME = "Notch"
UUID = bytes(range(16))
FRAMES = 4096
QUARRY_FRAMES = 256
SMALL_FRAME = b"\x0b\x1a" + bytes(10)  # length, packet id, body: a movement packet's size


def string(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


HANDSHAKE = b"\x00\xff\x05" + string(HOST) + struct.pack(">H", 25565) + b"\x02"
LOGIN_START = b"\x00" + string(NAME) + UUID


def first_packets() -> object:
    return parse_handshake(HANDSHAKE), parse_login_start(LOGIN_START, PROTOCOL)


def first_packets_mcproto() -> object:
    return (
        Handshake.deserialize(Buffer(HANDSHAKE[1:])),
        LoginStart.deserialize(Buffer(LOGIN_START[1:])),
    )


def first_packets_quarry() -> object:
    handshake, login = Buffer1_19_1(HANDSHAKE[1:]), Buffer1_19_1(LOGIN_START[1:])
    return (
        handshake.unpack_varint(),
        handshake.unpack_string(),
        handshake.unpack("H"),
        handshake.unpack_varint(),
        login.unpack_string(),
        login.unpack_uuid(),
    )


def frames_quarry() -> Callable[[], object]:
    stream = SMALL_FRAME * QUARRY_FRAMES

    def split() -> None:
        buffer = Buffer1_19_1(stream)
        for _ in range(QUARRY_FRAMES):
            buffer.unpack_packet(Buffer1_19_1)

    return split


def frames_without_objects() -> Callable[[], object]:
    stream, spans = SMALL_FRAME * FRAMES, array("i", bytes(8 * FRAMES))
    if scan_frames(stream, spans) != (FRAMES, len(stream)):
        raise SystemExit("scan_frames does not find the frames")
    return lambda: scan_frames(stream, spans)


def frames_as_objects() -> Callable[[], object]:
    stream, splitter = SMALL_FRAME * FRAMES, FrameSplitter()

    def split() -> None:
        for _ in splitter.feed(stream):
            pass

    return split


def route_lookup(host: bytes) -> Callable[[], object]:
    """In a table of 1,000 names and 100 wildcards."""
    domains = [(f"server{i}.example.com", i) for i in range(1000)]
    domains += [(f"*.zone{i}.example.com", 1000 + i) for i in range(100)]
    table = RouteTable(domains, (), 0)
    return lambda: table.lookup(host)


def prefix_lookup() -> Callable[[], object]:
    """In 10,000 networks of IPv4, of which none has the address."""
    networks = [f"{ipaddress.IPv4Address(0x0B000000 + (i << 10))}/22" for i in range(10_000)]
    prefixes, address = PrefixSet(networks), ipaddress.IPv4Address("203.0.113.9").packed
    return lambda: prefixes.lookup(address)


def main() -> None:
    runner = pyperf.Runner(processes=6)
    runner.metadata["description"] = "single functions of mcproxy"
    runner.bench_func("frame, no object", frames_without_objects(), inner_loops=FRAMES)
    runner.bench_func("frame, as an object", frames_as_objects(), inner_loops=FRAMES)
    runner.bench_func("frame, as an object, quarry", frames_quarry(), inner_loops=QUARRY_FRAMES)
    runner.bench_func("handshake and login start", first_packets)
    runner.bench_func("handshake and login start, mcproto", first_packets_mcproto)
    runner.bench_func("handshake and login start, quarry", first_packets_quarry)
    runner.bench_func("route, exact name", route_lookup(b"server500.example.com"))
    runner.bench_func("route, wildcard", route_lookup(b"lobby.zone50.example.com"))
    runner.bench_func("route, default", route_lookup(b"nothing.example.org"))
    runner.bench_func("address in 10,000 networks", prefix_lookup())


if __name__ == "__main__":
    main()
