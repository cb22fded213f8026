"""A TCP relay in pure Python: ``python_relay.py asyncio|uvloop PORT BACKEND-PORT``."""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Relay(asyncio.Protocol):
    """One end of a session; what it receives is written to the other end."""

    def __init__(self, other: Relay | None = None, backend: int = 0) -> None:
        self.other = other
        self.backend = backend
        self.transport: asyncio.Transport | None = None
        self.early = b""  # what came before the backend was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other is None:
            self.dial = asyncio.ensure_future(self.connect())
        elif self.other.transport is not None:
            self.other.other = self
            self.transport.write(self.other.early)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Relay(self), "127.0.0.1", self.backend)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self.early += data

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def serve(port: int, backend: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Relay(backend=backend), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    kind, port, backend = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if kind == "uvloop":
        import uvloop

        uvloop.run(serve(port, backend))
    else:
        asyncio.run(serve(port, backend))


if __name__ == "__main__":
    main()
