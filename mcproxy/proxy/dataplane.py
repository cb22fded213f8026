"""The data plane under asyncio: sockets to listen on, snapshots to obey, events to hear."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcproxy.errors import DataPlaneUnavailable
from mcproxy.proxy.listeners import adopt, close_all, open_listeners

if TYPE_CHECKING:
    from mcproxy._speedups.match.prefixes import PrefixSet
    from mcproxy._speedups.plane.engine import Event, Plane, ServerRecord
    from mcproxy._speedups.plane.routes import RouteTable
    from mcproxy.proxy.events import Address

__all__ = ["DataPlane", "Protection", "Snapshot"]

ACCOUNTING = 0.1
"""Seconds between two looks at events that need not be seen at once."""
APPLY_WAIT = 10.0
"""Seconds for all workers to take over a snapshot or a listener."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Limits as the workers know them; (rate per second, burst) with rate 0 is no limit."""

    connections: tuple[float, int] = (0.0, 1)
    status: tuple[float, int] = (0.0, 1)
    logins: tuple[float, int] = (0.0, 1)
    open: int = 0
    prefixes: tuple[int, int] = (32, 64)
    """Bits of IPv4 and IPv6 addresses that are told apart."""
    actions: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of connections, status, logins, open: 0 close, 1 drop, 2 tarpit, 3 message."""
    exempt: PrefixSet | None = None
    texts: tuple[bytes | None, bytes | None, bytes | None, bytes | None] = (None,) * 4
    """Frames of login disconnect and status; replies to legacy pings, and to older ones."""
    serverbound: int = 0
    """Bytes per second of one relay; 0: no limit."""
    clientbound: int = 0
    packets: int = 0
    pace_close: bool = False
    flood_begin: int = 0
    flood_end: int = 0
    flood_calm: float = 0.0
    flood_handshake: float = 5.0


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
    buffers: tuple[int, int] = (2 << 20, 256 << 20)
    """Bytes that may be held for slow readers, of one session and of all."""
    protection: Protection = Protection()


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
        self._plane: Plane = load_engine().Plane(workers or len(os.sched_getaffinity(0)), snapshot)
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._applied: dict[int, tuple[int, asyncio.Future[None]]] = {}
        self._listening: dict[Address, list[socket.socket]] = {}
        self._ended = asyncio.Event()
        self._closing = asyncio.Lock()
        _all.add(self)
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
        return [sockets[0].getsockname()[:2] for sockets in self._listening.values()]

    @property
    def sockets(self) -> list[socket.socket]:
        """The listening sockets, to be handed to a program that takes over."""
        return [one for sockets in self._listening.values() for one in sockets]

    async def listen(
        self, addresses: Iterable[Address], inherited: Iterable[socket.socket] = ()
    ) -> None:
        """Listen on exactly these from now on; open sessions stay.

        Port 0 means any free port. ``inherited`` sockets that listen on a wanted address serve
        it; the others are closed. Raises `ConfigurationError` for an address that is in use or
        not of this machine; then nothing changes.
        """
        wanted = list(dict.fromkeys(addresses))
        opened = self._open_missing(wanted, adopt(inherited))
        # The old ones go first, since a worker has room for 64; the new ones queue already.
        for address in [a for a in self._listening if a not in wanted]:
            host, port = self._listening[address][0].getsockname()[:2]
            await self._all_applied(self._plane.unlisten(host, port))
            close_all(self._listening.pop(address))
        for address, sockets in opened.items():
            self._listening[address] = sockets
            await self._hand_out(sockets)
        self._listening = {address: self._listening[address] for address in wanted}

    def _open_missing(
        self, wanted: list[Address], inherited: dict[Address, list[socket.socket]]
    ) -> dict[Address, list[socket.socket]]:
        # A port of which we have one address already is ours, not another program's.
        ours = {sockets[0].getsockname()[1] for sockets in self._listening.values()}
        ours.update(port for _, port in inherited)
        opened: dict[Address, list[socket.socket]] = {}
        try:
            for address in wanted:
                if address in self._listening:
                    continue
                opened[address] = inherited.pop(address, []) or open_listeners(
                    address, self.workers, probe=address[1] not in ours
                )
        except BaseException:
            for sockets in opened.values():
                close_all(sockets)
            raise
        finally:
            for sockets in inherited.values():
                close_all(sockets)
        return opened

    async def _hand_out(self, sockets: list[socket.socket]) -> None:
        """Every socket to a worker, and at least one to every worker."""
        count = self.workers
        for start in range(0, len(sockets), count):
            chosen = [sockets[(start + i) % len(sockets)] for i in range(count)]
            await self._all_applied(self._plane.listen([os.dup(one.fileno()) for one in chosen]))

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
        for sockets in self._listening.values():
            close_all(sockets)
        if self._plane.running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), drain)
        async with self._closing:  # two may stop it at once, the second in more of a hurry
            if self._plane.closed:
                return
            self._timer.cancel()
            self._loop.remove_reader(self._plane.fileno())
            await asyncio.to_thread(self._plane.close)
            self._drain()
            self._listening.clear()

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
        engine = load_engine()
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


_all: weakref.WeakSet[DataPlane] = weakref.WeakSet()


def _let_go() -> None:
    # A forked child would keep its parent's ports open.
    for plane in list(_all):
        close_all(plane.sockets)


os.register_at_fork(after_in_child=_let_go)


@functools.cache
def load_engine() -> Any:
    """The compiled part; raises `DataPlaneUnavailable` where there is none."""
    try:
        from mcproxy._speedups.plane import engine
    except ImportError as error:
        raise DataPlaneUnavailable(
            "the data plane needs Linux and the compiled modules of mcproxy; "
            "codecs and sans-I/O parts work without it"
        ) from error
    return engine
