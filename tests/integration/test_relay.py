"""Bytes between a client and its backend: all of them, in order, and no more memory than agreed."""

from __future__ import annotations

import asyncio
import hashlib
import random
import resource
import socket
import uuid

import pytest

from mcproxy.proxy import (
    BackendFailed,
    Mode,
    Refused,
    SessionClosed,
    SessionOpened,
    Timeouts,
)
from tests.integration.peers import (
    Net,
    Wire,
    eventually,
    framed,
    handshake,
    join,
    login_start,
    refused,
    server,
)
from tests.unit.wire_bytes import text

MEGABYTE = 1 << 20
HELD_MOST = 2 * (MEGABYTE + 65536)
"""Bytes that the proxy may hold for one session: a pipe and a block each way."""


async def pour(wire: Wire, seed: int, total: int) -> str:
    """Send random bytes in pieces of random sizes and close that half; their hash."""
    chance = random.Random(seed)
    stock = chance.randbytes(300_000)
    digest = hashlib.sha256()
    sent = 0
    while sent < total:
        size = min(total - sent, chance.choice((1, 7, 300, 5_000, 65_536, 300_000)))
        at = chance.randrange(len(stock) - size + 1)
        digest.update(stock[at : at + size])
        await wire.send(stock[at : at + size])
        sent += size
    wire.finish()
    return digest.hexdigest()


async def drink(wire: Wire) -> str:
    digest = hashlib.sha256()
    async for piece in wire:
        digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("mode", Mode)
async def test_every_byte_arrives_in_both_directions_at_once(mode: Mode, net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, mode=mode))
    sizes = (1, 100_000, 12_000_000)
    pairs = [await net.relay(proxy, backend) for _ in sizes]
    for size, (client, far) in zip(sizes, pairs, strict=True):
        sent_up, sent_down, got_up, got_down = await asyncio.gather(
            pour(client, size, size), pour(far, size + 1, size), drink(far), drink(client)
        )
        assert (got_up, got_down) == (sent_up, sent_down)
    await eventually(lambda: proxy.counters()["open"] == 0)
    counters = proxy.counters()
    assert counters["serverbound_bytes"] == sum(sizes) + 3 * len(join())
    assert counters["clientbound_bytes"] == sum(sizes)
    assert counters["relayed"] == 3
    await eventually(lambda: len(net.told(SessionClosed)) == 3)
    assert {(e.serverbound, e.clientbound) for e in net.told(SessionClosed)} == {
        (size + len(join()), size) for size in sizes
    }
    if mode is Mode.ZERO_COPY:
        assert counters["spliced"] >= 6


@pytest.mark.parametrize("mode", Mode)
async def test_a_half_that_ends_leaves_the_other_open(mode: Mode, net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, mode=mode))
    client, far = await net.relay(proxy, backend)
    client.finish()
    assert await far.some() == b""
    for _ in range(3):
        await far.send(b"still talking")
        assert await client.take(13) == b"still talking"
    far.finish()
    assert await client.rest() == b""
    await eventually(lambda: proxy.counters()["ended"]["client_closed"] == 1)

    client, far = await net.relay(proxy, backend)
    far.finish()
    assert await client.some() == b""
    for _ in range(3):
        await client.send(b"still talking")
        assert await far.take(13) == b"still talking"
    client.finish()
    assert await far.rest() == b""
    await eventually(lambda: proxy.counters()["ended"]["backend_closed"] == 1)


async def test_a_kick_before_the_backend_closes_reaches_the_client(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend)
    await far.send(b"You are kicked")
    far.close()
    assert await client.rest() == b"You are kicked"
    await eventually(lambda: proxy.counters()["ended"]["backend_closed"] == 1)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("size", [20, 200_000])
async def test_a_kick_before_a_reset_reaches_a_client_that_is_still_sending(
    size: int, mode: Mode, net: Net
) -> None:
    """A backend that closes with bytes of the client unread sends its text and then a reset."""
    backend = net.backend(buffer=4096)
    proxy = await net.proxy(server("a", backend, mode=mode))
    client, far = await net.relay(proxy, backend, buffer=4096)
    chatting = asyncio.create_task(chat(client))
    kick = random.Random(1).randbytes(size)
    await far.send(kick)
    await eventually(lambda: far.unsent() == 0 and far.unread() > 0)
    far.close()  # unread bytes make this a reset
    await asyncio.sleep(0.1)
    assert await client.take(len(kick)) == kick
    chatting.cancel()
    await asyncio.gather(chatting, return_exceptions=True)
    assert await client.rest_or_reset() == b""
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert {k: v for k, v in proxy.counters()["ended"].items() if v} == {"backend_lost": 1}


async def chat(client: Wire) -> None:
    try:
        while True:
            await client.send(b"x" * 1000)
            await asyncio.sleep(0.001)
    except OSError:
        pass


async def test_a_client_that_is_gone_ends_the_backend_s_side(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend)
    await client.send(b"last words")
    client.reset()
    assert await far.rest_or_reset() in (b"last words", b"")
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert proxy.counters()["ended"]["client_lost"] == 1


async def test_what_a_client_sent_before_it_was_lost_still_reaches_the_backend(net: Net) -> None:
    backend = net.backend(buffer=4096)
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend)
    sending = asyncio.create_task(client.send(b"x" * 3_000_000))
    await far.send(b"hello")
    await client.take(5)
    got = len(await far.take(1))
    while not sending.done():
        got += len(await far.some())
    client.reset()
    got += len(await far.rest_or_reset())
    assert got <= 3_000_000
    await eventually(lambda: proxy.counters()["open"] == 0)


async def stall(wire: Wire) -> int:
    """Send until nobody takes more; the bytes that were taken."""
    sent, block, idle = 0, b"y" * 65536, 0
    while idle < 40:
        try:
            sent += wire.sock.send(block)
            idle = 0
        except BlockingIOError:
            idle += 1
            await asyncio.sleep(0.005)
    return sent


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("slow", ["client", "backend"])
async def test_a_reader_that_stops_stops_its_sender(slow: str, mode: Mode, net: Net) -> None:
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend, mode=mode), workers=1)
    client, far = await net.relay(proxy, backend, buffer=8192)
    source, sink = (far, client) if slow == "client" else (client, far)
    sent = await stall(source)
    assert 0 < proxy.counters()["buffered_bytes"] <= HELD_MOST
    # The other direction is not held up.
    await sink.send(b"over here")
    assert await source.take(9) == b"over here"
    source.finish()
    got = 0
    async for piece in sink:
        got += len(piece)
    assert got == sent
    sink.finish()
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert proxy.counters()["buffered_bytes"] == 0


@pytest.mark.parametrize("mode", Mode)
async def test_a_reader_that_stops_and_goes_gives_the_memory_back(mode: Mode, net: Net) -> None:
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend, mode=mode), workers=1)
    for _ in range(5):
        client, far = await net.relay(proxy, backend, buffer=8192)
        await asyncio.gather(stall(far), stall(client))
        client.reset()
        far.reset()
    await eventually(lambda: proxy.counters()["open"] == 0)
    assert proxy.counters()["buffered_bytes"] == 0


async def test_a_lost_client_with_a_stopped_backend_costs_no_time(net: Net) -> None:
    """Bytes that wait for the backend keep the session; the worker must sleep meanwhile."""
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend), workers=1)
    client, far = await net.relay(proxy, backend, buffer=8192, sending=16384)
    await stall(client)
    client.reset()
    await far.send(b"to nobody")
    await asyncio.sleep(0.1)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(1)
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.5  # processor time: a worker that spins takes all of the second
    far.reset()
    await eventually(lambda: proxy.counters()["open"] == 0)


async def test_bulk_switches_to_splice_and_small_messages_back(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    client, far = await net.relay(proxy, backend)
    for round_ in range(1, 4):
        sent, got = await asyncio.gather(far.send(b"z" * 8_000_000), client.take(8_000_000))
        assert sent is None
        assert got == b"z" * 8_000_000
        assert proxy.counters()["spliced"] >= round_
        for number in range(40):  # small messages leave splice again
            message = b"message %d" % number
            await far.send(message)
            assert await client.take(len(message)) == message
    assert proxy.counters()["buffered_bytes"] == 0


async def test_server_only_tells_name_and_uuid(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, mode=Mode.SERVER_ONLY))
    known = uuid.UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")
    starts = {
        764: framed(b"\0" + text("Notch") + known.bytes),
        763: framed(b"\0" + text("Notch") + b"\1" + known.bytes),
        759: framed(b"\0" + text("Notch") + b"\0"),
        47: framed(b"\0" + text("Notch")),
    }
    for protocol, start in starts.items():
        opening = handshake(protocol=protocol) + start
        await net.client(proxy, opening)
        await backend.accept(opening)
    await eventually(lambda: len(net.told(SessionOpened)) == 4)
    met = {event.protocol: (event.name, event.uuid) for event in net.told(SessionOpened)}
    assert met == {
        764: ("Notch", known),
        763: ("Notch", known),
        759: ("Notch", None),
        47: ("Notch", None),
    }


async def test_passthrough_connects_before_login_start(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client = await net.client(proxy, handshake())
    far = await backend.accept(handshake())
    await client.send(login_start())
    assert await far.take(len(login_start())) == login_start()
    opened = (await eventually(lambda: net.told(SessionOpened)))[0]
    assert (opened.name, opened.uuid, opened.protocol) == (None, None, 763)
    assert opened.client == client.name
    assert opened.backend == backend.endpoint


async def test_the_next_address_is_tried(net: Net) -> None:  # M-18
    backend = net.backend()
    proxy = await net.proxy(
        server("a", net.nobody(), net.full(), backend), timeouts=Timeouts(connect=0.2)
    )
    await net.relay(proxy, backend)
    await eventually(lambda: len(net.told(BackendFailed)) == 2)
    assert [event.error for event in net.told(BackendFailed)] == [
        "Connection refused",
        "Connection timed out",
    ]
    assert proxy.counters()["dial_failed"] == 2


async def test_a_connect_that_hangs_is_ended_and_told(net: Net) -> None:
    proxy = await net.proxy(server("a", net.full()), timeouts=Timeouts(connect=0.2))
    client = await net.client(proxy, join())
    assert b"not available" in await client.frame()
    assert await client.rest() == b""
    await eventually(lambda: refused(proxy) == {"no_backend": 1})
    assert (await eventually(lambda: net.told(Refused)))[0].server == "a"


async def test_a_client_that_leaves_while_it_is_connected_is_let_go(net: Net) -> None:
    proxy = await net.proxy(server("a", net.full()), timeouts=Timeouts(connect=600))
    client = await net.client(proxy, join())
    await eventually(lambda: proxy.counters()["open"] == 1)
    client.reset()
    await eventually(lambda: proxy.counters()["open"] == 0)


async def test_idle_relays_end_and_busy_ones_do_not(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), timeouts=Timeouts(idle=0.6))
    idle_client, idle_far = await net.relay(proxy, backend)
    busy_client, busy_far = await net.relay(proxy, backend)

    async def keep_busy() -> None:
        for number in range(20):
            source, sink = (busy_client, busy_far) if number % 2 else (busy_far, busy_client)
            await source.send(b"tick")
            assert await sink.take(4) == b"tick"
            await asyncio.sleep(0.05)

    busy = asyncio.create_task(keep_busy())
    assert await idle_client.rest_or_reset() == b""
    assert await idle_far.rest_or_reset() == b""
    await busy
    assert proxy.counters()["ended"]["idle"] == 1
    assert proxy.counters()["relaying"] == 1


async def test_a_thousand_sessions_do_not_mix(net: Net) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft >= 5000 or hard >= 5000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5000), hard))
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=2)

    async def play(number: int) -> None:
        name = f"player{number}"
        opening = handshake() + login_start(name)
        client = await net.client(proxy, opening)
        for turn in range(5):
            message = b"%d/%d" % (number, turn)
            await client.send(framed(message))
            assert await client.frame() == b"to " + message
        client.finish()
        assert await client.rest() == b"bye " + name.encode()

    async def serve(far: Wire) -> None:
        await far.frame()
        name = (await far.frame())[2:-1]
        try:
            while True:
                message = await far.frame()
                await far.send(framed(b"to " + message))
        except EOFError:
            await far.send(b"bye " + name)
            far.close()

    async def serve_all() -> None:
        serving = [asyncio.create_task(serve(await backend.accept())) for _ in range(1000)]
        await asyncio.gather(*serving)

    await asyncio.gather(serve_all(), *(play(number) for number in range(1000)))
    await eventually(lambda: proxy.counters()["open"] == 0)
    counters = proxy.counters()
    assert counters["relayed"] == counters["accepted"] == 1000
    assert counters["ended"]["client_closed"] == 1000
    assert refused(proxy) == {}
    await eventually(lambda: len(net.told(SessionClosed)) + counters["events_dropped"] >= 1000)


async def test_more_than_the_first_bytes_may_come_before_the_backend_answers(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    flood = b"f" * 500_000
    opening = join()
    client = await net.client(proxy)
    sending = asyncio.create_task(client.send(opening + flood))
    far = await backend.accept(opening)
    assert await far.take(len(flood)) == flood
    await sending


async def test_sockets_of_a_relay_send_at_once(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    client, far = await net.relay(proxy, backend)
    # Many small messages without an answer in between: Nagle would hold the second one back.
    far.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in range(200):
        await far.send(b"%03d" % number)
        assert await client.take(3) == b"%03d" % number
