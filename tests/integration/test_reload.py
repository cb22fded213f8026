"""New settings while sessions are open: all of them or none, and nobody is disturbed."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from mcproxy.errors import ConfigurationError, McproxyError
from mcproxy.proxy import Filters, Motd, SessionClosed, StatusPolicy, Timeouts
from tests.integration.peers import (
    Net,
    Wire,
    eventually,
    join,
    refused,
    server,
    settings,
    status_request,
    status_text,
)


async def echoes(client: Wire, far: Wire, message: bytes = b"still here") -> None:
    await client.send(message)
    assert await far.take(len(message)) == message
    await far.send(message)
    assert await client.take(len(message)) == message


async def test_sessions_live_through_a_reload_that_removes_their_server(net: Net) -> None:
    old, new = net.backend(), net.backend()
    proxy = await net.proxy(server("old", old, domains=("a.example",)))
    client, far = await net.relay(proxy, old)
    await proxy.apply(
        replace(proxy.settings, servers=(server("new", new, domains=("a.example",)),))
    )
    await echoes(client, far)
    other, there = await net.relay(proxy, new)
    await echoes(other, there)
    client.finish()
    far.close()
    closed = (await eventually(lambda: net.told(SessionClosed)))[0]
    assert closed.server == "old"


async def test_listeners_come_and_go_and_their_sessions_stay(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), bind=("127.0.0.1:0", "127.0.0.2:0"))
    (first, second) = proxy.addresses
    client, far = await net.relay(proxy, backend)
    await proxy.apply(replace(proxy.settings, bind=("127.0.0.2:0", "127.0.0.3:0")))
    assert proxy.addresses[0] == second
    third = proxy.addresses[1]
    assert third[0] == "127.0.0.3"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*first)
    for address in (second, third):
        proxy_at = await net.client(proxy, to=address[0]) if address == second else None
        if proxy_at:
            await proxy_at.send(join())
            await backend.accept(join())
    reader, writer = await asyncio.open_connection(*third)
    writer.write(join())
    there = await backend.accept(join())
    await there.send(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await echoes(client, far)


async def test_every_listener_may_be_replaced_at_once(net: Net) -> None:
    backend = net.backend()
    binds = tuple(f"127.0.1.{i}:0" for i in range(1, 65))
    proxy = await net.proxy(server("a", backend), bind=binds)
    assert len(proxy.addresses) == 64
    await proxy.apply(replace(proxy.settings, bind=tuple(f"127.0.2.{i}:0" for i in range(1, 65))))
    for address in proxy.addresses:
        _, writer = await asyncio.open_connection(*address)
        writer.write(join())
        await backend.accept(join())
        writer.close()
    with pytest.raises(ConfigurationError, match="65"):
        await proxy.apply(
            replace(proxy.settings, bind=tuple(f"127.0.2.{i}:0" for i in range(1, 66)))
        )


def broken(taken: str) -> dict[str, Any]:
    return {
        "bind: taken": {"bind": (taken,)},
        "bind: not ours": {"bind": ("192.0.2.1:25599",)},
        "bind: one of two is taken": {"bind": ("127.0.0.4:0", taken)},
        "duplicate": {"servers": (server("x", "127.0.0.1:1"), server("x", "127.0.0.1:2"))},
        "bad address": {"servers": (server("x", "127.0.0.1:99999"),)},
        "bad filter": {"filters": Filters(blacklist=("127.0.0.1/99",))},
        "bad filter of a server": {
            "servers": (server("x", "127.0.0.1:1", filters=Filters(whitelist=("?",))),)
        },
        "no such default": {"default": "nowhere"},
        "workers": {"workers": 1},
        "long text": {"servers": (server("x", "127.0.0.1:1", disconnect_message="x" * 300_000),)},
        "long text for unknown hosts": {"unknown_message": "x" * 300_000},
        "long MOTD": {"motd_unknown": Motd(text="x" * 300_000)},
        "endless": {"timeouts": Timeouts(idle=math.inf)},
        "negative": {"timeouts": Timeouts(connect=-1)},
        "no number": {"timeouts": Timeouts(handshake=math.nan)},
    }


@pytest.mark.parametrize("what", broken(""))
async def test_settings_that_cannot_work_change_nothing(what: str, net: Net) -> None:
    backend, taken = net.backend(), net.backend()
    proxy = await net.proxy(server("a", backend), unknown_message="as before")
    client, far = await net.relay(proxy, backend)
    before, addresses, router = proxy.settings, proxy.addresses, proxy.router
    change = {"bind": ("127.0.0.5:0",), "filters": Filters(blacklist=("127.0.0.0/8",))}
    with pytest.raises(ConfigurationError):
        await proxy.apply(replace(before, **{**change, **broken(taken.address)[what]}))
    assert proxy.settings is before
    assert proxy.router is router
    assert proxy.addresses == addresses
    await echoes(client, far)
    await net.relay(proxy, backend)
    unknown = await net.client(proxy, join("b.example"))
    assert b"as before" in await unknown.rest()


async def test_settings_that_cannot_work_are_refused_before_anything_starts(net: Net) -> None:
    taken = net.backend()
    for what, change in broken(taken.address).items():
        if what == "workers":
            continue
        with pytest.raises(ConfigurationError):
            await net.proxy(*change.pop("servers", (server("a", "127.0.0.1:1"),)), **change)


async def test_filters_change_for_those_who_come_next(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend, local="127.0.0.7")
    await proxy.apply(replace(proxy.settings, filters=Filters(blacklist=("127.0.0.7",))))
    assert await (await net.client(proxy, join(), local="127.0.0.7")).rest_or_reset() == b""
    assert refused(proxy) == {"filtered": 1}
    await echoes(client, far)
    closed = server("a", backend, filters=Filters(whitelist=("127.0.0.9",)))
    await proxy.apply(replace(proxy.settings, servers=(closed,), filters=Filters()))
    assert await (await net.client(proxy, join(), local="127.0.0.7")).rest_or_reset() == b""
    assert refused(proxy) == {"filtered": 1, "filtered_server": 1}
    await echoes(client, far)


async def test_a_status_that_a_reload_overtakes_is_asked_for_again(net: Net) -> None:
    backend = await net.status({"description": "hello"})
    backend.answer_when.clear()
    long = StatusPolicy(ttl=600)
    proxy = await net.proxy(
        server("a", backend, motd_online=Motd(text="before")), status=long, workers=1
    )
    early = await net.client(proxy, status_request())
    await backend.connected.wait()
    await proxy.apply(
        replace(proxy.settings, servers=(server("a", backend, motd_online=Motd(text="after")),))
    )
    backend.answer_when.set()
    await early.frame()
    late = await net.client(proxy, status_request())
    assert "after" in str(json.loads(status_text(await late.frame()))["description"])


async def test_texts_change_with_a_reload(net: Net) -> None:
    proxy = await net.proxy(
        server("a", net.nobody(), motd_offline=Motd(text="sleeping")),
        motd_unknown=Motd(text="first"),
        unknown_message="first",
        status=StatusPolicy(ttl=600, negative_ttl=600),
    )

    async def seen(data: bytes) -> bytes:
        client = await net.client(proxy, data)
        frame = await client.frame()
        client.close()
        return frame

    assert b"first" in await seen(status_request("b.example"))
    assert b"first" in await seen(join("b.example"))
    assert b"sleeping" in await seen(status_request())
    await proxy.apply(
        replace(
            proxy.settings,
            servers=(server("a", net.nobody(), motd_offline=Motd(text="dreaming")),),
            motd_unknown=Motd(text="second"),
            unknown_message="second",
        )
    )
    assert b"second" in await seen(status_request("b.example"))
    assert b"second" in await seen(join("b.example"))
    assert b"dreaming" in await seen(status_request())


async def test_reloads_under_load_lose_no_session(net: Net) -> None:
    a, b = net.backend(), net.backend()
    alive = await net.status({"description": "hello"})
    proxy = await net.proxy(server("a", a), server("s", alive))
    stay = [await net.relay(proxy, a) for _ in range(30)]
    done = asyncio.Event()
    reloads = 0

    async def reload() -> None:
        nonlocal reloads
        for number in itertools.count():
            if done.is_set():
                return
            servers = [server("a", a if number % 2 else b), server("s", alive)]
            servers += [server(f"more{i}", "127.0.0.1:1") for i in range(number % 5)]
            lists = Filters(blacklist=tuple(f"10.{number % 7}.{i}.0/24" for i in range(50)))
            binds = (proxy.settings.bind[0], *(("127.0.0.2:0",) if number % 3 else ()))
            await proxy.apply(
                replace(
                    proxy.settings,
                    servers=tuple(servers),
                    filters=lists,
                    bind=binds,
                    status=StatusPolicy(ttl=0.01 + number % 2),
                )
            )
            reloads += 1

    async def serve(backend: Any) -> None:
        while True:
            far = await backend.accept(join())
            await far.send(b"welcome")
            assert await far.some() == b""
            far.close()

    async def play() -> None:
        for turn in range(25):
            client = await net.client(proxy, join())
            assert await client.take(7) == b"welcome"
            client.finish()
            assert await client.rest() == b""
            asker = await net.client(proxy, status_request("s.example", protocol=47 + turn % 3))
            assert "hello" in status_text(await asker.frame())
            asker.close()

    async def talk(client: Wire, far: Wire) -> None:
        for number in range(25):
            await echoes(client, far, b"%d " % number * 1000)

    serving = [asyncio.create_task(serve(backend)) for backend in (a, b)]
    reloading = asyncio.create_task(reload())
    await asyncio.gather(*(play() for _ in range(8)), *(talk(*pair) for pair in stay))
    done.set()
    await reloading
    assert reloads > 5
    assert all(not task.done() for task in serving)
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert refused(proxy) == {}
    ended = proxy.counters()["ended"]
    assert ended["client_lost"] == ended["backend_lost"] == ended["shutdown"] == 0


async def test_a_stopping_proxy_takes_no_settings(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend)
    stopping = asyncio.create_task(proxy.stop(600))
    await eventually(lambda: proxy._stopping)
    with pytest.raises(McproxyError, match="stopping"):
        await proxy.apply(replace(proxy.settings, bind=("127.0.0.6:0",)))
    await echoes(client, far)
    client.close()
    far.close()
    await stopping


async def test_a_drain_lets_sessions_end_and_takes_no_new_ones(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    address = proxy.addresses[0]
    client, far = await net.relay(proxy, backend)
    stopping = asyncio.create_task(proxy.stop(600))

    async def refuses() -> bool:
        try:
            _, writer = await asyncio.open_connection(*address)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    async with asyncio.timeout(60):
        while not await refuses():  # noqa: ASYNC110 (only connecting shows it)
            await asyncio.sleep(0.01)
    await echoes(client, far)
    assert not stopping.done()
    client.finish()
    far.close()
    await stopping


async def test_a_second_stop_hurries_the_first(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, _ = await net.relay(proxy, backend)
    patient = asyncio.create_task(proxy.stop(600))
    await eventually(lambda: proxy._stopping)
    await asyncio.gather(proxy.stop(0), proxy.stop(0), proxy.stop(0.01))
    await patient
    assert await client.rest_or_reset() == b""
    assert proxy.counters()["ended"]["shutdown"] == 1


async def test_a_proxy_may_be_started_again(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    await net.relay(proxy, backend)
    await proxy.stop(0)
    with pytest.raises(McproxyError, match="not running"):
        _ = proxy.addresses
    await proxy.start()
    client, far = await net.relay(proxy, backend)
    await echoes(client, far)
    await proxy.apply(settings(server("a", backend)))
    await echoes(client, far)
