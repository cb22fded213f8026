"""Parts for servers: a whole `Proxy`, or its `DataPlane`, `Router` and `StatusCache`."""

from mcproxy._speedups.plane.reasons import COUNTERS, REASONS, Reason
from mcproxy.proxy.dataplane import DataPlane, Snapshot
from mcproxy.proxy.events import (
    AcceptPaused,
    AcceptResumed,
    AddressDown,
    AddressUp,
    BackendFailed,
    NameFailed,
    ProxyEvent,
    Refused,
    SessionClosed,
    SessionOpened,
)
from mcproxy.proxy.hooks import LoginHook, RouteHook, Session, StatusHook
from mcproxy.proxy.model import (
    Balance,
    Filters,
    Health,
    Mode,
    Motd,
    Pool,
    Server,
    Settings,
    StatusPolicy,
    Timeouts,
)
from mcproxy.proxy.proxy import Proxy
from mcproxy.proxy.router import Route, Router
from mcproxy.proxy.status_cache import StatusAnswer, StatusCache
from mcproxy.proxy.targets import AddressState

__all__ = [
    "COUNTERS",
    "REASONS",
    "AcceptPaused",
    "AcceptResumed",
    "AddressDown",
    "AddressState",
    "AddressUp",
    "BackendFailed",
    "Balance",
    "DataPlane",
    "Filters",
    "Health",
    "LoginHook",
    "Mode",
    "Motd",
    "NameFailed",
    "Pool",
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
