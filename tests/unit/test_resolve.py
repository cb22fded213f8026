"""Backends' names become endpoints, and follow the name server's answers. # M-18"""

import asyncio
import math
import sys

import pytest

from mcproxy.errors import ConfigurationError, NameNotResolved
from mcproxy.proxy.resolve import Resolver
from tests.unit.dns_server import dns_server


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def server():
    async with dns_server() as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    return path


@pytest.fixture
def resolver(server, clock, hosts):
    return Resolver([server.endpoint], hosts=hosts, clock=clock, lifetime=1.0)


async def test_a_literal_address_needs_no_name_server(resolver, server):
    found = await resolver.resolve("192.0.2.7:25570")
    assert found.endpoints == (("192.0.2.7", 25570),)
    assert found.ttl == math.inf
    assert (await resolver.resolve("[::1]")).endpoints == (("::1", 25565),)
    assert not server.asked


async def test_ipv4_comes_before_ipv6(resolver, server):
    server.put("mc.example.com", "AAAA", "2001:db8::1")
    server.put("mc.example.com", "A", "192.0.2.1", "192.0.2.2")
    found = await resolver.resolve("mc.example.com:25570")
    assert set(found.endpoints[:2]) == {("192.0.2.1", 25570), ("192.0.2.2", 25570)}
    assert found.endpoints[2] == ("2001:db8::1", 25570)
    assert not found.srv


async def test_srv_records_name_hosts_and_ports_in_order_of_priority(resolver, server):
    server.put(
        "_minecraft._tcp.example.com",
        "SRV",
        "20 0 25570 b.example.com.",
        "10 0 25580 a.example.com.",
    )
    server.put("a.example.com", "A", "192.0.2.1")
    server.put("b.example.com", "A", "192.0.2.2")
    found = await resolver.resolve("example.com")
    assert found.endpoints == (("192.0.2.1", 25580), ("192.0.2.2", 25570))
    assert found.srv


async def test_a_port_that_is_given_wins_over_srv(resolver, server):
    server.put("_minecraft._tcp.example.com", "SRV", "0 0 25570 a.example.com.")
    server.put("example.com", "A", "192.0.2.9")
    assert (await resolver.resolve("example.com:25565")).endpoints == (("192.0.2.9", 25565),)
    assert ("_minecraft._tcp.example.com", "SRV") not in server.asked


async def test_without_srv_the_usual_port_is_taken(resolver, server):
    server.put("example.com", "A", "192.0.2.9")
    assert (await resolver.resolve("example.com")).endpoints == (("192.0.2.9", 25565),)


async def test_an_srv_target_without_an_address_is_left_out(resolver, server):
    server.put(
        "_minecraft._tcp.example.com", "SRV", "1 0 1 gone.example.com.", "2 0 2 a.example.com."
    )
    server.put("a.example.com", "A", "192.0.2.1")
    assert (await resolver.resolve("example.com")).endpoints == (("192.0.2.1", 2),)


async def test_the_answer_is_asked_again_when_its_ttl_ends_and_not_before(resolver, server, clock):
    server.put("mc.example.com", "A", "192.0.2.1", ttl=30)
    first = await resolver.resolve("mc.example.com:1")
    assert first.ttl == 30
    server.put("mc.example.com", "A", "192.0.2.2", ttl=30)
    clock.now += 29
    assert await resolver.resolve("mc.example.com:1") == type(first)(first.endpoints, 1.0)
    assert server.asked["mc.example.com", "A"] == 1
    clock.now += 1
    assert (await resolver.resolve("mc.example.com:1")).endpoints == (("192.0.2.2", 1),)


async def test_the_shortest_ttl_on_the_way_counts(resolver, server):
    server.put("mc.example.com", "CNAME", "host.example.com.", ttl=20)
    server.put("host.example.com", "A", "192.0.2.1", ttl=300)
    assert (await resolver.resolve("mc.example.com:1")).ttl == 20
    server.put("_minecraft._tcp.example.com", "SRV", "0 0 1 host.example.com.", ttl=400)
    assert (await resolver.resolve("example.com")).ttl == 300


async def test_a_ttl_of_nothing_does_not_ask_for_every_player(resolver, server):
    server.put("mc.example.com", "A", "192.0.2.1", ttl=0)
    assert (await resolver.resolve("mc.example.com:1")).ttl == 1


@pytest.mark.parametrize("fault", ["broken", "silent", "gone"])
async def test_the_last_good_answer_stays_when_a_lookup_fails(resolver, server, clock, fault):
    server.put("mc.example.com", "A", "192.0.2.1", ttl=30)
    await resolver.resolve("mc.example.com:1")
    clock.now += 31
    if fault == "gone":
        server.put("mc.example.com", "A")
    else:
        setattr(server, fault, True)
    found = await resolver.resolve("mc.example.com:1")
    assert found.endpoints == (("192.0.2.1", 1),)
    assert found.ttl == 5  # then it is tried again
    server.broken = server.silent = False
    server.put("mc.example.com", "A", "192.0.2.2")
    clock.now += 5
    assert (await resolver.resolve("mc.example.com:1")).endpoints == (("192.0.2.2", 1),)


async def test_an_srv_question_without_an_answer_does_not_change_the_port(resolver, server, clock):
    server.put("_minecraft._tcp.example.com", "SRV", "0 0 25570 a.example.com.", ttl=30)
    server.put("a.example.com", "A", "192.0.2.1")
    server.put("example.com", "A", "192.0.2.9")
    good = await resolver.resolve("example.com")
    clock.now += 31
    server.broken = True
    assert (await resolver.resolve("example.com")).endpoints == good.endpoints


async def test_a_failure_is_remembered_for_a_moment(resolver, server, clock):
    for _ in range(3):
        with pytest.raises(NameNotResolved, match=r"nowhere\.example\.com"):
            await resolver.resolve("nowhere.example.com:1")
    assert server.asked["nowhere.example.com", "A"] == 1
    server.put("nowhere.example.com", "A", "192.0.2.1")
    clock.now += 5
    assert (await resolver.resolve("nowhere.example.com:1")).endpoints == (("192.0.2.1", 1),)


async def test_many_who_ask_at_once_cause_one_lookup_even_if_the_first_gives_up(resolver, server):
    server.put("mc.example.com", "A", "192.0.2.1")
    first = asyncio.create_task(resolver.resolve("mc.example.com:1"))
    await asyncio.sleep(0)
    others = [asyncio.create_task(resolver.resolve("mc.example.com:1")) for _ in range(20)]
    first.cancel()
    answers = await asyncio.gather(*others)
    assert {answer.endpoints for answer in answers} == {(("192.0.2.1", 1),)}
    assert server.asked["mc.example.com", "A"] == 1


async def test_the_hosts_file_comes_first_and_is_read_again_when_it_changes(
    resolver, server, hosts, clock
):
    hosts.write_text(
        "# comment\n2001:db8::5 Backend.Example.com  backend # both\n192.0.2.5 backend\n"
    )
    server.put("backend", "A", "198.51.100.1")
    found = await resolver.resolve("backend:1")
    assert found.endpoints == (("192.0.2.5", 1), ("2001:db8::5", 1))
    assert (await resolver.resolve("backend.example.com")).endpoints == (("2001:db8::5", 25565),)
    hosts.write_text("192.0.2.66 backend\n")
    clock.now += found.ttl
    assert (await resolver.resolve("backend:1")).endpoints == (("192.0.2.66", 1),)
    hosts.unlink()
    clock.now += found.ttl
    assert (await resolver.resolve("backend:1")).endpoints == (("198.51.100.1", 1),)


async def test_localhost_and_names_below_it_are_this_machine(resolver, server):
    assert (await resolver.resolve("localhost:1")).endpoints == (("127.0.0.1", 1),)
    found = await resolver.resolve("lobby.localhost:1")
    assert found.endpoints == (("127.0.0.1", 1), ("::1", 1))
    assert not server.asked


async def test_an_address_that_cannot_be_read_is_a_mistake_of_the_configuration(resolver):
    with pytest.raises(ConfigurationError):
        await resolver.resolve("mc.example.com:port")


async def test_what_is_remembered_is_bounded(resolver, monkeypatch):
    monkeypatch.setattr("mcproxy.proxy.resolve.KNOWN_MOST", 10)
    for number in range(30):
        with pytest.raises(NameNotResolved):
            await resolver.resolve(f"host{number}.example.com:1")
    assert len(resolver._known) == 10


async def test_without_dnspython_a_name_is_a_mistake_that_says_what_to_install(
    resolver, monkeypatch
):
    monkeypatch.setitem(sys.modules, "dns.exception", None)
    with pytest.raises(ConfigurationError, match=r"install the extra \[proxy\]"):
        await resolver.resolve("mc.example.com")
