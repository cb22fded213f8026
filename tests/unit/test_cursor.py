"""Primitives of the protocol, against the published examples and struct."""

import math
import struct
import uuid

import pytest

from mcproxy._speedups.wire.cursor import Reader, Writer
from mcproxy._speedups.wire.varint import (
    decode_varint,
    decode_varlong,
    encode_varint,
    encode_varlong,
    size_of_varint,
)
from mcproxy.errors import LocalProtocolError, RemoteProtocolError

from .wire_bytes import text, varint

# The sample values of https://minecraft.wiki/w/Java_Edition_protocol/Data_types
VARINTS = [
    (0, "00"),
    (1, "01"),
    (2, "02"),
    (127, "7f"),
    (128, "8001"),
    (255, "ff01"),
    (25565, "ddc701"),
    (2097151, "ffff7f"),
    (2147483647, "ffffffff07"),
    (-1, "ffffffff0f"),
    (-2147483648, "8080808008"),
]
VARLONGS = [
    (0, "00"),
    (255, "ff01"),
    (2147483647, "ffffffff07"),
    (9223372036854775807, "ffffffffffffffff7f"),
    (-1, "ffffffffffffffffff01"),
    (-2147483648, "80808080f8ffffffff01"),
    (-9223372036854775808, "80808080808080808001"),
]


@pytest.mark.parametrize(("value", "encoded"), VARINTS)
def test_varints_are_as_published(value, encoded):
    data = bytes.fromhex(encoded)
    assert encode_varint(value) == data == bytes(Writer().varint(value))
    assert decode_varint(b"?" + data + b"?", 1) == (value, 1 + len(data))
    assert Reader(data).varint() == value
    assert size_of_varint(value) == len(data)


@pytest.mark.parametrize(("value", "encoded"), VARLONGS)
def test_varlongs_are_as_published(value, encoded):
    data = bytes.fromhex(encoded)
    assert encode_varlong(value) == data == bytes(Writer().varlong(value))
    assert decode_varlong(data) == (value, len(data))
    assert Reader(data).varlong() == value


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff\xff\xff\xff", b"\xff" * 5, b"\x80" * 10 + b"\1"]
)
def test_cut_off_and_endless_varints_are_refused(data):
    with pytest.raises(RemoteProtocolError):
        decode_varint(data)
    with pytest.raises(RemoteProtocolError):
        Reader(data).varint()


@pytest.mark.parametrize("data", [b"", b"\x80" * 9, b"\x80" * 10, b"\xff" * 11])
def test_cut_off_and_endless_varlongs_are_refused(data):
    with pytest.raises(RemoteProtocolError):
        decode_varlong(data)
    with pytest.raises(RemoteProtocolError):
        Reader(data).varlong()


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**100])
def test_numbers_that_no_varint_holds_are_refused(value):
    for write in (encode_varint, size_of_varint, Writer().varint):
        with pytest.raises(LocalProtocolError):
            write(value)


def test_an_offset_outside_of_the_data_is_the_callers_mistake():
    for offset in (-1, 2):
        with pytest.raises(ValueError, match="outside"):
            decode_varint(b"\1", offset)


FIXED = [
    ("i8", ">b", -(2**7), 2**7 - 1),
    ("u8", ">B", 0, 2**8 - 1),
    ("i16", ">h", -(2**15), 2**15 - 1),
    ("u16", ">H", 0, 2**16 - 1),
    ("i32", ">i", -(2**31), 2**31 - 1),
    ("u32", ">I", 0, 2**32 - 1),
    ("i64", ">q", -(2**63), 2**63 - 1),
]


@pytest.mark.parametrize(("name", "code", "low", "high"), FIXED)
def test_numbers_of_fixed_size_are_big_endian_and_bounded(name, code, low, high):
    for value in (low, high, 1, 0x42):
        encoded = struct.pack(code, value)
        writer = Writer()
        assert bytes(getattr(writer, name)(value)) == encoded
        assert getattr(Reader(encoded), name)() == value
    for value in (low - 1, high + 1, 2**200):
        writer = Writer()
        with pytest.raises(LocalProtocolError, match="does not fit"):
            getattr(writer, name)(value)
        assert len(writer) == 0
    with pytest.raises(RemoteProtocolError, match="runs past the end"):
        getattr(Reader(struct.pack(code, 0)[:-1]), name)()


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -1e30, math.inf, -math.inf, 2.0**-149])
def test_floats_are_ieee_754(value):
    assert bytes(Writer().f32(value).f64(value)) == struct.pack(">fd", value, value)
    reader = Reader(struct.pack(">fd", value, value))
    assert (reader.f32(), reader.f64()) == struct.unpack(">fd", struct.pack(">fd", value, value))


def test_not_a_number_stays_so():
    reader = Reader(bytes(Writer().f32(math.nan).f64(math.nan)))
    assert math.isnan(reader.f32())
    assert math.isnan(reader.f64())


def test_a_number_above_the_range_of_f32_is_refused():
    with pytest.raises(LocalProtocolError):
        Writer().f32(1e39)


def test_booleans():
    assert bytes(Writer().boolean(True).boolean(False)) == b"\1\0"
    reader = Reader(b"\1\0\xff")
    assert [reader.boolean() for _ in range(3)] == [True, False, True]


@pytest.mark.parametrize("value", ["", "Notch", "ä" * 16, "€" * 16, "\U0001f600" * 8, "a\0b"])
def test_strings_within_both_limits(value):
    assert bytes(Writer().string(value, 16)) == text(value)
    assert Reader(text(value)).string(16) == value


@pytest.mark.parametrize("value", ["a" * 17, "\U0001f600" * 8 + "a", "€" * 17, "a" * 49])
def test_strings_above_the_limit_in_utf16_units_or_bytes_are_refused(value):
    with pytest.raises(LocalProtocolError, match="UTF-16 units"):
        Writer().string(value, 16)
    reader = Reader(text(value))
    with pytest.raises(RemoteProtocolError, match="longer than allowed"):
        reader.string(16)
    assert reader.position == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\xc0\x80",
        b"\xe0\x9f\xbf",
        b"\xed\xbf\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xc3",
    ],
)
def test_strings_that_are_not_utf8_are_refused(data):
    for padding in (b"", b"12345678", b"\xc3\xa4" * 5):
        with pytest.raises(RemoteProtocolError, match="not UTF-8"):
            Reader(text(padding + data)).string()


def test_half_a_surrogate_pair_is_not_written():
    with pytest.raises(LocalProtocolError, match="surrogate"):
        Writer().string("\ud800")


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1, 65537])
def test_lengths_that_cannot_be_are_refused_before_anything_is_taken(length):
    for read in ("string", "byte_array", "identifier"):
        reader = Reader(varint(length) + b"x")
        with pytest.raises(RemoteProtocolError):
            getattr(reader, read)()
        assert reader.position == 0
    reader = Reader(varint(length) + b"x")
    with pytest.raises(RemoteProtocolError):
        reader.array(reader.u8)


def test_uuids():
    value = uuid.UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")
    assert bytes(Writer().uuid(value)) == value.bytes == bytes(Writer().uuid(value.bytes))
    assert Reader(value.bytes).uuid() == value
    with pytest.raises(LocalProtocolError):
        Writer().uuid(b"short")


@pytest.mark.parametrize(
    "value", ["minecraft:brand", "brand", "a_b-c.d:e/f.g", "e/f", "velocity:player_info"]
)
def test_identifiers(value):
    assert bytes(Writer().identifier(value)) == text(value)
    assert Reader(text(value)).identifier() == value


@pytest.mark.parametrize("value", ["MC|Brand", "a:b:c", "a/b:c", "ä", "a b", "\0"])
def test_names_that_are_no_identifiers_are_refused(value):
    with pytest.raises(LocalProtocolError):
        Writer().identifier(value)
    with pytest.raises(RemoteProtocolError, match="not allowed"):
        Reader(text(value)).identifier()


def test_byte_arrays_have_a_bound():
    assert bytes(Writer().byte_array(b"abc", 3)) == b"\3abc"
    assert Reader(b"\3abc").byte_array(3) == b"abc"
    with pytest.raises(LocalProtocolError):
        Writer().byte_array(b"abc", 2)
    with pytest.raises(RemoteProtocolError, match="longer than allowed"):
        Reader(b"\3abc").byte_array(2)
    with pytest.raises(RemoteProtocolError, match="past the end"):
        Reader(b"\3ab").byte_array()


def test_arrays_have_a_bound():
    writer = Writer()
    writer.array([1, 2, 300], writer.varint, 3)
    assert bytes(writer) == b"\3\1\2\xac\2"
    reader = Reader(bytes(writer))
    assert reader.array(reader.varint, 3) == [1, 2, 300]
    with pytest.raises(LocalProtocolError):
        writer.array([1, 2, 3], writer.varint, 2)
    reader = Reader(bytes(writer))
    with pytest.raises(RemoteProtocolError, match="longer than allowed"):
        reader.array(reader.varint, 2)


def test_an_array_with_a_wrong_value_leaves_nothing_behind():
    writer = Writer().u8(7)
    with pytest.raises(LocalProtocolError):
        writer.array([1, 2**40], writer.varint)
    with pytest.raises(LocalProtocolError):
        writer.optional(2**40, writer.varint)
    assert bytes(writer) == b"\7"


def test_optional_values():
    writer = Writer()
    writer.optional(None, writer.varint)
    writer.optional(5, writer.varint)
    assert bytes(writer) == b"\0\1\5"
    reader = Reader(bytes(writer))
    assert reader.optional(reader.varint) is None
    assert reader.optional(reader.varint) == 5


def test_the_rest_and_the_end():
    reader = Reader(b"abcdef")
    assert reader.take(2) == b"ab"
    assert (reader.position, reader.remaining) == (2, 4)
    with pytest.raises(RemoteProtocolError, match="4 bytes are left over"):
        reader.end()
    with pytest.raises(RemoteProtocolError, match="bytes at byte 2 runs past the end"):
        reader.take(5)
    with pytest.raises(RemoteProtocolError):
        reader.take(-1)
    assert reader.rest() == b"cdef"
    assert reader.rest() == b""
    reader.end()


def test_a_reader_keeps_what_it_reads_alive():
    data = bytearray(b"abc")
    reader = Reader(data)
    with pytest.raises(BufferError):
        data.extend(b"more")
    del reader
    data.extend(b"more")


def test_a_long_text_is_written_whole():
    writer = Writer()
    for _ in range(100):
        writer.string("x" * 1000)
    assert bytes(writer) == text("x" * 1000) * 100


def test_nothing_is_written_as_nothing():
    assert (
        bytes(Writer()) == bytes(Writer().raw(b"")) == bytes(Writer().raw(memoryview(b""))) == b""
    )
    assert bytes(Writer().byte_array(b"").string("")) == b"\0\0"
    assert Reader(b"").rest() == Reader(bytearray()).rest() == b""


def test_a_failed_write_in_the_middle_of_a_string_array_leaves_nothing():
    writer = Writer()
    with pytest.raises(LocalProtocolError):
        writer.array(["fine", "x" * 40000], writer.string)
    assert bytes(writer) == b""
