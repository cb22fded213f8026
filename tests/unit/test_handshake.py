"""The first packets of a modern connection, read byte by byte from the standard."""

import struct

import pytest

from mcproxy._speedups.wire import handshake
from mcproxy.errors import RemoteProtocolError

from .wire_bytes import hello, text, varint


def test_a_captured_handshake_is_read():
    # From the protocol's description: 1.20.1, localhost, 25565, status.
    body = bytes.fromhex("00 fb05 09 6c6f63616c686f7374 63dd 01")
    assert handshake.parse_handshake(body) == (763, "localhost", 25565, 1)


@pytest.mark.parametrize("intent", [1, 2, 3])
def test_every_intent_is_read(intent):
    assert handshake.parse_handshake(hello(intent=intent))[3] == intent


@pytest.mark.parametrize("protocol", [-1, 0, 4, 777, 0x40000123, 2**31 - 1, -(2**31)])
def test_any_protocol_number_is_read(protocol):  # M-15
    assert handshake.parse_handshake(hello(protocol=protocol))[0] == protocol


def test_the_host_keeps_its_suffixes():
    raw = "mc.example.com\0FML2\0"
    assert handshake.parse_handshake(hello(raw))[1] == raw


@pytest.mark.parametrize(
    "host",
    [
        "a" * 255,
        "a" * 255 + "\0FML\0",
        "ä" * 255,
        "€" * 255,
        "\U0001f600" * 127 + "a",  # an astral character is two units
        "a\0192.0.2.1\0" + "f" * 32 + '\0[{"name":"textures","value":"' + "x" * 20000 + '"}]',
    ],
)
def test_a_host_at_the_limit_is_read(host):
    assert handshake.parse_handshake(hello(host))[1] == host


@pytest.mark.parametrize(
    "host", ["a" * 256, "a" * 256 + "\0FML\0", "€" * 256, "\U0001f600" * 128, "a\0" + "b" * 32768]
)
def test_a_host_above_the_limit_is_refused(host):
    with pytest.raises(RemoteProtocolError, match="host is longer"):
        handshake.parse_handshake(hello(host))


@pytest.mark.parametrize("intent", [0, 4, -1, 2**31 - 1])
def test_an_unknown_intent_is_refused(intent):
    with pytest.raises(RemoteProtocolError, match="intent"):
        handshake.parse_handshake(hello(intent=intent))


def test_every_truncation_is_refused():
    body = hello("mc.example.com")
    for cut in range(len(body)):
        with pytest.raises(RemoteProtocolError):
            handshake.parse_handshake(body[:cut])


def test_bytes_behind_the_last_field_are_refused():
    with pytest.raises(RemoteProtocolError, match="left over"):
        handshake.parse_handshake(hello() + b"\0")


def test_another_packet_id_is_refused():
    with pytest.raises(RemoteProtocolError, match="packet id"):
        handshake.parse_handshake(b"\1" + hello()[1:])


@pytest.mark.parametrize(
    "body",
    [
        b"\0" + varint(763) + varint(-1) + b"x" * 20,
        b"\0" + varint(763) + varint(-(2**31)) + b"x" * 20,
        b"\0" + b"\xff" * 6,
        b"\xff" * 6,
        b"\0" + varint(763) + b"\x80\x80\x80\x80\x80\x01",
    ],
)
def test_a_negative_or_endless_length_is_refused(body):
    with pytest.raises(RemoteProtocolError, match="negative or above"):
        handshake.parse_handshake(body)


def test_a_length_that_only_the_peer_believes_in_is_refused():
    with pytest.raises(RemoteProtocolError):
        handshake.parse_handshake(b"\0" + varint(763) + varint(2**31 - 1) + b"x")


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a\xe2\x82", b"\xf4\x90\x80\x80"]
)
def test_a_host_that_is_not_utf8_is_refused(raw):
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        handshake.parse_handshake(hello(raw))


UUID = bytes(range(16))
SIGNATURE = b"\1" + struct.pack(">q", 1700000000000) + text(b"k" * 294) + text(b"s" * 512)


@pytest.mark.parametrize(
    ("protocol", "rest", "uuid"),
    [
        (4, b"", None),
        (47, b"", None),
        (758, b"", None),
        (759, b"\0", None),
        (759, SIGNATURE, None),
        (760, b"\0\0", None),
        (760, b"\0\1" + UUID, UUID),
        (760, SIGNATURE + b"\1" + UUID, UUID),
        (761, b"\0", None),
        (763, b"\1" + UUID, UUID),
        (764, UUID, UUID),
        (777, UUID, UUID),
        (778, UUID, UUID),
        (900, UUID + b"something new", UUID),
        (0x40000000 | 1, b"", None),
        (0x40000000 | 250, UUID, UUID),
        (0x40000000 | 100, b"\1" + UUID, UUID),
        (0x40000000 | 90, b"\0", None),
    ],
)
def test_login_start_is_read_in_the_layout_of_its_protocol(protocol, rest, uuid):  # M-15
    assert handshake.parse_login_start(b"\0" + text("Notch") + rest, protocol) == ("Notch", uuid)


@pytest.mark.parametrize(
    ("protocol", "rest"),
    [
        (47, b"\0"),
        (758, UUID),
        (759, b""),
        (759, b"\0\0"),
        (760, b"\0"),
        (760, SIGNATURE),
        (761, b""),
        (763, b"\1" + UUID[:15]),
        (764, b""),
        (764, UUID[:15]),
        (777, UUID + b"\0"),
        (778, b""),
        (759, b"\1" + bytes(8) + text(b"k" * 513) + text(b"")),
        (759, b"\1" + bytes(8) + text(b"k") + text(b"s" * 4097)),
        (759, b"\1" + bytes(8) + varint(-1)),
    ],
)
def test_login_start_in_another_layout_is_refused(protocol, rest):
    with pytest.raises(RemoteProtocolError):
        handshake.parse_login_start(b"\0" + text("Notch") + rest, protocol)


@pytest.mark.parametrize("name", ["", "a" * 17, "\U0001f600" * 9])
def test_a_name_of_a_wrong_length_is_refused(name):
    with pytest.raises(RemoteProtocolError, match="name"):
        handshake.parse_login_start(b"\0" + text(name), 47)


def test_the_bound_of_login_start_admits_what_its_layout_admits():
    # PROTOCOL.md: 49 bytes behind the id, +819 on 759 and 760, +17 from 760.
    assert handshake.max_login_start_body(758) == 1 + 49
    assert handshake.max_login_start_body(760) == 1 + 49 + 819 + 17
    assert handshake.max_login_start_body(764) == 1 + 49 + 17
    assert len(b"\0" + text("€" * 16) + SIGNATURE + b"\1" + UUID) <= 1 + 49 + 819 + 17


@pytest.mark.parametrize(  # M-03
    ("raw", "clean"),
    [
        ("localhost", "localhost"),
        ("MC.Example.COM", "mc.example.com"),
        ("mc.example.com.", "mc.example.com"),
        ("mc.example.com...", "mc.example.com"),
        ("mc.example.com\0FML\0", "mc.example.com"),
        ("mc.example.com.\0FML2\0", "mc.example.com"),
        ("mc.example.com\0FML3\0", "mc.example.com"),
        ("mc.example.com\0FORGE", "mc.example.com"),
        ("mc.example.com\0FORGE3", "mc.example.com"),
        ("mc.example.com\x00127.0.0.1\x0000000000000000000000000000000000", "mc.example.com"),
        ("mc.example.com///192.0.2.1:51234///1700000000///c2ln", "mc.example.com"),
        ("mc.example.com///192.0.2.1:51234///1700000000///c2ln\0FML3\0", "mc.example.com"),
        ("mc.example.com\0FML\0///192.0.2.1:51234///1700000000", "mc.example.com"),
        ("mc/example//com", "mc/example//com"),
        ("_dc-srv.130c90ab9de1._minecraft._tcp.hyriode.fr", "hyriode.fr"),
        ("_dc-srv.130c90ab9de1._minecraft._tcp.Play.Hyriode.fr.", "play.hyriode.fr"),
        ("_DC-SRV.130C90AB9DE1._MINECRAFT._TCP.hyriode.fr", "hyriode.fr"),
        ("_dc-srv._minecraft._tcp.example.com", "example.com"),
        ("_dc-srv.example.com", "example.com"),
        ("_minecraft._tcp.example.com", "example.com"),
        ("dc-srv.example.com", "dc-srv.example.com"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[2001:db8::1].\0FML\0", "2001:db8::1"),
        ("[", "["),
        ("192.0.2.7", "192.0.2.7"),
        ("", ""),
        (".", ""),
        ("\0FML\0", ""),
        ("///", ""),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("MÜNCHEN.example", "mÜnchen.example"),
    ],
)
def test_hosts_are_cleaned(raw, clean):
    assert handshake.clean_host(raw) == clean
    assert handshake.clean_host(raw.encode()) == clean


def test_a_clean_host_stays_as_it_is():
    once = handshake.clean_host("_dc-srv.1._minecraft._tcp.A.b.\0FML\0")
    assert handshake.clean_host(once) == once


def test_a_host_that_cannot_be_routed_is_refused():
    assert handshake.clean_host("a" * 255 + ".\0FML\0") == "a" * 255
    with pytest.raises(RemoteProtocolError, match="longer than 255"):
        handshake.clean_host("a" * 256)
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        handshake.clean_host(b"\xff\xfe")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_read(kind):
    assert handshake.parse_handshake(kind(hello("a.example")))[1] == "a.example"
    assert handshake.parse_login_start(kind(b"\0" + text("Notch")), 47) == ("Notch", None)
    assert handshake.clean_host(kind(b"A.example.")) == "a.example"
