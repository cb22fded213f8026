"""Pings from before 1.7, told apart from modern frames."""

import struct

import pytest

from mcproxy._speedups.wire.legacy import LegacyKind, probe
from mcproxy.errors import RemoteProtocolError

from .wire_bytes import hello, varint


def ping_16(host: str = "localhost", port: int = 25565, protocol: int = 74) -> bytes:
    name = "MC|PingHost".encode("utf-16-be")
    encoded = host.encode("utf-16-be")
    tail = struct.pack(">BH", protocol, len(encoded) // 2) + encoded + struct.pack(">i", port)
    return b"\xfe\x01\xfa" + struct.pack(">H", 11) + name + struct.pack(">H", len(tail)) + tail


def test_the_published_ping_of_1_6_is_read():
    # The example of the protocol's description (1.6.2 to localhost).
    data = bytes.fromhex(
        "fe01fa000b004d0043007c00500069006e00670048006f00730074001949000900"
        "6c006f00630061006c0068006f0073007400"  # localhost
        "0063dd"
    )
    found = probe(data)
    assert (found.kind, found.protocol, found.host, found.port) == (
        LegacyKind.V1_6,
        73,
        "localhost",
        25565,
    )
    assert found.size == len(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xfe", LegacyKind.BETA),
        (b"\xfe\x01", LegacyKind.V1_4),
        (b"\xfe\x01\xfa", LegacyKind.V1_4),
    ],
)
def test_a_bare_ping_is_decided_by_the_timer(data, kind):  # M-15
    assert probe(data).kind is LegacyKind.UNDECIDED
    assert probe(data, timer_expired=True).kind is kind
    assert probe(data, timer_expired=True).size == len(data)


def test_a_ping_of_1_6_is_undecided_until_it_is_whole():
    data = ping_16("mc.example.com")
    for cut in range(len(data)):
        assert probe(data[:cut]).kind is LegacyKind.UNDECIDED
    assert probe(data).kind is LegacyKind.V1_6
    assert probe(data + b"more").size == len(data)


@pytest.mark.parametrize("size", [254, 382, 510, 638])
def test_a_modern_frame_that_begins_with_fe_is_no_ping(size):
    body = hello("a" * (size - len(hello("")) - (1 if size > 135 else 0)))
    frame = varint(len(body)) + body
    assert frame[0] == 0xFE
    assert probe(frame[:1]).kind is LegacyKind.UNDECIDED
    assert probe(frame).kind is LegacyKind.NOT
    assert probe(frame, timer_expired=True).kind is LegacyKind.NOT


@pytest.mark.parametrize("data", [b"\x10\x00", b"\xff\x01", b"\x00", b"GET / HTTP/1.1"])
def test_other_bytes_are_no_ping(data):
    assert probe(data).kind is LegacyKind.NOT


def test_nothing_is_undecided():
    assert probe(b"").kind is LegacyKind.UNDECIDED
    assert probe(b"", timer_expired=True).kind is LegacyKind.UNDECIDED


def test_an_ancient_login_is_recognised():
    assert probe(b"\x02\x00").kind is LegacyKind.LOGIN


@pytest.mark.parametrize(
    "data",
    [
        b"\xfe\x01\xfa\x00\x0c",
        b"\xfe\x01\xfa\xff",
        ping_16()[:27] + b"\x00\x06",
        ping_16()[:27] + b"\xff\xff",
        ping_16()[:30] + b"\x00\x08",
        ping_16("a" * 495),
    ],
)
def test_nonsense_behind_the_mark_of_1_6_is_refused_at_once(data):
    assert probe(data).kind is LegacyKind.BAD


def test_a_host_at_the_limit_is_read():
    assert probe(ping_16("a" * 494)).host == "a" * 494


def test_a_host_of_half_a_surrogate_pair_is_refused():
    data = bytearray(ping_16("ab"))
    data[32:34] = b"\xd8\x00"
    with pytest.raises(RemoteProtocolError, match="UTF-16"):
        probe(bytes(data))
