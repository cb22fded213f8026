"""What a running proxy tells those who subscribed: values, in the order in which they happened.

Durations are seconds, addresses are (IP address, port). Under load, and when Python stands still,
events may be left out; counters never are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from mcproxy._speedups.plane.reasons import Reason

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "Address",
    "AddressDown",
    "AddressUp",
    "BackendFailed",
    "FloodBegan",
    "FloodEnded",
    "NameFailed",
    "ProxyEvent",
    "Refused",
    "SessionClosed",
    "SessionOpened",
]

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A client is connected to a backend."""

    session: int
    client: Address
    backend: Address
    server: str
    host: str
    """As routes know it: lower case, without the suffixes that clients add."""
    protocol: int
    transfer: bool
    name: str | None = None
    """The player's name, where Login Start is looked at."""
    uuid: UUID | None = None


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A relay ended."""

    session: int
    client: Address
    server: str | None
    reason: Reason
    serverbound: int
    """Bytes."""
    clientbound: int
    duration: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A connection that never reached a backend; a bounded number a second is told."""

    client: Address
    server: str | None
    reason: Reason
    host: str | None = None
    """For `Reason.UNKNOWN_HOST`: the name that leads nowhere."""


@dataclass(frozen=True, slots=True)
class BackendFailed:
    """An address of a server did not take a connection."""

    server: str | None
    backend: Address
    error: str


@dataclass(frozen=True, slots=True)
class AddressDown:
    """Health checks took an address of a server out."""

    server: str
    address: Address
    error: str
    """What was wrong in the last check."""


@dataclass(frozen=True, slots=True)
class AddressUp:
    """Health checks brought an address of a server back."""

    server: str
    address: Address


@dataclass(frozen=True, slots=True)
class NameFailed:
    """The name of a backend could not be resolved; the last good answer stays in use."""

    server: str
    address: str
    error: str


@dataclass(frozen=True, slots=True)
class AcceptPaused:
    """No descriptor is left: new connections wait until sessions end."""

    error: str


@dataclass(frozen=True, slots=True)
class AcceptResumed:
    """New connections are accepted again."""


@dataclass(frozen=True, slots=True)
class FloodBegan:
    """So many new connections that the proxy answers in the cheapest ways; see `Flood`."""

    connections: int
    """New ones within a second, so far."""


@dataclass(frozen=True, slots=True)
class FloodEnded:
    """The flood is over."""

    duration: float


ProxyEvent: TypeAlias = (
    SessionOpened
    | SessionClosed
    | Refused
    | BackendFailed
    | AddressDown
    | AddressUp
    | NameFailed
    | AcceptPaused
    | AcceptResumed
    | FloodBegan
    | FloodEnded
)
