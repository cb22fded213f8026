"""The route table: which server a host name or a local address reaches.

Exact names, ``*.`` suffixes and local addresses stand in one hash table (open addressing,
seeded, at most half full); other wildcards in a list, the most specific first. A lookup
takes no memory and no lock.
"""

import ipaddress
import secrets
import time

from mcproxy.errors import ConfigurationError

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from mcproxy._speedups.atomic cimport count_down, count_up

__all__ = ["RouteTable"]

cdef enum:
    ADDRESS_SIZE = 16
    ADDRESS_KEY_SIZE = 18           # address and port
    HOST_MAX = 255                  # bytes; longer ones are in no table

cdef struct route_entry:
    uint32_t offset                 # of its text in "texts"
    uint32_t length
    int32_t server
    uint8_t kind                    # route_rule

cdef struct route_slot:
    uint32_t hash
    uint32_t entry                  # index + 1; 0: free

cdef struct route_table:
    uint32_t count                  # users
    int32_t default_server
    uint32_t entry_count
    uint32_t slot_mask
    uint32_t glob_count
    bint has_addresses
    uint64_t seed
    uint8_t suffix_lengths[HOST_MAX + 1]
    route_entry* entries            # in the order in which they decide
    route_slot* slots
    uint32_t* globs                 # indices of entries
    uint8_t* texts

cdef const uint8_t* ANY_ADDRESS = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


cdef inline uint64_t key_hash(uint64_t seed, const uint8_t* key, uint32_t length) noexcept nogil:
    cdef uint64_t word
    cdef uint64_t h = seed ^ length
    while length >= 8:
        memcpy(&word, key, 8)
        h = (h ^ word) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 32
        key += 8
        length -= 8
    word = 0
    while length:
        length -= 1
        word = word << 8 | key[length]
    h = (h ^ word) * <uint64_t>0x9E3779B97F4A7C15
    h ^= h >> 29
    h *= <uint64_t>0xBF58476D1CE4E5B9
    return h ^ h >> 32


cdef int32_t find(const route_table* table, uint8_t kind, const uint8_t* key,
                  uint32_t length) noexcept nogil:
    # The index of the entry of this kind with this text, or -1.
    cdef uint32_t h = <uint32_t>key_hash(table.seed ^ kind, key, length)
    cdef uint32_t at = h & table.slot_mask
    cdef const route_entry* entry
    while table.slots[at].entry:
        if table.slots[at].hash == h:
            entry = &table.entries[table.slots[at].entry - 1]
            if (entry.kind == kind and entry.length == length
                    and memcmp(table.texts + entry.offset, key, length) == 0):
                return <int32_t>(table.slots[at].entry - 1)
        at = (at + 1) & table.slot_mask
    return -1


cdef bint label_glob(const uint8_t* pattern, const uint8_t* pattern_end, const uint8_t* text,
                     const uint8_t* end) noexcept nogil:
    # Whether the text matches; "*" is any run without a dot. On a mismatch only the last star
    # takes one more byte. A star cannot pass a dot, so the stars before it are settled.
    cdef const uint8_t* star = NULL
    cdef const uint8_t* retry = NULL
    while True:
        if pattern < pattern_end and pattern[0] == b"*":
            star = pattern
            retry = text
            pattern += 1
        elif pattern < pattern_end and text < end and pattern[0] == text[0]:
            pattern += 1
            text += 1
        elif pattern == pattern_end and text == end:
            return True
        elif star != NULL and retry < end and retry[0] != b".":
            retry += 1
            text = retry
            pattern = star + 1
        else:
            return False


cdef bint glob_match(const uint8_t* pattern, uint32_t length, const uint8_t* host,
                     uint32_t host_length) noexcept nogil:
    # A leading "*." stands for one or more labels, so only the labels behind it are compared,
    # from the right.
    cdef const uint8_t* end = pattern + length
    cdef const uint8_t* at = pattern
    cdef const uint8_t* start = host + host_length
    if length == 1:                 # "*" alone
        return True
    if pattern[0] != b"*" or pattern[1] != b".":
        return label_glob(pattern, end, host, host + host_length)
    at = end
    while at > pattern + 1:         # up to the dot behind the star
        at -= 1
        if at[0] == b".":
            while True:
                if start == host:
                    return False
                start -= 1
                if start[0] == b".":
                    break
    return start > host and label_glob(pattern + 1, end, start, host + host_length)


cdef int32_t find_name(const route_table* table, const uint8_t* host,
                       uint32_t length) noexcept nogil:
    # The entry that decides for a host name: exact, or the first wildcard in order.
    cdef int32_t best = find(table, ROUTE_EXACT, host, length)
    cdef uint32_t i
    cdef const route_entry* entry
    if best >= 0:
        return best
    for i in range(1, length):      # the longest suffix comes first and is the most specific
        if host[i] == b"." and table.suffix_lengths[length - i]:
            best = find(table, ROUTE_WILDCARD, host + i, length - i)
            if best >= 0:
                break
    for i in range(table.glob_count):
        if best >= 0 and table.globs[i] > <uint32_t>best:
            break
        entry = &table.entries[table.globs[i]]
        if glob_match(table.texts + entry.offset, entry.length, host, length):
            return <int32_t>table.globs[i]
    return best


cdef int32_t find_address(const route_table* table, const uint8_t* local,
                          uint16_t port) noexcept nogil:
    # The address with its port, then the address with any port, then the port on any address.
    cdef uint8_t key[ADDRESS_KEY_SIZE]
    cdef int32_t entry
    memcpy(key, local, ADDRESS_SIZE)
    key[16] = <uint8_t>(port >> 8)
    key[17] = <uint8_t>(port & 0xFF)
    entry = find(table, ROUTE_ADDRESS, key, ADDRESS_KEY_SIZE)
    if entry < 0:
        key[16] = key[17] = 0
        entry = find(table, ROUTE_ADDRESS, key, ADDRESS_KEY_SIZE)
    if entry < 0:
        memcpy(key, ANY_ADDRESS, ADDRESS_SIZE)
        key[16] = <uint8_t>(port >> 8)
        key[17] = <uint8_t>(port & 0xFF)
        entry = find(table, ROUTE_ADDRESS, key, ADDRESS_KEY_SIZE)
    return entry


cdef route_hit route_lookup(const route_table* table, const uint8_t* host, uint32_t length,
                            const uint8_t* local, uint16_t local_port) noexcept nogil:
    cdef route_hit hit
    cdef int32_t entry = -1
    if length <= HOST_MAX:
        entry = find_name(table, host, length)
    if entry < 0 and local != NULL and table.has_addresses:
        entry = find_address(table, local, local_port)
    hit.entry = entry
    if entry >= 0:
        hit.server = table.entries[entry].server
        hit.rule = table.entries[entry].kind
    else:
        hit.server = table.default_server
        hit.rule = ROUTE_DEFAULT if table.default_server >= 0 else ROUTE_NONE
    return hit


cdef route_table* route_retain(route_table* table) noexcept nogil:
    if table != NULL:
        count_up(&table.count)
    return table


cdef void route_release(route_table* table) noexcept nogil:
    if table != NULL and count_down(&table.count) == 0:
        free(table.entries)
        free(table.slots)
        free(table.globs)
        free(table.texts)
        free(table)


cdef void insert(route_table* table, uint32_t index) noexcept:
    cdef route_entry* entry = &table.entries[index]
    cdef uint32_t h = <uint32_t>key_hash(table.seed ^ entry.kind, table.texts + entry.offset,
                                         entry.length)
    cdef uint32_t at = h & table.slot_mask
    while table.slots[at].entry:
        at = (at + 1) & table.slot_mask
    table.slots[at].hash = h
    table.slots[at].entry = index + 1


def _specificity(pattern):
    # Most literal characters, then fewer stars, then the alphabet.
    stars = pattern.count("*")
    return stars - len(pattern), stars, pattern


def _address_key(address, port):
    packed = ipaddress.ip_address(address).packed
    if len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    if packed in (bytes(16), bytes(10) + b"\xff\xff" + bytes(4)):
        packed = bytes(16)
    return packed + port.to_bytes(2, "big")


def _ordered(domains, addresses):
    # [(rule, text, key, server)] in the order in which they decide; each key once.
    exact, wildcard, local = {}, {}, {}
    for pattern, server in domains:
        names = wildcard if "*" in pattern else exact
        if names.setdefault(pattern, server) != server:
            raise ConfigurationError(f"{pattern!r} leads to two servers")
    for address, port, server in addresses:
        key = _address_key(address, port)
        shown = f"[{address}]" if ":" in address else address
        shown = f"{shown}:{port}" if port else shown
        if local.setdefault(key, (shown, server))[1] != server:
            raise ConfigurationError(f"{shown} leads to two servers")
    entries = [(<int>ROUTE_EXACT, name, name.encode(), exact[name]) for name in sorted(exact)]
    for name in sorted(wildcard, key=_specificity):
        suffix = name.startswith("*.") and name.count("*") == 1
        key = (name[1:] if suffix else name).encode()
        entries.append((<int>ROUTE_WILDCARD, name, key, wildcard[name]))
    # An address decides before a bare port, and with its port before any port.
    order = sorted(local, key=lambda key: (key[:16] == bytes(16), key[16:] == b"\0\0", key))
    for key in order:
        entries.append((<int>ROUTE_ADDRESS, local[key][0], key, local[key][1]))
    return entries


cdef fill(route_table* table, list rows):
    cdef route_entry* entry
    cdef bytes key
    cdef uint32_t offset = 0
    for rule, _, key, server in rows:
        entry = &table.entries[table.entry_count]
        entry.kind = rule
        entry.server = server
        entry.offset = offset
        entry.length = len(key)
        memcpy(table.texts + offset, <const char*>key, entry.length)
        offset += entry.length
        if rule == ROUTE_WILDCARD and b"*" in key:
            table.globs[table.glob_count] = table.entry_count
            table.glob_count += 1
        else:
            insert(table, table.entry_count)
            if rule == ROUTE_WILDCARD and entry.length <= HOST_MAX:
                table.suffix_lengths[entry.length] = 1
            elif rule == ROUTE_ADDRESS:
                table.has_addresses = True
        table.entry_count += 1


@cython.final
cdef class RouteTable:
    """An immutable table from host names and local addresses to the numbers of servers.

    ``domains``: pairs of a pattern (lower case, clean) and a server's number. A leading
    ``*.`` stands for one or more labels, any other ``*`` for a run of characters within one
    label, ``*`` alone for everything. ``addresses``: triples of an IP address, a port (0: any)
    and a server's number; ``0.0.0.0`` and ``::`` mean any address. ``default``: the server for
    everything else, or -1. Raises `ConfigurationError` when a pattern leads to two servers.

    ``entries``: (rule, pattern, server) of every pattern in the order in which they decide;
    rules are 1 exact, 2 wildcard, 3 address.
    """

    def __cinit__(self, domains=(), addresses=(), int32_t default=-1):
        cdef route_table* table = <route_table*>calloc(1, sizeof(route_table))
        cdef uint32_t size = 8
        if table == NULL:
            raise MemoryError
        table.count = 1
        self.table = table
        rows = _ordered(domains, addresses)
        while size < 2 * len(rows):
            size *= 2
        table.default_server = default
        table.seed = secrets.randbits(64)
        table.slot_mask = size - 1
        table.slots = <route_slot*>calloc(size, sizeof(route_slot))
        table.entries = <route_entry*>calloc(max(len(rows), 1), sizeof(route_entry))
        table.globs = <uint32_t*>malloc(max(len(rows), 1) * sizeof(uint32_t))
        table.texts = <uint8_t*>malloc(max(sum(len(row[2]) for row in rows), 1))
        if not (table.slots and table.entries and table.globs and table.texts):
            raise MemoryError
        fill(table, rows)
        self.entries = tuple((rule, text, server) for rule, text, _, server in rows)

    def __dealloc__(self):
        route_release(self.table)

    def lookup(self, bytes host, bytes local=None, uint16_t port=0):
        """(server, rule, entry) for a cleaned host and the local address (4 or 16 bytes) and
        port of the connection; -1 where there is none; rule 0 is none, 4 the default."""
        cdef const uint8_t* address = NULL
        cdef route_hit hit
        if local is not None:
            if len(local) == 4:
                local = bytes(10) + b"\xff\xff" + local
            if len(local) != ADDRESS_SIZE:
                raise ValueError(f"an address has 4 or 16 bytes, not {len(local)}")
            address = <const uint8_t*><const char*>local
        hit = route_lookup(self.table, <const uint8_t*><const char*>host, len(host), address, port)
        return hit.server, hit.rule, hit.entry


def _bench(RouteTable table, list hosts, uint32_t rounds):
    # Nanoseconds per lookup, over all hosts again and again; for benchmarks.
    cdef uint32_t count = len(hosts)
    cdef uint32_t i, _
    cdef int64_t total = 0
    cdef const uint8_t** texts = <const uint8_t**>malloc(count * sizeof(uint8_t*))
    cdef uint32_t* lengths = <uint32_t*>malloc(count * sizeof(uint32_t))
    if texts == NULL or lengths == NULL:
        free(texts)
        free(lengths)
        raise MemoryError
    for i in range(count):
        texts[i] = <const uint8_t*><const char*><bytes?>hosts[i]
        lengths[i] = len(<bytes>hosts[i])
    started = time.perf_counter()
    with nogil:
        for _ in range(rounds):
            for i in range(count):
                total += route_lookup(table.table, texts[i], lengths[i], NULL, 0).server
    spent = time.perf_counter() - started
    free(texts)
    free(lengths)
    return 1e9 * spent / (rounds * count), total
