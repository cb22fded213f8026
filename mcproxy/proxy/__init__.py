"""Parts for servers: a whole `Proxy`, or its `DataPlane`, `Router` and `StatusCache`."""

from mcproxy._speedups.plane.reasons import COUNTERS, REASONS, Reason
from mcproxy.proxy.dataplane import DataPlane, Snapshot
from mcproxy.proxy.events import (
    AcceptPaused,
    AcceptResumed,
    BackendFailed,
    NameFailed,
    ProxyEvent,
    Refused,
    SessionClosed,
    SessionOpened,
)
from mcproxy.proxy.hooks import LoginHook, RouteHook, Session, StatusHook
from mcproxy.proxy.model import Filters, Mode, Motd, Server, Settings, StatusPolicy, Timeouts
from mcproxy.proxy.proxy import Proxy
from mcproxy.proxy.router import Route, Router
from mcproxy.proxy.status_cache import StatusAnswer, StatusCache

__all__ = [
    "COUNTERS",
    "REASONS",
    "AcceptPaused",
    "AcceptResumed",
    "BackendFailed",
    "DataPlane",
    "Filters",
    "LoginHook",
    "Mode",
    "Motd",
    "NameFailed",
    "Proxy",
    "ProxyEvent",
    "Reason",
    "Refused",
    "Route",
    "RouteHook",
    "Router",
    "Server",
    "Session",
    "SessionClosed",
    "SessionOpened",
    "Settings",
    "Snapshot",
    "StatusAnswer",
    "StatusCache",
    "StatusHook",
    "StatusPolicy",
    "Timeouts",
]
