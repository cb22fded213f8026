"""For any input whatever: round trips, the same frames however the stream is cut, and a
result or RemoteProtocolError, always the one that the plain reference gives."""

import ipaddress
import struct
import uuid
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcproxy._speedups.wire import handshake, legacy
from mcproxy._speedups.wire.cursor import Reader, Writer
from mcproxy._speedups.wire.frames import FrameJoiner, FrameSplitter, scan_frames
from mcproxy._speedups.wire.haproxy import encode_proxy_header, parse_proxy_header
from mcproxy._speedups.wire.nbt import decode_nbt, encode_nbt
from mcproxy._speedups.wire.varint import (
    decode_varint,
    decode_varlong,
    encode_varint,
    encode_varlong,
)
from mcproxy.errors import RemoteProtocolError

from . import wire_reference as reference

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
i32 = st.integers(-(2**31), 2**31 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
packets = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.builds(bytes.__mul__, st.binary(min_size=1, max_size=3), st.integers(1, 3000)),
    ),
    max_size=12,
)


def cut(stream: bytes, draw: st.DataObject) -> list[bytes]:
    at = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


@given(i32)
def test_varints_survive_a_round_trip(value):
    data = encode_varint(value)
    assert data == reference.write_varint(value)
    assert decode_varint(data) == (value, len(data))


@given(i64)
def test_varlongs_survive_a_round_trip(value):
    data = encode_varlong(value)
    assert decode_varlong(data) == (value, len(data))


@given(st.binary(max_size=12), st.integers(0, 12))
def test_any_bytes_are_a_varint_or_refused(data, offset):
    if offset > len(data):
        return
    try:
        expected = reference.varint(data, offset)
    except (ValueError, reference.Incomplete):
        with pytest.raises(RemoteProtocolError):
            decode_varint(data, offset)
    else:
        assert decode_varint(data, offset) == expected


FIELDS = {
    "boolean": st.booleans(),
    "i8": st.integers(-(2**7), 2**7 - 1),
    "u8": st.integers(0, 2**8 - 1),
    "i16": st.integers(-(2**15), 2**15 - 1),
    "u16": st.integers(0, 2**16 - 1),
    "i32": i32,
    "u32": st.integers(0, 2**32 - 1),
    "i64": i64,
    "f32": st.floats(width=32, allow_nan=False),
    "f64": st.floats(allow_nan=False),
    "varint": i32,
    "varlong": i64,
    "string": texts,
    "identifier": st.from_regex(r"([a-z0-9_.-]+:)?[a-z0-9_./-]*", fullmatch=True).filter(
        lambda value: "/" not in value.partition(":")[0] or ":" not in value
    ),
    "uuid": st.uuids(),
    "byte_array": st.binary(max_size=300),
}
fields = st.lists(
    st.one_of([st.tuples(st.just(name), values) for name, values in FIELDS.items()]), max_size=20
)


@given(fields)
def test_fields_survive_a_round_trip(values):
    writer = Writer()
    for name, value in values:
        getattr(writer, name)(value)
    reader = Reader(bytes(writer))
    assert [(name, getattr(reader, name)()) for name, _ in values] == values
    reader.end()


@given(st.binary(max_size=200), st.lists(st.sampled_from([*FIELDS, "rest", "end"]), max_size=20))
def test_any_bytes_are_fields_or_refused(data, names):
    reader = Reader(data)
    for name in names:
        before = reader.position
        try:
            value = getattr(reader, name)()
        except RemoteProtocolError:
            assert reader.position == before
        else:
            assert before <= reader.position <= len(data)
            assert not isinstance(value, uuid.UUID) or value.bytes in data


def everything(splitter: FrameSplitter, pieces: list[bytes]) -> tuple[list[bytes], int | None]:
    found = []
    try:
        for piece in pieces:
            for frame in splitter.feed(piece):
                found.append(bytes(frame))
    except RemoteProtocolError:
        return found, None
    return found, len(splitter.pending)


@given(packets, st.sampled_from([-1, 0, 1, 64]), st.data())
def test_any_split_of_the_stream_gives_the_same_frames(sent, threshold, draw):
    joiner = FrameJoiner(threshold)
    stream = b"".join(joiner.join(packet) for packet in sent)
    assert reference.split(stream, threshold) == (sent, 0)
    assert everything(FrameSplitter(threshold), cut(stream, draw)) == (sent, 0)


hostile_frame = st.one_of(
    st.just(b"\0"),
    st.binary(max_size=30).map(lambda body: reference.write_varint(len(body)) + body),
    st.builds(
        lambda packet, claimed, spoil: (lambda body: reference.write_varint(len(body)) + body)(
            reference.write_varint(claimed) + zlib.compress(packet) + spoil
        ),
        st.binary(max_size=200),
        st.integers(-1, 210),
        st.sampled_from([b"", b"", b"x"]),
    ),
    st.binary(max_size=6),
)


@given(
    st.lists(hostile_frame, max_size=25).map(b"".join),
    st.sampled_from([-1, 0, 5, 100]),
    st.booleans(),
    st.integers(1, 300),
    st.data(),
)
@settings(max_examples=300)
def test_any_stream_is_split_as_the_reference_does(stream, threshold, serverbound, most, draw):
    splitter = FrameSplitter(
        threshold,
        direction="serverbound" if serverbound else "clientbound",
        max_frame=most,
        max_inflated=150,
    )
    expected = reference.split(
        stream, threshold, serverbound=serverbound, max_frame=most, limit=150
    )
    assert everything(splitter, cut(stream, draw)) == expected


@given(st.lists(hostile_frame, max_size=10).map(b"".join))
def test_frames_are_scanned_as_the_reference_does(stream):
    found, left = reference.split(stream, serverbound=False)
    if left is None:
        with pytest.raises(RemoteProtocolError):
            scan_frames(stream)
    else:
        assert scan_frames(stream) == (len(found), len(stream) - left)


hosts = st.one_of(
    texts,
    st.from_regex(
        r"(_dc-srv\.)?([0-9a-f]{0,4}\.)?(_minecraft\._tcp\.)?\[?[a-zA-Z:.-]{0,9}\]?\.{0,2}"
        r"(///[0-9.]{3})?(\x00FML\x00)?(///)?",
        fullmatch=True,
    ),
)


@given(hosts)
def test_hosts_are_cleaned_as_the_reference_does(raw):
    try:
        expected = reference.clean_host(raw)
    except ValueError:
        with pytest.raises(RemoteProtocolError):
            handshake.clean_host(raw)
    else:
        assert handshake.clean_host(raw) == expected == handshake.clean_host(raw.encode())


@given(i32, hosts, st.integers(0, 65535), st.integers(0, 4))
def test_handshakes_survive_a_round_trip(protocol, host, port, intent):
    body = bytes(Writer().varint(0).varint(protocol).string(host).u16(port).varint(intent))
    try:
        assert reference.handshake(body) == (protocol, host, port, intent)
    except ValueError:
        with pytest.raises(RemoteProtocolError):
            handshake.parse_handshake(body)
    else:
        assert handshake.parse_handshake(body) == (protocol, host, port, intent)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_handshake_or_refused(rest):
    for body in (rest, b"\0" + rest, b"\0\x2f\5local" + rest):
        try:
            expected = reference.handshake(body)
        except ValueError:
            with pytest.raises(RemoteProtocolError):
                handshake.parse_handshake(body)
        else:
            assert handshake.parse_handshake(body) == expected


@given(st.binary(max_size=60), st.sampled_from([47, 758, 759, 760, 761, 763, 764, 777]))
def test_any_bytes_are_a_login_start_or_refused(rest, protocol):
    for body in (rest, b"\0\5Notch" + rest, b"\0\5Notch" + rest[:17], b"\0\5Notch\0" + rest[:18]):
        try:
            expected = reference.login_start(body, protocol)
        except ValueError:
            with pytest.raises(RemoteProtocolError):
                handshake.parse_login_start(body, protocol)
        else:
            assert handshake.parse_login_start(body, protocol) == expected


@given(st.binary(max_size=80), i32)
def test_any_bytes_in_any_version_are_a_login_start_or_refused(body, protocol):
    try:
        name, identity = handshake.parse_login_start(body, protocol)
    except RemoteProtocolError:
        return
    assert 1 <= reference.utf16_units(name) <= 16
    assert identity is None or len(identity) == 16


@given(
    st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda tail: b"\xfe\x01" + tail)),
    st.booleans(),
)
def test_any_bytes_are_a_legacy_ping_or_not(data, expired):
    found = legacy.probe(data, expired)
    assert found.size <= len(data)
    if found.kind in (legacy.LegacyKind.NOT, legacy.LegacyKind.BAD):
        # What was decided stays decided.
        assert legacy.probe(data + b"\xfa\0", expired).kind is found.kind


@given(st.text(max_size=100), st.integers(0, 255), i32)
def test_pings_of_1_6_survive_a_round_trip(host, protocol, port):
    name = "MC|PingHost".encode("utf-16-be")
    encoded = host.encode("utf-16-be")
    tail = struct.pack(">BH", protocol, len(encoded) // 2) + encoded + struct.pack(">i", port)
    data = b"\xfe\x01\xfa\0\x0b" + name + struct.pack(">H", len(tail)) + tail
    found = legacy.probe(data)
    assert (found.host, found.protocol, found.port) == (host, protocol, port)
    assert found.size == len(data)


values = st.recursive(
    st.one_of(st.booleans(), i64, st.floats(allow_nan=False), texts, st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=20,
)


@given(values)
def test_tags_survive_a_round_trip(value):
    assert decode_nbt(encode_nbt(value)) == value


@given(st.binary(max_size=60), st.integers(0, 12))
def test_any_bytes_are_a_tag_or_refused(data, kind):
    try:
        value = decode_nbt(bytes([kind]) + data)
    except RemoteProtocolError:
        return
    assert encode_nbt(decode_nbt(encode_nbt(value))) == encode_nbt(value)


endpoints = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))
header_starts = st.sampled_from(
    [b"", b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0d"]
)


@given(st.sampled_from([1, 2]), endpoints, endpoints, st.binary(max_size=40), st.data())
def test_proxy_headers_survive_a_round_trip_and_any_cut(  # M-16
    version, source, destination, behind, draw
):
    stream = encode_proxy_header(version, source, destination)
    received = b""
    for piece in cut(stream, draw)[:-1]:
        received += piece
        assert parse_proxy_header(received) is None or received == stream
    header = parse_proxy_header(stream + behind)
    assert (header.version, header.size) == (version, len(stream))
    for found, wanted in ((header.source, source), (header.destination, destination)):
        address = ipaddress.ip_address(wanted[0])
        assert (ipaddress.ip_address(found[0]), found[1]) == (
            getattr(address, "ipv4_mapped", None) or address,
            wanted[1],
        )
    assert reference.proxy_header(stream + behind)[3] == len(stream)


@given(header_starts, st.binary(max_size=150))
def test_any_bytes_are_a_proxy_header_or_refused_as_the_reference_does(start, rest):
    try:
        expected = reference.proxy_header(start + rest)
    except reference.Incomplete:
        assert parse_proxy_header(start + rest) is None
    except ValueError:
        with pytest.raises(RemoteProtocolError):
            parse_proxy_header(start + rest)
    else:
        header = parse_proxy_header(start + rest)
        assert (header.version, header.size) == (expected[0], expected[3])
        assert (header.source is None) == (expected[1] is None)
