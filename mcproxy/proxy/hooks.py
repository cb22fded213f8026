"""Functions of the embedding program that decide about sessions.

Each may be a plain function or a coroutine function. It runs in the event loop of the proxy, once
per connection, never per packet; the connection waits without holding anybody up. A hook that
raises refuses its session and is logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from mcproxy.proxy.events import Address
from mcproxy.proxy.model import Server

__all__ = ["LoginHook", "RouteHook", "Session", "StatusHook"]


@dataclass(frozen=True, slots=True)
class Session:
    """A connection on its way to a server, as far as it is known."""

    id: int
    client: Address
    local: Address
    """Where it came in."""
    host: str
    """As routes know it: lower case, without the suffixes that clients add."""
    raw_host: str
    """As the client sent it, Forge's marker and the like included."""
    protocol: int
    intent: int
    """1 status, 2 login, 3 transfer, 0 a ping from before 1.7."""
    server: Server | None
    """Where the routes lead; None for an unknown host."""
    name: str | None = None
    uuid: UUID | None = None


Answer: TypeAlias = str | Server | None
RouteHook: TypeAlias = Callable[[Session], Answer | Awaitable[Answer]]
"""Returns the name of a configured server, a `Server` of its own, or None: an unknown host."""

StatusHook: TypeAlias = Callable[
    [Session, dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any] | None] | None
]
"""Gets the status object that would be sent; returns the one to send, or None to say nothing."""

Text: TypeAlias = str | dict[str, Any]
LoginHook: TypeAlias = Callable[[Session], Text | Awaitable[Text | None] | None]
"""Returns None to admit the player, or the text to turn them away with."""
