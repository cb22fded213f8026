"""The data plane under asyncio: sockets to listen on, snapshots to obey, events to hear."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcproxy.errors import ConfigurationError, DataPlaneUnavailable

if TYPE_CHECKING:
    from mcproxy._speedups.match.prefixes import PrefixSet
    from mcproxy._speedups.plane.engine import Event, Plane, ServerRecord
    from mcproxy._speedups.plane.routes import RouteTable
    from mcproxy.proxy.events import Address

__all__ = ["DataPlane", "Snapshot"]

BACKLOG = 4096
"""Connections that the kernel keeps for a worker that is busy."""
ACCOUNTING = 0.1
"""Seconds between two looks at events that need not be seen at once."""
APPLY_WAIT = 10.0
"""Seconds for all workers to take over a snapshot or a listener."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the workers decide by, replaced as a whole."""

    routes: RouteTable
    servers: tuple[ServerRecord, ...]
    """By the route table's numbers."""
    unknown: ServerRecord
    """For hosts that no route knows."""
    protocols: tuple[int, ...] = ()
    """Known protocol numbers; all others share a status."""
    admit: PrefixSet | None = None
    refuse: PrefixSet | None = None
    trusted: PrefixSet | None = None
    """Who sends a PROXY header."""
    legacy_kick: bytes | None = None
    hooks: int = 0
    wants_local: bool = False
    max_connections: int = 0
    connect: float = 5.0
    handshake: float = 5.0
    idle: float = 300.0
    dead_peer: float = 60.0


class DataPlane:
    """Native workers that accept, route, answer and relay; one thread each, without the GIL.

    ``workers``: how many; 0: one per core that this process may use. ``on_event`` is called in
    the event loop with each `Event`. Lives in the event loop in which it was made. Raises
    `DataPlaneUnavailable` where it cannot run.
    """

    def __init__(
        self, snapshot: Snapshot, on_event: Callable[[Event], None], *, workers: int = 0
    ) -> None:
        """Start the workers; nothing is listened on yet."""
        self._plane: Plane = _engine().Plane(workers or len(os.sched_getaffinity(0)), snapshot)
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._applied: dict[int, tuple[int, asyncio.Future[None]]] = {}
        self._listening: dict[Address, Address] = {}
        self._dead_peer = snapshot.dead_peer
        self._ended = asyncio.Event()
        self._closing = asyncio.Lock()
        self._loop.add_reader(self._plane.fileno(), self._drain)
        self._timer = self._loop.call_later(ACCOUNTING, self._tick)

    @property
    def plane(self) -> Plane:
        """The compiled part, through which sessions that consult are decided."""
        return self._plane

    @property
    def workers(self) -> int:
        """How many threads relay."""
        return self._plane.worker_count

    @property
    def addresses(self) -> list[Address]:
        """The (IP address, port) pairs that really listen, in the order they were asked for."""
        return list(self._listening.values())

    async def listen(self, addresses: Iterable[Address]) -> None:
        """Listen on exactly these from now on; open sessions stay.

        Port 0 means any free port. Raises `ConfigurationError` for an address that is in use or
        not of this machine; then nothing changes.
        """
        wanted = list(dict.fromkeys(addresses))
        ours = {port for _, port in self._listening.values()}
        opened: dict[Address, list[socket.socket]] = {}
        try:
            for address in wanted:
                if address not in self._listening:
                    opened[address] = self._open(address, probe=address[1] not in ours)
        except BaseException:
            for sockets in opened.values():
                for one in sockets:
                    one.close()
            raise
        # The old ones go first, since a worker has room for 64; the new ones queue already.
        for address in [a for a in self._listening if a not in wanted]:
            await self._all_applied(self._plane.unlisten(*self._listening.pop(address)))
        for address, sockets in opened.items():
            self._listening[address] = sockets[0].getsockname()[:2]
            await self._all_applied(self._plane.listen([one.detach() for one in sockets]))
        self._listening = {address: self._listening[address] for address in wanted}

    async def apply(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; when this returns, every worker decides by the new one."""
        await self._all_applied(self._plane.publish(snapshot))

    def counters(self) -> dict[str, Any]:
        """Every counter by name; ``ended`` holds sessions and refusals by reason."""
        return self._plane.counters()

    async def stop(self, drain: float) -> None:
        """Accept no more, give open sessions ``drain`` seconds to end, then end them."""
        if not self._plane.closed:
            self._plane.leave()
        if self._plane.running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), drain)
        async with self._closing:  # two may stop it at once, the second in more of a hurry
            self._timer.cancel()
            self._loop.remove_reader(self._plane.fileno())
            await asyncio.to_thread(self._plane.close)
            self._drain()
            self._listening.clear()

    def _open(self, address: Address, *, probe: bool) -> list[socket.socket]:
        """A listening socket per worker. With SO_REUSEPORT a second proxy could share our port
        unseen, so a plain socket tries it first."""
        host, port = address
        sockets: list[socket.socket] = []
        try:
            if probe and port:
                _bound(host, port, self._dead_peer, shared=False).close()
            while len(sockets) < self.workers:
                sockets.append(_bound(host, port, self._dead_peer, shared=True))
                port = sockets[0].getsockname()[1]
            for one in sockets:
                one.listen(BACKLOG)
        except OSError as error:
            for one in sockets:
                one.close()
            raise ConfigurationError(_why_not(host, port, error)) from error
        return sockets

    async def _all_applied(self, number: int) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._applied[number] = (self.workers, future)
        try:
            await asyncio.wait_for(future, APPLY_WAIT)
        finally:
            self._applied.pop(number, None)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(ACCOUNTING, self._tick)
        self._drain()

    def _drain(self) -> None:
        engine = _engine()
        for event in self._plane.events():
            if event.kind != engine.APPLIED:
                self._on_event(event)
            elif event.detail in self._applied:
                left, future = self._applied[event.detail]
                self._applied[event.detail] = (left - 1, future)
                if left == 1 and not future.done():
                    future.set_result(None)
        if not self._plane.running:
            self._ended.set()


def _engine() -> Any:
    try:
        from mcproxy._speedups.plane import engine
    except ImportError as error:
        raise DataPlaneUnavailable(
            "the data plane needs Linux and the compiled modules of mcproxy; "
            "codecs and sans-I/O parts work without it"
        ) from error
    return engine


def _bound(host: str, port: int, dead_peer: float, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit this.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client speaks first: the kernel wakes a worker when there is something to read, and
        # shows it a client that says nothing after a second.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        # A client that vanished is found; accepted sockets inherit this.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(dead_peer // 2)))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(dead_peer // 8)))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_peer * 1000))
        if family == socket.AF_INET6:
            # [::] and 0.0.0.0 are two addresses: who wants both binds both.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((host, port))
    except BaseException:
        one.close()
        raise
    return one


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program already does; stop it or change bind"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where}: this machine has no such address; change bind"
    if error.errno == errno.EACCES:
        return f"cannot listen on {where}: ports below 1024 need the right to; change bind"
    return f"cannot listen on {where}: {error.strerror}"
