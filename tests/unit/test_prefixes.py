"""Which addresses a list of networks covers."""

from ipaddress import ip_address

import pytest

from mcproxy._speedups.match.prefixes import PrefixSet
from mcproxy.errors import ConfigurationError


def test_an_address_is_covered_by_its_network_and_no_other():  # M-13
    blocked = PrefixSet(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    assert "192.0.2.255" in blocked
    assert "192.0.3.0" not in blocked
    assert "2001:db8:ffff::1" in blocked
    assert "2001:db9::1" not in blocked
    assert "198.51.100.7" in blocked
    assert "198.51.100.6" not in blocked
    assert len(blocked) == 3


def test_the_longest_prefix_gives_the_number():
    numbers = PrefixSet({"0.0.0.0/0": 0, "10.0.0.0/8": 1, "10.1.0.0/16": 2, "10.1.2.3": 3})
    assert numbers.lookup("10.1.2.3") == 3
    assert numbers.lookup("10.1.2.4") == 2
    assert numbers.lookup("10.2.0.0") == 1
    assert numbers.lookup("11.0.0.0") == 0
    assert numbers.lookup("::1") is None


def test_without_numbers_a_prefix_has_its_position():
    assert PrefixSet(["10.0.0.0/8", "2001:db8::/32"]).lookup("2001:db8::1") == 1


def test_ipv4_in_ipv6_form_is_ipv4():
    blocked = PrefixSet(["192.0.2.0/24", "::ffff:198.51.100.0/120"])
    assert "::ffff:192.0.2.9" in blocked
    assert "198.51.100.9" in blocked


def test_everything_of_ipv6_says_nothing_about_ipv4():
    assert "192.0.2.1" not in PrefixSet(["::/0"])
    assert "::1" in PrefixSet(["::/0"])
    assert "::1" not in PrefixSet(["0.0.0.0/0"])


def test_nothing_is_in_an_empty_set():
    assert "192.0.2.1" not in PrefixSet()
    assert len(PrefixSet()) == 0


def test_addresses_may_be_text_bytes_or_objects():
    blocked = PrefixSet(["192.0.2.7", "fe80::1"])
    assert b"\xc0\x00\x02\x07" in blocked
    assert ip_address("192.0.2.7") in blocked
    assert "fe80::1%eth0" in blocked
    with pytest.raises(ValueError, match="4 or 16 bytes"):
        blocked.lookup(b"abc")
    with pytest.raises(ValueError, match="nowhere"):
        blocked.lookup("nowhere")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("192.0.2.300", "is not an address or network"),
        ("192.0.2.0/33", "is not an address or network"),
        ("example.com", "is not an address or network"),
        ("", "is not an address or network"),
        ("192.0.2.7/24", "write 192.0.2.0/24 for the network or 192.0.2.7 for the one address"),
        ("fe80::1%eth0", "leave out the '%'"),
    ],
)
def test_a_bad_prefix_is_named_with_what_to_write(text, advice):
    with pytest.raises(ConfigurationError) as caught:
        PrefixSet(["192.0.2.0/24", text])
    assert repr(text) in str(caught.value)
    assert advice in str(caught.value)


def test_the_same_network_counts_once():
    assert len(PrefixSet(["192.0.2.7", "192.0.2.7/32", "::ffff:192.0.2.7"])) == 1
    with pytest.raises(ConfigurationError, match="given twice"):
        PrefixSet({"192.0.2.7": 1, "192.0.2.7/32": 2})


def test_numbers_outside_the_range_are_refused():
    with pytest.raises(ValueError, match="2\\*\\*31"):
        PrefixSet({"192.0.2.7": -1})
