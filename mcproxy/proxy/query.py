"""Asking Minecraft servers for their status: backends by the proxy, any server by a person."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from mcproxy._speedups.wire.frames import FrameSplitter, join_frame
from mcproxy._speedups.wire.haproxy import encode_proxy_header
from mcproxy.errors import BackendDown, BackendSilent, RemoteProtocolError
from mcproxy.minecraft import status as statuses
from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.legacy import LegacyKind, decode_reply, encode_ping
from mcproxy.minecraft.status import Status
from mcproxy.minecraft.text import to_legacy
from mcproxy.minecraft.versions import newest
from mcproxy.proxy.address import Endpoint, show_endpoint
from mcproxy.proxy.resolve import Resolver

__all__ = ["PingResult", "StatusReply", "ping_server", "query_status", "try_connect"]

RESPONSE_MOST = 1 + 3 + 3 * statuses.MAX_JSON_UNITS
"""Bytes of the longest frame with a status answer."""
LEGACY_MOST = 3 + 2 * 0xFFFF
READ_SIZE = 65536

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StatusReply:
    """The answer of a backend."""

    json: dict[str, Any]
    """The JSON object as the backend sent it."""
    latency: float
    """Seconds from the request to the whole answer."""
    endpoint: Endpoint
    """The address that answered."""


@dataclass(frozen=True, slots=True)
class PingResult:
    """What a server says of itself in the server list."""

    motd: str
    """With ``§`` codes."""
    online: int | None
    """Players; None where the server hides them."""
    max_players: int | None
    sample: tuple[str, ...]
    """Names of some players, or lines of text."""
    version: str
    """Empty where the server does not say."""
    protocol: int | None
    latency: float
    """Milliseconds from a ping to its pong, or, where a server has none, to its status."""
    favicon: bool
    """Whether there is an icon."""
    kind: Literal["modern", "legacy"]
    endpoint: Endpoint
    raw: dict[str, Any] | None
    """The JSON object of a modern status."""


async def query_status(
    endpoints: Sequence[Endpoint],
    host: str,
    port: int,
    protocol: int,
    *,
    connect_timeout: float,
    timeout: float,  # noqa: ASYNC109  (not of the whole)
    proxy_header: Literal["v1", "v2", False] = False,
) -> StatusReply:
    """Ask the first of ``endpoints`` that takes a connection for its status.

    ``host`` and ``port`` are what the handshake says, ``connect_timeout`` seconds for each
    address, ``timeout`` seconds for the answer. ``proxy_header`` says for a server that takes
    nothing without one that the connection is our own. Raises `BackendDown` when none takes a
    connection, `BackendSilent` when the one that did closes it or gives no answer in time,
    `RemoteProtocolError` when the answer is no status.
    """
    async with _dial(endpoints, connect_timeout) as peer:
        if proxy_header:
            peer.introduce(proxy_header)
        started = time.perf_counter()
        status = await peer.within(timeout, peer.status(host, port, protocol))
        return StatusReply(dict(status.raw), time.perf_counter() - started, peer.endpoint)


async def try_connect(
    endpoint: Endpoint, seconds: float, proxy_header: Literal["v1", "v2", False] = False
) -> None:
    """Connect to ``endpoint`` and leave; raises `BackendDown` when it takes no connection."""
    async with _dial([endpoint], seconds) as peer:
        if proxy_header:
            peer.introduce(proxy_header)


async def ping_server(
    host: str,
    port: int | None = None,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109  (not of the whole)
    resolver: Resolver | None = None,
) -> PingResult:
    """Ask any Minecraft server, Beta 1.8 to the newest, for its status.

    Without a port SRV records are looked up first, as clients do. A server that does not
    understand the modern ping is asked with those of 1.6 and of Beta 1.8. ``timeout`` is
    seconds for each attempt. Raises `NameNotResolved`, or what `query_status` raises for the
    modern attempt.
    """
    shown = f"[{host}]" if ":" in host else host
    address = shown if port is None else f"{shown}:{port}"
    resolved = await (resolver or Resolver()).resolve(address)
    try:
        return await _ping_modern(resolved.endpoints, host, timeout)
    except (BackendSilent, RemoteProtocolError) as error:
        modern_error = error
    for kind in (LegacyKind.V1_6, LegacyKind.BETA):
        with contextlib.suppress(OSError, RemoteProtocolError):
            return await _ping_legacy(resolved.endpoints, kind, host, timeout)
    raise modern_error


async def _ping_modern(endpoints: Sequence[Endpoint], host: str, seconds: float) -> PingResult:
    async with _dial(endpoints, seconds) as peer:
        port = peer.endpoint[1]
        started = time.perf_counter()
        status = await peer.within(seconds, peer.status(host, port, newest().protocol))
        latency = time.perf_counter() - started
        # Some servers close behind the status; then its own time has to do.
        with contextlib.suppress(BackendSilent, RemoteProtocolError):
            latency = await peer.within(seconds, peer.ping())
        return PingResult(
            motd=to_legacy(status.description),
            online=status.online,
            max_players=status.max_players,
            sample=tuple(name for name, _ in status.sample),
            version=status.version_name,
            protocol=status.protocol,
            latency=1000 * latency,
            favicon=status.favicon is not None,
            kind="modern",
            endpoint=peer.endpoint,
            raw=dict(status.raw),
        )


async def _ping_legacy(
    endpoints: Sequence[Endpoint], kind: LegacyKind, host: str, seconds: float
) -> PingResult:
    async with _dial(endpoints, seconds) as peer:
        started = time.perf_counter()
        request = encode_ping(kind, host[:255], peer.endpoint[1])
        reply = decode_reply(await peer.within(seconds, peer.legacy(request)))
        if reply is None:
            raise BackendSilent("the answer to a legacy ping broke off")
        return PingResult(
            motd=reply.motd,
            online=reply.online,
            max_players=reply.max_players,
            sample=(),
            version=reply.version_name or "",
            protocol=reply.protocol,
            latency=1000 * (time.perf_counter() - started),
            favicon=False,
            kind="legacy",
            endpoint=peer.endpoint,
            raw=None,
        )


class _Peer:
    """A connection to a server that is asked for its status."""

    def __init__(
        self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.endpoint = endpoint
        self._reader = reader
        self._writer = writer
        self._splitter = FrameSplitter(direction="clientbound", max_frame=RESPONSE_MOST)

    async def within(self, seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
        """What ``work`` returns; `BackendSilent` if time or the connection ends before."""
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise BackendSilent(f"no answer from {self._name} in {seconds:g} s") from None
        except BackendSilent:
            raise
        except OSError as error:
            raise BackendSilent(f"{self._name} broke the connection: {error}") from error

    def introduce(self, version: Literal["v1", "v2"]) -> None:
        """Begin with the PROXY header of a connection that is nobody else's."""
        if version == "v2":
            self._writer.write(encode_proxy_header(2))
            return
        # UNKNOWN is refused by some; the specification (2.1) wants the connection's own addresses.
        near, far = (self._writer.get_extra_info(name) for name in ("sockname", "peername"))
        self._writer.write(encode_proxy_header(1, _unscoped(near), _unscoped(far)))

    async def status(self, host: str, port: int, protocol: int) -> Status:
        handshake = Handshake(protocol, host, port, Intent.STATUS)
        self._writer.write(join_frame(handshake.encode()) + join_frame(statuses.REQUEST))
        return statuses.decode_response(await self._packet())

    async def ping(self) -> float:
        """Seconds until the pong."""
        started = time.perf_counter()
        payload = time.time_ns() // 1_000_000
        self._writer.write(join_frame(statuses.encode_ping(payload)))
        if statuses.decode_ping(await self._packet()) != payload:
            raise RemoteProtocolError("the pong is that of another ping")
        return time.perf_counter() - started

    async def legacy(self, request: bytes) -> bytes:
        """The answer to a legacy ping, or what there is of it when the server closes."""
        self._writer.write(request)
        data = b""
        while len(data) < LEGACY_MOST and decode_reply(data) is None:
            received = await self._reader.read(READ_SIZE)
            if not received:
                break
            data += received
        return data

    async def _packet(self) -> bytes:
        while True:
            received = await self._reader.read(READ_SIZE)
            if not received:
                raise BackendSilent(f"{self._name} closed the connection without an answer")
            for frame in self._splitter.feed(received):
                return bytes(frame)

    @property
    def _name(self) -> str:
        return show_endpoint(self.endpoint)


def _unscoped(name: tuple[Any, ...]) -> Endpoint:
    return name[0].partition("%")[0], name[1]


@contextlib.asynccontextmanager
async def _dial(endpoints: Sequence[Endpoint], seconds: float) -> AsyncIterator[_Peer]:
    """A connection to the first endpoint that takes one, closed in the end."""
    reasons = []
    for endpoint in endpoints:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(*endpoint)
        except TimeoutError:
            reasons.append(f"{show_endpoint(endpoint)}: no connection in {seconds:g} s")
            continue
        except OSError as error:
            # asyncio's own sentence repeats the address.
            reason = os.strerror(error.errno) if error.errno else str(error)
            reasons.append(f"{show_endpoint(endpoint)}: {reason}")
            continue
        try:
            yield _Peer(endpoint, reader, writer)
        finally:
            # Nothing that is still to be sent matters, and a peer must not hold us up.
            writer.transport.abort()
        return
    raise BackendDown("; ".join(reasons) or "there is no address")
