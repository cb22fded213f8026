"""The server list: asked once, answered many times, and told the truth about dead backends."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from mcproxy.proxy import Motd, StatusPolicy, Timeouts
from tests.integration.peers import (
    PING,
    STATUS_REQUEST,
    Net,
    Wire,
    eventually,
    framed,
    handshake,
    legacy_16,
    refused,
    server,
    status_request,
    status_text,
)
from tests.unit.wire_bytes import hello

LONG = StatusPolicy(ttl=600)


async def ask(net: Net, proxy, data: bytes = b"", **more) -> dict:
    client = await net.client(proxy, data or status_request(**more))
    status = json.loads(status_text(await client.frame()))
    client.close()
    return status


async def test_many_askers_cost_one_question(net: Net) -> None:
    backend = await net.status({"description": "hello"})
    backend.answer_when.clear()
    proxy = await net.proxy(server("a", backend), status=LONG)
    clients = [await net.client(proxy, status_request() + PING) for _ in range(100)]
    await backend.connected.wait()
    await eventually(lambda: proxy.counters()["accepted"] == 100)
    backend.answer_when.set()
    for client in clients:
        assert json.loads(status_text(await client.frame()))["description"] == "hello"
        assert await client.take(10) == PING
        assert await client.rest() == b""
    assert (await ask(net, proxy))["description"] == "hello"
    assert backend.connections == 1
    counters = proxy.counters()
    assert counters["status_answered"] == 101
    assert counters["pings"] == 100
    assert counters["status_wanted"] <= proxy.workers
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert proxy.counters()["ended"]["status_done"] == 101
    assert refused(proxy) == {}


async def test_unknown_protocol_numbers_share_one_question(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), status=LONG)
    for protocol in (-1, 3, 48, 99999, 0x40000001, 0x400000FF, 2**31 - 1, -(2**31)):
        await ask(net, proxy, protocol=protocol)
    assert backend.connections == 1
    await ask(net, proxy, protocol=47)
    assert backend.connections == 2


async def test_a_question_carries_the_asker_s_protocol_and_a_name_of_the_server(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), status=LONG)
    await ask(net, proxy, protocol=340)
    assert backend.handshakes == [hello("a.example", 340, backend.endpoint[1], 1)]


async def test_an_answer_lives_for_the_ttl(net: Net) -> None:
    backend = await net.status({"description": "first"})
    proxy = await net.proxy(server("a", backend), status=StatusPolicy(ttl=0.2))
    assert (await ask(net, proxy))["description"] == "first"
    backend.status = {"description": "second"}
    await asyncio.sleep(0.25)
    assert (await ask(net, proxy))["description"] == "second"


async def test_a_dead_backend_is_shown_stale_and_then_offline(net: Net) -> None:
    backend = await net.status({"description": "alive"})
    proxy = await net.proxy(
        server("a", backend, motd_offline=Motd(text="asleep")),
        status=StatusPolicy(ttl=0.05, max_stale=0.5, negative_ttl=0.05),
    )
    assert (await ask(net, proxy))["description"] == "alive"
    backend.mode = "close"
    backend.server.close()
    await asyncio.sleep(0.1)
    seen = [str((await ask(net, proxy))["description"])]
    async with asyncio.timeout(30):
        while "asleep" not in seen[-1]:
            seen.append(str((await ask(net, proxy))["description"]))
            await asyncio.sleep(0.02)
    assert seen[0] == "alive"
    assert {text for text in seen if "asleep" not in text} == {"alive"}


async def test_a_backend_that_never_lived_is_offline_and_asked_rarely(net: Net) -> None:
    backend = await net.status(mode="close")
    proxy = await net.proxy(
        server("a", backend, motd_offline=Motd(text="asleep", max_players=7)),
        status=StatusPolicy(negative_ttl=600),
    )
    for _ in range(5):
        status = await ask(net, proxy)
        assert "asleep" in str(status["description"])
        assert status["players"]["max"] == 7
        assert status["version"]["protocol"] == 763
    assert backend.connections <= 2


async def test_what_the_settings_say_is_merged_into_the_answer(net: Net) -> None:
    forge = {"fmlNetworkVersion": 3, "channels": [], "mods": []}
    backend = await net.status(
        {
            "description": "from the backend",
            "version": {"name": "1.20.1", "protocol": 763},
            "players": {"max": 20, "online": 3},
            "forgeData": forge,
        }
    )
    # A component is a dict.
    proxy = await net.proxy(
        server("a", backend, motd_online=Motd(text={"text": "from us"}, max_players=500))
    )
    status = await ask(net, proxy)
    assert status["description"] == {"text": "from us"}
    assert status["players"] == {"max": 500, "online": 3}
    assert status["version"] == {"name": "1.20.1", "protocol": 763}
    assert status["forgeData"] == forge


async def test_unknown_hosts_have_an_answer_of_their_own(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), motd_unknown=Motd(text="Who?"))
    assert "Who?" in str((await ask(net, proxy, host="b.example"))["description"])
    assert backend.connections == 0


@pytest.mark.parametrize("cached", [False, True])
async def test_a_ping_in_the_same_segment_is_answered(cached: bool, net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status()), status=LONG)
    if cached:
        await ask(net, proxy)
    client = await net.client(proxy, status_request() + PING)
    await client.frame()
    assert await client.rest() == PING


async def test_a_ping_behind_the_answer_is_answered(net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status()))
    client = await net.client(proxy, status_request())
    await client.frame()
    await client.send(PING)
    assert await client.rest() == PING
    await eventually(lambda: proxy.counters()["ended"]["status_done"] == 1)


async def test_a_ping_while_the_backend_is_asked_is_answered_behind_the_status(net: Net) -> None:
    backend = await net.status()
    backend.answer_when.clear()
    proxy = await net.proxy(server("a", backend))
    client = await net.client(proxy, status_request())
    await backend.connected.wait()
    await client.send(PING)
    await asyncio.sleep(0.05)
    backend.answer_when.set()
    await client.frame()
    assert await client.rest() == PING


async def test_a_ping_alone_is_answered(net: Net) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend))
    client = await net.client(proxy, handshake(intent=1) + PING)
    assert await client.rest() == PING
    assert backend.connections == 0
    assert refused(proxy) == {}


async def test_single_bytes_make_the_same_requests(net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status()))
    client = await net.client(proxy)
    for byte in status_request() + PING:
        await client.send(bytes((byte,)))
        await asyncio.sleep(0)
    await client.frame()
    assert await client.rest() == PING


@pytest.mark.parametrize("ping", [b"", PING])
@pytest.mark.parametrize("cached", [False, True])
async def test_a_client_that_closes_its_half_is_still_answered(
    cached: bool, ping: bytes, net: Net
) -> None:
    backend = await net.status()
    proxy = await net.proxy(server("a", backend), status=LONG)
    if cached:
        await ask(net, proxy)
    else:
        backend.answer_when.clear()
    client = await net.client(proxy, status_request() + ping)
    client.finish()
    if not cached:
        await backend.connected.wait()
        await asyncio.sleep(0.05)
        backend.answer_when.set()
    await client.frame()
    assert await client.rest() == ping
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert refused(proxy) == {}


LEGACY = {"beta": b"\xfe", "1.4": b"\xfe\x01", "1.6": legacy_16()}


@pytest.mark.parametrize("finish", [False, True])
@pytest.mark.parametrize("kind", LEGACY)
async def test_pings_from_before_1_7(kind: str, finish: bool, net: Net) -> None:
    backend = await net.status(
        {
            "description": "§aHello",
            "version": {"name": "1.20.1", "protocol": 763},
            "players": {"max": 20, "online": 3},
        }
    )
    proxy = await net.proxy(server("a", backend), default="a")
    client = await net.client(proxy, LEGACY[kind])
    if finish:
        client.finish()
    reply = await client.rest()
    assert reply[0] == 0xFF
    assert len(reply) == 3 + 2 * int.from_bytes(reply[1:3])
    text = reply[3:].decode("utf-16-be")
    if kind == "beta":
        assert text == "Hello§3§20"
    else:
        assert text.split("\0") == ["§1", "127", "1.20.1", "§aHello", "3", "20"]
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert proxy.counters()["legacy_pings"] == 1
    assert refused(proxy) == {}


async def test_a_1_6_ping_in_single_bytes(net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status({"description": "hello"})))
    client = await net.client(proxy)
    for byte in legacy_16():
        await client.send(bytes((byte,)))
        await asyncio.sleep(0)
    assert "hello" in (await client.rest())[3:].decode("utf-16-be")


@pytest.mark.parametrize("pieces", [1, 300])
async def test_a_modern_frame_that_begins_like_a_legacy_ping_is_modern(
    pieces: int, net: Net
) -> None:
    backend = net.backend()
    opening = framed(hello("h" * 246, protocol=763, intent=2))
    assert opening[:2] == b"\xfe\x01"
    assert len(opening) == 254 + 2
    proxy = await net.proxy(server("a", backend, domains=("h*",)))
    client = await net.client(proxy)
    step = -(-len(opening) // pieces)
    for at in range(0, len(opening), step):
        await client.send(opening[at : at + step])
        await asyncio.sleep(0)
    await backend.accept(opening)
    assert proxy.counters()["legacy_pings"] == 0


async def test_a_big_status_reaches_a_slow_reader(net: Net) -> None:
    icon = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 80).decode()
    backend = await net.status({"description": "x", "favicon": icon})
    proxy = await net.proxy(server("a", backend), status=LONG)
    client = await net.client(proxy, status_request(), buffer=2048)
    data = b""
    while len(data) < len(icon):
        data += await client.some(1000)
        await asyncio.sleep(0)
    await client.send(PING)
    data += await client.rest()
    assert icon.encode() in data
    assert data.endswith(PING)


async def test_a_reader_that_is_slower_than_the_kernel_s_buffers_gets_it_all(net: Net) -> None:
    """Answers that no socket takes at once: the rest waits for the reader."""
    icon = "data:image/png;base64," + "A" * 30_000
    backend = await net.status({"description": "x", "favicon": icon})
    proxy = await net.proxy(server("a", backend), status=LONG, timeouts=Timeouts(handshake=600))
    await ask(net, proxy)
    clients: list[Wire] = [
        await net.client(proxy, status_request() + PING, buffer=2048) for _ in range(20)
    ]
    await eventually(lambda: proxy.counters()["status_answered"] == 21)
    for client in clients:
        data = await client.rest()
        assert icon.encode() in data
        assert data.endswith(PING)


async def test_a_hanging_backend_holds_up_no_other(net: Net) -> None:
    hanging, lively = await net.status(mode="silent"), await net.status({"description": "here"})
    proxy = await net.proxy(server("a", hanging), server("b", lively))
    waiting = [await net.client(proxy, status_request("a.example")) for _ in range(20)]
    assert (await ask(net, proxy, host="b.example"))["description"] == "here"
    for client in waiting:
        client.reset()
    await eventually(lambda: proxy.counters()["open"] == 0)


async def test_requests_of_a_status_are_one_and_one(net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status()), status=LONG)
    await ask(net, proxy)
    client = await net.client(proxy, status_request() + STATUS_REQUEST)
    await client.rest_or_reset()
    await eventually(lambda: refused(proxy) == {"bad_status": 1})
