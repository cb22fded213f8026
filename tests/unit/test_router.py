"""Who reaches which server, and what a person is told about it. # M-03 M-04"""

import pytest

from mcproxy.errors import ConfigurationError, RemoteProtocolError
from mcproxy.proxy.model import Server
from mcproxy.proxy.router import Router, parse_listen, parse_pattern


def server(name, *domains, listen=()):
    return Server(name, ("127.0.0.1:1",), domains=domains, listen=listen)


LOBBY = server("lobby", "lobby.example.com", "*")
CREATIVE = server("creative", "*.creative.example.com", "creative.example.com")
OLD = server("old", listen=("192.0.2.1:25566",))


@pytest.fixture
def router():
    return Router([server("lobby", "lobby.example.com"), CREATIVE, OLD], default="lobby")


@pytest.mark.parametrize(
    "host",
    [
        "creative.example.com",
        "CREATIVE.Example.Com",
        "creative.example.com.",
        "creative.example.com\0FML\0",
        "creative.example.com\0FML2\0",
        "creative.example.com.\0FML3\0",
        "creative.example.com\0FORGE",
        "_dc-srv.creative.example.com",
        "_minecraft._tcp.creative.example.com",
        "creative.example.com///192.0.2.9:1234///1700000000",
        b"creative.example.com\x00FML2\x00",
    ],
)
def test_what_clients_add_to_a_name_does_not_change_the_way(router, host):
    route = router.route(host)
    assert route.server is CREATIVE
    assert (route.rule, route.pattern) == ("exact", "creative.example.com")
    assert route.host == "creative.example.com"


def test_each_rule_says_why(router):
    assert (
        router.route("creative.example.com").why == "creative.example.com is a domain of creative"
    )
    wild = router.route("a.b.creative.example.com")
    assert wild.server is CREATIVE
    assert wild.why == "a.b.creative.example.com matches *.creative.example.com of creative"
    address = router.route("192.0.2.1", ("192.0.2.1", 25566))
    assert address.server is OLD
    assert address.why == "no domain matches 192.0.2.1; old listens on 192.0.2.1:25566"
    default = router.route("nowhere.example.com", ("192.0.2.1", 25565))
    assert default.why == "no domain matches nowhere.example.com; lobby is the default"
    none = Router([CREATIVE]).route("")
    assert none.server is None
    assert none.why == "no domain matches an empty host name, and there is no default"


def test_a_connection_through_ipv6_sockets_is_known_by_its_ipv4_address(router):
    assert router.route("x", ("::ffff:192.0.2.1", 25566)).server is OLD


def test_any_address_means_that_port_of_both_families():
    router = Router(
        [
            server("a", listen=("0.0.0.0:25566", "[::]:25566")),
            server("b", listen=("[2001:db8::1]",)),
        ]
    )
    assert router.route("x", ("192.0.2.1", 25566)).server.name == "a"
    assert router.route("x", ("2001:db8::2", 25566)).server.name == "a"
    assert router.route("x", ("2001:db8::1", 25566)).server.name == "b"
    assert router.route("x", ("2001:db8::1%eth0", 1)).server.name == "b"
    assert router.route("x", ("192.0.2.1", 25565)).server is None


def test_names_with_other_letters_match_what_clients_send():
    router = Router([server("books", "Bücher.example")])
    assert router.route("xn--bcher-kva.example").server.name == "books"


def test_addresses_may_be_domains():
    router = Router([server("v4", "192.0.2.7"), server("v6", "[2001:db8::1]")])
    assert router.route("192.0.2.7").server.name == "v4"
    assert router.route("[2001:DB8::1]").server.name == "v6"


def test_the_table_lists_every_rule_in_the_order_in_which_it_decides(router):
    assert [tuple(row) for row in router.table()] == [
        ("exact", "creative.example.com", "creative"),
        ("exact", "lobby.example.com", "lobby"),
        ("wildcard", "*.creative.example.com", "creative"),
        ("address", "192.0.2.1:25566", "old"),
        ("default", "", "lobby"),
    ]


def test_a_domain_of_two_servers_is_refused_with_both_names():
    with pytest.raises(ConfigurationError) as caught:
        Router([server("one", "mc.example.com"), server("two", "MC.example.com.")])
    assert "'one'" in str(caught.value)
    assert "'two'" in str(caught.value)
    assert "MC.example.com." in str(caught.value)


def test_a_listen_address_of_two_servers_is_refused_with_both_names():
    with pytest.raises(ConfigurationError, match=r"listen of server 'one' and of server 'two'"):
        Router([server("one", listen=("0.0.0.0:1",)), server("two", listen=("[::]:1",))])


def test_a_domain_that_one_server_has_twice_does_no_harm():
    router = Router([server("one", "mc.example.com", "MC.example.com")])
    assert len(router.table()) == 1


def test_an_unknown_default_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match=r"'loby' is not the name .* 'lobby'"):
        Router([LOBBY], default="loby")


def test_two_servers_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="'lobby'"):
        Router([LOBBY, server("lobby")])


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("mc.example.com:25565", "leave out the port"),
        ("**.example.com", "one \\* is enough"),
        ("a b.example.com", "host name"),
        ("a..example.com", "host name"),
        ("", "host name"),
        (".example.com", "host name"),
        ("x" * 64 + ".com", "host name"),
        ("a." * 130 + "com", "host name"),
        ("bü*.example", "host name"),
    ],
)
def test_a_domain_that_cannot_be_read_is_named_with_its_server(pattern, advice):
    with pytest.raises(ConfigurationError, match=advice) as caught:
        Router([server("one", pattern)])
    assert "server 'one'" in str(caught.value)
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize("text", ["mc.example.com:25565", "0.0.0.0", "[::]", "192.0.2.1:0", "x"])
def test_listen_addresses_are_addresses_of_this_machine(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_listen(text)
    assert repr(text) in str(caught.value)


def test_a_host_that_no_client_may_send_is_refused(router):
    with pytest.raises(RemoteProtocolError):
        router.route("a" * 256)


def test_patterns_come_back_as_they_are_compared():
    assert parse_pattern("*.Example.COM.") == "*.example.com"
    assert parse_pattern("*") == "*"
