"""Sets of network prefixes with longest-prefix match.

A trie over half bytes in which a node stands only where prefixes part or end (runs without
a decision are skipped), so that it has at most two nodes per prefix, whatever the lengths.
What was skipped is compared at the end, against the prefix that was reached and then
against the shorter ones around it. IPv4 and IPv6 have a root each: ``::/0`` says nothing
about IPv4.
"""

import ipaddress
import time
from collections.abc import Mapping

from mcproxy.errors import ConfigurationError

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from mcproxy._speedups.atomic cimport count_down, count_up

__all__ = ["PrefixSet"]

cdef enum:
    ADDRESS_SIZE = 16               # bytes
    V4_NIBBLE = 24                  # where an IPv4 address begins in its mapped form
    FANOUT = 16
    IS_NODE = 0x80000000            # a slot holds a node's index, or a prefix's index + 1, or 0

cdef struct prefix_t:
    uint8_t address[ADDRESS_SIZE]
    uint64_t mask[2]                # in the order of the address' bytes
    uint32_t length                 # bits, 0 to 128
    int32_t parent                  # the next shorter prefix around it, or -1
    int32_t value

cdef struct trie_node:
    uint32_t nibble                 # which half byte of the address decides here
    uint32_t slots[FANOUT]

cdef struct prefix_set:
    uint32_t count                  # users
    uint32_t v4_root                # slots
    uint32_t v6_root
    uint32_t prefix_count
    uint32_t node_count
    uint32_t node_room
    prefix_t* prefixes
    trie_node* nodes

cdef const uint8_t* V4_MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


cdef inline uint32_t nibble_of(const uint8_t* address, uint32_t index) noexcept nogil:
    cdef uint32_t byte = address[index >> 1]
    return byte & 15 if index & 1 else byte >> 4


cdef inline bint covers(const prefix_t* prefix, const uint8_t* address) noexcept nogil:
    cdef uint64_t own[2]
    cdef uint64_t other[2]
    memcpy(own, prefix.address, ADDRESS_SIZE)
    memcpy(other, address, ADDRESS_SIZE)
    return ((own[0] ^ other[0]) & prefix.mask[0] | (own[1] ^ other[1]) & prefix.mask[1]) == 0


cdef int32_t prefix_lookup(const prefix_set* prefixes, const uint8_t* address) noexcept nogil:
    cdef uint32_t slot
    cdef int32_t index
    cdef const trie_node* node
    if prefixes == NULL:
        return -1
    if memcmp(address, V4_MAPPED, 12) == 0:
        slot = prefixes.v4_root
    else:
        slot = prefixes.v6_root
    while slot & IS_NODE:
        node = &prefixes.nodes[slot & ~<uint32_t>IS_NODE]
        slot = node.slots[nibble_of(address, node.nibble)]
    index = <int32_t>slot - 1
    while index >= 0 and not covers(&prefixes.prefixes[index], address):
        index = prefixes.prefixes[index].parent
    return prefixes.prefixes[index].value if index >= 0 else -1


cdef prefix_set* prefix_retain(prefix_set* prefixes) noexcept nogil:
    if prefixes != NULL:
        count_up(&prefixes.count)
    return prefixes


cdef void prefix_release(prefix_set* prefixes) noexcept nogil:
    if prefixes != NULL and count_down(&prefixes.count) == 0:
        free(prefixes.nodes)
        free(prefixes.prefixes)
        free(prefixes)


cdef int64_t add_node(prefix_set* built, uint32_t nibble) noexcept:
    # The index of a new node with empty slots, or -1 without memory.
    cdef trie_node* nodes
    cdef uint32_t room
    cdef uint32_t i
    if built.node_count == built.node_room:
        room = built.node_room * 2 if built.node_room else 16
        nodes = <trie_node*>realloc(built.nodes, room * sizeof(trie_node))
        if nodes == NULL:
            return -1
        built.nodes = nodes
        built.node_room = room
    built.nodes[built.node_count].nibble = nibble
    for i in range(<uint32_t>FANOUT):
        built.nodes[built.node_count].slots[i] = 0
    built.node_count += 1
    return built.node_count - 1


cdef uint32_t deciding_nibble(prefix_set* built, uint32_t first, uint32_t end,
                              uint32_t nibble) noexcept:
    # The first half byte from "nibble" on in which the (sorted) prefixes differ or one ends.
    cdef uint32_t shortest = 128
    cdef uint32_t i
    for i in range(first, end):
        shortest = min(shortest, built.prefixes[i].length)
    while (nibble < (shortest - 1) >> 2
           and nibble_of(built.prefixes[first].address, nibble)
           == nibble_of(built.prefixes[end - 1].address, nibble)):
        nibble += 1
    return nibble


cdef int64_t build(prefix_set* built, uint32_t first, uint32_t end, uint32_t nibble,
                   uint32_t around) except -1:
    # The slot for the prefixes first..end, which are sorted by address, then length, agree
    # up to "nibble" and go beyond it. "around": the slot of the longest prefix around them.
    cdef uint32_t start, stop, which, filled, i
    cdef int64_t node, child
    cdef prefix_t* prefix
    nibble = deciding_nibble(built, first, end, nibble)
    node = add_node(built, nibble)
    if node < 0:
        raise MemoryError
    for which in range(<uint32_t>FANOUT):
        built.nodes[node].slots[which] = around
    # Prefixes that end in this half byte fill all slots they cover. In sorted order the
    # shorter of two that overlap comes first, so the longer one has the last word.
    for i in range(first, end):
        prefix = &built.prefixes[i]
        if prefix.length <= 4 * (nibble + 1):
            which = nibble_of(prefix.address, nibble)
            filled = 1 << (4 * (nibble + 1) - prefix.length)
            for which in range(which, which + filled):
                built.nodes[node].slots[which] = i + 1
    # The longer ones go on below the slot of their half byte.
    start = first
    while start < end:
        which = nibble_of(built.prefixes[start].address, nibble)
        if built.prefixes[start].length <= 4 * (nibble + 1):
            start += 1
            continue
        stop = start + 1
        while stop < end and nibble_of(built.prefixes[stop].address, nibble) == which:
            stop += 1
        child = build(built, start, stop, nibble + 1, built.nodes[node].slots[which])
        built.nodes[node].slots[which] = <uint32_t>child
        start = stop
    return IS_NODE | node


cdef int64_t build_root(prefix_set* built, uint32_t first, uint32_t end, uint32_t nibble) except -1:
    cdef uint32_t around = 0
    while first < end and built.prefixes[first].length <= 4 * nibble:
        around = first + 1          # 0.0.0.0/0 or ::/0
        first += 1
    if first == end:
        return around
    return build(built, first, end, nibble, around)


cdef void link_parents(prefix_set* built) noexcept:
    cdef int32_t parent
    cdef uint32_t i
    for i in range(built.prefix_count):
        parent = <int32_t>i - 1
        while parent >= 0 and not (
            built.prefixes[parent].length < built.prefixes[i].length
            and covers(&built.prefixes[parent], built.prefixes[i].address)
        ):
            parent = built.prefixes[parent].parent
        built.prefixes[i].parent = parent


def _network(text):
    # (is IPv6, mapped address of 16 bytes, length of 0 to 128 bits) of what a person wrote.
    try:
        given = ipaddress.ip_interface(text.strip())
    except (ValueError, AttributeError):
        raise ConfigurationError(
            f"{text!r} is not an address or network; "
            "write one such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    network = given.network
    if "%" in text:
        raise ConfigurationError(f"{text!r}: an address in a list has no scope; leave out the '%'")
    if network.network_address != given.ip:
        raise ConfigurationError(
            f"{text!r} has bits set behind its /{network.prefixlen}; "
            f"write {network} for the network or {given.ip} for the one address"
        )
    packed = network.network_address.packed
    if network.version == 4:
        return False, V4_MAPPED[:12] + packed, network.prefixlen + 96
    is_v6 = network.prefixlen < 96 or not packed.startswith(V4_MAPPED[:12])
    return is_v6, packed, network.prefixlen


def _collect(prefixes):
    # [(is IPv6, address, length, value)], sorted, each network once.
    numbers = prefixes.items() if isinstance(prefixes, Mapping) else (
        (text, position) for position, text in enumerate(prefixes)
    )
    found = {}
    for text, value in numbers:
        if not 0 <= value <= 0x7FFFFFFF:
            raise ValueError(f"{text}: {value} is not between 0 and 2**31 - 1")
        known = found.setdefault(_network(text), value)
        if known != value and isinstance(prefixes, Mapping):
            raise ConfigurationError(f"{text!r} is given twice, for {known} and for {value}")
    return [(*network, found[network]) for network in sorted(found)]


cdef bytes _mask(object length):
    return (2**128 - 2**(128 - length)).to_bytes(ADDRESS_SIZE, "big")


cdef bytes packed_address(object address):
    cdef bytes packed
    if isinstance(address, bytes):
        packed = address
    elif isinstance(address, str):
        packed = ipaddress.ip_address(address.partition("%")[0]).packed
    else:
        packed = address.packed
    if len(packed) == 4:
        packed = V4_MAPPED[:12] + packed
    if len(packed) != ADDRESS_SIZE:
        raise ValueError(f"an address has 4 or 16 bytes, not {len(packed)}")
    return packed


@cython.final
cdef class PrefixSet:
    """An immutable set of addresses and CIDR networks, IPv4 and IPv6, or a mapping of them.

    ``prefixes``: texts such as ``192.0.2.7``, ``192.0.2.0/24``, ``2001:db8::/32``, or a
    mapping of such texts to numbers of 0 to 2**31 - 1. Without a mapping the number of a
    prefix is its position. IPv4-mapped IPv6 addresses (``::ffff:192.0.2.7``) are IPv4; no
    other IPv6 prefix covers an IPv4 address. Raises `ConfigurationError` that names the first
    prefix that is malformed, or that is given twice with different numbers.
    """

    def __cinit__(self, prefixes=()):
        cdef prefix_set* built
        cdef bytes address, mask
        cdef uint32_t i
        cdef uint32_t v4_end = 0
        networks = _collect(prefixes)
        built = <prefix_set*>calloc(1, sizeof(prefix_set))
        if built == NULL:
            raise MemoryError
        built.count = 1
        self.prefixes = built
        built.prefixes = <prefix_t*>malloc(max(len(networks), 1) * sizeof(prefix_t))
        if built.prefixes == NULL:
            raise MemoryError
        built.prefix_count = len(networks)
        for i, (is_v6, address, length, value) in enumerate(networks):
            memcpy(built.prefixes[i].address, <const char*>address, ADDRESS_SIZE)
            mask = _mask(length)
            memcpy(built.prefixes[i].mask, <const char*>mask, ADDRESS_SIZE)
            built.prefixes[i].length = length
            built.prefixes[i].value = value
            if not is_v6:
                v4_end = i + 1
        link_parents(built)
        built.v4_root = <uint32_t>build_root(built, 0, v4_end, V4_NIBBLE)
        built.v6_root = <uint32_t>build_root(built, v4_end, built.prefix_count, 0)

    def __dealloc__(self):
        prefix_release(self.prefixes)

    def __len__(self):
        return self.prefixes.prefix_count

    def __contains__(self, address):
        """Whether a prefix covers the address: text (an IPv6 scope is ignored), 4 or 16
        bytes, or an object of `ipaddress`. Raises `ValueError` for anything else."""
        return self.lookup(address) is not None

    def lookup(self, address):
        """The number of the longest prefix that covers the address, or None."""
        cdef bytes packed = packed_address(address)
        cdef int32_t value = prefix_lookup(self.prefixes, <const uint8_t*><const char*>packed)
        return None if value < 0 else value

    def __repr__(self):
        return f"<PrefixSet of {self.prefixes.prefix_count}>"


def _bench(PrefixSet prefixes, list addresses, uint32_t rounds):
    # Nanoseconds per lookup, over all addresses again and again; for benchmarks.
    cdef bytes packed = b"".join([packed_address(address) for address in addresses])
    cdef const uint8_t* data = <const uint8_t*><const char*>packed
    cdef uint32_t count = len(addresses)
    cdef uint32_t i, _
    cdef int64_t total = 0
    started = time.perf_counter()
    with nogil:
        for _ in range(rounds):
            for i in range(count):
                total += prefix_lookup(prefixes.prefixes, data + ADDRESS_SIZE * i)
    spent = time.perf_counter() - started
    return 1e9 * spent / (rounds * count), total
