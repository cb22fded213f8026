"""Python that stands still holds up no stream, no join and no answer that is in the cache."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from asyncio.subprocess import PIPE

from tests.integration.peers import (
    DEADLINE,
    PING,
    Net,
    join,
    status_request,
    status_text,
)

PROXY = """
import asyncio, ctypes, os, sys, threading, time
from mcproxy.proxy import Proxy, Server, Settings, StatusPolicy

ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)

async def main():
    settings = Settings(
        bind=("127.0.0.1:0",),
        workers=2,
        status=StatusPolicy(ttl=600),
        servers=(
            Server("a", (sys.argv[1],), ("a.example",)),
            Server("s", (sys.argv[2],), ("s.example",)),
        ),
    )
    async with Proxy(settings) as proxy:
        threading.Thread(target=tick, daemon=True).start()
        print(proxy.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        # A function of PyDLL is called with the GIL held: nothing in Python moves until the
        # parent writes a byte.
        byte = ctypes.create_string_buffer(1)
        os.write(1, b"holding\\n")
        sys.setswitchinterval(600)
        before = ticks
        got = ctypes.PyDLL(None).read(0, byte, 1)
        held = ticks - before
        os.write(1, b"released %d %d\\n" % (got, held))
        await proxy.stop(0)

asyncio.run(main())
"""


async def test_the_data_plane_goes_on_while_a_thread_holds_the_gil(net: Net) -> None:
    backend, alive = net.backend(), await net.status({"description": "cached"})
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROXY, backend.address, alive.address, stdin=PIPE, stdout=PIPE
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            port = int(await program.stdout.readline())
            there = Elsewhere(port)
            client = await net.client(there, join())
            far = await backend.accept(join())
            # Every worker has the status before.
            for _ in range(20):
                asker = await net.client(there, status_request("s.example"))
                assert "cached" in status_text(await asker.frame())
                asker.close()

            program.stdin.write(b"go\n")
            assert await program.stdout.readline() == b"holding\n"

            # Streams, far longer than what the kernel holds.
            stream = random.Random(5).randbytes(1 << 20) * 32
            sending = asyncio.gather(far.send(stream), client.send(stream))
            got = await asyncio.gather(client.take(len(stream)), far.take(len(stream)))
            await sending
            wanted = hashlib.sha256(stream).digest()
            assert [hashlib.sha256(data).digest() for data in got] == [wanted, wanted]
            # New relays.
            for _ in range(50):
                new = await net.client(there, join())
                await (await backend.accept(join())).send(b"welcome")
                assert await new.take(7) == b"welcome"
            # Answers from the cache.
            for _ in range(50):
                asker = await net.client(there, status_request("s.example") + PING)
                assert "cached" in status_text(await asker.frame())
                assert await asker.rest() == PING
            # A player who is told that there is no server.
            stranger = await net.client(there, join("b.example"))
            assert b"no server" in await stranger.rest()

            program.stdin.write(b"!")
            word, size, held = (await program.stdout.readline()).split()
            assert (word, size) == (b"released", b"1")
            assert held == b"0"  # another thread of that process stood still all the while
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
        program._transport.close()  # type: ignore[attr-defined]
    assert alive.connections == 1


class Elsewhere:
    """A proxy in another process, as far as a client needs it."""

    def __init__(self, port: int) -> None:
        self.addresses = [("127.0.0.1", port)]
