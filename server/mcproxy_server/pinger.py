"""Ask a Minecraft server for its status, for the command `ping`."""

from __future__ import annotations

import asyncio
from typing import Any

from mcproxy.errors import McproxyError
from mcproxy.proxy.address import parse_address, show_endpoint
from mcproxy.proxy.query import ping_server

__all__ = ["NoAnswer", "ping"]


class NoAnswer(Exception):
    """Why there is no status, in one line."""


def ping(address: str, timeout: float) -> dict[str, Any]:
    """The status of the server at ``address``; each attempt may take ``timeout`` seconds.

    Raises `NoAnswer`.
    """
    try:
        host, port = parse_address(address)
        result = asyncio.run(ping_server(host, port, timeout=timeout))
    except McproxyError as error:
        raise NoAnswer(f"no answer: {error}") from None
    return {
        "motd": result.motd,
        "online": result.online,
        "max": result.max_players,
        "sample": list(result.sample),
        "version": result.version,
        "protocol": result.protocol,
        "latency_ms": round(result.latency, 3),
        "favicon": result.favicon,
        "kind": result.kind,
        "address": show_endpoint(result.endpoint),
        "raw": result.raw,
    }
