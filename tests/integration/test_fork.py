"""The data plane does not live on in a forked child, and the child is not in its parent's way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

PROGRAM = """
import asyncio, os, signal, socket, sys, time
from mcproxy.errors import DataPlaneUnavailable
from mcproxy.proxy import Proxy, Server, Settings
from tests.integration.peers import join

def settings(port, **more):
    server = Server("a", (f"127.0.0.1:{port}",), ("a.example",))
    return Settings(bind=("127.0.0.1:0",), servers=(server,), workers=2, **more)

def pair(proxy, backend):
    client = socket.create_connection(proxy.addresses[0])
    client.sendall(join())
    far, _ = backend.accept()
    assert far.recv(len(join()), socket.MSG_WAITALL) == join()
    return client, far

async def main():
    backend = socket.create_server(("127.0.0.1", 0))
    backend.settimeout(30)
    port = backend.getsockname()[1]
    proxy = Proxy(settings(port))
    await proxy.start()
    address = proxy.addresses[0]
    client, far = pair(proxy, backend)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        client.close(), far.close(), backend.close()
        CHILD
        os._exit(7)
    assert os.read(ready[0], 1) == b"r"
    PARENT
    os.write(go[1], b"g")
    assert os.waitpid(child, 0)[1] == 0
    await proxy.stop(0)

asyncio.run(main())
print("done")
"""


def run(child: str, parent: str) -> None:
    """Run both; the child waits for a byte from its parent in between."""
    wait = 'os.write(ready[1], b"r"); os.read(go[0], 1)\n'
    program = PROGRAM.replace(
        "CHILD", indented(child, 8) + "\n        " + wait + "        os._exit(0)"
    )
    program = program.replace("PARENT", indented(parent, 4))
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children too
        process.communicate()
    assert (out, err, process.returncode) == ("done\n", "", 0)


def indented(code: str, by: int) -> str:
    lines = code.strip("\n").splitlines()
    return "\n".join([lines[0], *(" " * by + line for line in lines[1:])])


def test_a_child_is_told_that_the_data_plane_is_not_there() -> None:
    run(
        """
plane = proxy._plane.plane
for use in (
    lambda: plane.publish(None),
    lambda: plane.leave(),
    lambda: plane.unlisten("127.0.0.1", 1),
    lambda: plane.put_status(1, 1, 1.0, b""),
):
    try:
        use()
    except DataPlaneUnavailable as error:
        assert "fork" in str(error)
    else:
        os._exit(3)
plane.close()
del plane, proxy
""",
        """
client.sendall(b"still here")
assert far.recv(10, socket.MSG_WAITALL) == b"still here"
""",
    )


def test_a_child_may_have_a_data_plane_of_its_own() -> None:
    run(
        """
async def again():
    backend = socket.create_server(("127.0.0.1", 0))
    async with Proxy(settings(backend.getsockname()[1])) as own:
        client, far = pair(own, backend)
        far.sendall(b"hello")
        assert client.recv(5, socket.MSG_WAITALL) == b"hello"
        client.close(), far.close()
import threading
thread = threading.Thread(target=lambda: asyncio.run(again()))
thread.start()
thread.join()
""",
        "pass",
    )


def test_a_child_that_lives_on_keeps_no_connection_and_no_port() -> None:
    run(
        "pass",
        """
client.settimeout(30)
far.close()
assert client.recv(1) == b""
client.close()
for _ in range(50):  # slots are used again, and nobody gets another's events
    client, far = pair(proxy, backend)
    far.sendall(b"hello")
    assert client.recv(5, socket.MSG_WAITALL) == b"hello"
    client.close()
    far.settimeout(30)
    assert far.recv(1) == b""
    far.close()
await proxy.stop(0)
try:
    socket.create_connection(address, 5)
except ConnectionRefusedError:
    pass
else:
    sys.exit("somebody still listens")
""",
    )


def test_a_closed_socket_that_a_child_still_holds_ends_no_other_session() -> None:
    """While a program is started, its process holds all sockets for a moment; here it stays."""
    run(
        "pass",
        """
import ctypes
holding = [socket.create_connection(address) for _ in range(8)]
for one in holding:
    one.sendall(join()[:5])
while proxy.counters()["open"] < 9:
    await asyncio.sleep(0.01)
holder = ctypes.PyDLL(None).fork()  # without Python's preparations, like the start of a program
if holder == 0:
    for one in holding:
        one.close()
    ctypes.PyDLL(None).pause()
for one in holding:
    one.sendall(b"nonsense" * 10)
while proxy.counters()["open"] > 1:
    await asyncio.sleep(0.01)
# Their slots are taken by clients that wait; then the sockets of before break.
silent = [socket.create_connection(address) for _ in range(8)]
for one in silent:
    one.sendall(join()[:5])
while proxy.counters()["open"] < 9:
    await asyncio.sleep(0.01)
for one in holding:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    one.close()
await asyncio.sleep(0.3)
assert proxy.counters()["refused"]["closed_early"] == 0, proxy.counters()
os.kill(holder, signal.SIGKILL)
os.waitpid(holder, 0)
for one in silent:
    one.sendall(join()[5:])
    distant, _ = backend.accept()
    one.close(), distant.close()
""",
    )
