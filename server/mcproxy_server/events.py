"""What a running proxy tells, as log lines: bounded whatever peers do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from mcproxy.minecraft import versions
from mcproxy.proxy.address import show_endpoint
from mcproxy.proxy.events import (
    AcceptPaused,
    AcceptResumed,
    AddressDown,
    AddressUp,
    BackendFailed,
    FloodBegan,
    FloodEnded,
    NameFailed,
    ProxyEvent,
    Refused,
    SessionClosed,
    SessionOpened,
)
from mcproxy_server.log import LineLimiter, RepeatLimiter, configure

if TYPE_CHECKING:
    from mcproxy.proxy import Proxy
    from mcproxy_server.config.schema import Log

__all__ = ["EventLog", "level_of"]

REFUSALS_PER_SECOND = 10
SESSIONS_PER_SECOND = 100
_TICK = 1.0

_LEVELS = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
}
# What anybody can cause from outside, as scanners do all day, and what an operator should see.
_QUIET = frozenset(
    {
        "SILENT",
        "CLOSED_EARLY",
        "MALFORMED",
        "FRAME_TOO_LONG",
        "HOST_TOO_LONG",
        "BAD_INTENT",
        "BAD_LOGIN",
        "BAD_STATUS",
    }
)
_LOUD = {
    "MAX_CONNECTIONS": "warning",
    "DESCRIPTORS": "warning",
    "MEMORY": "warning",
    "NO_BACKEND": "warning",
    "CONTROL_BUSY": "warning",
    "CONTROL_SLOW": "warning",
    "PROXY_MALFORMED": "warning",
    "PROXY_MISSING": "warning",
    "INTERNAL": "error",
}


def level_of(reason: str) -> str:
    """The level at which a refusal for ``reason`` is logged."""
    return "debug" if reason.upper() in _QUIET else _LOUD.get(reason.upper(), "info")


class EventLog:
    """The log of one proxy, as long as it runs."""

    def __init__(self, proxy: Proxy, options: Log, early: list[ProxyEvent]) -> None:
        """Log what ``proxy`` tells from now on, and before that the ``early`` events."""
        self._proxy = proxy
        self._refusals = LineLimiter(REFUSALS_PER_SECOND)
        self._sessions = LineLimiter(SESSIONS_PER_SECOND)
        self._troubles = RepeatLimiter()
        self._written: Counter[str] = Counter()
        self._summed_up: dict[str, int] = {}
        self._logger: Any = structlog.get_logger()
        self._level = 0
        self._end: Callable[[], None] | None = None
        self.configure(options)
        for event in early:
            self.write(event)

    def configure(self, options: Log) -> None:
        """Log as ``options`` say from now on."""
        configure(options)
        self._level = _LEVELS[options.level]
        if self._end is not None:
            self._end()
        # Sessions are lines of level info: below that nobody needs to hear of them.
        self._end = self._proxy.subscribe(self.write, sessions=self._level <= _LEVELS["info"])

    async def run(self) -> None:
        """Write the summaries, until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            self._summarise(final=False)

    def close(self) -> None:
        """Say what is still to be said, and end."""
        if self._end is not None:
            self._end()
        self._summarise(final=True)

    def say(self, level: str, event: str, **fields: Any) -> None:
        """One line, with the ``fields`` that are known."""
        if _LEVELS[level] >= self._level:
            known = {name: value for name, value in fields.items() if value is not None}
            getattr(self._logger, level)(event, **known)

    def write(self, event: ProxyEvent) -> None:
        """The line for ``event``, if it gets one."""
        match event:
            case Refused():
                self._refused(event)
            case SessionOpened():
                self._opened(event)
            case SessionClosed():
                self._closed(event)
            case BackendFailed():
                where = show_endpoint(event.backend)
                self._trouble(
                    "backend failed", server=event.server, backend=where, error=event.error
                )
            case AddressDown():
                self._health("warning", "address down", event, error=event.error)
            case AddressUp():
                self._health("info", "address up", event)
            case NameFailed():
                self._trouble(
                    "backend not found",
                    server=event.server,
                    address=event.address,
                    error=event.error,
                )
            case AcceptPaused():
                self._trouble("new connections wait: no descriptor is left", error=event.error)
            case AcceptResumed():
                self._trouble("new connections are accepted again")
            case FloodBegan():
                self.say("warning", "flood mode begins", connections=event.connections)
            case FloodEnded():
                self.say("warning", "flood mode ends", seconds=round(event.duration, 1))

    def _refused(self, event: Refused) -> None:
        reason = event.reason.name.lower()
        level = level_of(reason)
        # What is not written anyway must not use up the lines of what is.
        if _LEVELS[level] < self._level or not self._refusals.admit(reason):
            return
        self._written[reason] += 1
        self.say(
            level,
            "refused",
            reason=reason,
            client=show_endpoint(event.client),
            server=event.server,
            host=event.host,
        )

    def _opened(self, event: SessionOpened) -> None:
        if self._level > _LEVELS["info"] or not self._sessions.admit("opened"):
            return
        self.say(
            "info",
            "session opened",
            client=show_endpoint(event.client),
            server=event.server,
            backend=show_endpoint(event.backend),
            host=event.host,
            version=versions.nearest(event.protocol).name,
            player=event.name,
        )

    def _closed(self, event: SessionClosed) -> None:
        if self._level > _LEVELS["info"] or not self._sessions.admit("closed"):
            return
        self.say(
            "info",
            "session closed",
            client=show_endpoint(event.client),
            server=event.server,
            reason=event.reason.name.lower(),
            seconds=round(event.duration, 1),
            serverbound=event.serverbound,
            clientbound=event.clientbound,
        )

    def _health(self, level: str, what: str, event: AddressDown | AddressUp, **more: Any) -> None:
        # Every change has its line: the last one says how things are.
        self.say(level, what, server=event.server, backend=show_endpoint(event.address), **more)

    def _trouble(self, what: str, **fields: Any) -> None:
        if times := self._troubles.admit((what, *fields.values())):
            self.say("warning", what, **fields, times=times if times > 1 else None)

    def _summarise(self, *, final: bool) -> None:
        if (left_out := self._refusals.summary(final=final)) is not None:
            counts = self._exact(left_out)
            level = max((level_of(reason) for reason in counts), key=_LEVELS.__getitem__)
            self.say(level, "more refused", total=sum(counts.values()), **counts)
        if (left_out := self._sessions.summary(final=final)) is not None:
            self.say("info", "more sessions", **left_out)

    def _exact(self, left_out: dict[str, int]) -> dict[str, int]:
        """How many refusals had no line, by reason.

        Under attack the data plane leaves events out before they come here; its counters miss
        none.
        """
        totals: dict[str, int] = self._proxy.counters()["refused"]
        counts = dict(left_out)
        for reason, total in totals.items():
            if _LEVELS[level_of(reason)] >= self._level:
                missing = total - self._summed_up.get(reason, 0) - self._written[reason]
                counts[reason] = max(missing, counts.get(reason, 0))
        self._summed_up = dict(totals)
        self._written.clear()
        return {reason: count for reason, count in counts.items() if count}
