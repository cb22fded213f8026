"""Logs: readable on a terminal, JSON otherwise, and bounded whatever attackers do."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

if TYPE_CHECKING:
    from mcproxy_server.config.schema import Log

__all__ = ["LineLimiter", "RepeatLimiter", "configure"]

SUMMARY_EVERY = 10.0
REPEAT_EVERY = 60.0
TROUBLES_MOST = 1024
"""Kinds of trouble that are remembered; beyond it the one met longest ago is forgotten."""


def configure(options: Log, stream: TextIO | None = None) -> None:
    """Send the logs of this process to ``stream`` (standard error), as ``options`` say.

    May be called again, when the configuration changes. What the libraries log with the
    standard module comes out the same way.
    """
    stream = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[options.level.upper()]
    terminal = stream.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            *_renderers(
                options.format == "json" or (options.format == "auto" and not terminal),
                colors=terminal,
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Sink(stream))),
        cache_logger_on_first_use=False,
    )
    # It would tell of every change in the watched folders, and so of every line in a log there.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers = [_Forward()]
    root.setLevel(max(level, logging.INFO))


def _renderers(json: bool, *, colors: bool) -> list[Any]:
    if json:
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _important_first,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colors, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _important_first(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """The keys of a JSON line in the order in which people look for them."""
    first = {key: line[key] for key in ("timestamp", "level", "event") if key in line}
    return first | line


class _Sink:
    """A stream that may break, as a pipe does whose reader ends: the proxy outlives its log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write ``text``, if that is still possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if that is still possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Forward(logging.Handler):
    """What others log with the standard module, as lines of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record`` with its level and origin."""
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


class LineLimiter:
    """Which lines of a kind that peers can cause are written.

    At most ``per_second`` in any second; the rest is counted by reason and comes out as one
    line every `SUMMARY_EVERY` seconds.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._written: deque[float] = deque(maxlen=per_second)
        self._left_out: Counter[str] = Counter()
        self._since = 0.0

    def admit(self, reason: str) -> bool:
        """Whether a line for ``reason`` may be written now; otherwise it is counted."""
        now = self._clock()
        full = len(self._written) == self._written.maxlen
        if full and now - self._written[0] < 1.0:
            if not self._left_out:
                self._since = now
            self._left_out[reason] += 1
            return False
        self._written.append(now)
        return True

    def summary(self, *, final: bool = False) -> dict[str, int] | None:
        """What was left out, by reason, once it is time to say so (at once if ``final``)."""
        if not self._left_out:
            return None
        if not final and self._clock() - self._since < SUMMARY_EVERY:
            return None
        counts = dict(self._left_out.most_common())
        self._left_out.clear()
        return counts


class RepeatLimiter:
    """Which lines about a trouble that lasts are written: one a minute for each trouble."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._known: dict[Hashable, tuple[float, int]] = {}

    def admit(self, trouble: Hashable) -> int:
        """How often ``trouble`` came since its last line, if it may have one now; otherwise 0."""
        now = self._clock()
        written, left_out = self._known.pop(trouble, (-REPEAT_EVERY, 0))
        if now - written < REPEAT_EVERY:
            self._known[trouble] = (written, left_out + 1)
            return 0
        while len(self._known) >= TROUBLES_MOST:
            self._known.pop(next(iter(self._known)))
        self._known[trouble] = (now, 0)
        return left_out + 1
