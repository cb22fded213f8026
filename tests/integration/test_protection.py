"""Limits per address and what is done beyond them, over raw sockets."""  # M-12

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcproxy.errors import ConfigurationError
from mcproxy.proxy import (
    Action,
    Flood,
    FloodBegan,
    FloodEnded,
    Limit,
    Limits,
    OpenLimit,
    Proxy,
    Refused,
    Timeouts,
)
from tests.integration.peers import (
    PING,
    Net,
    eventually,
    handshake,
    join,
    legacy_16,
    refused,
    server,
    settings,
    status_request,
    status_text,
)

SLOW = 0.001
"""Tokens per second: none comes back during a test."""
NOBODY = Limit()
TEXT = "Slow down, please."


def limits(**more: Any) -> Limits:
    """No limit but those that are named, and for every address."""
    none = {"connections": NOBODY, "status": NOBODY, "logins": NOBODY, "open": OpenLimit()}
    return Limits(**{**none, "exempt": (), "message": TEXT, **more})


def three(action: Action = Action.CLOSE) -> Limit:
    return Limit(rate=SLOW, burst=3, action=action)


async def answers(net: Net, proxy: Proxy, times: int, **more: Any) -> list[bool]:
    """Which of so many status requests, one after the other, were answered."""
    found = []
    for _ in range(times):
        client = await net.client(proxy, status_request() + PING, **more)
        found.append(bool(await client.rest_or_reset()))
    return found


async def test_a_connection_more_than_the_burst_is_closed(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three()))
    assert await answers(net, proxy, 4) == [True, True, True, False]
    assert refused(proxy) == {"rate_connections": 1}
    assert [event.reason.name for event in await eventually(lambda: net.told(Refused))] == [
        "RATE_CONNECTIONS"
    ]


async def test_another_address_is_not_concerned(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three()))
    assert await answers(net, proxy, 4) == [True, True, True, False]
    assert await answers(net, proxy, 1, local="127.0.0.2") == [True]


async def test_addresses_of_one_prefix_share_a_limit(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three(), prefix_v4=24))
    for host in range(1, 4):
        assert await answers(net, proxy, 1, local=f"127.0.9.{host}") == [True]
    assert await answers(net, proxy, 1, local="127.0.9.4") == [False]
    assert await answers(net, proxy, 1, local="127.0.8.1") == [True]


async def test_all_workers_share_a_limit(net: Net) -> None:
    backend = await net.status()
    limit = Limit(rate=SLOW, burst=20)
    proxy = await net.proxy(server("a", backend), limits=limits(connections=limit), workers=4)
    assert (await answers(net, proxy, 40)).count(True) == 20


async def test_an_exempt_network_has_no_limit(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend), limits=limits(connections=three(), exempt=("127.0.0.0/24",))
    )
    assert await answers(net, proxy, 10) == [True] * 10


async def test_a_drop_is_a_reset(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three(Action.DROP)))
    assert await answers(net, proxy, 3) == [True] * 3
    client = await net.client(proxy, status_request())
    with pytest.raises(ConnectionResetError):
        await client.some()


async def test_a_player_with_too_many_connections_can_be_told_so(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three(Action.MESSAGE)))
    assert await answers(net, proxy, 3) == [True] * 3
    client = await net.client(proxy, join())
    assert TEXT in (await client.frame()).decode()
    assert await client.rest() == b""
    asks = await net.client(proxy, status_request() + PING)
    assert TEXT in status_text(await asks.frame())
    assert await asks.take(len(PING)) == PING
    await eventually(lambda: refused(proxy) == {"rate_connections": 2})


async def test_a_login_more_than_the_burst_is_told_so_and_a_status_is_free(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(
        server("a", backend),
        server("b", await net.status()),
        limits=limits(logins=three(Action.MESSAGE)),
    )
    for _ in range(3):
        await net.relay(proxy, backend)
    client = await net.client(proxy, join())
    assert json.loads((await client.frame())[2:])["text"] == TEXT
    assert await client.rest() == b""
    await eventually(lambda: refused(proxy) == {"rate_logins": 1})
    status = await net.client(proxy, status_request("b.example"))
    assert TEXT not in status_text(await status.frame())


async def test_a_login_over_the_limit_reaches_no_backend_and_no_hook(net: Net) -> None:
    backend = net.backend()
    asked: list[Any] = []
    proxy = await net.proxy(
        server("a", backend),
        limits=limits(logins=three()),
        hooks={"route": lambda session: asked.append(session) or "a"},
    )
    for _ in range(3):
        await net.relay(proxy, backend)
    client = await net.client(proxy, join())
    assert await client.rest_or_reset() == b""
    assert len(asked) == 3


async def test_a_status_more_than_the_burst_shows_the_message(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(status=three(Action.MESSAGE)))
    for _ in range(3):
        client = await net.client(proxy, status_request() + PING)
        assert TEXT not in status_text(await client.frame())
    client = await net.client(proxy, status_request())
    assert TEXT in status_text(await client.frame())
    await client.send(PING)
    assert await client.take(len(PING)) == PING
    await eventually(lambda: refused(proxy) == {"rate_status": 1})


async def test_legacy_pings_count_as_status_requests(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend), default="a", limits=limits(status=three(Action.MESSAGE))
    )
    for _ in range(3):
        client = await net.client(proxy, legacy_16())
        assert TEXT.encode("utf-16-be") not in await client.rest()
    client = await net.client(proxy, legacy_16())
    assert TEXT.encode("utf-16-be") in await client.rest()
    await eventually(lambda: refused(proxy) == {"rate_status": 1})


async def test_one_open_connection_too_many_is_refused_until_one_ends(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), limits=limits(open=OpenLimit(3)))
    players = [await net.relay(proxy, backend) for _ in range(3)]
    client = await net.client(proxy, join())
    assert await client.rest_or_reset() == b""
    assert refused(proxy) == {"too_many_open": 1}
    for wire in players[0]:
        wire.close()
    await eventually(lambda: proxy.counters()["open"] == 2)
    await net.relay(proxy, backend)


async def test_a_reload_changes_limits_and_forgets_no_open_connection(net: Net) -> None:
    backend = net.backend()
    servers = (server("a", backend),)
    proxy = await net.proxy(*servers, limits=limits(open=OpenLimit(2)))
    bind = tuple("{}:{}".format(*address) for address in proxy.addresses)
    for _ in range(2):
        await net.relay(proxy, backend)
    await proxy.apply(settings(*servers, bind=bind, limits=limits(open=OpenLimit(3))))
    await net.relay(proxy, backend)
    client = await net.client(proxy, join())
    assert await client.rest_or_reset() == b""


async def test_behind_a_trusted_load_balancer_the_real_address_counts(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend), limits=limits(connections=three()), proxy_trusted=("127.0.0.1",)
    )

    def header(address: str) -> bytes:
        return f"PROXY TCP4 {address} 203.0.113.1 50123 25565\r\n".encode()

    async def answered(address: str) -> bool:
        client = await net.client(proxy, header(address) + status_request() + PING)
        return bool(await client.rest_or_reset())

    assert [await answered("198.51.100.7") for _ in range(4)] == [True, True, True, False]
    assert await answered("198.51.100.8")
    # What the load balancer does for itself, such as a check, concerns nobody's limit.
    for _ in range(5):
        client = await net.client(proxy, b"PROXY UNKNOWN\r\n" + status_request() + PING)
        assert await client.rest_or_reset()


async def test_a_header_of_one_ipv6_64_is_one_address(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend), limits=limits(connections=three()), proxy_trusted=("127.0.0.1",)
    )

    async def answered(address: str) -> bool:
        head = f"PROXY TCP6 {address} 2001:db8::1 50123 25565\r\n".encode()
        client = await net.client(proxy, head + status_request() + PING)
        return bool(await client.rest_or_reset())

    found = [await answered(f"2001:db8:1:2::{host}") for host in range(4)]
    assert found == [True, True, True, False]
    assert await answered("2001:db8:1:3::1")


async def test_the_tarpit_holds_without_an_answer_until_the_client_leaves(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), limits=limits(connections=three(Action.TARPIT)))
    assert await answers(net, proxy, 3) == [True] * 3
    held = await net.client(proxy, status_request())
    await eventually(lambda: proxy.counters()["tarpit"] == 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(held.some(), 0.2)
    held.close()
    await eventually(lambda: proxy.counters()["tarpit"] == 0)
    assert refused(proxy) == {"rate_connections": 1}


@pytest.mark.parametrize("kind", ["status", "logins"])
async def test_requests_over_a_limit_can_be_held_too(net: Net, kind: str) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend), limits=limits(**{kind: Limit(SLOW, 1, Action.TARPIT)})
    )
    opening = status_request() if kind == "status" else handshake()
    for _ in range(4):
        await net.client(proxy, opening)
    await eventually(lambda: proxy.counters()["tarpit"] == 3)


async def test_the_tarpit_holds_a_thousand_and_closes_the_next(net: Net) -> None:
    backend = await net.status()
    limit = Limit(SLOW, 1, Action.TARPIT)
    proxy = await net.proxy(server("a", backend), limits=limits(connections=limit), flood=Flood(0))
    assert await answers(net, proxy, 1) == [True]
    for _ in range(1000):
        await net.client(proxy, status_request())
    await eventually(lambda: proxy.counters()["tarpit"] == 1000)
    late = await net.client(proxy, status_request())
    assert await late.rest_or_reset() == b""
    assert proxy.counters()["tarpit"] == 1000
    assert refused(proxy) == {"rate_connections": 1}


async def test_a_flood_is_told_once_when_it_begins_and_once_when_it_ends(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend),
        limits=limits(connections=three(Action.TARPIT)),
        flood=Flood(begin=20, end=10, calm=0.5),
    )
    for _ in range(60):
        client = await net.client(proxy, status_request() + PING)
        client.close()
    (began,) = await eventually(lambda: net.told(FloodBegan))
    assert began.connections == 21
    (ended,) = await eventually(lambda: net.told(FloodEnded))
    assert ended.duration >= 0.5
    assert len(net.told(FloodBegan)) == 1
    assert proxy.counters()["floods"] == 1
    # Nobody was told one by one, nor held, what came after it began.
    assert len(net.told(Refused)) < 20 < refused(proxy)["rate_connections"]
    assert await answers(net, proxy, 1, local="127.0.0.2") == [True]


async def test_in_a_flood_nobody_is_held_and_a_new_player_joins(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(
        server("a", backend),
        server("b", await net.status()),
        limits=limits(connections=three(Action.TARPIT)),
        flood=Flood(begin=20, end=10, calm=3600),
    )
    for _ in range(60):
        (await net.client(proxy, status_request("b.example"))).close()
    await eventually(lambda: net.told(FloodBegan))
    await eventually(lambda: proxy.counters()["tarpit"] == 0)
    late = await net.client(proxy, status_request())
    with pytest.raises(ConnectionResetError):
        await late.some()
    await net.relay(proxy, backend, local="127.0.0.2")


async def test_in_a_flood_the_first_packets_have_less_time(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(
        server("a", backend),
        limits=limits(),
        flood=Flood(begin=5, end=2, calm=3600, handshake=0.1),
        timeouts=Timeouts(handshake=3600),
    )
    for _ in range(10):
        await net.client(proxy, status_request())
    await eventually(lambda: net.told(FloodBegan))
    half = await net.client(proxy, handshake()[:5])
    assert await half.rest_or_reset() == b""
    await eventually(lambda: refused(proxy).get("silent"))


@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("limits.prefix_v6", {"limits": Limits(prefix_v6=65)}),
        ("limits.status.burst", {"limits": Limits(status=Limit(1, 0))}),
        ("limits.logins.rate", {"limits": Limits(logins=Limit(-1, 1))}),
        ("limits.exempt", {"limits": Limits(exempt=("nowhere",))}),
        ("flood.begin", {"flood": Flood(begin=-1)}),
        ("limits.message", {"limits": Limits(message="x" * 300000)}),
    ],
)
def test_limits_that_make_no_sense_are_refused(where: str, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=where):
        Proxy(settings(server("a", "127.0.0.1:1"), **more))
