"""mcproxy: compiled protocol codecs, and a Minecraft proxy to embed.

The names below are the library. They are loaded when they are first used, so that a program that
wants a codec does not pay for the proxy. `mcproxy.minecraft` and `mcproxy.proxy` have the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mcproxy._version import __version__

if TYPE_CHECKING:
    from mcproxy._speedups.buffers import Lease, Pool
    from mcproxy._speedups.match.limits import RateLimiter
    from mcproxy._speedups.match.prefixes import PrefixSet
    from mcproxy._speedups.wire.cursor import Reader, Writer
    from mcproxy._speedups.wire.frames import Frame, FrameJoiner, FrameSplitter, join_frame
    from mcproxy._speedups.wire.haproxy import (
        ProxyHeader,
        encode_proxy_header,
        parse_proxy_header,
    )
    from mcproxy.errors import (
        ConfigurationError,
        DataPlaneUnavailable,
        LocalProtocolError,
        McproxyError,
        ProtocolError,
        ReleasedError,
        RemoteProtocolError,
    )
    from mcproxy.minecraft import (
        ClientConnection,
        Dissector,
        Handshake,
        LoginStart,
        ServerConnection,
        build_status,
    )
    from mcproxy.proxy import (
        DataPlane,
        Mode,
        Motd,
        Proxy,
        Router,
        Server,
        Session,
        Settings,
        StatusCache,
    )

_HOMES = {
    "mcproxy._speedups.buffers": ("Lease", "Pool"),
    "mcproxy._speedups.match.limits": ("RateLimiter",),
    "mcproxy._speedups.match.prefixes": ("PrefixSet",),
    "mcproxy._speedups.wire.cursor": ("Reader", "Writer"),
    "mcproxy._speedups.wire.frames": ("Frame", "FrameJoiner", "FrameSplitter", "join_frame"),
    "mcproxy._speedups.wire.haproxy": (
        "ProxyHeader",
        "encode_proxy_header",
        "parse_proxy_header",
    ),
    "mcproxy.errors": (
        "ConfigurationError",
        "DataPlaneUnavailable",
        "LocalProtocolError",
        "McproxyError",
        "ProtocolError",
        "ReleasedError",
        "RemoteProtocolError",
    ),
    "mcproxy.minecraft": (
        "ClientConnection",
        "Dissector",
        "Handshake",
        "LoginStart",
        "ServerConnection",
        "build_status",
    ),
    "mcproxy.proxy": (
        "DataPlane",
        "Mode",
        "Motd",
        "Proxy",
        "Router",
        "Server",
        "Session",
        "Settings",
        "StatusCache",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ClientConnection",
    "ConfigurationError",
    "DataPlane",
    "DataPlaneUnavailable",
    "Dissector",
    "Frame",
    "FrameJoiner",
    "FrameSplitter",
    "Handshake",
    "Lease",
    "LocalProtocolError",
    "LoginStart",
    "McproxyError",
    "Mode",
    "Motd",
    "Pool",
    "PrefixSet",
    "ProtocolError",
    "Proxy",
    "ProxyHeader",
    "RateLimiter",
    "Reader",
    "ReleasedError",
    "RemoteProtocolError",
    "Router",
    "Server",
    "ServerConnection",
    "Session",
    "Settings",
    "StatusCache",
    "Writer",
    "__version__",
    "build_status",
    "encode_proxy_header",
    "join_frame",
    "parse_proxy_header",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
