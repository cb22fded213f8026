"""A process without file descriptors serves those it has, waits, says so once, and recovers."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mcproxy.errors import DataPlaneUnavailable, McproxyError
from mcproxy.proxy import AcceptPaused, AcceptResumed, Proxy
from tests.integration.peers import Net, Wire, eventually, join, refused, server, settings

# The limit counts for a whole process, so these tests run where the limit is lowered for a moment
# only, with everything that the test itself needs opened before.


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The limit is on the number of a descriptor, so the gaps below are filled first.
    filled = [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
    top = max(filled) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filled:
            os.close(fd)


async def open_clients(net: Net, proxy: Proxy, number: int) -> list[Wire]:
    return [await net.client(proxy) for _ in range(number)]


async def test_sessions_go_on_while_there_is_no_descriptor_for_another(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    client, far = await net.relay(proxy, backend)
    waiting = await open_clients(net, proxy, 10)
    with descriptors_left(0):
        for one in waiting:
            await one.send(join())
        await eventually(lambda: net.told(AcceptPaused))
        for _ in range(5):
            await client.send(b"hello")
            assert await far.take(5) == b"hello"
            await far.send(b"there")
            assert await client.take(5) == b"there"
            await asyncio.sleep(0.1)
        assert proxy.counters()["accepted"] == 1
        assert len(net.told(AcceptPaused)) == 1
        assert "open files" in net.told(AcceptPaused)[0].error
        assert net.told(AcceptResumed) == []
    for _ in waiting:
        await backend.accept(join())
    await eventually(lambda: net.told(AcceptResumed))
    assert proxy.counters()["accept_paused"] == len(net.told(AcceptPaused)) == 1
    assert refused(proxy) == {}


async def test_a_join_without_a_descriptor_for_its_backend_is_told_so(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    waiting = await open_clients(net, proxy, 3)
    with descriptors_left(1):
        await waiting[0].send(join())
        assert b"not available" in await waiting[0].frame()
        await eventually(lambda: net.told(AcceptPaused))
    await eventually(lambda: refused(proxy).get("descriptors", 0) >= 1)
    for one in waiting[1:]:
        await one.send(join())
        await backend.accept(join())
    assert set(refused(proxy)) == {"descriptors"}


async def test_bulk_without_a_descriptor_for_a_pipe_is_copied(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    client, far = await net.relay(proxy, backend)
    with descriptors_left(0):
        _, got = await asyncio.gather(far.send(b"z" * 8_000_000), client.take(8_000_000))
    assert got == b"z" * 8_000_000
    assert proxy.counters()["spliced"] == 0


@pytest.mark.parametrize("left", range(9))
async def test_a_proxy_that_cannot_start_says_why_and_leaves_nothing(left: int, net: Net) -> None:
    gc.collect()  # what earlier tests left must not go meanwhile
    open_before = len(os.listdir("/proc/self/fd"))
    proxy = Proxy(settings(server("a", net.nobody()), workers=3))
    with descriptors_left(left), pytest.raises((McproxyError, OSError)) as failure:
        await proxy.start()
    assert isinstance(failure.value, DataPlaneUnavailable) or "Too many open files" in str(
        failure.value
    )
    del failure
    assert len(os.listdir("/proc/self/fd")) == open_before
    await proxy.start()
    await proxy.stop(0)
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_sessions_give_all_their_descriptors_back(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        pairs = [await net.relay(proxy, backend) for _ in range(20)]
        for client, far in pairs:
            await asyncio.gather(far.send(b"z" * 600_000), client.take(600_000))
            client.reset()
            far.close()
        await eventually(lambda: proxy.counters()["open"] == 0)
    await proxy.stop(0)
    assert len(os.listdir("/proc/self/fd")) < before
