"""Answers to the server list, kept per server and protocol.

One question at most is on its way to a backend per (server, protocol number that it is asked
with), whoever waits for it. Protocol numbers that no known version has share the newest
version's question, and so do pings from before 1.7: an attacker can make neither keys nor
questions.

What is shown:

=========  ================================================================================
online     the backend's answer, younger than ``ttl``, with ``motd.online`` merged in
stale      its last answer, up to ``max_stale`` after it came, while it fails or is slow
starting   ``motd.starting``, if set: the backend takes connections and says nothing, and
           either was seen down since its last answer or has no answer to show any more
offline    ``motd.offline``: none of these
unknown    ``motd.unknown``: no server has the name that was typed
=========  ================================================================================

An asker waits for the backend for half a second, so that one which hangs costs the askers
nothing, and for three seconds where there is nothing to show without it.

A backend that takes no connection is not asked again for ``negative_ttl``, with whatever
protocol; one that fails later than that, not with this protocol.

The protocol number in answers of our own making is the one that was asked with, so that the
client shows the player count. Where ``version_name`` is set it is -1, because clients show the
version's text only when the numbers differ. Askers of unknown protocol numbers share an answer:
it has the newest known number.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from mcproxy._speedups.wire.frames import join_frame
from mcproxy.errors import BackendSilent, McproxyError, RemoteProtocolError
from mcproxy.minecraft.legacy import LegacyKind, reply_from_status
from mcproxy.minecraft.status import MAX_JSON_UNITS, build_status, encode_response
from mcproxy.minecraft.text import to_json
from mcproxy.minecraft.versions import is_known, nearest, newest
from mcproxy.proxy.model import Motd, Server, StatusPolicy

__all__ = [
    "LEGACY_PROTOCOL",
    "UNKNOWN_PROTOCOL",
    "Query",
    "State",
    "StatusAnswer",
    "StatusCache",
]

State: TypeAlias = Literal["online", "stale", "starting", "offline", "unknown"]

Query: TypeAlias = Callable[[Server, int], Awaitable[dict[str, Any]]]
"""Asks a server with a protocol number; returns the JSON object of its status."""

UNKNOWN_PROTOCOL = -1
"""The key that all numbers share which no known version has."""
LEGACY_PROTOCOL = -2
"""The key of pings from before 1.7."""

SHOW_VERSION_NAME = -1
"""A protocol number that no client has: it shows the version's name instead of the players."""

PATIENCE = 0.5
"""Seconds that an asker waits for a backend when there is something to show without it."""
FIRST_PATIENCE = 3.0
"""Seconds that an asker waits when nothing is known: an answer must come before clients, and
our own deadline for them, give up."""
UNKNOWN_LIFE = 3600.0
"""Seconds that the answer for unknown hosts may be kept; a reload makes a new one."""

OFFLINE_TEXT = "§cThis server is offline right now.\n§7Please try again in a few minutes."
STARTING_TEXT = "§eThis server is starting.\n§7It will be there in a moment."
UNKNOWN_TEXT = "§cThere is no server at this address.\n§7Please check what you typed."

_log = logging.getLogger("mcproxy.status")


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What is sent to whoever asks for the status of a server."""

    frame: bytes = field(repr=False)
    """The status response as sent, length prefix included."""
    legacy: bytes = field(repr=False)
    """The reply to a ping of 1.4 to 1.6."""
    legacy_beta: bytes = field(repr=False)
    """The reply to a ping of Beta 1.8 to 1.3."""
    status: dict[str, Any] = field(repr=False)
    """The JSON object that the frame carries."""
    expires: float
    """On the cache's clock: until when it may be sent without asking the cache again."""
    state: State


@dataclass(slots=True)
class _Entry:
    """What is known of a backend when it is asked with one protocol number."""

    good: StatusAnswer | None = None
    """Its last answer; ``expires`` is where the ttl ends."""
    fetched: float = 0.0
    failed: bool = False
    """The last question brought no answer."""
    silent: bool = False
    """It failed because the backend took the connection and said nothing."""
    retry: float = 0.0
    """After a failure: when to ask again."""
    running: asyncio.Task[None] | None = None
    own: dict[int, StatusAnswer] = field(default_factory=dict)
    """Answers of our own making, by key."""


@dataclass(slots=True)
class _Backend:
    server: Server
    entries: dict[int, _Entry] = field(default_factory=dict)
    down_until: float = -math.inf
    """It took no connection, and is not asked with any protocol before this."""
    went_down: float = -math.inf
    """When it last took no connection."""


class StatusCache:
    """The statuses of some servers.

    ``query`` asks a backend and returns the JSON object of its status; it should have time-outs
    of its own. What it raises is taken as a backend that is silent (`BackendSilent`), down (any
    other `OSError`, so `BackendDown` and `NameNotResolved` too) or talking nonsense (anything
    else). ``clock`` gives seconds. Use one cache in one event loop.
    """

    def __init__(
        self, policy: StatusPolicy, query: Query, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """See the class."""
        self.policy = policy
        self._query = query
        self._clock = clock
        self._backends: dict[str, _Backend] = {}

    @staticmethod
    def key(protocol: int) -> int:
        """The number that answers are kept under: a known one, `UNKNOWN_PROTOCOL` or
        `LEGACY_PROTOCOL`."""
        if protocol == LEGACY_PROTOCOL or is_known(protocol):
            return protocol
        return UNKNOWN_PROTOCOL

    async def get(self, server: Server, protocol: int) -> StatusAnswer:
        """The answer for an asker with this protocol number, or `LEGACY_PROTOCOL`.

        Asks the backend if it is time to. A backend that fails is no error here.
        """
        key = self.key(protocol)
        asked_with = newest().protocol if key < 0 else key
        backend = self._backends.get(server.name)
        if backend is None or backend.server != server:
            backend = self._backends[server.name] = _Backend(server)
        entry = backend.entries.setdefault(asked_with, _Entry())
        if entry.running is not None or self._due(backend, entry):
            if entry.running is None:
                entry.running = asyncio.create_task(self._refresh(backend, entry, asked_with))
            # Waiting like this, one who gives up leaves the question to the others.
            await asyncio.wait({entry.running}, timeout=self._patience(backend, entry))
        return self._answer(backend, entry, key)

    def unknown(self, motd: Motd | None, protocol: int) -> StatusAnswer:
        """The answer for a host that no server has."""
        status = _own_status(motd, UNKNOWN_TEXT, self.key(protocol))
        return _encoded(status, "unknown", self._clock() + UNKNOWN_LIFE)

    def forget(self, server_name: str) -> None:
        """Drop what is known of a server; those who wait for it still get their answer."""
        self._backends.pop(server_name, None)

    def __len__(self) -> int:
        """How many (server, protocol) pairs are remembered."""
        return sum(len(backend.entries) for backend in self._backends.values())

    def _due(self, backend: _Backend, entry: _Entry) -> bool:
        now = self._clock()
        if now < backend.down_until or now < entry.retry:
            return False
        return entry.failed or entry.good is None or now >= entry.good.expires

    def _patience(self, backend: _Backend, entry: _Entry) -> float:
        failing = entry.failed or backend.down_until > -math.inf
        return PATIENCE if failing or self._presentable(entry) else FIRST_PATIENCE

    def _presentable(self, entry: _Entry) -> bool:
        return entry.good is not None and self._clock() < entry.fetched + self.policy.max_stale

    async def _refresh(self, backend: _Backend, entry: _Entry, protocol: int) -> None:
        try:
            status = _merged(
                await self._query(backend.server, protocol), backend.server.motd_online
            )
            now = self._clock()
            entry.good = _encoded(status, "online", now + self.policy.ttl)
            entry.fetched = now
            entry.failed = entry.silent = False
            backend.down_until = -math.inf
        except Exception as error:
            self._fail(backend, entry, error)
        finally:
            entry.running = None
            entry.own.clear()

    def _fail(self, backend: _Backend, entry: _Entry, error: Exception) -> None:
        now = self._clock()
        entry.failed = True
        entry.silent = isinstance(error, BackendSilent)
        entry.retry = now + self.policy.negative_ttl
        if isinstance(error, OSError) and not entry.silent:
            backend.down_until, backend.went_down = entry.retry, now
        if isinstance(error, McproxyError | OSError):
            _log.debug("status of %s: %s", backend.server.name, error)
        else:
            _log.warning("status of %s: %r", backend.server.name, error, exc_info=error)

    def _answer(self, backend: _Backend, entry: _Entry, key: int) -> StatusAnswer:
        now = self._clock()
        good = entry.good
        settled = entry.running is None and now >= backend.down_until
        if good and not entry.failed and (settled or now < good.expires):
            return good
        expires = max(entry.retry, backend.down_until)
        if expires <= now:  # a question is still on its way
            expires = now + PATIENCE
        presentable = self._presentable(entry)
        restarting = entry.silent and backend.server.motd_starting is not None
        if restarting and (not presentable or backend.went_down > entry.fetched):
            return self._own(entry, key, backend.server.motd_starting, "starting", expires)
        if good is not None and presentable:
            expires = min(expires, entry.fetched + self.policy.max_stale)
            return replace(good, state="stale", expires=expires)
        return self._own(entry, key, backend.server.motd_offline, "offline", expires)

    def _own(
        self, entry: _Entry, key: int, motd: Motd | None, state: State, expires: float
    ) -> StatusAnswer:
        answer = entry.own.get(key)
        if answer is None or answer.state != state:
            text = STARTING_TEXT if state == "starting" else OFFLINE_TEXT
            answer = _encoded(_own_status(motd, text, key), state, expires)
        entry.own[key] = answer = replace(answer, expires=expires)
        return answer


def _own_status(motd: Motd | None, default_text: str, key: int) -> dict[str, Any]:
    """A status of our own making for askers with this key."""
    motd = motd or Motd()
    version = nearest(key) if key >= 0 else newest()
    protocol = version.protocol if motd.version_name is None else SHOW_VERSION_NAME
    return build_status(
        version.name if motd.version_name is None else motd.version_name,
        protocol,
        description=default_text if motd.text is None else motd.text,
        online_players=motd.online_players or 0,
        max_players=motd.max_players or 0,
        sample=motd.sample or (),
        favicon=motd.favicon,
    )


def _merged(status: object, motd: Motd | None) -> dict[str, Any]:
    """A backend's status with what the configuration sets; everything else stays as it is."""
    if not isinstance(status, dict):
        raise TypeError(f"a status is a dict, not {type(status).__name__}")
    if motd is None:
        return status
    # Only what is set is taken over from this.
    own = _own_status(motd, "", UNKNOWN_PROTOCOL)
    merged = dict(status)
    if motd.text is not None:
        merged["description"] = own["description"]
    if motd.favicon is not None:
        merged["favicon"] = motd.favicon
    if motd.version_name is not None:
        merged["version"] = {
            "protocol": SHOW_VERSION_NAME,
            **_section(status, "version"),
            "name": motd.version_name,
        }
    players = _merged_players(_section(status, "players"), motd, own["players"])
    if players is not None:
        merged["players"] = players
    return merged


def _merged_players(
    players: dict[str, Any], motd: Motd, own: dict[str, Any]
) -> dict[str, Any] | None:
    changed: dict[str, Any] = {}
    if motd.max_players is not None:
        changed["max"] = own["max"]
    if motd.online_players is not None:
        changed["online"] = own["online"]
    if motd.sample is not None:
        changed["sample"] = own.get("sample", [])
    return {"max": 0, "online": 0, **players, **changed} if changed else None


def _section(status: dict[str, Any], key: str) -> dict[str, Any]:
    found = status.get(key)
    return found if isinstance(found, dict) else {}


def _encoded(status: dict[str, Any], state: State, expires: float) -> StatusAnswer:
    """Raises `ProtocolError` for what cannot be said or is more than clients read."""
    text = to_json(status)
    if _units(text) > MAX_JSON_UNITS and "favicon" in status:
        # Better without its icon than not at all.
        status = {key: value for key, value in status.items() if key != "favicon"}
        text = to_json(status)
    if _units(text) > MAX_JSON_UNITS:
        raise RemoteProtocolError(
            f"a status of {_units(text)} characters is more than clients read"
        )
    return StatusAnswer(
        frame=join_frame(encode_response(text)),
        legacy=reply_from_status(LegacyKind.V1_6, status),
        legacy_beta=reply_from_status(LegacyKind.BETA, status),
        status=status,
        expires=expires,
        state=state,
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
