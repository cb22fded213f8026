"""Sockets that are connected to a backend before a player comes."""

from __future__ import annotations

import os
import socket

import pytest

from mcproxy.proxy import Balance, Pool, Proxy
from tests.integration.peers import Backend, Net, Wire, eventually, join, server, settings
from tests.integration.test_balance import revived, state

LONG = 3600.0


def warm(count: int, max_idle: float = LONG) -> Pool:
    return Pool(warm=count, max_idle=max_idle)


async def ready(proxy: Proxy, count: int) -> None:
    await eventually(lambda: proxy.counters()["warm"] == count)


async def waiting(backend: Backend, count: int) -> list[Wire]:
    return [await backend.accept() for _ in range(count)]


def where_it_landed(wires: list[Wire]) -> Wire | None:
    return next((wire for wire in wires if wire.unread()), None)


async def test_a_player_is_put_on_a_socket_that_is_connected_already(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(3)), workers=1)
    wires = await waiting(backend, 3)
    await ready(proxy, 3)
    assert state(proxy, backend).sessions == 0
    client = await net.client(proxy, join())
    far = await eventually(lambda: where_it_landed(wires))
    assert await far.take(len(join())) == join()
    await far.send(b"welcome")
    assert await client.take(7) == b"welcome"
    assert proxy.counters()["warm_used"] == 1
    assert state(proxy, backend).sessions == 1
    # Another takes its place, and no more than that one.
    await backend.accept()
    await ready(proxy, 3)
    client.reset()
    assert await far.rest_or_reset() == b""
    await eventually(lambda: state(proxy, backend).sessions == 0)


async def test_many_players_at_once_use_what_there_is_and_dial_for_the_rest(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(4)), workers=1)
    await ready(proxy, 4)
    for _ in range(20):
        await net.client(proxy, join())
    await eventually(lambda: proxy.counters()["relaying"] == 20)
    assert proxy.counters()["warm_used"] >= 4
    await ready(proxy, 4)
    assert state(proxy, backend).sessions == 20


async def test_each_worker_keeps_its_share(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(3)), workers=2)
    await ready(proxy, 4)  # two each: a share is rounded up


async def test_sockets_that_the_backend_closed_are_not_used(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(3)), workers=1)
    wires = await waiting(backend, 3)
    await ready(proxy, 3)
    for wire in wires:
        wire.close()
    await eventually(lambda: proxy.counters()["warm_lost"] == 3)
    await net.client(proxy, join())
    await backend.accept(join())
    assert proxy.counters()["warm_used"] == 0
    await ready(proxy, 3)  # and connected again, all three


@pytest.mark.parametrize("end", ["close", "reset", "speak"])
async def test_one_that_goes_stale_as_the_player_comes_is_not_used(net: Net, end: str) -> None:
    for _ in range(20):
        backend = net.backend()
        proxy = await net.proxy(server("a", backend, pool=warm(1)), workers=1)
        (wire,) = await waiting(backend, 1)
        await ready(proxy, 1)
        client = await net.client(proxy)
        if end == "speak":
            wire.sock.send(b"?")
        else:
            getattr(wire, end)()
        client.sock.send(join())  # the worker has not run in between, or hardly
        while True:  # the first with bytes on it is the player's
            far = await backend.accept()
            if await far.some(1):
                break
        await far.send(b"ok")
        assert await client.take(2) == b"ok"
        assert proxy.counters()["warm_used"] in (0, 1)
        await proxy.stop(0)


async def test_old_ones_make_place_for_young_ones(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(2, max_idle=0.1)), workers=1)
    for _ in range(3):
        for wire in await waiting(backend, 2):
            assert await wire.rest() == b""
    assert proxy.counters()["warm_lost"] == 0
    assert proxy.counters()["dial_failed"] == 0


async def test_a_reload_begins_anew_and_leaks_nothing(net: Net) -> None:
    backend = net.backend()
    one = server("a", backend, pool=warm(3))
    proxy = await net.proxy(one, workers=1)
    wires = await waiting(backend, 3)
    await ready(proxy, 3)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        await proxy.apply(settings(one, workers=1, unknown_message=str(number)))
        for wire in wires:
            assert await wire.rest() == b""
        wires = await waiting(backend, 3)
        await ready(proxy, 3)
    assert len(os.listdir("/proc/self/fd")) == before
    await proxy.apply(settings(server("a", backend), workers=1))
    await ready(proxy, 0)
    for wire in wires:
        assert await wire.rest() == b""
    client = await net.client(proxy, join())
    far = await backend.accept(join())
    assert proxy.counters()["warm_used"] == 0
    client.close()
    far.close()


async def test_none_is_left_after_stop(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(2)), workers=1)
    wires = await waiting(backend, 2)
    await ready(proxy, 2)
    await proxy.stop(0)
    for wire in wires:
        assert await wire.rest() == b""
    assert proxy.counters()["warm"] == 0


async def test_none_leads_to_an_address_that_is_drained(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(server("a", one, two, pool=warm(2)), workers=1)
    wires = await waiting(one, 2)
    await ready(proxy, 2)
    proxy.drain("a", one.address)
    await net.client(proxy, join())
    while await (far := await two.accept()).some(1) == b"":
        pass
    for wire in wires:
        assert await wire.rest() == b""
    assert proxy.counters()["warm_used"] == 0
    # From now on they are connected to the other.
    await ready(proxy, 2)
    await net.client(proxy, join())
    await eventually(lambda: proxy.counters()["warm_used"] == 1)
    assert state(proxy, two).sessions == 2
    assert far.sock.fileno() >= 0


async def test_the_first_address_is_dialled_when_those_that_wait_are_of_the_second(
    net: Net,
) -> None:
    dead, second = net.nobody(), net.backend()
    proxy = await net.proxy(server("a", dead, second, pool=warm(2)), workers=1)
    wires = await waiting(second, 2)
    await ready(proxy, 2)
    first = revived(net, dead)
    await eventually(lambda: not state(proxy, dead).ejected)
    await net.client(proxy, join())
    await first.accept(join())
    assert [wire.unread() for wire in wires] == [0, 0]


async def test_least_conn_takes_none_to_an_address_with_more_sessions(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(
        server("a", one, two, balance=Balance.LEAST_CONN, pool=warm(4)), workers=1
    )
    await ready(proxy, 4)
    for _ in range(10):
        await net.client(proxy, join())
    await eventually(lambda: proxy.counters()["relaying"] == 10)
    assert (state(proxy, one).sessions, state(proxy, two).sessions) == (5, 5)
    assert proxy.counters()["warm_used"] >= 5


async def test_round_robin_comes_out_even_with_them_too(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(
        server("a", one, two, balance=Balance.ROUND_ROBIN, pool=warm(2)), workers=1
    )
    for number in range(1, 21):
        await ready(proxy, 2)
        await net.client(proxy, join())
        await eventually(lambda number=number: proxy.counters()["warm_used"] == number)
    sessions = (state(proxy, one).sessions, state(proxy, two).sessions)
    # What still waits makes the difference.
    assert abs(sessions[0] - sessions[1]) <= 2


async def test_a_backend_that_is_down_is_not_hammered(net: Net) -> None:
    dead = net.nobody()
    proxy = await net.proxy(server("a", dead, pool=warm(8)), workers=1)
    await eventually(lambda: proxy.counters()["dial_failed"])
    first = proxy.counters()["dial_failed"]
    assert first <= 8
    # Players are told at once all the same, and a backend that comes back is found.
    client = await net.client(proxy, join())
    assert b"not available" in await client.rest()
    revived(net, dead)
    await ready(proxy, 8)


async def test_a_player_who_waits_for_nothing_leaves_nothing(net: Net) -> None:
    """Sockets of sessions that end at once go with them."""
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, pool=warm(2)), workers=1)
    for _ in range(30):
        client = await net.client(proxy, join())
        client.reset()
    await eventually(lambda: proxy.counters()["open"] == 0)
    await ready(proxy, 2)
    assert state(proxy, backend).sessions == 0
    await eventually(lambda: connected_to(backend) == 2)


def connected_to(backend: Backend) -> int:
    """How many sockets of this process are connected to a backend."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                count += one.getpeername() == backend.endpoint
        except OSError:
            continue  # closed meanwhile, or not connected
    return count
