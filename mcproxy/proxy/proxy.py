"""A whole proxy: settings in, sessions relayed. The control plane of the data plane's workers."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from mcproxy._speedups.match.prefixes import PrefixSet
from mcproxy._speedups.plane.reasons import REFUSALS
from mcproxy._speedups.wire.frames import join_frame
from mcproxy.errors import ConfigurationError, McproxyError
from mcproxy.minecraft.legacy import LegacyKind, encode_kick, reply_from_status
from mcproxy.minecraft.status import encode_response
from mcproxy.minecraft.versions import KNOWN
from mcproxy.proxy.accounting import event_told, host_of
from mcproxy.proxy.address import parse_address
from mcproxy.proxy.dataplane import DataPlane, Protection, Snapshot, load_engine
from mcproxy.proxy.events import (
    Address,
    NameFailed,
    ProxyEvent,
)
from mcproxy.proxy.health import Check, HealthChecks
from mcproxy.proxy.hooks import LoginHook, RouteHook, Session, StatusHook
from mcproxy.proxy.limits import protection
from mcproxy.proxy.model import Balance, Filters, Mode, Motd, Server, Settings
from mcproxy.proxy.query import query_status
from mcproxy.proxy.resolve import Resolver
from mcproxy.proxy.router import Router
from mcproxy.proxy.status_cache import LEGACY_PROTOCOL, StatusAnswer, StatusCache
from mcproxy.proxy.targets import AddressState, Targets
from mcproxy.proxy.texts import (
    HOOK_FAILED_TEXT,
    LEGACY_TEXT,
    UNAVAILABLE_TEXT,
    UNKNOWN_TEXT,
    login_disconnect,
)
from mcproxy.proxy.validation import binds_of, check_settings

if TYPE_CHECKING:
    from mcproxy._speedups.plane.engine import Event, ServerRecord

__all__ = ["Proxy"]

UNKNOWN_ID = 0
"""The number of the pretended server that unknown hosts reach."""
HOOK_ROUTE, HOOK_STATUS, HOOK_LOGIN = 1, 2, 4
BALANCES = {Balance.FIRST_AVAILABLE: 0, Balance.ROUND_ROBIN: 1, Balance.LEAST_CONN: 2}
PROXY_VERSIONS = {False: 0, "v1": 1, "v2": 2}
MODES = {Mode.PASSTHROUGH: 0, Mode.ZERO_COPY: 1, Mode.SERVER_ONLY: 2}
RESOLVE_SOONEST = 1.0
"""Seconds between two looks at a name, however short its TTL."""
RESOLVE_AGAIN = 5.0
"""Seconds after which a name that led nowhere is looked up again."""
RESOLVE_PATIENCE = 1.0
"""Seconds for which a start, a reload and other names wait for a name server."""
OWN_SERVERS_MOST = 1024
"""Servers of a route hook's own making that are remembered."""

_log = logging.getLogger("mcproxy.proxy")


class Proxy:
    """One port, many servers.

    ``route``, ``on_status`` and ``on_login`` are hooks, see `mcproxy.proxy.hooks`. Use it as an
    async context manager, or call `start` and `stop`. Listening sockets that are ``inherited``,
    from systemd or from the program that ran before, are used where an address wants them.

    Raises `ConfigurationError` for settings that cannot work and `DataPlaneUnavailable` where the
    data plane cannot run.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        route: RouteHook | None = None,
        on_status: StatusHook | None = None,
        on_login: LoginHook | None = None,
        resolver: Resolver | None = None,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        """Check the settings; nothing runs yet."""
        self._settings = settings
        self._router = Router(settings.servers, settings.default)
        self._binds = binds_of(settings)
        self._inherited = list(inherited)
        self._filters = _prefixes(settings.filters)
        self._trusted = _prefix_set(settings.proxy_trusted)
        self._route_hook = route
        self._status_hook = on_status
        self._login_hook = on_login
        self._resolver = resolver or Resolver()
        self._cache = StatusCache(settings.status, self._query)
        check_settings(settings, self._cache)
        self._targets = Targets()
        self._health = HealthChecks(self._tell)
        # A number is never given to another server: a session may still carry it.
        self._numbers = itertools.count(UNKNOWN_ID + 1)
        self._ids: dict[str, int] = {}
        self._by_id: dict[int, Server] = {}
        self._records: dict[str, ServerRecord] = {}
        self._unknown: ServerRecord | None = None
        self._worker_count = settings.workers or len(os.sched_getaffinity(0))
        self._own_servers: dict[str, ServerRecord] = {}
        # What to call, and whether it wants to hear of sessions too.
        self._subscribers: list[tuple[Callable[[ProxyEvent], None], bool]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._applying = asyncio.Lock()
        self._plane: DataPlane | None = None
        self._stopping = False
        self._stopped = asyncio.Event()
        self._last_counters: dict[str, Any] = {}

    # ---- Life. ----

    async def start(self) -> None:
        """Resolve the backends, listen, accept."""
        if self._plane is not None:
            raise McproxyError("the proxy is running already")
        self._stopping = False
        await self._resolve_all(self._settings)
        self._plane = DataPlane(
            self._snapshot(self._settings, self._router),
            self._on_event,
            workers=self._worker_count,
        )
        self._say_what_is_told()
        try:
            await self._plane.listen(self._binds, self._inherited)
        except BaseException:
            await self._plane.stop(0)
            self._plane.plane.free()
            self._plane = None
            raise
        self._health.follow(self._checks())
        self._spawn(self._follow_names())

    async def stop(self, drain: float | None = None) -> None:
        """Accept no more, let open sessions end for ``drain`` seconds (`timeouts.drain`), end."""
        if self._plane is None:
            return
        plane = self._plane
        self._stopping = True
        await self._health.stop()
        await plane.stop(self._settings.timeouts.drain if drain is None else drain)
        if self._plane is None:
            return  # somebody else stopped it meanwhile
        self._last_counters = plane.counters()
        self._plane = None
        plane.plane.free()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stopped.set()

    async def serve_forever(self) -> None:
        """Wait until somebody calls `stop`."""
        await self._stopped.wait()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; at once when an exception is on its way."""
        await self.stop(None if kind is None else 0)

    async def apply(self, settings: Settings) -> None:
        """Replace the settings, all of them or, when this raises, none; open sessions stay.

        The number of workers is the one thing that needs another process.
        """
        router, binds = Router(settings.servers, settings.default), binds_of(settings)
        check_settings(settings, self._cache)
        # Long lists take a while to read, and logins need this loop meanwhile.
        filters = await asyncio.to_thread(_prefixes, settings.filters)
        trusted = await asyncio.to_thread(_prefix_set, settings.proxy_trusted)
        for server in settings.servers:
            await asyncio.to_thread(_prefixes, server.filters)
        async with self._applying:
            plane = self._running()
            if self._stopping:
                raise McproxyError("the proxy is stopping")
            if settings.workers != self._settings.workers:
                raise ConfigurationError(
                    f"workers: {settings.workers} instead of {self._settings.workers} "
                    "needs a new process: mcproxy-server upgrade"
                )
            await self._resolve_all(settings)
            await plane.listen(binds)
            self._filters, self._router, self._binds = filters, router, binds
            self._trusted = trusted
            if settings.status != self._settings.status:
                self._cache = StatusCache(settings.status, self._query)
            gone = {server.name for server in self._settings.servers}
            gone -= {server.name for server in settings.servers}
            for name in gone:
                self._cache.forget(name)
            self._settings = settings
            self._forget_own_servers()
            await self._publish(plane)

    # ---- What is known from outside. ----

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @property
    def router(self) -> Router:
        """The routes in force."""
        return self._router

    @property
    def addresses(self) -> list[Address]:
        """The (IP address, port) pairs that listen."""
        return self._running().addresses

    @property
    def sockets(self) -> list[socket.socket]:
        """The listening sockets, to be handed to a program that takes over."""
        return self._running().sockets

    @property
    def workers(self) -> int:
        """Threads of the data plane."""
        return self._running().workers

    def counters(self) -> dict[str, Any]:
        """Every counter by name; ``refused`` and ``ended`` by the name of the reason."""
        counters = dict(self._plane.counters() if self._plane else self._last_counters)
        by_reason = counters.pop("ended", {})
        counters["refused"] = {r.name.lower(): by_reason.get(r, 0) for r in REFUSALS}
        counters["ended"] = {
            r.name.lower(): count for r, count in by_reason.items() if r not in REFUSALS
        }
        return counters

    def states(self) -> list[AddressState]:
        """Every address of every server: up or down, drained, its sessions, its weight."""
        return list(self._targets.states(self._all_servers()))

    def drain(self, server: str, address: str, on: bool = True) -> list[AddressState]:
        """Send no new session to an address of ``server``, or, with ``on`` false, do so again.

        Its sessions stay. ``address`` is written as in the settings, or is the IP address and
        port behind such a name; what is drained stays so over reloads. Returns the addresses
        concerned. Raises `ConfigurationError` for a server or an address that does not exist.
        """
        found = next((each for each in self._settings.servers if each.name == server), None)
        if found is None:
            names = ", ".join(each.name for each in self._settings.servers) or "none"
            raise ConfigurationError(f'there is no server "{server}"; there are: {names}')
        concerned = [(each.host, each.port) for each in self._targets.drain(found, address, on)]
        return [s for s in self.states() if s.server == server and s.address in concerned]

    def subscribe(
        self, callback: Callable[[ProxyEvent], None], *, sessions: bool = True
    ) -> Callable[[], None]:
        """Call ``callback`` with every event, in the event loop; returns how to end that.

        Without ``sessions``, `SessionOpened` and `SessionClosed` may be left out, which spares
        the workers and this loop some microseconds a session.
        """
        subscriber = (callback, sessions)
        self._subscribers.append(subscriber)
        self._say_what_is_told()

        def end() -> None:
            self._subscribers.remove(subscriber)
            self._say_what_is_told()

        return end

    def _say_what_is_told(self) -> None:
        if self._plane is not None:
            wanted = any(sessions for _, sessions in self._subscribers)
            self._plane.plane.tells_sessions = wanted

    # ---- Snapshots. ----

    def _snapshot(self, settings: Settings, router: Router) -> Snapshot:
        from mcproxy._speedups.plane.engine import ServerRecord

        # Servers that are gone stay in _by_id: open sessions still tell of them.
        self._records = {}
        for server in router.servers:
            number = self._id(server.name)
            self._by_id[number] = server
            self._records[server.name] = self._record(server, number)
        self._unknown = ServerRecord(
            UNKNOWN_ID,
            MODES[Mode.PASSTHROUGH],
            (),
            unavailable=login_disconnect(settings.unknown_message or UNKNOWN_TEXT),
            unknown=True,
        )
        admit, refuse = self._filters
        return Snapshot(
            routes=router.compiled,
            servers=tuple(self._records[server.name] for server in router.servers),
            unknown=self._unknown,
            protocols=tuple(KNOWN),
            admit=admit,
            refuse=refuse,
            trusted=self._trusted,
            legacy_kick=encode_kick(LEGACY_TEXT),
            hooks=(HOOK_ROUTE if self._route_hook else 0)
            | (HOOK_STATUS if self._status_hook else 0)
            | (HOOK_LOGIN if self._login_hook else 0),
            wants_local=self._has_hooks or any(s.listen for s in settings.servers),
            max_connections=settings.max_connections,
            connect=settings.timeouts.connect,
            handshake=settings.timeouts.handshake,
            idle=settings.timeouts.idle,
            dead_peer=settings.timeouts.dead_peer,
            buffers=(settings.buffers.session, settings.buffers.total),
            protection=self._protection(settings),
        )

    def _protection(self, settings: Settings) -> Protection:
        text = settings.limits.message
        return protection(
            settings, self._cache.unknown(Motd(text=text), KNOWN[-1]), login_disconnect(text)
        )

    @property
    def _has_hooks(self) -> bool:
        return bool(self._route_hook or self._status_hook or self._login_hook)

    def _id(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = next(self._numbers)
        return self._ids[name]

    def _record(self, server: Server, number: int) -> ServerRecord:
        from mcproxy._speedups.plane.engine import ServerRecord

        admit, refuse = _prefixes(server.filters)
        return ServerRecord(
            number,
            MODES[server.mode],
            self._targets.of(server),
            admit,
            refuse,
            login_disconnect(server.disconnect_message or UNAVAILABLE_TEXT),
            balance=BALANCES[server.balance],
            slow_start=server.slow_start,
            warm=-(-server.pool.warm // self._worker_count),
            warm_age=server.pool.max_idle,
            send_proxy=PROXY_VERSIONS[server.send_proxy_protocol],
        )

    async def _publish(self, plane: DataPlane) -> None:
        """Tell the workers the settings in force, and check what they name now."""
        await plane.apply(self._snapshot(self._settings, self._router))
        self._prune()
        self._health.follow(self._checks())

    def _all_servers(self) -> tuple[Server, ...]:
        """Those of the settings and those that a route hook made up."""
        own = (self._by_id[record.id] for record in self._own_servers.values())
        return (*self._settings.servers, *own)

    def _prune(self) -> None:
        self._targets.prune(self._all_servers())

    def _checks(self) -> list[Check]:
        return [
            Check(
                server.name,
                target,
                server.health,
                *_asked_host(server),
                proxy_header=server.send_proxy_protocol,
            )
            for server in self._settings.servers
            for target, _ in self._targets.of(server)
        ]

    # ---- Names of backends. ----

    async def _resolve_all(self, settings: Settings) -> float:
        """Resolve every address; returns the seconds until the first answer gets old."""
        wanted = {
            address: server.name for server in settings.servers for address in server.addresses
        }
        for address in wanted:
            parse_address(address)
        lives = await asyncio.gather(*(self._resolve(a, name) for a, name in wanted.items()))
        return min(lives, default=float("inf"))

    async def _resolve(self, address: str, server: str) -> float:
        try:
            resolved = await asyncio.wait_for(self._resolver.resolve(address), RESOLVE_PATIENCE)
        except TimeoutError:
            return RESOLVE_SOONEST  # the lookup goes on, and nobody has to wait for it
        except OSError as error:
            self._tell(NameFailed(server, address, str(error)))
            return RESOLVE_AGAIN
        self._targets.endpoints[address] = resolved.endpoints
        return max(resolved.ttl, RESOLVE_SOONEST)

    async def _follow_names(self) -> None:
        """Look names up again when their TTL ends, and tell the workers what changed."""
        wait = 0.0
        while True:
            # Settings may change meanwhile, so even without a name there is a look now and then.
            await asyncio.sleep(min(wait, RESOLVE_AGAIN))
            async with self._applying:
                before = dict(self._targets.endpoints)
                wait = await self._resolve_all(self._settings)
                changed = self._targets.endpoints != before
                if changed and self._plane is not None and not self._stopping:
                    self._forget_own_servers()
                    await self._publish(self._plane)

    # ---- Status. ----

    async def _query(self, server: Server, protocol: int) -> dict[str, Any]:
        timeouts = self._settings.timeouts
        host, port = _asked_host(server)
        reply = await query_status(
            self._targets.to_ask(server),
            host,
            port,
            protocol,
            connect_timeout=timeouts.connect,
            timeout=timeouts.handshake,
            proxy_header=server.send_proxy_protocol,
        )
        return reply.json

    async def _status(self, server: Server | None, protocol: int) -> StatusAnswer:
        if server is None:
            return self._cache.unknown(self._settings.motd_unknown, protocol)
        return await self._cache.get(server, protocol)

    async def _publish_status(self, event: Event) -> None:
        while True:
            server = self._server_of(event)
            answer = await self._status(server, event.protocol)
            if self._server_of(event) == server:
                break  # otherwise a reload has overtaken the answer
        if self._plane is None or self._plane.plane.closed:
            return
        legacy = event.protocol == LEGACY_PROTOCOL
        self._plane.plane.put_status(
            event.server,
            event.protocol,
            max(0.0, answer.expires - time.monotonic()),
            answer.legacy if legacy else answer.frame,
            answer.legacy_beta if legacy else None,
        )

    # ---- Events of the workers. ----

    def _on_event(self, event: Event) -> None:
        engine = load_engine()
        if event.kind == engine.STATUS_WANTED:
            self._spawn(self._publish_status(event))
        elif event.kind in (engine.CONSULT_ROUTE, engine.CONSULT_STATUS, engine.CONSULT_LOGIN):
            self._spawn(self._consult(event))
        elif self._subscribers:
            server = self._by_id.get(event.server)
            told = event_told(event, server.name if server else None)
            if told is not None:
                self._tell(told)

    def _tell(self, event: ProxyEvent) -> None:
        for callback, _ in list(self._subscribers):
            try:
                callback(event)
            except Exception:
                _log.exception("a subscriber of events raised")

    # ---- Hooks. ----

    async def _consult(self, event: Event) -> None:
        engine = load_engine()
        decide = {
            engine.CONSULT_ROUTE: self._decide_route,
            engine.CONSULT_STATUS: self._decide_status,
            engine.CONSULT_LOGIN: self._decide_login,
        }[event.kind]
        try:
            await decide(event, self._session_of(event))
        except Exception:
            if self._plane is None or self._plane.plane.closed:
                return  # the session has ended with the proxy
            _log.exception("a hook raised; the session is refused")
            text = login_disconnect(HOOK_FAILED_TEXT) if event.intent in (2, 3) else None
            self._plane.plane.refuse(event, text)

    async def _decide_route(self, event: Event, session: Session) -> None:
        assert self._route_hook is not None
        answer = await _result(self._route_hook(session))
        if isinstance(answer, str):
            found = next((s for s in self._router.servers if s.name == answer), None)
            if found is None:
                raise LookupError(f"the route hook named {answer!r}, which is no server")
            answer = found
        record = await self._record_of(answer)
        self._running().plane.route(event, record)

    async def _record_of(self, server: Server | None) -> ServerRecord:
        """The workers' record of a configured server, or of one that a route hook made up."""
        if server is None:
            assert self._unknown is not None
            return self._unknown
        number = self._ids.get(server.name)
        if number is not None and self._by_id[number] == server and server.name in self._records:
            return self._records[server.name]
        key = repr(server)
        if key not in self._own_servers:
            await asyncio.gather(*(self._resolve(a, server.name) for a in server.addresses))
        if key not in self._own_servers:  # nobody else was faster
            while len(self._own_servers) >= OWN_SERVERS_MOST:
                self._forget_own_server(next(iter(self._own_servers)))
                self._prune()
            number = next(self._numbers)
            self._by_id[number] = server
            self._own_servers[key] = self._record(server, number)
        return self._own_servers[key]

    def _forget_own_servers(self) -> None:
        for key in list(self._own_servers):
            self._forget_own_server(key)

    def _forget_own_server(self, key: str) -> None:
        server = self._by_id.pop(self._own_servers.pop(key).id)
        if server.name not in self._records:
            self._cache.forget(server.name)

    async def _decide_status(self, event: Event, session: Session) -> None:
        assert self._status_hook is not None
        protocol = LEGACY_PROTOCOL if event.legacy else event.protocol
        answer = await self._status(session.server, protocol)
        status = await _result(self._status_hook(session, dict(answer.status)))
        plane = self._running().plane
        if status is None:
            plane.refuse(event)
        elif event.legacy:
            plane.answer(event, reply_from_status(LegacyKind(event.legacy), status))
        else:
            plane.answer(event, join_frame(encode_response(status)))

    async def _decide_login(self, event: Event, session: Session) -> None:
        assert self._login_hook is not None
        text = await _result(self._login_hook(session))
        if text is None:
            self._running().plane.admit(event)
        else:
            self._running().plane.refuse(event, login_disconnect(text))

    def _session_of(self, event: Event) -> Session:
        host, raw_host = host_of(event)
        return Session(
            id=event.session,
            client=(event.address, event.port),
            local=(event.local, event.local_port),
            host=host,
            raw_host=raw_host,
            protocol=event.protocol,
            intent=event.intent,
            server=self._server_of(event),
            name=event.name.decode(errors="replace") or None,
            uuid=UUID(bytes=event.uuid) if event.uuid else None,
        )

    def _server_of(self, event: Event) -> Server | None:
        return self._by_id.get(event.server)

    # ---- Small things. ----

    def _running(self) -> DataPlane:
        if self._plane is None:
            raise McproxyError("the proxy is not running")
        return self._plane

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)

    def _forget_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a task of the proxy failed", exc_info=task.exception())


async def _result(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


@functools.lru_cache(maxsize=256)
def _prefixes(filters: Filters) -> tuple[PrefixSet | None, PrefixSet | None]:
    """(who is admitted, who is refused); None: no such list."""
    return _prefix_set(filters.whitelist), _prefix_set(filters.blacklist)


def _prefix_set(networks: tuple[str, ...]) -> PrefixSet | None:
    return PrefixSet(networks) if networks else None


def _asked_host(server: Server) -> tuple[str, int]:
    """The host name that a backend is asked for: a name that leads to it, if it has one."""
    host, port = parse_address(server.addresses[0]) if server.addresses else ("", None)
    named = next((domain for domain in server.domains if "*" not in domain), None)
    return named or host, port or 25565
