"""Both ends of a connection up to the Login Start: what may follow what."""

import json
from uuid import UUID

import pytest

from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft import (
    ClientConnection,
    ConnectionClosed,
    HandshakeReceived,
    Intent,
    LegacyKind,
    LegacyLoginReceived,
    LegacyPingReceived,
    LoginStarted,
    Phase,
    PingRequested,
    PongReceived,
    ServerConnection,
    StatusReceived,
    StatusRequested,
    build_status,
)
from mcproxy.minecraft.legacy import decode_reply, encode_ping

from .wire_bytes import hello, text, varint

STATUS = build_status("26.3", 777, description="Hello", online_players=3)
REQUEST = b"\x01\x00"
PING = b"\x09\x01" + (-5).to_bytes(8, "big", signed=True)


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


def shake(intent: int, host: str = "example.com") -> bytes:
    return frame(hello(host, protocol=777, intent=intent))


def login_start(name: str = "Notch") -> bytes:
    return frame(b"\x00" + text(name) + bytes(range(16)))


def types(events):
    return [type(event) for event in events]


def test_a_status_and_a_ping_are_answered_in_order():
    server = ServerConnection()
    [event] = server.receive(shake(1))
    assert isinstance(event, HandshakeReceived)
    assert (event.handshake.host, event.handshake.intent) == ("example.com", Intent.STATUS)
    assert list(server.receive(REQUEST)) == [StatusRequested()]
    reply = server.send_status(STATUS)
    assert json.loads(reply[reply.index(b"{") :]) == STATUS
    assert not server.finished
    assert list(server.receive(PING)) == [PingRequested(-5)]
    assert not server.finished
    assert server.send_pong() == PING
    assert server.finished


def test_everything_in_one_segment_is_seen():
    server = ServerConnection()
    assert types(server.receive(shake(1) + REQUEST + PING)) == [
        HandshakeReceived,
        StatusRequested,
        PingRequested,
    ]
    server.send_status(STATUS)
    server.send_pong()
    assert server.finished


def test_everything_in_single_bytes_is_seen():
    server = ServerConnection()
    data = shake(1) + REQUEST + PING
    events = [event for byte in data for event in server.receive(bytes([byte]))]
    assert types(events) == [HandshakeReceived, StatusRequested, PingRequested]


def test_a_ping_without_a_status_request_is_answered():
    server = ServerConnection()
    assert types(server.receive(shake(1) + PING)) == [HandshakeReceived, PingRequested]
    assert server.send_pong() == PING
    assert server.finished


@pytest.mark.parametrize(
    "data", [REQUEST + REQUEST, PING + PING, PING + REQUEST, REQUEST + PING + REQUEST]
)
def test_no_question_may_come_twice(data):
    server = ServerConnection()
    with pytest.raises(RemoteProtocolError):
        list(server.receive(shake(1) + data))
    assert server.phase is Phase.ERROR


def test_events_before_a_mistake_are_still_seen():
    server = ServerConnection()
    events = server.receive(shake(1) + REQUEST + b"\x01\x07")
    assert [type(next(events)), type(next(events))] == [HandshakeReceived, StatusRequested]
    with pytest.raises(RemoteProtocolError):
        next(events)


@pytest.mark.parametrize("intent", [Intent.LOGIN, Intent.TRANSFER])
def test_a_login_hands_on_what_follows(intent):
    server = ServerConnection()
    data = shake(intent) + login_start() + b"\x05later"
    first, second = server.receive(data)
    assert first.handshake.intent is intent
    assert second == LoginStarted(second.login)
    assert (second.login.name, second.login.uuid) == ("Notch", UUID(bytes=bytes(range(16))))
    assert server.trailing_data == b"\x05later"
    assert list(server.receive(b" and more")) == []
    assert server.trailing_data == b"\x05later and more"
    assert not server.finished


def test_what_follows_a_login_is_bounded():
    server = ServerConnection()
    list(server.receive(shake(2) + login_start() + bytes(2**20)))
    assert len(server.trailing_data) == 2**20
    with pytest.raises(LocalProtocolError, match="trailing_data"):
        server.receive(b"x")


@pytest.mark.parametrize("data", [shake(2), shake(2) + login_start()])
def test_a_login_can_be_turned_away_before_and_after_the_name(data):
    server = ServerConnection()
    list(server.receive(data))
    reply = server.send_disconnect("§cFull")
    assert json.loads(reply[reply.index(b"{") :]) == {"text": "Full", "color": "red"}
    assert server.finished


@pytest.mark.parametrize(
    ("ping", "kind"),
    [(b"\xfe", LegacyKind.BETA), (b"\xfe\x01", LegacyKind.V1_4)],
)
def test_an_old_ping_is_known_when_nothing_follows(ping, kind):
    server = ServerConnection()
    assert list(server.receive(ping)) == []
    assert server.undecided
    [event] = server.timer_expired()
    assert isinstance(event, LegacyPingReceived)
    assert event.ping.kind is kind
    assert not server.undecided
    reply = decode_reply(server.send_status(STATUS))
    assert (reply.motd, reply.online, reply.max_players) == ("Hello", 3, 20)
    assert server.finished


def test_an_old_ping_is_known_when_the_client_closes_its_side():
    server = ServerConnection()
    list(server.receive(b"\xfe"))
    assert types(server.receive(b"")) == [LegacyPingReceived, ConnectionClosed]


def test_a_ping_of_1_6_needs_no_timer():
    server = ServerConnection()
    [event] = server.receive(encode_ping(LegacyKind.V1_6, "mc.example.com", 25566))
    assert (event.ping.host, event.ping.port) == ("mc.example.com", 25566)
    reply = decode_reply(server.send_status(json.dumps(STATUS)))
    assert (reply.version_name, reply.protocol) == ("26.3", 127)


def test_a_modern_packet_of_254_bytes_is_no_legacy_ping():
    # Length FE 01, id 00.
    data = shake(1, "h" * 246)
    assert data[:3] == b"\xfe\x01\x00"
    server = ServerConnection()
    assert types(server.receive(data)) == [HandshakeReceived]


def test_a_login_from_before_1_7_is_kicked_in_its_language():
    server = ServerConnection()
    assert list(server.receive(b"\x02\x49")) == [LegacyLoginReceived()]
    assert server.send_disconnect("Old") == b"\xff\x00\x03\x00O\x00l\x00d"
    assert server.finished


@pytest.mark.parametrize(
    "data",
    [
        shake(1, "h" * 256),
        b"\x00\x00\x00" * 10 + shake(1),
        b"\xff\xff\xff\x7f",
        varint(794),
        shake(4),
        shake(0),
        frame(b"\x01"),
        b"GET / HTTP/1.1\r\n" * 5,
        b"\xfe\x01\xfa\x00\x0c",
        shake(1) + varint(10),
        shake(2) + varint(70),
        shake(2) + frame(b"\x00" + text("x" * 17) + bytes(16)),
        shake(2) + frame(b"\x01\x00"),
    ],
)
def test_what_no_client_sends_is_refused(data):
    server = ServerConnection()
    with pytest.raises(RemoteProtocolError):
        list(server.receive(data))
    with pytest.raises(LocalProtocolError):
        server.receive(b"more")
    with pytest.raises(LocalProtocolError):
        server.next_event()


def test_a_longer_handshake_can_be_allowed():
    forwarded = "host\x00192.0.2.1\0" + "0" * 32 + "\0" + "p" * 5000
    with pytest.raises(RemoteProtocolError):
        list(ServerConnection().receive(shake(2, forwarded)))
    [event] = ServerConnection(max_handshake=20_000).receive(shake(2, forwarded))
    assert event.handshake.raw_host == forwarded
    assert event.handshake.host == "host"


def test_the_end_of_the_stream_is_an_event():
    server = ServerConnection()
    assert types(server.receive(shake(1))) == [HandshakeReceived]
    assert list(server.receive(b"")) == [ConnectionClosed()]
    assert server.next_event() is None
    assert server.phase is Phase.CLOSED


@pytest.mark.parametrize("data", [b"\x10", shake(1)[:-1], shake(1) + b"\x01"])
def test_the_end_in_the_middle_of_a_packet_is_an_error(data):
    server = ServerConnection()
    list(server.receive(data))
    with pytest.raises(RemoteProtocolError, match="middle"):
        list(server.receive(b""))


def test_data_behind_the_end_is_the_callers_mistake():
    server = ServerConnection()
    list(server.receive(b""))
    with pytest.raises(LocalProtocolError):
        server.receive(b"x")


@pytest.mark.parametrize(
    ("data", "send"),
    [
        (b"", lambda server: server.send_status(STATUS)),
        (shake(1), lambda server: server.send_status(STATUS)),
        (shake(1) + REQUEST, lambda server: server.send_pong()),
        (shake(1) + PING, lambda server: server.send_status(STATUS)),
        (shake(1) + REQUEST, lambda server: server.send_disconnect("x")),
        (shake(2), lambda server: server.send_status(STATUS)),
        (b"\x02", lambda server: server.send_pong()),
    ],
)
def test_an_answer_that_nobody_asked_for_is_the_callers_mistake(data, send):
    server = ServerConnection()
    if data:
        list(server.receive(data))
    with pytest.raises(LocalProtocolError):
        send(server)
    assert server.phase is Phase.ERROR


def test_an_answer_that_cannot_be_sent_leaves_the_question_open():
    server = ServerConnection()
    list(server.receive(shake(1) + REQUEST))
    with pytest.raises(LocalProtocolError):
        server.send_status({"favicon": "x" * 40_000})
    assert server.send_status(STATUS)


def test_a_client_asks_and_a_server_answers():
    client, server = ClientConnection("mc.example.com", 25566, protocol=767), ServerConnection()
    asked = list(server.receive(client.request_status() + client.ping(42)))
    assert asked[0].handshake.protocol == 767
    assert (asked[0].handshake.host, asked[0].handshake.port) == ("mc.example.com", 25566)
    assert asked[1:] == [StatusRequested(), PingRequested(42)]
    assert not client.finished
    first, second = client.receive(server.send_status(STATUS) + server.send_pong())
    assert isinstance(first, StatusReceived)
    assert first.status.raw == STATUS
    assert second == PongReceived(42)
    assert client.finished


def test_a_client_speaks_the_newest_protocol_by_default():
    [event] = ServerConnection().receive(ClientConnection("h").request_status()[:-2])
    assert event.handshake.protocol == 777


def test_a_client_may_only_ping():
    client = ClientConnection("h")
    server = ServerConnection()
    assert types(server.receive(client.ping(1))) == [HandshakeReceived, PingRequested]
    assert list(client.receive(server.send_pong())) == [PongReceived(1)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x01",
        PING,
        b"\x03\x00\x01{",
        b"\xff\xff\xff\x01",
        b"\x04\x00\x02[]",
        b"\x05\x00\x02{}x",
    ],
)
def test_what_no_server_answers_is_refused(data):
    client = ClientConnection("h")
    client.request_status()
    with pytest.raises(RemoteProtocolError):
        list(client.receive(data))
    with pytest.raises(LocalProtocolError):
        client.ping()


def test_an_answer_without_a_question_is_refused():
    with pytest.raises(RemoteProtocolError):
        list(ClientConnection("h").receive(PING))


@pytest.mark.parametrize("again", [ClientConnection.request_status, ClientConnection.ping])
def test_a_client_asks_each_question_once(again):
    client = ClientConnection("h")
    client.request_status()
    client.ping()
    with pytest.raises(LocalProtocolError):
        again(client)


def test_a_status_that_is_cut_off_is_an_error():
    client = ClientConnection("h")
    client.request_status()
    list(client.receive(b"\x10\x00"))
    with pytest.raises(RemoteProtocolError, match="middle"):
        list(client.receive(b""))


def test_a_server_that_closes_is_an_event():
    client = ClientConnection("h")
    client.request_status()
    assert list(client.receive(b"")) == [ConnectionClosed()]
