"""Clients, backends and proxies on loopback, all raw sockets in one event loop.

Everything that a `Net` made is closed with it, and each of its proxies is asked at the end whether
it let go of every session and byte.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from mcproxy.proxy import Proxy, Server, Settings
from mcproxy.proxy.events import ProxyEvent
from tests.unit.status_backend import StatusBackend, free_endpoint, status_backend
from tests.unit.wire_bytes import hello, text, varint

DEADLINE = 60
"""Seconds for anything that should happen at once: only a failure takes so long."""
LOOPBACK = "127.0.0.1"


def framed(body: bytes) -> bytes:
    return varint(len(body)) + body


def handshake(host: str | bytes = "a.example", *, protocol: int = 763, intent: int = 2) -> bytes:
    return framed(hello(host, protocol=protocol, intent=intent))


def login_start(name: str = "Steve", more: bytes = b"\0") -> bytes:
    """In the layout of 1.19.3 and 1.20.1: a name and, with `more`, an optional UUID."""
    return framed(b"\0" + text(name) + more)


def join(host: str | bytes = "a.example", *, intent: int = 2) -> bytes:
    return handshake(host, intent=intent) + login_start()


STATUS_REQUEST = b"\x01\x00"
PING = b"\x09\x01" + bytes(range(8))


def status_request(host: str | bytes = "a.example", *, protocol: int = 763) -> bytes:
    return handshake(host, protocol=protocol, intent=1) + STATUS_REQUEST


def legacy_16(host: str = "a.example", protocol: int = 78, port: int = 25565) -> bytes:
    name = host.encode("utf-16-be")
    tail = struct.pack(">BH", protocol, len(host)) + name + struct.pack(">i", port)
    channel = "MC|PingHost"
    head = b"\xfe\x01\xfa" + struct.pack(">H", len(channel)) + channel.encode("utf-16-be")
    return head + struct.pack(">H", len(tail)) + tail


def status_text(body: bytes) -> str:
    """The JSON of a status response without the length in front."""
    assert body[0] == 0
    at = 1
    while body[at] & 0x80:
        at += 1
    return body[at + 1 :].decode()


async def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until `condition` is true, and return what it returned."""
    async with asyncio.timeout(DEADLINE):
        while not (found := condition()):  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)
    return found


class Wire:
    """One end of a TCP connection; nothing is read ahead."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.name = ("", 0)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._loop.sock_sendall(self.sock, data)

    async def some(self, most: int = 1 << 20) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self._loop.sock_recv(self.sock, most)

    async def take(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = await self.some(min(size - len(data), 1 << 20))
            if not piece:
                raise EOFError(f"the connection ended after {len(data)} of {size} bytes: {data!r}")
            data += piece
        return bytes(data)

    async def frame(self) -> bytes:
        """The next frame, without its length."""
        size = shift = 0
        while True:
            byte = (await self.take(1))[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return await self.take(size)

    async def rest(self) -> bytes:
        """Everything up to the end of file, which must come; then this end closes too."""
        data = b"".join([piece async for piece in self])
        self.close()
        return data

    async def rest_or_reset(self) -> bytes:
        """Everything up to the end of the connection, however it ends."""
        data = bytearray()
        try:
            async for piece in self:
                data += piece
        except ConnectionError:
            pass
        self.close()
        return bytes(data)

    def __aiter__(self) -> Wire:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.some()
        if not piece:
            raise StopAsyncIteration
        return piece

    def unsent(self) -> int:
        """Bytes that the other end has not acknowledged."""
        return struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4))[0]

    def unread(self) -> int:
        """Bytes that have come and nobody took."""
        return struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, b"\0" * 4))[0]

    def finish(self) -> None:
        """Say that no more will come."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Backend:
    """A listening socket; who wants a connection accepts it."""

    def __init__(self, net: Net, *, backlog: int = 4096, buffer: int = 0) -> None:
        self._net = net
        self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.bind((LOOPBACK, 0))
        self.sock.listen(backlog)
        self.sock.setblocking(False)
        self.endpoint = self.sock.getsockname()
        self.address = "{}:{}".format(*self.endpoint)

    async def accept(self, opening: bytes = b"") -> Wire:
        """The next connection; `opening` is what must come first on it."""
        async with asyncio.timeout(DEADLINE):
            sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
        wire = self._net.keep(Wire(sock))
        if opening:
            assert await wire.take(len(opening)) == opening
        return wire

    def close(self) -> None:
        self.sock.close()


class Net:
    """The world of one test."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._wires: list[Wire | Backend] = []
        self._proxies: list[Proxy] = []
        self.events: list[ProxyEvent] = []
        self.subscriptions: list[Callable[[], None]] = []

    async def __aenter__(self) -> Net:
        return self

    async def __aexit__(self, kind: type | None, *rest: object) -> None:
        for proxy in self._proxies:
            await proxy.stop(0)
        for wire in self._wires:
            wire.close()
        await self._stack.aclose()
        if kind is None:
            for proxy in self._proxies:
                counters = proxy.counters()
                left = {name: counters[name] for name in ("open", "relaying", "buffered_bytes")}
                assert left == {"open": 0, "relaying": 0, "buffered_bytes": 0}
                assert counters["refused"]["internal"] == 0

    def keep(self, wire: Any) -> Any:
        self._wires.append(wire)
        return wire

    def backend(self, **more: Any) -> Backend:
        return self.keep(Backend(self, **more))

    async def status(self, status: Any = None, mode: str = "answer") -> StatusBackend:
        """A backend that answers statuses; `.handshakes` holds what it was asked."""
        backend = await self._stack.enter_async_context(status_backend(status, mode))
        backend.address = "{}:{}".format(*backend.endpoint)
        return backend

    def nobody(self) -> str:
        """An address that takes no connection."""
        return "{}:{}".format(*free_endpoint())

    def full(self) -> str:
        """An address that never answers an attempt to connect."""
        backend = self.backend(backlog=0)
        wire = self.keep(Wire(socket.create_connection(backend.endpoint)))
        assert wire
        return backend.address

    async def proxy(
        self, *servers: Server, hooks: dict[str, Any] | None = None, **more: Any
    ) -> Proxy:
        """A running proxy; `more` are settings."""
        proxy = Proxy(settings(*servers, **more), **(hooks or {}))
        self.subscriptions.append(proxy.subscribe(self.events.append))
        await proxy.start()
        self._proxies.append(proxy)
        return proxy

    async def client(
        self,
        proxy: Proxy,
        data: bytes = b"",
        *,
        local: str = "",
        to: str = "",
        buffer: int = 0,
        sending: int = 0,
    ) -> Wire:
        """Connect to a proxy, from `local` to its address `to` (or its first), and send."""
        address = proxy.addresses[0]
        if to:
            address = (to, address[1])
        sock = socket.socket()
        wire = self.keep(Wire(sock))
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if sending:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sending)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local:
            sock.bind((local, 0))
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().sock_connect(sock, address)
        wire.name = sock.getsockname()
        if data:
            await wire.send(data)
        return wire

    async def relay(self, proxy: Proxy, backend: Backend, **more: Any) -> tuple[Wire, Wire]:
        """A client, and the backend's end of its relay."""
        opening = join()
        client = await self.client(proxy, opening, **more)
        return client, await backend.accept(opening)

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def server(name: str, *addresses: Any, **more: Any) -> Server:
    """A server for NAME.example; addresses are texts, or backends."""
    more.setdefault("domains", (f"{name}.example",))
    return Server(name, tuple(getattr(a, "address", a) for a in addresses), **more)


def settings(*servers: Server, **more: Any) -> Settings:
    more.setdefault("bind", (f"{LOOPBACK}:0",))
    more.setdefault("workers", 2)
    return Settings(servers=servers, **more)


def refused(proxy: Proxy) -> dict[str, int]:
    """Refusals that happened, by reason."""
    return {reason: count for reason, count in proxy.counters()["refused"].items() if count}
