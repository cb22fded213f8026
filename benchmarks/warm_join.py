"""What warm sockets save: the time of a join to a backend behind a delay, without and with them.

    python -m benchmarks.warm_join [--joins 50] [--delay 20] [--json]

A join is timed from the client's connect to the first byte that the backend sends back. The
backend is behind a round trip of 20 ms that holds back the SYN too; the client is on loopback.
Needs root.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import time
from dataclasses import asdict, dataclass

from benchmarks.delayed import FAR, Link
from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.login import LoginStart
from mcproxy.proxy import Pool, Proxy, Server, Settings

PROTOCOL = 767
HOST = "far.example.com"


@dataclass(frozen=True)
class Measured:
    """The joins of one run, in milliseconds."""

    warm: int
    joins: int
    median: float
    p90: float
    warm_used: int


def opening() -> bytes:
    packets = (
        Handshake(PROTOCOL, HOST, 25565, Intent.LOGIN).encode(),
        LoginStart("Player").encode(PROTOCOL),
    )
    return b"".join(bytes([len(packet)]) + packet for packet in packets)


class Backend:
    """It answers the first bytes of each connection with one."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[None] | None] = set()

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(asyncio.current_task())
        try:
            if await reader.read(65536):
                writer.write(b"!")
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def end(self) -> None:
        """Wait until the proxy has closed every connection."""
        await asyncio.gather(*(task for task in self._open if task))


async def join(address: tuple[str, int]) -> float:
    """Milliseconds until the backend's first byte is here."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(*address)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(opening())
    if not await reader.read(1):
        raise RuntimeError("the backend was not reached")
    taken = time.perf_counter() - started
    writer.close()
    await writer.wait_closed()
    return 1000 * taken


async def measure(link: Link, warm: int, joins: int) -> Measured:
    backend = Backend()
    listener = await asyncio.start_server(backend.greet, sock=link.far())
    port = listener.sockets[0].getsockname()[1]
    server = Server("far", (f"{FAR}:{port}",), domains=(HOST,), pool=Pool(warm=warm))
    taken = []
    async with Proxy(Settings(("127.0.0.1:0",), (server,), workers=1)) as proxy:
        for _ in range(joins):
            while proxy.counters()["warm"] < warm:  # noqa: ASYNC110  (no event tells)
                await asyncio.sleep(0.002)
            taken.append(await join(proxy.addresses[0]))
        used = proxy.counters()["warm_used"]
        await proxy.stop(0)
    await backend.end()
    listener.close()
    deciles = statistics.quantiles(taken, n=10)
    return Measured(warm, joins, statistics.median(taken), deciles[-1], used)


async def run(link: Link, joins: int) -> list[Measured]:
    return [await measure(link, warm, joins) for warm in (0, 4, 0, 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--joins", type=int, default=50, help="of each of the four runs")
    parser.add_argument("--delay", type=float, default=20, help="round trip in milliseconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    link = Link(options.delay / 2000)
    try:
        runs = asyncio.run(run(link, options.joins))
    finally:
        link.close()
    if options.json:
        print(json.dumps([asdict(each) for each in runs]))
        return
    print(f"round trip to the backend: {options.delay:g} ms; {options.joins} joins a run")
    print("warm   median      p90   on a warm socket")
    for each in runs:
        print(f"{each.warm:4}  {each.median:4.1f} ms  {each.p90:4.1f} ms   {each.warm_used}")


if __name__ == "__main__":
    main()
