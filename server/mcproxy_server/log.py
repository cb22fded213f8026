"""Logs: readable on a terminal, JSON otherwise, and bounded whatever attackers do."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from mcproxy_server.config.schema import Log

__all__ = ["RefusalLimiter", "configure"]

LINES_PER_SECOND = 10
SUMMARY_EVERY = 10.0


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
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Forward()]
    root.setLevel(max(level, logging.INFO))


def _renderers(json: bool, *, colors: bool) -> list[Any]:
    if json:
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


class _Forward(logging.Handler):
    """What others log with the standard module, as lines of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record`` with its level and origin."""
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


class RefusalLimiter:
    """Which refusals get a line of their own.

    All kinds together get at most `LINES_PER_SECOND` in any second; the rest is counted by
    reason and comes out as one line every `SUMMARY_EVERY` seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._written: deque[float] = deque(maxlen=LINES_PER_SECOND)
        self._left_out: Counter[str] = Counter()
        self._since = 0.0

    def admit(self, reason: str) -> bool:
        """Whether a refusal for ``reason`` may be written now; otherwise it is counted."""
        now = self._clock()
        full = len(self._written) == LINES_PER_SECOND
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
