"""The compiled route table by itself; the rules as people meet them are in test_router."""

import pytest

from mcproxy._speedups.plane.routes import RouteTable
from mcproxy.errors import ConfigurationError

NONE, EXACT, WILDCARD, ADDRESS, DEFAULT = range(5)
LOCAL = b"\xc0\x00\x02\x01"


def test_an_exact_name_comes_before_every_wildcard():  # M-03
    table = RouteTable(
        [("*", 0), ("*.example.com", 1), ("a.example.com", 2), ("a*.example.com", 3)]
    )
    assert table.lookup(b"a.example.com") == (2, EXACT, 0)
    assert table.lookup(b"ab.example.com")[:2] == (3, WILDCARD)
    assert table.lookup(b"b.example.com")[:2] == (1, WILDCARD)
    assert table.lookup(b"example.com")[:2] == (0, WILDCARD)


def test_a_leading_star_stands_for_one_or_more_labels():
    table = RouteTable([("*.example.com", 7)])
    assert table.lookup(b"a.b.c.example.com")[0] == 7
    assert table.lookup(b"example.com")[0] == -1
    assert table.lookup(b".example.com")[0] == -1
    assert table.lookup(b"badexample.com")[0] == -1


def test_an_inner_star_stays_within_its_label():
    table = RouteTable([("mc*.example.com", 1), ("*.eu*.example.net", 2), ("a.*.example.org", 3)])
    assert table.lookup(b"mc12.example.com")[0] == 1
    assert table.lookup(b"mc.example.com")[0] == 1
    assert table.lookup(b"mc.1.example.com")[0] == -1
    assert table.lookup(b"x.y.eu3.example.net")[0] == 2
    assert table.lookup(b"eu3.example.net")[0] == -1
    assert table.lookup(b"a.b.example.org")[0] == 3
    assert table.lookup(b"a.b.c.example.org")[0] == -1


def test_entries_stand_in_the_order_in_which_they_decide():
    table = RouteTable(
        [("*", 0), ("*.com", 0), ("*a.com", 0), ("*b.com", 0), ("m*b*.com", 0), ("x.com", 0)],
        [("0.0.0.0", 25566, 0), ("192.0.2.1", 0, 0), ("192.0.2.1", 25565, 0)],
    )
    assert [pattern for _, pattern, _ in table.entries] == [
        "x.com", "m*b*.com", "*a.com", "*b.com", "*.com", "*",
        "192.0.2.1:25565", "192.0.2.1", "0.0.0.0:25566",
    ]  # fmt: skip


def test_the_local_address_decides_when_no_name_does():  # M-04
    table = RouteTable(
        [("known.example.com", 0)],
        [("192.0.2.1", 25566, 1), ("192.0.2.1", 0, 2), ("::", 25567, 3)],
        default=4,
    )
    assert table.lookup(b"known.example.com", LOCAL, 25566)[:2] == (0, EXACT)
    assert table.lookup(b"192.0.2.1", LOCAL, 25566)[:2] == (1, ADDRESS)
    assert table.lookup(b"", bytes(10) + b"\xff\xff" + LOCAL, 25566)[:2] == (1, ADDRESS)
    assert table.lookup(b"", LOCAL, 25567)[:2] == (2, ADDRESS)
    assert table.lookup(b"", b"\xc0\x00\x02\x02", 25567)[:2] == (3, ADDRESS)
    assert table.lookup(b"", b"\xc0\x00\x02\x02", 25566) == (4, DEFAULT, -1)
    assert table.lookup(b"") == (4, DEFAULT, -1)


def test_without_a_default_nothing_is_found():
    assert RouteTable().lookup(b"a.example.com", LOCAL, 1) == (-1, NONE, -1)


@pytest.mark.parametrize("length", [254, 255, 256, 4000])
def test_hosts_of_any_length_get_an_answer(length):
    table = RouteTable([("*.example.com", 1), ("a*.*.com", 2)], default=0)
    assert table.lookup(b"." * length)[1] == DEFAULT
    assert table.lookup(b"a" * length)[1] == DEFAULT


def test_a_host_with_any_bytes_never_meets_an_address():
    table = RouteTable([], [("192.0.2.1", 25565, 1)])
    key = bytes(10) + b"\xff\xff" + LOCAL + (25565).to_bytes(2, "big")
    assert table.lookup(key)[1] == NONE


def test_a_pattern_that_leads_to_two_servers_is_refused():
    for domains in ([("a.com", 0), ("a.com", 1)], [("*.com", 0), ("*.com", 1)]):
        with pytest.raises(ConfigurationError, match="leads to two servers"):
            RouteTable(domains)
    with pytest.raises(ConfigurationError, match="25566 leads to two servers"):
        RouteTable([], [("0.0.0.0", 25566, 0), ("::", 25566, 1)])


def test_ten_thousand_names_are_all_found():
    names = [f"s{i}.example.com" for i in range(10_000)]
    table = RouteTable((name, i) for i, name in enumerate(names))
    assert all(table.lookup(name.encode())[0] == i for i, name in enumerate(names))
