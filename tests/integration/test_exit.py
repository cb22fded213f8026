"""A program that ends while the proxy runs, relays and holds answers ends quietly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.wire_bytes import hello, text, varint

PROGRAM = """
import asyncio, os, socket, sys, threading
from mcproxy.proxy import Proxy, Server, Settings

keep = []  # alive until the interpreter itself goes


async def main():
    backend = socket.create_server(("127.0.0.1", 0))
    server = Server("raw", (f"127.0.0.1:{backend.getsockname()[1]}",), domains=("raw.example.com",))
    proxy = Proxy(Settings(bind=("127.0.0.1:0",), servers=(server,), workers=2))
    await proxy.start()
    client = socket.create_connection(proxy.addresses[0])
    client.sendall(OPENING)
    far, _ = backend.accept()
    assert far.recv(len(OPENING), socket.MSG_WAITALL) == OPENING
    waiting = threading.Thread(target=client.recv, args=(1,), daemon=True)
    waiting.start()
    keep.extend((proxy, client, far, backend))
    END


asyncio.run(main())
"""


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("await proxy.stop(0)", 0),
        ("keep.append(asyncio.create_task(proxy.stop()))", 0),
        ("del proxy, keep[0]", 0),
        ("pid = os.fork(); sys.exit(0 if pid == 0 else os.waitpid(pid, 0)[1])", 0),
    ],
)
def test_a_program_that_ends_in_the_middle_says_nothing(end: str, status: int) -> None:
    opening = frame(hello("raw.example.com", intent=2)) + frame(b"\0" + text("Steve"))
    program = PROGRAM.replace("OPENING", repr(opening)).replace("END", end)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (status, "")
