"""Run a proxy from a configuration: listen, follow changes, answer commands, stop well."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcproxy import __version__
from mcproxy.errors import ConfigurationError, McproxyError
from mcproxy.proxy import Proxy
from mcproxy.proxy.address import show_endpoint
from mcproxy_server import answers, systemd
from mcproxy_server.config import Configuration, ConfigurationProblems, load
from mcproxy_server.control import ControlError, ControlServer
from mcproxy_server.handover import HandoverError, Successor, Takeover, place_beside
from mcproxy_server.watch import changes, fingerprint

if TYPE_CHECKING:
    from mcproxy.proxy import Settings
    from mcproxy.proxy.events import ProxyEvent
    from mcproxy_server.events import EventLog

__all__ = ["Application", "StartError", "run"]


class StartError(Exception):
    """Why the proxy cannot start, in one line."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on uvloop until it ends."""
    import uvloop

    _allow_descriptors()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _allow_descriptors() -> None:
    """Raise the soft limit on open files, which is small by tradition, to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


class Application:
    """One running proxy with everything around it."""

    def __init__(
        self,
        configuration: Configuration,
        control: Path | None = None,
        *,
        command: Sequence[str] = (),
        takeover: Takeover | None = None,
        activated: Sequence[socket.socket] = (),
        clean_up: Callable[[], None] | None = None,
    ) -> None:
        """Run ``configuration``; ``control`` takes the place of `control.socket`.

        ``command`` starts the program that takes over at an upgrade; without it there are none.
        ``takeover`` is what this process itself takes over. Sockets that systemd ``activated``
        take the place of `bind`. ``clean_up`` is called when the program is ended at once, and
        nothing else will be. Raises `StartError` for settings that cannot work here.
        """
        self.configuration = configuration
        self._command = command
        self._takeover = takeover
        sockets = takeover.sockets if takeover else activated
        self._given: list[str] = []
        if activated or (takeover and takeover.activated):
            self._given = [show_endpoint(one.getsockname()[:2]) for one in sockets]
        try:
            self.proxy = Proxy(self._settings(configuration), inherited=sockets)
        except McproxyError as error:
            raise StartError(str(error)) from None
        self._socket = control
        self._clean_up = clean_up
        self._control = self._make_control(configuration.control_socket)
        self._log: EventLog | None = None
        self._files = configuration.files
        self._seen = fingerprint(self._files)
        self._early: list[ProxyEvent] = []
        self._end_early = self.proxy.subscribe(self._early.append)
        self._stopping = asyncio.Event()
        self._signalled = False
        self._upgrade: asyncio.Task[Successor] | None = None
        self._successor: int | None = None
        """The process that has taken over."""
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, ready: Callable[[Application], None] | None = None) -> None:
        """Serve until a signal says to stop, then let open sessions end.

        Raises `StartError` if the proxy cannot listen or its control socket is taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        await self._start()
        try:
            if self._takeover is not None:
                await self._take_over(self._takeover)
            systemd.notify(READY=1, STATUS=self._state())
            for address in self.proxy.addresses:
                print(f"listening on {show_endpoint(address)}", flush=True)
            if ready is not None:
                ready(self)
            self._begin_log()
            if self._takeover is not None:
                self._say("info", "took over", process=self._takeover.predecessor)
            self._spawn(self._watch())
            await self._stopping.wait()
        finally:
            await self._finish()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop once open sessions have ended; when asked again, at once."""
        if self._signalled:
            self._end_at_once(128 + number)
        self._signalled = True
        if self._successor is not None:
            self._spawn(self.proxy.stop())  # sooner than after an upgrade
        self._stopping.set()

    async def reload(self) -> str:
        """Read the configuration again and use it, all of it or nothing.

        Returns a sentence about what is in force; raises `ConfigurationProblems` or
        `ControlError`, and everything stays as it was.
        """
        async with self._reloading:
            self._must_be_in_charge()
            systemd.reloading()
            try:
                return await self._reload_now()
            finally:
                systemd.notify(READY=1, STATUS=self._state())

    async def _reload_now(self) -> str:
        path = self.configuration.path
        try:
            new = await asyncio.to_thread(load, path, self._socket)
        except ConfigurationProblems as error:
            self._files = tuple({*self.configuration.files, *error.files})
            raise
        control = None
        if new.control_socket != self.configuration.control_socket:
            control = self._make_control(new.control_socket)
            await control.start()
        try:
            await self.proxy.apply(self._settings(new))
        except (McproxyError, OSError) as error:
            if control is not None:
                await control.close()
            raise ControlError(f"{path}: {error}") from error
        if control is not None:
            self._control, old = control, self._control
            await old.close()
        self.configuration, self._files = new, new.files
        if self._log is not None:
            self._log.configure(new.log)
        return f"{path}: {answers.count(len(new.settings.servers), 'server')} in force"

    async def upgrade(self, patience: float) -> dict[str, Any]:
        """Let the program as it is on the disk now take over, within ``patience`` seconds.

        Returns who it is; this process then lets its sessions end. Raises `ControlError` with
        the reason if it fails, and everything stays as it was.
        """
        self._must_be_in_charge()
        if not self._command:
            raise ControlError("this is not `mcproxy-server run`: it cannot be upgraded")
        if os.getpid() == 1:
            raise ControlError(
                "this is process 1 of a container, which ends with it: start a new container"
            )
        if self._upgrade is not None:
            raise ControlError("an upgrade is on its way already")
        async with self._reloading:  # nor does a reload change meanwhile what is handed over
            self._must_be_in_charge()
            self._say("info", "upgrading", command=" ".join(self._command))
            self._upgrade = asyncio.create_task(
                Successor.start(
                    self._command,
                    self.proxy.sockets,
                    self._control.path,
                    patience=patience,
                    activated=bool(self._given),
                    drained=[
                        (state.server, show_endpoint(state.address))
                        for state in self.proxy.states()
                        if state.draining
                    ],
                )
            )
            try:
                return self._hand_over(await self._upgrade)
            except asyncio.CancelledError:
                self._must_be_in_charge()
                raise
            except HandoverError as error:
                self._say("error", "not upgraded; this process goes on", why=str(error))
                raise ControlError(f"not upgraded: {error}") from None
            finally:
                self._upgrade = None

    def _hand_over(self, successor: Successor) -> dict[str, Any]:
        if self._stopping.is_set():
            successor.give_up()
            self._must_be_in_charge()
        try:
            if successor.ready["control"] is not None:
                os.replace(successor.ready["control"], self._control.path)
        except OSError as error:
            successor.give_up()
            raise HandoverError(f"cannot move the control socket: {error.strerror}") from None
        # In this order: what the new process tells systemd counts from now on.
        systemd.notify(MAINPID=successor.pid)
        successor.go()
        self._successor = successor.pid
        drain, open_now = self.configuration.upgrade_drain, self.proxy.counters()["open"]
        self._say("info", "handed over", to=successor.pid, open=open_now, drain=f"{drain:g}s")
        self._stopping.set()
        return {
            "pid": successor.pid,
            "version": successor.ready["version"],
            "listening": successor.ready["listening"],
            "old": {"pid": os.getpid(), "version": __version__, "open": open_now, "drain": drain},
        }

    async def _take_over(self, takeover: Takeover) -> None:
        for server, address in takeover.drained:
            with contextlib.suppress(ConfigurationError):  # it is not configured any more
                self.proxy.drain(server, address)
        beside = self._control.made
        told = asyncio.create_task(
            takeover.ready(
                version=__version__,
                listening=[show_endpoint(address) for address in self.proxy.addresses],
                control=None if beside == self._control.path else str(beside.absolute()),
            )
        )
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({told, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        try:
            if not told.done():
                told.cancel()
                raise HandoverError("told to stop while taking over")
            await told
        except HandoverError as error:
            takeover.close()
            raise StartError(str(error)) from None
        takeover.close()

    def _must_be_in_charge(self) -> None:
        if self._successor is not None:
            raise ControlError(f"process {self._successor} has taken over; ask again")
        if self._stopping.is_set():
            raise ControlError("the proxy is stopping")

    def _settings(self, configuration: Configuration) -> Settings:
        settings = configuration.settings
        return replace(settings, bind=tuple(self._given)) if self._given else settings

    def _state(self) -> str:
        servers = answers.count(len(self.proxy.settings.servers), "server")
        addresses = ", ".join(show_endpoint(address) for address in self.proxy.addresses)
        return f"{servers}; listening on {addresses}"

    async def _start(self) -> None:
        path = self._control.path
        beside = None
        if self._takeover is not None and _same(path, self._takeover.control):
            beside = place_beside(path, os.getpid())
        if self._takeover is not None:
            # What is imported later otherwise: now, while the other process serves alone.
            import watchfiles  # noqa: F401

            import mcproxy_server.events  # noqa: F401
        try:
            await self._control.start(beside=beside)
        except ControlError as error:
            raise StartError(str(error)) from None
        try:
            await self.proxy.start()
        except (McproxyError, OSError) as error:
            await self._control.close()
            raise StartError(str(error)) from None

    def _begin_log(self) -> None:
        # Not before the proxy listens, so that nobody waits for its import.
        from mcproxy_server.events import EventLog

        self._end_early()
        self._log = EventLog(self.proxy, self.configuration.log, self._early)
        self._spawn(self._log.run())

    async def _watch(self) -> None:
        async for _ in changes(lambda: self._files, self._seen, self._stopping):
            await self._reload_and_say("the configuration changed")

    def _reload_soon(self) -> None:
        self._spawn(self._reload_and_say("SIGHUP"))

    async def _reload_and_say(self, why: str) -> None:
        try:
            self._say("info", "reloaded", why=why, result=await self.reload())
        except ConfigurationProblems as error:
            for problem in error.problems:
                self._say("error", str(problem))
            self._say("error", "not reloaded; the running configuration stays", why=why)
        except ControlError as error:
            self._say("error", str(error))
            self._say("error", "not reloaded; the running configuration stays", why=why)

    async def _finish(self) -> None:
        drain = self.configuration.settings.timeouts.drain
        if self._successor is not None:
            drain = self.configuration.upgrade_drain
        elif self._stopping.is_set():
            open_now = self.proxy.counters()["open"]
            systemd.notify(STOPPING=1, STATUS=f"{answers.count(open_now, 'session')} may end")
            self._say("info", "stopping", open=open_now, drain=f"{drain:g}s")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending: list[Awaitable[Any]] = [self.proxy.stop(drain)]
        if self._upgrade is not None:
            self._upgrade.cancel()
            ending.append(asyncio.wait({self._upgrade}))
        await asyncio.gather(*ending)
        await self._control.close()
        if self._log is not None:
            self._log.close()

    def _say(self, level: str, event: str, **more: Any) -> None:
        if self._log is not None:
            self._log.say(level, event, **more)

    def _end_at_once(self, status: int) -> NoReturn:
        self._control.remove()
        if self._clean_up is not None:
            self._clean_up()
        sys.stdout.flush()
        os._exit(status)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_control(self, path: Path) -> ControlServer:
        return ControlServer(
            path,
            {
                "routes": self._routes,
                "stats": self._stats,
                "reload": self._reload,
                "upgrade": self._upgrade_on_request,
                "ping": self._ping,
                "servers": self._servers,
                "drain": self._drain,
            },
        )

    async def _routes(self, request: dict[str, Any]) -> Any:
        return answers.routes(self.proxy.router, request.get("host"), request.get("local"))

    async def _stats(self, request: dict[str, Any]) -> Any:
        return self.proxy.counters()

    async def _servers(self, request: dict[str, Any]) -> Any:
        return answers.servers(self.proxy.states(), self.proxy.settings.servers)

    async def _drain(self, request: dict[str, Any]) -> Any:
        self._must_be_in_charge()
        if self._upgrade is not None:
            raise ControlError("an upgrade is on its way; try again when it is done")
        server, address, on = (request.get(key) for key in ("server", "address", "on"))
        if not (isinstance(server, str) and isinstance(address, str) and isinstance(on, bool)):
            raise ControlError("drain takes a server, an address and whether it is on")
        try:
            states = self.proxy.drain(server, address, on)
        except ConfigurationError as error:
            raise ControlError(str(error)) from None
        if self._log is not None:
            done = "address drained" if on else "address no longer drained"
            self._log.say("info", done, server=server, address=address)
        found = [each for each in self.proxy.settings.servers if each.name == server]
        return answers.servers(states, found)

    async def _reload(self, request: dict[str, Any]) -> Any:
        try:
            return await self.reload()
        except ConfigurationProblems as error:
            raise ControlError(str(error)) from None

    async def _upgrade_on_request(self, request: dict[str, Any]) -> Any:
        return await self.upgrade(float(request["patience"]))

    async def _ping(self, request: dict[str, Any]) -> Any:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "listening": [show_endpoint(address) for address in self.proxy.addresses],
            "configuration": str(self.configuration.path.absolute()),
        }
