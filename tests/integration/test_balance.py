"""Which of a server's addresses a player is sent to."""

from __future__ import annotations

import socket
import time

import pytest

from mcproxy.errors import ConfigurationError
from mcproxy.proxy import AddressState, Balance, Health, Proxy, Server
from tests.integration.peers import Backend, Net, Wire, eventually, join, server, settings

ROUND_ROBIN = Balance.ROUND_ROBIN
LEAST_CONN = Balance.LEAST_CONN
HOUR = 3600.0


async def landed(net: Net, *backends: Backend) -> tuple[int, Wire]:
    """Which backend got the next connection."""

    def accepted() -> tuple[int, Wire] | None:
        for number, backend in enumerate(backends):
            try:
                return number, net.keep(Wire(backend.sock.accept()[0]))
            except BlockingIOError:
                continue
        return None

    number, wire = await eventually(accepted)
    assert await wire.take(len(join())) == join()
    return number, wire


async def joins(net: Net, proxy: Proxy, count: int, *backends: Backend) -> list[int]:
    """Where so many players land, one after the other; they stay."""
    order = []
    for _ in range(count):
        await net.client(proxy, join())
        order.append((await landed(net, *backends))[0])
    return order


def state(proxy: Proxy, backend: Backend | str) -> AddressState:
    address = getattr(backend, "address", backend)
    (found,) = [each for each in proxy.states() if each.configured == address]
    return found


async def test_round_robin_gives_each_its_weight_in_every_circle(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(server("a", one, two, balance=ROUND_ROBIN, weights=(1, 3)), workers=1)
    for _ in range(3):
        circle = await joins(net, proxy, 4, one, two)
        assert sorted(circle) == [0, 1, 1, 1]


async def test_round_robin_is_one_circle_for_all_workers(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(server("a", one, two, balance=ROUND_ROBIN), workers=4)
    assert sorted(await joins(net, proxy, 10, one, two)) == [0] * 5 + [1] * 5


async def test_least_conn_goes_by_the_sessions_that_are_held(net: Net) -> None:
    one, two = net.backend(), net.backend()
    proxy = await net.proxy(server("a", one, two, balance=LEAST_CONN, weights=(1, 2)))
    held: list[list[Wire]] = [[], []]
    for _ in range(6):
        client = await net.client(proxy, join())
        number, _ = await landed(net, one, two)
        held[number].append(client)
    assert [len(clients) for clients in held] == [2, 4]
    for client in held[1]:
        client.reset()
    await eventually(lambda: state(proxy, two).sessions == 0)
    assert await joins(net, proxy, 3, one, two) == [1, 1, 1]
    assert (state(proxy, one).sessions, state(proxy, two).sessions) == (2, 3)


async def test_an_address_that_fails_is_left_out_and_comes_back(net: Net) -> None:
    dead, good = net.nobody(), net.backend()
    proxy = await net.proxy(server("a", dead, good))
    assert await joins(net, proxy, 3, good) == [0, 0, 0]
    counters = proxy.counters()
    assert (counters["dial_failed"], counters["ejected"]) == (1, 1)
    assert state(proxy, dead).ejected
    assert not state(proxy, good).ejected
    back = revived(net, dead)
    await eventually(lambda: not state(proxy, dead).ejected)
    assert await joins(net, proxy, 2, back, good) == [0, 0]


async def test_an_address_that_fails_again_is_left_out_twice_as_long(net: Net) -> None:
    dead, good = net.nobody(), net.backend()
    proxy = await net.proxy(server("a", dead, good))
    for pause in (1.0, 2.0):
        before = time.monotonic()
        await joins(net, proxy, 1, good)
        await eventually(lambda: not state(proxy, dead).ejected)
        # At the least: a busy machine only makes it longer.
        assert time.monotonic() - before > pause - 0.01
    assert proxy.counters()["ejected"] == 2


async def test_a_single_address_is_tried_even_while_it_is_left_out(net: Net) -> None:
    dead = net.nobody()
    proxy = await net.proxy(server("a", dead))
    client = await net.client(proxy, join())
    assert b"not available" in await client.rest()
    assert state(proxy, dead).ejected
    back = revived(net, dead)
    assert await joins(net, proxy, 1, back) == [0]
    assert not state(proxy, dead).ejected  # it answered


async def test_what_health_checks_find_down_is_tried_when_nothing_else_is_left(net: Net) -> None:
    one, two = net.backend(), net.backend()  # they take connections and say nothing
    health = Health(interval=0.02, timeout=0.05, fall=1)
    proxy = await net.proxy(server("a", one, two, health=health))
    await eventually(lambda: not any(each.up for each in proxy.states()))
    client = await net.client(proxy, join())
    wire = await opening_on(one)
    await client.send(b"hello")
    assert await wire.take(5) == b"hello"


async def test_slow_start_gives_a_tenth_to_an_address_that_came_back(net: Net) -> None:
    steady, dead = net.backend(), net.nobody()
    proxy = await net.proxy(
        server("a", steady, dead, balance=ROUND_ROBIN, slow_start=HOUR), workers=1
    )
    assert await joins(net, proxy, 2, steady) == [0, 0]
    assert state(proxy, dead).ejected
    back = revived(net, dead)
    await eventually(lambda: not state(proxy, dead).ejected)
    # It has its whole share until the first connection shows that it came back.
    while (await joins(net, proxy, 1, steady, back)) != [1]:
        pass
    # Ten hundredths beside a hundred: a circle is eleven joins now.
    assert sorted(await joins(net, proxy, 11, steady, back)) == [0] * 10 + [1]


class TestDrain:
    async def test_a_drained_address_keeps_its_sessions_and_gets_no_new_ones(
        self, net: Net
    ) -> None:
        one, two = net.backend(), net.backend()
        proxy = await net.proxy(server("a", one, two))
        client, far = await net.relay(proxy, one)
        (drained,) = proxy.drain("a", one.address)
        assert (drained.draining, drained.sessions) == (True, 1)
        assert await joins(net, proxy, 2, one, two) == [1, 1]
        await client.send(b"still here")
        assert await far.take(10) == b"still here"
        client.close()
        assert await far.rest() == b""
        await eventually(lambda: state(proxy, one).sessions == 0)
        proxy.drain("a", one.address, on=False)
        assert await joins(net, proxy, 1, one, two) == [0]

    async def test_when_all_are_drained_players_are_told(self, net: Net) -> None:
        one = net.backend()
        proxy = await net.proxy(server("a", one, disconnect_message="back soon"))
        proxy.drain("a", one.address)
        client = await net.client(proxy, join())
        assert b"back soon" in await client.rest()

    async def test_it_outlives_a_reload(self, net: Net) -> None:
        one, two = net.backend(), net.backend()
        proxy = await net.proxy(server("a", one, two))
        proxy.drain("a", one.address)
        await proxy.apply(settings(server("a", one, two, balance=LEAST_CONN)))
        assert await joins(net, proxy, 2, one, two) == [1, 1]

    @pytest.mark.parametrize(
        ("name", "address", "said"),
        [
            ("b", "127.0.0.1:1", 'there is no server "b"; there are: a'),
            ("a", "127.0.0.1:1", '"127.0.0.1:1" is no address of server "a"; it has 127.0.0.1:'),
        ],
    )
    async def test_what_does_not_exist_is_said(
        self, net: Net, name: str, address: str, said: str
    ) -> None:
        proxy = await net.proxy(server("a", net.backend()))
        with pytest.raises(ConfigurationError) as caught:
            proxy.drain(name, address)
        assert str(caught.value).startswith(said)


class TestRemovedAddresses:
    async def test_one_with_sessions_is_shown_until_they_end_and_then_forgotten(
        self, net: Net
    ) -> None:
        old, new = net.backend(), net.backend()
        proxy = await net.proxy(server("a", old))
        client, far = await net.relay(proxy, old)
        proxy.drain("a", old.address)
        await proxy.apply(settings(server("a", new)))
        left = [each for each in proxy.states() if each.configured is None]
        assert [(each.address, each.sessions) for each in left] == [(old.endpoint, 1)]
        # What is known of it is still there when it is put back ...
        await proxy.apply(settings(server("a", old)))
        assert state(proxy, old).draining
        # ... and not when it was gone without a session.
        client.close()
        await far.rest()
        await eventually(lambda: state(proxy, old).sessions == 0)
        await proxy.apply(settings(server("a", new)))
        assert [each.configured for each in proxy.states()] == [new.address]
        await proxy.apply(settings(server("a", old)))
        assert not state(proxy, old).draining


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"weights": (1, 2)}, "2 weights for 1 addresses"),
        ({"weights": (0,)}, "a weight is a number from 1 to 1000"),
        ({"slow_start": 5.0}, "weights and slow_start need round_robin or least_conn"),
        ({"weights": (2,)}, "weights and slow_start need round_robin or least_conn"),
        ({"health": Health(interval=-1)}, "health: interval is not negative"),
        ({"health": Health(interval=1, fall=0)}, "health: interval is not negative"),
    ],
)
def test_numbers_that_cannot_work_are_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^a: {said}"):
        Proxy(settings(Server("a", ("127.0.0.1:1",), **more)))


def revived(net: Net, address: str) -> Backend:
    """A backend at an address where there was none."""
    backend = net.backend()
    backend.sock.close()
    host, _, port = address.rpartition(":")
    backend.sock = socket.create_server((host, int(port)), backlog=4096)
    backend.sock.setblocking(False)
    backend.endpoint, backend.address = (host, int(port)), address
    return backend


async def opening_on(backend: Backend) -> Wire:
    """The connection of a player, among those of health checks."""
    while True:
        wire = await backend.accept()
        if (await wire.some(len(join()))) == join():
            return wire
