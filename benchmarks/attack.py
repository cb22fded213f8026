"""Players under attack: their latency before and during it, and whether a new one still joins.

    python -m benchmarks.attack [--rate 20000] [--seconds 5] [--players 200] [--json]

The attack comes from addresses all over 127/8 (``benchmarks/load/attack.c``). The limits are the
defaults, but without the exemption of this machine. A new player joins every quarter of a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measure import build_load, free_port, memory_bytes, raise_file_limit
from benchmarks.programs import HOST
from benchmarks.warm_join import HOST as JOIN_HOST
from benchmarks.warm_join import Backend, opening
from mcproxy.proxy import Limits, Proxy, Server, Settings

PLAYER = "127.0.0.9"
"""Where the new players come from: no address of the attack."""
ADDRESSES = 1_000_000
"""That the attack comes from."""
PATIENCE = 30.0


@dataclass(frozen=True)
class Measured:
    """One run; latencies are microseconds of messages to players, joins milliseconds."""

    attempts: int
    per_second: float
    p99_before: float
    p99_during: float
    messages_lost: int
    joins: int
    joined: int
    slowest_join: float
    memory_before: int
    memory_most: int
    floods: int
    refused: int
    untracked: int


class Load:
    """A load generator that works when it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def answer(self) -> dict[str, Any]:
        """Its next line."""
        assert self._process.stdout is not None
        result: dict[str, Any] = json.loads(await self._process.stdout.readline())
        if "error" in result:
            raise RuntimeError(result["error"])
        return result

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")


@asynccontextmanager
async def load(port: int, *arguments: str) -> AsyncIterator[Load]:
    command = [str(build_load()), *arguments, "--host", HOST, "--connect", f"127.0.0.1:{port}"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    try:
        yield Load(process)
    finally:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
        await process.wait()


async def join(address: tuple[str, int]) -> float | None:
    """Milliseconds until the backend's first byte is here; None: the player was turned away."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*address, local_addr=(PLAYER, 0))
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            writer.write(opening())
            reached = await reader.read(1) == b"!"
            writer.close()
            await writer.wait_closed()
    except OSError:
        return None
    return 1000 * (time.perf_counter() - started) if reached else None


async def join_again_and_again(address: tuple[str, int], memory: list[int]) -> list[float | None]:
    taken: list[float | None] = []
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            taken.append(await asyncio.shield(join(address)))
            memory.append(memory_bytes(os.getpid()))
            await asyncio.sleep(0.25)
    return taken


async def play(proxy: Proxy, backend: int, players: int, seconds: float) -> AsyncIterator[Any]:
    """First says that the players are in; then lets them play, and gives the result."""
    work = ("players", "--sessions", str(players), "--seconds", str(seconds))
    async with load(proxy.addresses[0][1], *work, "--listen", f"127.0.0.1:{backend}") as crowd:
        yield await crowd.answer()
        crowd.go()
        yield await crowd.answer()


async def run(rate: int, seconds: float, players: int) -> Measured:
    greeter, port = Backend(), free_port()
    listener = await asyncio.start_server(greeter.greet, "127.0.0.1", 0)
    far = listener.sockets[0].getsockname()[1]
    servers = (
        Server("bench", (f"127.0.0.1:{port}",), domains=(HOST,)),
        Server("new", (f"127.0.0.1:{far}",), domains=(JOIN_HOST,)),
    )
    settings = Settings(("127.0.0.1:0",), servers, workers=1, limits=Limits(exempt=()))
    async with Proxy(settings) as proxy:
        address = proxy.addresses[0]
        (_, before) = [each async for each in play(proxy, port, players, seconds)]
        storm = ("attack", "--rate", str(rate), "--sessions", str(ADDRESSES))
        crowd = play(proxy, port, players, seconds)
        await anext(crowd)
        memory = [memory_bytes(os.getpid())]
        async with load(address[1], *storm, "--seconds", str(seconds + 0.5)) as attack:
            await attack.answer()
            attack.go()
            await asyncio.sleep(0.25)
            joining = asyncio.create_task(join_again_and_again(address, memory))
            during = await anext(crowd)
            joining.cancel()
            taken = await joining
            attacked = await attack.answer()
        await crowd.aclose()
        counters = proxy.counters()
        await proxy.stop(0)
    await greeter.end()
    listener.close()
    joined = [each for each in taken if each is not None]
    return Measured(
        attempts=int(attacked["units"]),
        per_second=attacked["per_second"],
        p99_before=before["latency_down_us"]["p99"],
        p99_during=during["latency_down_us"]["p99"],
        messages_lost=int(during["refused_sends"]),
        joins=len(taken),
        joined=len(joined),
        slowest_join=max(joined, default=0.0),
        memory_before=memory[0],
        memory_most=max(memory),
        floods=counters["floods"],
        refused=sum(counters["refused"].values()),
        untracked=counters["untracked"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=20_000, help="attempts a second")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--players", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    raise_file_limit()
    measured = asyncio.run(run(options.rate, options.seconds, options.players))
    if options.json:
        print(json.dumps(asdict(measured)))
        return
    print(f"{measured.attempts:,} attempts, {measured.per_second:,.0f} a second")
    print(
        f"p99 of {options.players} players: {measured.p99_before:,.0f} µs before, "
        f"{measured.p99_during:,.0f} µs during"
    )
    print(
        f"new players: {measured.joined} of {measured.joins} joined, "
        f"the slowest in {measured.slowest_join:.1f} ms"
    )
    print(f"memory: {measured.memory_before >> 20} MiB before, {measured.memory_most >> 20} during")
    print(f"refused: {measured.refused:,}; flood mode began {measured.floods} times")


if __name__ == "__main__":
    main()
