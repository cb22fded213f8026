"""Raw sockets for faults that real Minecraft software cannot be made to show."""

from __future__ import annotations

import hashlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from tests.e2e.processes import DEADLINE
from tests.unit.wire_bytes import hello, text, varint

STALLED_AFTER = 1.0
"""A sender that cannot write for so many seconds counts as stopped by its reader."""
BLOCK = bytes(range(256)) * 4096  # 1 MiB


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


def join(host: str) -> bytes:
    """What a 1.8 client sends at once when it joins: handshake and Login Start."""
    return frame(hello(host, protocol=47, intent=2)) + frame(b"\0" + text("Steve"))


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@contextmanager
def listening(handle: Callable[[socket.socket], None] | None = None) -> Iterator[socket.socket]:
    """A backend: each connection is handed to `handle` in a thread of its own; without it, to
    whoever calls `accept` on the socket that is yielded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        threads: list[threading.Thread] = []

        def serve(conn: socket.socket) -> None:
            with closing(conn), suppress(OSError):
                handle(conn)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    conn, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(conn,), daemon=True))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True) if handle else None
        if acceptor:
            acceptor.start()
        yield listener
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        if acceptor:
            acceptor.join(DEADLINE)
        for thread in threads:
            thread.join(DEADLINE)


@contextmanager
def dribbling(port: int) -> Iterator[int]:
    """A forwarder to `port` that passes every byte on in a segment of its own; its port."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                for byte in data:
                    target.send(bytes((byte,)))
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def handle(near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connect(port) as far:
            back = threading.Thread(target=copy, args=(far, near), daemon=True)
            back.start()
            copy(near, far)
            back.join(DEADLINE)

    with listening(handle) as listener:
        yield listener.getsockname()[1]


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError(f"the connection ended {size - len(data)} bytes too early")
        data += piece
    return bytes(data)


def read_to_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def push_until_stalled(sock: socket.socket, limit: int) -> int:
    """Send blocks until nobody takes them or `limit` bytes are sent; the bytes sent."""
    sock.setblocking(False)
    sent = 0
    while sent < limit and select.select((), (sock,), (), STALLED_AFTER)[1]:
        at = sent % len(BLOCK)
        with suppress(BlockingIOError):
            sent += sock.send(memoryview(BLOCK)[at : at + limit - sent])
    sock.settimeout(DEADLINE)
    return sent


def push_rest(sock: socket.socket, sent: int, total: int) -> None:
    """Send the same pattern on from byte `sent` to byte `total`, and close that half."""
    while sent < total:
        at = sent % len(BLOCK)
        sent += sock.send(memoryview(BLOCK)[at : at + total - sent])
    sock.shutdown(socket.SHUT_WR)


def pattern_hash(total: int) -> str:
    whole, rest = divmod(total, len(BLOCK))
    digest = hashlib.sha256()
    for _ in range(whole):
        digest.update(BLOCK)
    digest.update(BLOCK[:rest])
    return digest.hexdigest()


def read_hash(sock: socket.socket) -> tuple[int, str]:
    """Read to the end: how many bytes came, and their hash."""
    digest = hashlib.sha256()
    buffer = bytearray(1 << 20)
    total = 0
    while size := sock.recv_into(buffer):
        digest.update(memoryview(buffer)[:size])
        total += size
    return total, digest.hexdigest()
