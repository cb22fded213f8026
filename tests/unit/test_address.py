"""Addresses as people write them."""

import pytest

from mcproxy.errors import ConfigurationError
from mcproxy.proxy.address import parse_address, show_endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mc.example.com:25566", ("mc.example.com", 25566)),
        ("mc.example.com", ("mc.example.com", None)),
        ("mc_1.example.com.", ("mc_1.example.com.", None)),
        ("192.0.2.7:1", ("192.0.2.7", 1)),
        ("192.0.2.7", ("192.0.2.7", None)),
        ("[2001:db8::1]:25565", ("2001:db8::1", 25565)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("bücher.example:25565", ("xn--bcher-kva.example", 25565)),
    ],
)
def test_addresses_are_read_as_people_write_them(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":25565", "mc.example.com:", "mc.example.com:0", "mc.example.com:65536",
        "mc.example.com:abc", "mc.example.com:-1", "mc.example.com:٣", "192.0.2.300",
        "192.0.2:25565", "http://mc.example.com", "mc example.com", "[2001:db8::1", "[x]:1",
        "[2001:db8::1]25565", "2001:db8::zz", "-a.example.com", "a..example.com", "a" * 64,
        ".".join(["abcdefg"] * 40), "mc.example.com:" + "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_named(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert text[:40] in str(caught.value)


def test_endpoints_are_shown_as_they_can_be_typed():
    assert show_endpoint(("192.0.2.7", 25565)) == "192.0.2.7:25565"
    assert show_endpoint(("2001:db8::1", 25565)) == "[2001:db8::1]:25565"
