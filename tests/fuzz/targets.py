"""What is fuzzed: a target takes any bytes and holds an invariant.

It returns a signature of what happened, so that inputs which do something new are kept and
mutated further. AssertionError, or any exception that is not expected, is a finding. Inputs
that once were findings stay here as seeds.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from mcproxy._speedups.wire import handshake, legacy
from mcproxy._speedups.wire.cursor import Reader
from mcproxy._speedups.wire.frames import FrameSplitter
from mcproxy._speedups.wire.haproxy import encode_proxy_header, parse_proxy_header
from mcproxy._speedups.wire.nbt import decode_nbt, encode_nbt
from mcproxy.errors import LocalProtocolError, RemoteProtocolError

from ..property import wire_reference as reference


@dataclass(frozen=True)
class Target:
    run: Callable[[bytes], Hashable]
    seeds: tuple[bytes, ...]


def signature(error: Exception) -> str:
    return re.sub(r"-?\d+", "#", str(error))


def frames(data: bytes) -> Hashable:
    """Options, cuts, then the stream: split as the reference splits it, however it is cut."""
    if len(data) < 4:
        return None
    options, *cuts = data[:4]
    stream = data[4:]
    threshold = (-1, 0, 1, 64)[options & 3]
    serverbound = bool(options & 4)
    max_frame = 200 if options & 8 else 2097151
    splitter = FrameSplitter(
        threshold,
        direction="serverbound" if serverbound else "clientbound",
        max_frame=max_frame,
        max_inflated=5000,
    )
    at = sorted(cut * len(stream) // 255 for cut in cuts)
    found: list[bytes] = []
    views: list[memoryview] = []
    left: int | None
    message = ""
    try:
        for a, b in zip([0, *at], [*at, len(stream)], strict=True):
            for frame in splitter.feed(stream[a:b]):
                found.append(bytes(frame))
                views.append(memoryview(frame))
        left = len(splitter.pending)
    except RemoteProtocolError as error:
        left = None
        message = signature(error)
    expected = reference.split(
        stream, threshold, serverbound=serverbound, max_frame=max_frame, limit=5000
    )
    assert (found, left) == expected
    assert [view.tobytes() for view in views] == found
    return options & 15, min(len(found), 4), message


def first_packet(data: bytes) -> Hashable:
    """A handshake as the reference reads it, and its host cleaned as the reference does."""
    try:
        expected = reference.handshake(data)
    except ValueError:
        try:
            handshake.parse_handshake(data)
        except RemoteProtocolError as error:
            return signature(error)
        raise
    assert handshake.parse_handshake(data) == expected
    raw = expected[1]
    try:
        clean = reference.clean_host(raw)
    except ValueError:
        try:
            handshake.clean_host(raw)
        except RemoteProtocolError:
            return "host"
        raise
    assert handshake.clean_host(raw) == clean
    return expected[3], len(raw) - len(clean), clean == raw.lower()


LOGIN_PROTOCOLS = (5, 47, 758, 759, 760, 761, 763, 764, 777)


def login_start(data: bytes) -> Hashable:
    """The protocol's index, then a Login Start as the reference reads it."""
    if not data:
        return None
    protocol = LOGIN_PROTOCOLS[data[0] % len(LOGIN_PROTOCOLS)]
    try:
        expected = reference.login_start(data[1:], protocol)
    except ValueError:
        try:
            handshake.parse_login_start(data[1:], protocol)
        except RemoteProtocolError as error:
            return protocol, signature(error)
        raise
    assert handshake.parse_login_start(data[1:], protocol) == expected
    return protocol, expected[1] is None


def legacy_ping(data: bytes) -> Hashable:
    """What is decided stays decided, whatever follows; the sizes are within the bytes."""
    decided = None
    kinds = []
    for cut in range(len(data) + 1):
        try:
            found = legacy.probe(data[:cut])
        except RemoteProtocolError as error:
            return signature(error)
        assert found.size <= cut
        if decided is not None:
            assert (found.kind, found.size) == decided
        elif found.kind is not legacy.LegacyKind.UNDECIDED:
            decided = (found.kind, found.size)
            kinds.append((found.kind, min(cut, 32)))
    try:
        return *kinds, legacy.probe(data, True).kind
    except RemoteProtocolError as error:
        return signature(error)


def proxy_header(data: bytes) -> Hashable:
    """A PROXY header as the reference reads it, however many of its bytes are there."""
    decided: object = None
    seen: list[Hashable] = []
    for cut in (*range(min(len(data), 120)), len(data)):
        part = data[:cut]
        try:
            expected: object = reference.proxy_header(part)
        except reference.Incomplete:
            expected = None
        except ValueError:
            expected = ValueError
        try:
            found = parse_proxy_header(part)
            got = found and (
                found.version,
                *(plain(found.source), plain(found.destination)),
                found.size,
            )
        except RemoteProtocolError as error:
            got = ValueError
            seen.append(signature(error))
        assert got == expected, part
        assert decided is None or got == decided
        if got is not None and decided is None:
            decided = got
            seen.append(min(cut, 40))
        if found is not None and got is not ValueError and found.source:
            again = parse_proxy_header(
                encode_proxy_header(found.version, found.source, found.destination)
            )
            assert again is not None
            assert (again.source, again.destination) == (found.source, found.destination)
    return tuple(seen[:3])


def plain(address: tuple[str, int] | None) -> object:
    return address and (ipaddress.ip_address(address[0]), address[1])


def nbt(data: bytes) -> Hashable:
    """What is read can be written, and reads the same again."""
    try:
        value = decode_nbt(data)
    except RemoteProtocolError as error:
        return signature(error), min(len(data), 20)
    try:
        encoded = encode_nbt(value)
    except LocalProtocolError as error:
        return signature(error)
    assert encode_nbt(decode_nbt(encoded)) == encoded
    return type(value), encoded[:1], min(len(encoded), 20)


READS = (
    "boolean", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "f32", "f64", "varint", "varlong",
    "string", "identifier", "uuid", "byte_array", "rest", "end",
)  # fmt: skip


def reader(data: bytes) -> Hashable:
    """A list of reads, then the bytes: each reads within its bounds, or refuses and stays."""
    names, _, rest = data.partition(b"\xaa")
    cursor = Reader(rest)
    seen = []
    for code in names[:20]:
        name = READS[code % len(READS)]
        before = cursor.position
        try:
            getattr(cursor, name)()
        except RemoteProtocolError as error:
            assert cursor.position == before
            seen.append(signature(error))
        assert before <= cursor.position <= len(rest)
    return tuple(sorted(set(seen)))


def framed(body: bytes) -> bytes:
    return reference.write_varint(len(body)) + body


def deflated(packet: bytes) -> bytes:
    return framed(reference.write_varint(len(packet)) + zlib.compress(packet))


HELLO = b"\0\xfb\5\x09localhost\x63\xdd\2"
FORGE = b"\0\x2f\x1aMC.Example.com.\0FML2\0///x\x63\xdd\1"
SRV = b"\0\xff\xff\xff\xff\x0f\x2f_dc-srv.130c90ab9de1._minecraft._tcp.hyriode.fr\x63\xdd\3"
PING_16 = (
    b"\xfe\x01\xfa\0\x0b"
    + "MC|PingHost".encode("utf-16-be")
    + struct.pack(">HBH", 7 + 18, 74, 9)
    + "localhost".encode("utf-16-be")
    + struct.pack(">i", 25565)
)
KEY = b"\1" + bytes(8) + framed(b"k" * 30) + framed(b"s" * 30)
UUID = bytes(range(16))

TARGETS = {
    "frames": Target(
        frames,
        (
            b"\x04\0\0\0" + framed(HELLO) + framed(b"\0\5Notch") + framed(b"x" * 130),
            b"\x05\x20\x80\xf0" + deflated(b"a" * 100) + deflated(b"b") + deflated(bytes(5000)),
            b"\x07\1\2\3" + framed(b"\0" + b"small") + deflated(b"c" * 64),
            b"\x04\x10\x11\x12" + bytes(17) + framed(b"x"),
            b"\x0c\xff\0\0" + b"\xff\xff\xff\x01",
        ),
    ),
    "handshake": Target(first_packet, (HELLO, FORGE, SRV, b"\0\4\0\0\0\1", b"\0\4\6[::1].\0\0\2")),
    "login_start": Target(
        login_start,
        (
            b"\1\0\5Notch",
            b"\3\0\5Notch" + KEY,
            b"\4\0\5Notch" + KEY + b"\1" + UUID,
            b"\4\0\5Notch\0\0",
            b"\6\0\5Notch\1" + UUID,
            b"\7\0\5Notch" + UUID,
        ),
    ),
    "legacy": Target(legacy_ping, (PING_16, b"\xfe", b"\xfe\1", b"\2\0", b"\xfe\1\0" + HELLO)),
    "proxy_header": Target(
        proxy_header,
        (
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n" + HELLO,
            b"PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 1 65535\r\n",
            b"PROXY UNKNOWN ::1 ::2 3 4\r\n\x10\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12)) + HELLO,
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b" + bytes(range(43)),
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" + HELLO,
            b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + bytes(216),
        ),
    ),
    "nbt": Target(
        nbt,
        (
            encode_nbt({"text": "a", "extra": ["b", {"text": "c", "bold": True}, 1.5, 2**40]}),
            encode_nbt("\0€😀"),
            b"\x09\x0a\0\0\0\2\x08\0\0\0\1a\0\3\0\0\0\0\0\1\0",
            b"\x0b\0\0\0\1\0\0\0\1",
            b"\x07\0\0\0\2ab",
        ),
    ),
    "reader": Target(
        reader,
        (
            bytes(range(12)) + b"\xaa" + bytes(40),
            bytes([12, 13, 14, 15, 16]) + b"\xaa" + framed("aä€".encode()) + framed(b"a:b") + UUID,
        ),
    ),
}
