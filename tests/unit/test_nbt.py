"""Named binary tags of texts."""

import struct

import pytest

from mcproxy._speedups.wire.cursor import Reader, Writer
from mcproxy._speedups.wire.nbt import MAX_DEPTH, decode_nbt, encode_nbt, read_nbt, write_nbt
from mcproxy.errors import LocalProtocolError, RemoteProtocolError


def name(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()


# Put together by hand from the description of the format.
SAMPLES = [
    ("hello", b"\x08" + name("hello")),
    (None, b"\x00"),
    ({"text": "hi"}, b"\x0a" + b"\x08" + name("text") + name("hi") + b"\x00"),
    (
        {"text": "", "bold": True, "n": -2},
        b"\x0a\x08" + name("text") + name("") + b"\x01" + name("bold") + b"\x01"
        b"\x03" + name("n") + b"\xff\xff\xff\xfe" + b"\x00",
    ),
    (2**40, b"\x04" + struct.pack(">q", 2**40)),
    (1.5, b"\x06" + struct.pack(">d", 1.5)),
    (b"\1\2", b"\x07\0\0\0\2\1\2"),
    ([], b"\x09\x00\0\0\0\0"),
    (["a", "b"], b"\x09\x08\0\0\0\2" + name("a") + name("b")),
    ([[], [1]], b"\x09\x09\0\0\0\2" + b"\x00\0\0\0\0" + b"\x03\0\0\0\1\0\0\0\1"),
    # A list of mixed types, as 1.21.5 and newer write it.
    ([{"": {"": 1}}], b"\x09\x0a\0\0\0\1\x0a\0\0\x0a\0\0\x03\0\0\0\0\0\1\0\0\0"),
    (["a", 1], b"\x09\x0a\0\0\0\2" + b"\x08\0\0" + name("a") + b"\0" + b"\x03\0\0\0\0\0\1\0"),
]


@pytest.mark.parametrize(("value", "encoded"), SAMPLES)
def test_values_are_as_described(value, encoded):
    assert encode_nbt(value) == encoded
    assert decode_nbt(encoded) == value


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        (b"\x01\xff", -1),
        (b"\x02\xff\xfe", -2),
        (b"\x05" + struct.pack(">f", 0.5), 0.5),
        (b"\x0b\0\0\0\2\0\0\0\1\xff\xff\xff\xff", [1, -1]),
        (b"\x0c\0\0\0\1" + bytes(7) + b"\7", [7]),
        (b"\x09\x01\0\0\0\2\1\2", [1, 2]),
    ],
)
def test_types_that_python_does_not_tell_apart_are_read(encoded, value):
    assert decode_nbt(encoded) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("\0", b"\xc0\x80"),
        ("é", b"\xc3\xa9"),
        ("€", b"\xe2\x82\xac"),
        ("😀", b"\xed\xa0\xbd\xed\xb8\x80"),
    ],
)
def test_strings_are_javas_modified_utf8(value, encoded):
    data = b"\x08" + struct.pack(">H", len(encoded)) + encoded
    assert encode_nbt(value) == data
    assert decode_nbt(data) == value


@pytest.mark.parametrize("text", [b"\x80", b"\xc3", b"\xf0\x9f\x98\x80", b"\xe2\x82", b"\xff"])
def test_strings_of_another_encoding_are_refused(text):
    with pytest.raises(RemoteProtocolError, match="modified UTF-8"):
        decode_nbt(b"\x08" + struct.pack(">H", len(text)) + text)


def test_half_a_surrogate_pair_from_a_peer_can_still_be_printed():
    assert decode_nbt(b"\x08\0\3\xed\xa0\xbd").encode() == "\ufffd".encode()
    with pytest.raises(LocalProtocolError, match="surrogate"):
        encode_nbt("\ud83d")


def nested(depth: int) -> bytes:
    return b"\x09" + b"\x09\0\0\0\1" * (depth - 1) + b"\x00\0\0\0\0"


def test_depth_has_a_bound():
    value = decode_nbt(nested(MAX_DEPTH))
    assert encode_nbt(value) == nested(MAX_DEPTH)
    with pytest.raises(RemoteProtocolError, match="nested"):
        decode_nbt(nested(MAX_DEPTH + 1))
    with pytest.raises(LocalProtocolError, match="nested"):
        encode_nbt([value])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0d",
        b"\x08\0\5abc",
        b"\x0a",
        b"\x0a\x08\0\1a",
        b"\x0a\x0d\0\1a",
        b"\x09\x00\0\0\0\1",
        b"\x09\x00\x7f\xff\xff\xff",
        b"\x09\x01\xff\xff\xff\xff",
        b"\x09\x01\x7f\xff\xff\xff",
        b"\x07\x7f\xff\xff\xff",
        b"\x0b\x7f\xff\xff\xff",
        b"\x0c\xff\xff\xff\xff",
        b"\x01\1\0",
    ],
)
def test_malformed_tags_are_refused(data):
    with pytest.raises(RemoteProtocolError):
        decode_nbt(data)


def test_the_number_of_values_has_a_bound():
    compounds = b"\x09\x0a" + struct.pack(">i", 1000) + bytes(1000)
    assert decode_nbt(compounds, max_values=1000) == [{}] * 1000
    with pytest.raises(RemoteProtocolError, match="too many values"):
        decode_nbt(compounds, max_values=999)
    fields = b"\x0a" + b"\x01\0\0\1" * 10 + b"\0"
    with pytest.raises(RemoteProtocolError, match="too many values"):
        decode_nbt(fields, max_values=9)


@pytest.mark.parametrize("value", [object(), {1: "a"}, 2**63, "x" * 65536, [None], {"a": {1, 2}}])
def test_values_that_nbt_cannot_hold_are_refused_and_leave_nothing(value):
    writer = Writer().u8(1)
    with pytest.raises(LocalProtocolError):
        write_nbt(writer, value)
    assert bytes(writer) == b"\1"


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(LocalProtocolError, match="nested"):
        encode_nbt(value)


def test_a_tag_is_one_field_among_others():
    writer = Writer().varint(0x1D)
    write_nbt(writer, {"text": "bye"})
    reader = Reader(bytes(writer.u8(9)))
    assert (reader.varint(), read_nbt(reader), reader.u8()) == (0x1D, {"text": "bye"}, 9)
