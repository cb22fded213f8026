"""Active health checks."""

from __future__ import annotations

import asyncio

from mcproxy.proxy import AddressDown, AddressUp, Balance, Health, Proxy
from mcproxy.proxy.events import ProxyEvent
from tests.integration.peers import (
    Net,
    eventually,
    join,
    server,
    settings,
    status_request,
    status_text,
)
from tests.integration.test_balance import joins, opening_on, revived, state
from tests.unit.status_backend import StatusBackend

OFTEN = Health(interval=0.02, timeout=1.0, fall=3, rise=2)


def connections_at(proxy: Proxy, backend: StatusBackend) -> dict[type, int]:
    """How many connections the backend had seen when an address went down or up."""
    seen: dict[type, int] = {}

    def note(event: ProxyEvent) -> None:
        if isinstance(event, AddressDown | AddressUp):
            seen[type(event)] = backend.connections

    proxy.subscribe(note)
    return seen


async def test_fall_failures_in_a_row_take_it_out_and_rise_successes_bring_it_back(
    net: Net,
) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend, health=OFTEN))
    seen = connections_at(proxy, backend)
    await eventually(lambda: backend.connections >= 4)
    assert state(proxy, backend).up
    assert state(proxy, backend).checked
    before, backend.mode = backend.connections, "close"
    await eventually(lambda: AddressDown in seen)
    assert seen[AddressDown] - before == 3
    assert not state(proxy, backend).up
    before, backend.mode = backend.connections, "answer"
    await eventually(lambda: AddressUp in seen)
    assert seen[AddressUp] - before == 2
    assert state(proxy, backend).up
    (down,) = net.told(AddressDown)
    assert (down.server, down.address) == ("a", backend.endpoint)
    assert backend.address in down.error


async def test_failures_that_are_not_in_a_row_change_nothing(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend, health=OFTEN))
    for _ in range(4):
        for mode, checks in (("close", 2), ("answer", 1)):
            before, backend.mode = backend.connections, mode
            await eventually(lambda before=before, n=checks: backend.connections >= before + n)
    backend.mode = "answer"
    assert state(proxy, backend).up
    assert net.told(AddressDown) == []


async def test_players_are_kept_away_from_an_address_that_refuses(net: Net) -> None:
    dead, good = net.nobody(), net.backend()
    health = Health(interval=0.02, timeout=1.0, fall=2, rise=1, status=False)
    proxy = await net.proxy(server("a", dead, good, health=health))
    await eventually(lambda: net.told(AddressDown))
    assert net.told(AddressDown)[0].error.endswith("Connection refused")
    await net.client(proxy, join())
    await opening_on(good)
    assert proxy.counters()["dial_failed"] == 0
    back = revived(net, dead)
    await eventually(lambda: net.told(AddressUp))
    assert state(proxy, dead).up
    assert back.address == dead


async def test_a_server_that_takes_connections_and_says_nothing_is_down_by_status_and_up_by_tcp(
    net: Net,
) -> None:
    by_status, by_tcp = await net.status(mode="silent"), await net.status(mode="silent")
    proxy = await net.proxy(
        server("a", by_status, health=Health(0.02, timeout=0.05, fall=1)),
        server("b", by_tcp, health=Health(0.02, timeout=0.05, fall=1, status=False)),
    )
    await eventually(lambda: not state(proxy, by_status).up)
    await eventually(lambda: by_tcp.connections >= 3)
    assert state(proxy, by_tcp).up
    assert {event.server for event in net.told(AddressDown)} == {"a"}


async def test_a_reload_without_checks_ends_them_and_forgets_what_they_found(net: Net) -> None:
    backend = await net.status(mode="close")
    proxy = await net.proxy(server("a", backend, health=OFTEN))
    await eventually(lambda: not state(proxy, backend).up)
    await proxy.apply(settings(server("a", backend)))
    assert state(proxy, backend).up
    assert not state(proxy, backend).checked
    await asyncio.sleep(0.05)  # one that was on its way
    before = backend.connections
    await asyncio.sleep(10 * OFTEN.interval)
    assert backend.connections == before


async def test_a_reload_that_leaves_them_alone_keeps_their_count(net: Net) -> None:
    backend = await net.status(mode="close")
    health = Health(interval=0.05, timeout=1.0, fall=5)
    proxy = await net.proxy(server("a", backend, health=health))
    seen = connections_at(proxy, backend)
    for count in range(1, 5):
        await eventually(lambda count=count: backend.connections >= count)
        await proxy.apply(settings(server("a", backend, health=health), unknown_message=str(count)))
    await eventually(lambda: AddressDown in seen)
    assert seen[AddressDown] == 5


async def test_nothing_is_checked_after_stop(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend, health=OFTEN))
    await eventually(lambda: backend.connections)
    await proxy.stop(0)
    await asyncio.sleep(0.05)
    before = backend.connections
    await asyncio.sleep(10 * OFTEN.interval)
    assert backend.connections == before


async def test_a_check_begins_with_the_proxy_header_that_the_server_expects(net: Net) -> None:
    backend = net.backend()
    health = Health(interval=0.05, timeout=1.0, status=False)
    await net.proxy(server("a", backend, health=health, send_proxy_protocol="v2"))
    wire = await backend.accept()
    # LOCAL: the connection is the proxy's own (PROXY protocol, 2.2).
    assert await wire.take(14) == b"\r\n\r\n\0\r\nQUIT\n\x20\x00"


async def test_a_status_is_asked_of_addresses_that_are_up(net: Net) -> None:
    silent, good = await net.status(mode="silent"), await net.status({"description": "second"})
    health = Health(interval=0.02, timeout=0.05, fall=1)
    proxy = await net.proxy(server("a", silent, good, health=health))
    await eventually(lambda: not state(proxy, silent).up)
    client = await net.client(proxy, status_request())
    assert '"second"' in status_text(await client.frame())


async def test_slow_start_begins_when_checks_bring_an_address_back(net: Net) -> None:
    steady, dead = net.backend(), net.nobody()
    health = Health(interval=0.02, timeout=1.0, fall=1, rise=1, status=False)
    quiet = server("a", steady, dead, balance=Balance.ROUND_ROBIN, slow_start=3600.0)
    watched = server(
        "a", steady, dead, balance=Balance.ROUND_ROBIN, slow_start=3600.0, health=health
    )
    proxy = await net.proxy(watched, workers=1)
    await eventually(lambda: not state(proxy, dead).up)
    back = revived(net, dead)
    await eventually(lambda: state(proxy, dead).up)
    # Without checks, whose connections would be among those of the players.
    await proxy.apply(settings(quiet, workers=1))
    await asyncio.sleep(0.05)
    for backend in (steady, back):
        while True:
            try:
                backend.sock.accept()[0].close()
            except BlockingIOError:
                break
    assert sorted(await joins(net, proxy, 11, steady, back)) == [0] * 10 + [1]
