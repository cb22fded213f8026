"""Run a proxy from a configuration: listen, follow changes, answer commands, stop well."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcproxy import __version__
from mcproxy.errors import ConfigurationError, McproxyError
from mcproxy.proxy import Proxy
from mcproxy.proxy.address import show_endpoint
from mcproxy_server import answers
from mcproxy_server.config import Configuration, ConfigurationProblems, load
from mcproxy_server.control import ControlError, ControlServer
from mcproxy_server.watch import changes, fingerprint

if TYPE_CHECKING:
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


class Application:
    """One running proxy with everything around it."""

    def __init__(self, configuration: Configuration, socket: Path | None = None) -> None:
        """Run ``configuration``; ``socket`` takes the place of `control.socket`.

        Raises `StartError` for settings that cannot work here.
        """
        self.configuration = configuration
        try:
            self.proxy = Proxy(configuration.settings)
        except McproxyError as error:
            raise StartError(str(error)) from None
        self._socket = socket
        self._control = self._make_control(configuration.control_socket)
        self._log: EventLog | None = None
        self._files = configuration.files
        self._seen = fingerprint(self._files)
        self._early: list[ProxyEvent] = []
        self._end_early = self.proxy.subscribe(self._early.append)
        self._stopping = asyncio.Event()
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
            for address in self.proxy.addresses:
                print(f"listening on {show_endpoint(address)}", flush=True)
            if ready is not None:
                ready(self)
            self._begin_log()
            self._spawn(self._watch())
            await self._stopping.wait()
        finally:
            await self._finish()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop once open sessions have ended; when asked again, at once."""
        if self._stopping.is_set():
            self._end_at_once(128 + number)
        self._stopping.set()

    async def reload(self) -> str:
        """Read the configuration again and use it, all of it or nothing.

        Returns a sentence about what is in force; raises `ConfigurationProblems` or
        `ControlError`, and everything stays as it was.
        """
        async with self._reloading:
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
                await self.proxy.apply(new.settings)
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

    async def _start(self) -> None:
        try:
            await self._control.start()
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
        if self._log is None:
            return
        try:
            self._log.say("info", "reloaded", why=why, result=await self.reload())
        except ConfigurationProblems as error:
            for problem in error.problems:
                self._log.say("error", str(problem))
            self._log.say("error", "not reloaded; the running configuration stays", why=why)
        except ControlError as error:
            self._log.say("error", str(error))
            self._log.say("error", "not reloaded; the running configuration stays", why=why)

    async def _finish(self) -> None:
        if self._log is not None and self._stopping.is_set():
            drain = self.configuration.settings.timeouts.drain
            open_now = self.proxy.counters()["open"]
            self._log.say("info", "stopping", open=open_now, drain=f"{drain:g}s")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.proxy.stop()
        await self._control.close()
        if self._log is not None:
            self._log.close()

    def _end_at_once(self, status: int) -> NoReturn:
        self._control.remove()
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
        return answers.servers(states, self.proxy.settings.servers)

    async def _reload(self, request: dict[str, Any]) -> Any:
        try:
            return await self.reload()
        except ConfigurationProblems as error:
            raise ControlError(str(error)) from None

    async def _ping(self, request: dict[str, Any]) -> Any:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "listening": [show_endpoint(address) for address in self.proxy.addresses],
            "configuration": str(self.configuration.path.absolute()),
        }
