"""Servers on loopback that answer pings, well or badly. Bytes are put together by hand here."""

import asyncio
import json
import struct
from contextlib import asynccontextmanager


def varint(number: int) -> bytes:
    number &= 0xFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def packet(body: bytes) -> bytes:
    return varint(len(body)) + body


def response(status) -> bytes:
    text = status if isinstance(status, str) else json.dumps(status)
    return packet(b"\0" + varint(len(text.encode())) + text.encode())


async def read_varint(reader) -> int:
    number = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number - (1 << 32) if number >= 1 << 31 else number


class StatusBackend:
    """Counts handshakes; behaves as ``mode`` says."""

    def __init__(self, status=None, mode="answer"):
        self.status = status if status is not None else {"description": "hello"}
        self.mode = mode
        self.handshakes = []
        self.connections = 0
        self.connected = asyncio.Event()
        self.left = asyncio.Event()
        self.pong = True
        self.answer_when = asyncio.Event()
        self.answer_when.set()

    async def _serve(self, reader, writer):
        self.connections += 1
        self.connected.set()
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.left.set()

    async def _talk(self, reader, writer):
        if self.mode == "close":
            return
        if self.mode == "silent":
            await reader.read()
            return
        if self.mode in ("legacy", "beta"):
            await self._talk_legacy(reader, writer)
            return
        length = await read_varint(reader)
        self.handshakes.append(await reader.readexactly(length))
        if await reader.readexactly(2) != b"\x01\x00":
            return
        await self.answer_when.wait()
        data = self.status if isinstance(self.status, bytes) else response(self.status)
        for start in range(0, len(data), 1 if self.mode == "drip" else len(data)):
            writer.write(data[start : start + (1 if self.mode == "drip" else len(data))])
            await writer.drain()
        if self.mode == "no_end":
            await reader.read()
        elif self.pong and self.mode != "status_only":
            writer.write(await reader.readexactly(10))
            await writer.drain()
            await reader.read()

    async def _talk_legacy(self, reader, writer):
        first = await reader.readexactly(1)
        if first != b"\xfe":
            return
        if self.mode == "beta":
            text = "An old server§3§20"
        else:
            rest = await reader.readexactly(2)
            if rest != b"\x01\xfa":
                return
            text = "§1\x0078\x001.6.4\x00A §1server\x003\x0020"
        writer.write(b"\xff" + struct.pack(">H", len(text)) + text.encode("utf-16-be"))
        await writer.drain()
        writer.write_eof()
        await reader.read()


@asynccontextmanager
async def status_backend(status=None, mode="answer"):
    backend = StatusBackend(status, mode)
    server = await asyncio.start_server(backend._serve, "127.0.0.1", 0)
    backend.endpoint = server.sockets[0].getsockname()
    backend.server = server
    try:
        yield backend
    finally:
        server.close()
        backend.answer_when.set()


def free_endpoint():
    """An address on which nobody listens."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()
