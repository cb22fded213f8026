"""Prefix sets agree with Python's ipaddress on any networks and addresses."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from mcproxy._speedups.match.prefixes import PrefixSet

# Few distinct bytes, so that prefixes nest and overlap instead of standing apart.
V4_BYTES = st.lists(st.sampled_from([0, 1, 2, 16, 127, 128, 255]), min_size=4, max_size=4)
V6_BYTES = st.lists(st.sampled_from([0, 1, 16, 128, 255]), min_size=16, max_size=16)
V4 = st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), V4_BYTES.map(bytes).map(IPv4Address))
V6 = st.one_of(
    st.integers(0, 2**128 - 1).map(IPv6Address),
    V6_BYTES.map(bytes).map(IPv6Address),
    st.integers(0, 2**32 - 1).map(lambda low: IPv6Address((0xFFFF << 32) + low)),
)


@st.composite
def networks(draw):
    if draw(st.booleans()):
        return IPv4Network((draw(V4), draw(st.integers(0, 32))), strict=False)
    return IPv6Network((draw(V6), draw(st.integers(0, 128))), strict=False)


def as_ipv4(address):
    if address.version == 6 and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def as_ipv4_network(network):
    if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def longest(known, address):
    """The number of the longest network that holds the address, by looking at each."""
    address = as_ipv4(address)
    holding = [
        (network.prefixlen, number)
        for network, number in known.items()
        if network.version == address.version and address in network
    ]
    return max(holding)[1] if holding else None


@given(st.data())
def test_lookup_finds_the_longest_network_that_ipaddress_finds(data):
    listed = data.draw(st.lists(networks(), max_size=25))
    known = {}
    texts = {}
    for number, network in enumerate(listed):
        if as_ipv4_network(network) not in known:
            known[as_ipv4_network(network)] = number
            texts[str(network)] = number
    prefixes = PrefixSet(texts)
    assert len(prefixes) == len(known)
    asked = data.draw(st.lists(st.one_of(V4, V6), min_size=1, max_size=10))
    # The borders of every network are where a wrong mask shows.
    for network in listed:
        first, last = int(network.network_address), int(network.broadcast_address)
        kind = IPv4Address if network.version == 4 else IPv6Address
        for border in (first - 1, first, last, last + 1):
            if 0 <= border < 2**network.max_prefixlen:
                asked.append(kind(border))
    for address in asked:
        assert prefixes.lookup(address) == longest(known, address), address
