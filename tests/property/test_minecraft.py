"""Round trips, cuts and arbitrary input through the codecs of mcproxy.minecraft."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft import (
    ClientConnection,
    Dissector,
    Handshake,
    LegacyKind,
    LoginStart,
    Packet,
    ServerConnection,
    build_status,
    text,
)
from mcproxy.minecraft.legacy import decode_reply, encode_ping, encode_reply, parse_ping
from mcproxy.minecraft.login import decode_disconnect, disconnect
from mcproxy.minecraft.packets import Direction, State
from mcproxy.minecraft.status import (
    decode_ping,
    decode_response,
    encode_response,
    parse_status,
)
from mcproxy.minecraft.status import (
    encode_ping as encode_status_ping,
)
from mcproxy.minecraft.versions import KNOWN, is_known, nearest

protocols = st.sampled_from(KNOWN) | st.integers(-(2**31), 2**31 - 1)
hosts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
names = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=16)
words = st.text(max_size=20) | st.text("§acklrx012#% s1$Hi\n", max_size=20)
styles = st.fixed_dictionaries(
    {},
    optional={
        "color": st.sampled_from(["red", "gold", "white", "#12ab34", "reset", "nonsense"]),
        "bold": st.booleans(),
        "italic": st.booleans(),
        "underlined": st.booleans(),
        "obfuscated": st.booleans(),
        "strikethrough": st.booleans(),
    },
)
contents = st.builds(lambda style, value: {"text": value, **style}, styles, words)
components = st.recursive(
    words | contents,
    lambda parts: (
        st.lists(parts, min_size=1, max_size=4)
        | st.builds(lambda part, extra: {**part, "extra": extra}, contents, st.lists(parts))
        | st.builds(
            lambda key, arguments: {"translate": key, "with": arguments}, words, st.lists(parts)
        )
    ),
    max_leaves=12,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | words,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(words, parts, max_size=4),
    max_leaves=20,
)


@given(protocols, hosts, st.integers(0, 65535), st.sampled_from([1, 2, 3]))
def test_a_handshake_survives(protocol, host, port, intent):
    found = Handshake.decode(Handshake(protocol, host, port, intent).encode())
    assert (found.protocol, found.raw_host, found.port, found.intent) == (
        protocol,
        host,
        port,
        intent,
    )


@given(st.sampled_from(KNOWN), names, st.none() | st.uuids())
def test_a_login_start_survives(protocol, name, uuid):
    found = LoginStart.decode(LoginStart(name, uuid).encode(protocol), protocol)
    assert found.name == name
    if protocol >= 760 and uuid is not None:
        assert found.uuid == uuid
    assert (found.uuid is None) == (protocol < 760 or (protocol < 764 and uuid is None))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_ping_survives(payload):
    assert decode_ping(encode_status_ping(payload)) == payload


@given(components)
def test_codes_say_what_the_component_shows(component):
    shown = text.flatten(component)
    assert text.flatten(text.to_legacy(component)) == shown
    assert text.flatten(text.from_legacy(text.to_legacy(component))) == shown
    assert text.to_plain(component) == "".join(run for run, _ in shown)


@given(st.sampled_from(KNOWN), components)
def test_a_disconnect_shows_what_was_meant(protocol, component):
    shown = text.flatten(component)
    states = [State.LOGIN, State.PLAY] + [State.CONFIGURATION] * (protocol >= 764)
    for state in states:
        body = disconnect(protocol, state, component)
        assert text.flatten(decode_disconnect(protocol, state, body)) == shown


@given(json_values)
def test_any_value_can_be_looked_at_as_a_component(value):
    assert isinstance(text.to_plain(value), str)
    assert isinstance(text.to_legacy(value), str)


@given(st.dictionaries(st.sampled_from(
    ["version", "players", "description", "favicon", "forgeData", "modinfo"]), json_values
))  # fmt: skip
def test_any_object_can_be_looked_at_as_a_status(value):
    status = parse_status(text.to_json(value))
    for name in ("version_name", "protocol", "online", "max_players", "sample", "text", "favicon",
                 "forge"):  # fmt: skip
        getattr(status, name)
    repr(status)


@given(components, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), words)
def test_a_legacy_answer_keeps_its_fields(motd, online, most, version):
    for kind in (LegacyKind.BETA, LegacyKind.V1_4, LegacyKind.V1_6):
        found = decode_reply(
            encode_reply(kind, motd, online=online, max_players=most, version_name=version)
        )
        assert (found.online, found.max_players) == (online, most)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100), st.integers(0, 65535))
def test_a_ping_of_1_6_survives(host, port):
    found = parse_ping(encode_ping(LegacyKind.V1_6, host, port))
    assert (found.kind, found.host, found.port) == (LegacyKind.V1_6, host, port)


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_number_has_a_nearest_release(protocol):
    assert is_known(nearest(protocol).protocol)


def cut(data, places):
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


CLIENT = ClientConnection("mc.example.com")
QUESTIONS = CLIENT.request_status() + CLIENT.ping(7)
CONVERSATIONS = [
    QUESTIONS,
    encode_ping(LegacyKind.V1_6, "mc.example.com"),
    b"\x02\x27",
]


@pytest.mark.parametrize("data", CONVERSATIONS)
@given(places=st.lists(st.integers(0, 1000), max_size=8))
def test_any_cut_gives_a_server_the_same_events(data, places):
    whole = [repr(event) for event in ServerConnection().receive(data)]
    server = ServerConnection()
    assert [repr(event) for part in cut(data, places) for event in server.receive(part)] == whole


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_any_cut_gives_an_onlooker_the_same_packets(places):
    dissector = Dissector()
    seen = [
        packet
        for part in cut(QUESTIONS, places)
        for packet in dissector.feed(Direction.SERVERBOUND, part)
    ]
    assert seen == list(Dissector().feed(Direction.SERVERBOUND, QUESTIONS))
    assert len(seen) == 3


@given(places=st.lists(st.integers(0, 1000), max_size=8))
def test_any_cut_gives_a_client_the_same_events(places):
    server = ServerConnection()
    list(server.receive(QUESTIONS))
    answer = server.send_status(build_status("26.3", 777, description="x")) + server.send_pong()
    client = ClientConnection("h")
    client.request_status()
    client.ping()
    events = [event for part in cut(answer, places) for event in client.receive(part)]
    assert len(events) == 2


fragments = st.lists(
    st.binary(max_size=60)
    | st.sampled_from([b"\xfe", b"\x01", b"\xfa", QUESTIONS, QUESTIONS[:10], QUESTIONS[10:]]),
    max_size=5,
)


@given(fragments, st.booleans())
def test_a_server_takes_anything_or_refuses_it(parts, timer):
    server = ServerConnection()
    with contextlib.suppress(RemoteProtocolError):
        for part in parts:
            list(server.receive(part or b"\0"))
        if timer:
            list(server.timer_expired())
        list(server.receive(b""))


@given(fragments)
def test_a_client_takes_anything_or_refuses_it(parts):
    client = ClientConnection("h")
    client.request_status()
    client.ping()
    with contextlib.suppress(RemoteProtocolError):
        for part in parts:
            list(client.receive(part or b"\0"))
        list(client.receive(b""))


@given(st.lists(st.tuples(st.sampled_from(Direction), fragments), max_size=4))
def test_an_onlooker_takes_anything_or_refuses_it(parts):
    dissector = Dissector()
    with contextlib.suppress(RemoteProtocolError):
        for direction, data in parts:
            for seen in dissector.feed(direction, b"".join(data)):
                assert isinstance(seen, Packet) or dissector.blind


@pytest.mark.parametrize(
    "decode",
    [
        Handshake.decode,
        decode_response,
        decode_ping,
        decode_reply,
        parse_status,
        parse_ping,
        text.from_json,
        text.from_nbt,
        lambda data: LoginStart.decode(data, 760),
        lambda data: LoginStart.decode(data, 777),
        lambda data: decode_disconnect(777, State.PLAY, b"\x20" + data),
        lambda data: decode_disconnect(777, State.LOGIN, b"\x00" + data),
    ],
)
@given(data=st.binary(max_size=100))
def test_a_decoder_takes_anything_or_refuses_it(decode, data):
    with contextlib.suppress(RemoteProtocolError):
        decode(data)


@given(json_values)
def test_a_status_survives(value):
    status = build_status("v", 1, extra=value)
    assert decode_response(encode_response(status)).raw == status
