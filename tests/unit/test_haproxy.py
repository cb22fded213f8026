"""The PROXY header, by HAProxy's doc/proxy-protocol.txt: 2.1 is the line, 2.2 the binary form."""

from __future__ import annotations

import struct

import pytest

from mcproxy._speedups.wire.haproxy import MAX_HEADER, encode_proxy_header, parse_proxy_header
from mcproxy.errors import LocalProtocolError, RemoteProtocolError

EXAMPLE = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
"""The one of section 2.1."""
SIX = ":".join(["ffff"] * 8)
LONGEST = {
    # The longest lines, with the lengths that section 2.1 gives.
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": 56,
    f"PROXY TCP6 {SIX} {SIX} 65535 65535\r\n".encode(): 104,
    b"PROXY UNKNOWN\r\n": 15,
    f"PROXY UNKNOWN {SIX} {SIX} 65535 65535\r\n".encode(): 107,
}
SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
BLOCK = bytes([192, 168, 0, 1, 192, 168, 0, 11, 0xDC, 0x04, 0x01, 0xBB])
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + BLOCK
V2_SIX = (
    SIGNATURE
    + b"\x21\x21\x00\x24"
    + bytes.fromhex("20010db8000000000000000000000001" + "fe800000000000000000000000000002")
    + bytes.fromhex("ffff" + "0001")
)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def head(command: int, family: int, block: bytes = b"") -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


@pytest.mark.parametrize(
    ("data", "version", "source", "destination"),
    [
        (EXAMPLE, 1, ("192.168.0.1", 56324), ("192.168.0.11", 443)),
        (
            f"PROXY TCP6 {SIX} ::1 65535 0\r\n".encode(),
            1,
            (SIX, 65535),
            ("::1", 0),
        ),
        (b"PROXY TCP6 2001:DB8::A 2001:db8::b 1 2\r\n", 1, ("2001:db8::a", 1), ("2001:db8::b", 2)),
        (V2, 2, ("192.168.0.1", 56324), ("192.168.0.11", 443)),
        (V2_SIX, 2, ("2001:db8::1", 65535), ("fe80::2", 1)),
    ],
)
def test_a_header_is_read_and_written(data, version, source, destination):  # M-16
    for behind in (b"", b"\r\n", b"\x10\0more", V2):
        header = parse_proxy_header(data + behind)
        assert (header.version, header.source, header.destination, header.size) == (
            version,
            source,
            destination,
            len(data),
        )
    assert encode_proxy_header(version, source, destination).lower() == data.lower()


@pytest.mark.parametrize(("line", "length"), LONGEST.items())
def test_the_longest_lines_are_read(line, length):
    assert len(line) == length
    header = parse_proxy_header(line)
    assert header.size == length
    assert (header.source is None) == line.startswith(b"PROXY UNKNOWN")


@pytest.mark.parametrize("data", [EXAMPLE, *LONGEST, V2, V2_SIX, LOCAL])
def test_a_part_of_a_header_is_waited_for(data):
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN what ever\rthere\nis\r\n",
        LOCAL,
        head(0x20, 0x11, BLOCK),  # LOCAL: the block and its family mean nothing
        head(0x20, 0xFF),
        head(0x21, 0x00),
        head(0x21, 0x00, BLOCK),
        head(0x21, 0x10, BLOCK),  # unspecified transport
        head(0x21, 0x01),  # unspecified family
        head(0x21, 0x12, BLOCK),  # UDP
        head(0x21, 0x22, bytes(36)),
        head(0x21, 0x31, bytes(216)),  # Unix
        head(0x21, 0x32, bytes(216)),
    ],
)
def test_a_header_may_leave_the_address_to_the_socket(data):
    header = parse_proxy_header(data + b"x")
    assert (header.source, header.destination, header.size) == (None, None, len(data))


def test_what_follows_the_addresses_is_skipped():  # TLVs, section 2.2
    for more in (b"\x04\0\1x", b"\x01\xff\xff", bytes(MAX_HEADER - 28)):
        header = parse_proxy_header(head(0x21, 0x11, BLOCK + more) + b"next")
        assert header.source == ("192.168.0.1", 56324)
        assert header.size == 28 + len(more)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY\tTCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        b"proxy TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        b"PROXX",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\r\n\r\n\r",
        b"GET / HTTP/1.1\r\n",
        b"\x10\0",
        b"\0",
    ],
)
def test_what_does_not_begin_like_a_header_is_none(line):
    with pytest.raises(RemoteProtocolError, match="not those of a header"):
        parse_proxy_header(line)


@pytest.mark.parametrize(
    "line",
    [
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324  443\r\n",
        "PROXY  TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11\r\n",
        "PROXY TCP4 192.168.0.1\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY \r\n",
        "PROXY TCP 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP5 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY UDP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY tcp4 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.01 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.256 192.168.0.11 56324 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 065 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 4294967297 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 -1 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 1 0x1\r\n",
        "PROXY TCP4 192.168.0.1\0 192.168.0.11 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 192.168.0.1 192.168.0.11 1 2\r\n",
        "PROXY TCP6 ::1%lo ::2 1 2\r\n",
        "PROXY TCP6 [::1] ::2 1 2\r\n",
        "PROXY TCP6 1::2::3 ::2 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7 ::2 1 2\r\n",
        "PROXY TCP6 10000::1 ::2 1 2\r\n",
        "PROXY TCP4 192.168.0.1 192.168.0.11 1 2\n" + "x" * 80,
        "PROXY TCP4 192.168.0.1 192.168.0.11 1 2\r" + "x" * 80,
        "PROXY UNKNOWN " + "x" * 93,  # 107 bytes, and no end
        "PROXY UNKNOWN " + "x" * 92 + "\r\n",
    ],
)
def test_a_line_that_is_not_exactly_one_is_refused(line):
    with pytest.raises(RemoteProtocolError, match="malformed"):
        parse_proxy_header(line.encode())


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE + b"\x11",  # version 1
        SIGNATURE + b"\x31",
        SIGNATURE + b"\x22",  # no such command
        head(0x21, 0x40),
        head(0x21, 0x13, BLOCK),
        head(0x21, 0x11, BLOCK[:-1]),
        head(0x21, 0x12, BLOCK[:-1]),
        head(0x21, 0x21, bytes(35)),
        head(0x21, 0x31, bytes(215)),
    ],
)
def test_a_binary_header_that_says_what_does_not_exist_is_refused_at_once(data):
    with pytest.raises(RemoteProtocolError, match="malformed"):
        parse_proxy_header(data[:16])


def test_no_more_is_waited_for_than_the_bound():
    assert parse_proxy_header(head(0x20, 0, bytes(MAX_HEADER - 16))).size == MAX_HEADER
    with pytest.raises(RemoteProtocolError, match=f"longer than {MAX_HEADER} bytes"):
        parse_proxy_header(SIGNATURE + b"\x20\x00" + struct.pack(">H", MAX_HEADER - 15))


def test_addresses_of_two_families_are_both_written_as_ipv6():
    four, six = ("192.0.2.1", 1), ("2001:db8::1", 2)
    mapped = bytes(10) + b"\xff\xff\xc0\0\2\1"
    packed = bytes.fromhex("20010db8000000000000000000000001")
    assert encode_proxy_header(1, four, six) == b"PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n"
    assert encode_proxy_header(1, six, four) == b"PROXY TCP6 2001:db8::1 ::ffff:c000:201 2 1\r\n"
    assert encode_proxy_header(2, four, six) == head(0x21, 0x21, mapped + packed + b"\0\1\0\2")
    assert encode_proxy_header(2, six, four) == head(0x21, 0x21, packed + mapped + b"\0\2\0\1")


def test_a_mapped_address_is_an_ipv4_address():
    assert encode_proxy_header(1, ("::ffff:192.0.2.1", 1), ("192.0.2.2", 2)) == (
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    )
    # HAProxy itself writes the dots.
    assert parse_proxy_header(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n").source == ("192.0.2.1", 1)


def test_a_connection_of_one_s_own_is_announced():
    assert encode_proxy_header(1) == b"PROXY UNKNOWN\r\n"
    assert encode_proxy_header(2) == LOCAL


@pytest.mark.parametrize(
    "arguments",
    [
        (0, ("1.2.3.4", 1), ("1.2.3.4", 1)),
        (3,),
        (2, ("1.2.3.4", 1)),
        (2, None, ("1.2.3.4", 1)),
        (2, ("1.2.3.4", 65536), ("1.2.3.4", 1)),
        (2, ("1.2.3.4", 1), ("1.2.3.4", -1)),
        (1, ("example.com", 1), ("1.2.3.4", 1)),
        (1, ("1.2.3.4\0", 1), ("1.2.3.4", 1)),
        (1, ("::1%lo", 1), ("1.2.3.4", 1)),
        (1, ("", 1), ("1.2.3.4", 1)),
    ],
)
def test_what_cannot_be_written_is_refused(arguments):
    with pytest.raises(LocalProtocolError, match="PROXY header"):
        encode_proxy_header(*arguments)
