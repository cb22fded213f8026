"""The packets of somebody else's connection, with names and states."""

import zlib

import pytest

from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft import Dissector, EncryptionStarted, LegacyKind, LegacySeen, Packet, State
from mcproxy.minecraft.packets import Direction

from .wire_bytes import hello, text, varint

C, S = Direction.CLIENTBOUND, Direction.SERVERBOUND


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


def raw(body: bytes) -> bytes:
    """A frame with compression on, below the threshold."""
    return frame(b"\x00" + body)


def deflated(body: bytes) -> bytes:
    return frame(varint(len(body)) + zlib.compress(body))


def names(dissector, conversation):
    return [
        (seen.direction, str(seen.state), seen.name)
        for direction, data in conversation
        for seen in dissector.feed(direction, data)
        if isinstance(seen, Packet)
    ]


def test_a_status_is_named():
    conversation = [
        (S, frame(hello(intent=1)) + frame(b"\x00")),
        (C, frame(b"\x00" + text("{}"))),
        (S, frame(b"\x01" + bytes(8))),
        (C, frame(b"\x01" + bytes(8))),
    ]
    dissector = Dissector()
    assert names(dissector, conversation) == [
        (S, "handshake", "set_protocol"),
        (S, "status", "ping_start"),
        (C, "status", "server_info"),
        (S, "status", "ping"),
        (C, "status", "ping"),
    ]
    assert dissector.protocol == 763


def test_a_join_through_configuration_is_followed():
    # 1.21.8 (772) with the ids of minecraft-data; compression from Set Compression on.
    conversation = [
        (S, frame(hello(protocol=772)) + frame(b"\x00" + text("Bob") + bytes(16))),
        (C, frame(b"\x03" + varint(64))),
        (C, raw(b"\x02" + bytes(16) + text("Bob") + b"\x00")),
        (S, raw(b"\x03")),
        (C, deflated(b"\x07" + bytes(100))),
        (C, raw(b"\x03")),
        (S, raw(b"\x00" + bytes(5))),
        (S, raw(b"\x03")),
        (C, raw(b"\x2b" + bytes(9))),
        (S, raw(b"\x1b" + bytes(8))),
        (C, raw(b"\x6f")),
        (S, raw(b"\x0f")),
        (S, raw(b"\x04" + bytes(8))),
        (C, raw(b"\x04" + bytes(8))),
    ]
    assert names(Dissector(), conversation) == [
        (S, "handshake", "set_protocol"),
        (S, "login", "login_start"),
        (C, "login", "compress"),
        (C, "login", "success"),
        (S, "login", "login_acknowledged"),
        (C, "configuration", "registry_data"),
        (C, "configuration", "finish_configuration"),
        (S, "configuration", "settings"),
        (S, "configuration", "finish_configuration"),
        (C, "play", "login"),
        (S, "play", "keep_alive"),
        (C, "play", "start_configuration"),
        (S, "play", "configuration_acknowledged"),
        (S, "configuration", "keep_alive"),
        (C, "configuration", "keep_alive"),
    ]


@pytest.mark.parametrize("protocol", [5, 47, 340, 754, 763])
def test_until_1_20_1_play_follows_the_login(protocol):
    dissector = Dissector()
    conversation = [
        (S, frame(hello(protocol=protocol)) + frame(b"\x00" + text("Bob") + b"\x00\x00")),
        (C, frame(b"\x02" + bytes(20))),
    ]
    names(dissector, conversation)
    assert dissector.state(C) is State.PLAY
    assert dissector.state(S) is State.PLAY


def test_1_8_may_switch_compression_on_in_mid_game():
    conversation = [
        (S, frame(hello(protocol=47)) + frame(b"\x00" + text("Bob"))),
        (C, frame(b"\x02" + bytes(20)) + frame(b"\x46" + varint(10)) + deflated(b"\x01" * 20)),
    ]
    assert names(Dissector(), conversation)[-2:] == [
        (C, "play", "set_compression"),
        (C, "play", "login"),
    ]


def test_any_cut_gives_the_same_packets():
    serverbound = frame(hello(intent=1)) + frame(b"\x00") + frame(b"\x01" + bytes(8))
    dissector = Dissector()
    seen = [p.name for byte in serverbound for p in dissector.feed(S, bytes([byte]))]
    assert seen == ["set_protocol", "ping_start", "ping"]


def test_encryption_ends_what_can_be_seen():
    dissector = Dissector()
    list(dissector.feed(S, frame(hello()) + frame(b"\x00" + text("Bob") + b"\x00")))
    [request] = dissector.feed(C, frame(b"\x01" + bytes(30)))
    assert request.name == "encryption_begin"
    assert not dissector.blind
    seen = list(dissector.feed(S, frame(b"\x01" + bytes(256)) + b"\xff\xff\xff\xff"))
    assert [type(event) for event in seen] == [Packet, EncryptionStarted]
    assert dissector.blind
    assert list(dissector.feed(C, b"\xff\xff\xff\xff")) == []


def test_a_packet_that_the_version_does_not_have_stays_without_name():
    dissector = Dissector()
    list(dissector.feed(S, frame(hello(intent=1))))
    [packet] = dissector.feed(S, frame(b"\x63abc"))
    assert (packet.number, packet.name, packet.data) == (0x63, None, b"\x63abc")


def test_a_legacy_ping_is_seen_and_the_answer_left_alone():
    dissector = Dissector()
    assert list(dissector.feed(S, b"\xfe\x01")) == []
    [seen] = dissector.feed(C, b"\xff\x00\x01\x00a")
    assert isinstance(seen, LegacySeen)
    assert seen.ping.kind is LegacyKind.V1_4
    assert dissector.blind


def test_what_a_loop_leaves_behind_comes_later():
    dissector = Dissector()
    for packet in dissector.feed(S, frame(hello(intent=1)) + frame(b"\x00")):
        assert packet.name == "set_protocol"
        break
    assert [packet.name for packet in dissector.feed(S, b"")] == ["ping_start"]


@pytest.mark.parametrize(
    ("direction", "data"),
    [
        (C, b"\x02\x00\x00"),
        (S, frame(b"\x05")),
        (S, b"GET / HTTP/1.1\r\n" * 10),
        (S, b"\xff\xff\xff\xff"),
        (S, b"\xfe\x01\xfa\x00\x0c"),
    ],
)
def test_what_is_no_beginning_of_a_connection_is_refused(direction, data):
    with pytest.raises(RemoteProtocolError):
        list(Dissector().feed(direction, data))


def test_a_packet_larger_than_allowed_is_refused():
    dissector = Dissector(max_inflated=1000)
    list(dissector.feed(S, frame(hello(protocol=47)) + frame(b"\x00" + text("Bob"))))
    with pytest.raises(RemoteProtocolError):
        list(dissector.feed(C, frame(b"\x03\x00") + deflated(bytes(2000))))
