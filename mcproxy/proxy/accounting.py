"""From the records of the workers to the events that a program hears."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID

from mcproxy._speedups.plane.reasons import Reason
from mcproxy.minecraft.handshake import clean_host
from mcproxy.proxy.dataplane import load_engine
from mcproxy.proxy.events import (
    AcceptPaused,
    AcceptResumed,
    BackendFailed,
    FloodBegan,
    FloodEnded,
    ProxyEvent,
    Refused,
    SessionClosed,
    SessionOpened,
)

if TYPE_CHECKING:
    from mcproxy._speedups.plane.engine import Event

__all__ = ["event_told", "host_of"]


def event_told(event: Event, name: str | None) -> ProxyEvent | None:
    """What subscribers hear of a worker's event about the server of that name."""
    engine = load_engine()
    client = (event.address, event.port)
    if event.kind == engine.OPENED:
        return SessionOpened(
            event.session,
            client,
            (event.local, event.local_port),
            name or "",
            host_of(event)[0],
            event.protocol,
            event.intent == 3,
            event.name.decode(errors="replace") or None,
            UUID(bytes=event.uuid) if event.uuid else None,
        )
    if event.kind == engine.CLOSED:
        return SessionClosed(
            event.session,
            client,
            name,
            Reason(event.reason),
            event.serverbound,
            event.clientbound,
            event.duration_ms / 1000,
        )
    if event.kind == engine.REFUSED:
        host = host_of(event)[0] if event.host else None
        return Refused(client, name, Reason(event.reason), host)
    if event.kind == engine.DIAL_FAILED:
        return BackendFailed(name, client, os.strerror(event.detail))
    if event.kind == engine.PAUSED:
        return AcceptPaused(os.strerror(event.detail))
    if event.kind == engine.RESUMED:
        return AcceptResumed()
    if event.kind == engine.FLOOD_BEGAN:
        return FloodBegan(event.detail)
    if event.kind == engine.FLOOD_ENDED:
        return FloodEnded(event.detail / 1000)
    return None


def host_of(event: Event) -> tuple[str, str]:
    """The cleaned host, and the host as it was sent."""
    raw = event.host.decode("utf-16-be" if event.legacy else "utf-8", errors="replace")
    return clean_host(raw), raw
