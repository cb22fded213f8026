"""Peers that vanish without a word are found by the kernel, which is told how long to wait."""

from __future__ import annotations

import asyncio
import os
import socket

from mcproxy.proxy import Timeouts
from tests.integration.peers import Net, Wire, eventually, server, settings


def options_towards(peer: tuple[str, int]) -> tuple[int, ...] | None:
    """TCP_USER_TIMEOUT (ms), SO_KEEPALIVE, TCP_KEEPIDLE (s) of this process's socket to a peer."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.getpeername() == peer:
                    return (
                        one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                        one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                        one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    )
        except OSError:
            continue  # closed meanwhile, or not connected
    return None


async def kept_busy(client: Wire, far: Wire) -> None:
    while True:
        await client.send(b".")
        await far.some()
        await asyncio.sleep(0.05)


async def guarded(net: Net, client: Wire, far: Wire, expected: tuple[int, ...]) -> None:
    """Wait until both sockets of a relay have the options, which a short session does not pay."""
    busy = asyncio.create_task(kept_busy(client, far))
    try:
        for peer in (client.sock.getsockname(), far.sock.getsockname()):
            await eventually(lambda peer=peer: options_towards(peer) == expected)
    finally:
        busy.cancel()


async def test_both_sides_of_a_relay_are_watched_as_the_settings_say(net: Net) -> None:
    backend = net.backend()
    one = server("a", backend)
    proxy = await net.proxy(one, timeouts=Timeouts(idle=0.5, dead_peer=20))
    await guarded(net, *await net.relay(proxy, backend), (20_000, 1, 10))
    # A reload counts for every session from then on, on listeners that were open before.
    await proxy.apply(settings(one, timeouts=Timeouts(idle=0.5, dead_peer=8)))
    await guarded(net, *await net.relay(proxy, backend), (8_000, 1, 4))
