"""Bounds of running sessions: bytes that wait for slow readers, and the pace of a session."""
# M-12

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mcproxy.errors import ConfigurationError
from mcproxy.proxy import Buffers, Limits, Mode, Proxy, SessionClosed, SessionLimit
from tests.integration.peers import (
    Net,
    Wire,
    eventually,
    framed,
    join,
    server,
    settings,
)

BLOCK = 65536
"""Bytes of the piece in which the relay holds what was not taken."""


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


async def drain(wire: Wire, size: int) -> None:
    got = 0
    while got < size:
        piece = await wire.some()
        assert piece, f"the connection ended after {got} of {size} bytes"
        got += len(piece)
    assert got == size


def playing(**more: Any) -> Limits:
    return Limits(exempt=(), session=SessionLimit(**more))


@pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.ZERO_COPY])
@pytest.mark.parametrize("bound", [0, BLOCK - 1, BLOCK, 3 * BLOCK])
async def test_a_session_holds_no_more_than_its_bound_and_loses_nothing(
    bound: int, mode: Mode, net: Net
) -> None:
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(
        server("a", backend, mode=mode), workers=1, buffers=Buffers(session=bound)
    )
    client, far = await net.relay(proxy, backend, buffer=8192)
    down, up = await asyncio.gather(stall(far), stall(client))
    assert proxy.counters()["buffered_bytes"] <= bound
    await asyncio.gather(drain(client, down), drain(far, up))
    # It goes on as before.
    await asyncio.gather(far.send(b"z" * 300_000), drain(client, 300_000))
    assert proxy.counters()["buffered_bytes"] == 0


@pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.ZERO_COPY])
async def test_all_sessions_together_hold_no_more_than_the_bound(mode: Mode, net: Net) -> None:
    bound = 5 * BLOCK
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend, mode=mode), buffers=Buffers(total=bound))
    pairs = [await net.relay(proxy, backend, buffer=8192) for _ in range(12)]
    sent = await asyncio.gather(*(stall(far) for _, far in pairs))
    assert 0 < proxy.counters()["buffered_bytes"] <= bound
    assert proxy.counters()["unbuffered"] > 0
    # A player who reads is not held up by those who do not.
    client, far = await net.relay(proxy, backend)
    await asyncio.gather(far.send(b"z" * 2_000_000), drain(client, 2_000_000))
    # Nothing was lost, and nobody was thrown out.
    await asyncio.gather(*(drain(wire, size) for (wire, _), size in zip(pairs, sent, strict=True)))
    assert proxy.counters()["buffered_bytes"] == 0
    assert proxy.counters()["relaying"] == 13


async def test_when_memory_is_given_back_it_is_used_again(net: Net) -> None:
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend), workers=1, buffers=Buffers(total=BLOCK))
    for _ in range(3):
        client, far = await net.relay(proxy, backend, buffer=8192)
        await stall(far)
        assert proxy.counters()["buffered_bytes"] == BLOCK
        client.reset()
        await eventually(lambda: proxy.counters()["open"] == 0)
        assert proxy.counters()["buffered_bytes"] == 0


async def test_end_of_file_passes_through_a_session_without_room(net: Net) -> None:
    backend = net.backend(buffer=8192)
    proxy = await net.proxy(server("a", backend), workers=1, buffers=Buffers(session=0))
    client, far = await net.relay(proxy, backend, buffer=8192)
    sent = await stall(far)
    far.finish()
    assert len(await client.rest()) == sent
    await eventually(lambda: proxy.counters()["open"] == 0)


@pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.ZERO_COPY])
@pytest.mark.parametrize("direction", ["serverbound", "clientbound"])
async def test_a_sender_that_is_too_fast_is_read_at_the_pace(
    direction: str, mode: Mode, net: Net
) -> None:
    rate = 400_000
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, mode=mode), limits=playing(**{direction: rate}))
    client, far = await net.relay(proxy, backend)
    source, sink = (client, far) if direction == "serverbound" else (far, client)
    began = time.monotonic()
    # A second's worth passes at once, and the third half of it takes as long as it should.
    size = 3 * rate // 2
    await asyncio.gather(source.send(b"z" * size), drain(sink, size))
    assert time.monotonic() - began > 0.4
    assert proxy.counters()["paced"] > 0
    # The other direction has no limit.
    await asyncio.gather(sink.send(b"z" * 4 * rate), drain(source, 4 * rate))


@pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.ZERO_COPY])
async def test_a_byte_more_than_a_second_s_worth_ends_a_session_that_is_to_be_closed(
    mode: Mode, net: Net
) -> None:
    rate = 100_000
    backend = net.backend()
    limits = playing(serverbound=rate, action="close")
    proxy = await net.proxy(server("a", backend, mode=mode), limits=limits)
    client, far = await net.relay(proxy, backend)
    within = rate - len(join())
    await client.send(b"z" * within)
    await drain(far, within)
    assert proxy.counters()["relaying"] == 1
    await client.send(b"z" * rate)
    await client.rest_or_reset()
    (closed,) = await eventually(lambda: net.told(SessionClosed))
    assert closed.reason.name == "RATE_BYTES"


async def test_a_packet_more_than_a_second_s_worth_ends_a_session(net: Net) -> None:
    backend = net.backend()
    limits = playing(packets=100, action="close")
    proxy = await net.proxy(server("a", backend), limits=limits)
    client, far = await net.relay(proxy, backend)
    # Handshake and Login Start were two; a packet may come in pieces.
    packet = framed(b"\x1a" + bytes(300))
    await client.send(packet[:1])
    await client.send(packet[1:] + packet * 96)
    await drain(far, 97 * len(packet))
    assert proxy.counters()["relaying"] == 1
    await client.send(packet * 100)
    await client.rest_or_reset()
    (closed,) = await eventually(lambda: net.told(SessionClosed))
    assert closed.reason.name == "RATE_PACKETS"


async def test_packets_that_are_too_many_can_be_paced(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), limits=playing(packets=100))
    client, far = await net.relay(proxy, backend)
    packet = framed(b"\x1a" + bytes(2000))
    began = time.monotonic()
    await asyncio.gather(client.send(packet * 300), drain(far, 300 * len(packet)))
    assert time.monotonic() - began > 0.5


async def test_what_is_encrypted_is_not_taken_for_packets(net: Net) -> None:
    backend = net.backend()
    limits = playing(packets=10, action="close")
    proxy = await net.proxy(server("a", backend), limits=limits)
    client, far = await net.relay(proxy, backend)
    answer = framed(b"\x01" + bytes(300))
    await client.send(answer + b"\x02\0\0" * 20_000)
    await drain(far, len(answer) + 60_000)
    assert proxy.counters()["relaying"] == 1


async def test_answers_to_a_plugin_do_not_hide_the_encryption(net: Net) -> None:
    backend = net.backend()
    limits = playing(packets=10, action="close")
    proxy = await net.proxy(server("a", backend), limits=limits)
    client, far = await net.relay(proxy, backend)
    opening = framed(b"\x02\x05\0") * 3 + framed(b"\x01" + bytes(300))
    await client.send(opening + b"\x02\0\0" * 20_000)
    await drain(far, len(opening) + 60_000)
    assert proxy.counters()["relaying"] == 1


async def test_an_exempt_player_has_no_pace(net: Net) -> None:
    backend = net.backend()
    limits = Limits(session=SessionLimit(serverbound=1000, packets=1, action="close"))
    proxy = await net.proxy(server("a", backend), limits=limits)
    client, far = await net.relay(proxy, backend)
    await asyncio.gather(client.send(b"\x01\0" * 100_000), drain(far, 200_000))


def test_packets_of_a_server_that_never_shows_them_cannot_be_limited() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.session\.packets.*'a' sees no packets"):
        Proxy(settings(server("a", "127.0.0.1:1", mode=Mode.ZERO_COPY), limits=playing(packets=1)))
