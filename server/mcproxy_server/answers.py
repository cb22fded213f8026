"""What the commands `routes` and `stats` answer, the same from a running proxy or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcproxy.errors import RemoteProtocolError
from mcproxy_server.control import ControlError

if TYPE_CHECKING:
    from mcproxy.proxy.router import Router

__all__ = ["count", "routes"]


def routes(router: Router, host: object = None, local: object = None) -> dict[str, Any]:
    """The route table in the order in which it decides and, given a host, where it leads.

    ``local`` is the local address, ``(host, port)``, through which the client came. Raises
    `ControlError` for a host that no client can send.
    """
    rows = [
        {"rule": rule, "pattern": pattern, "server": server}
        for rule, pattern, server in router.table()
    ]
    answer: dict[str, Any] = {"table": rows, "route": None}
    if isinstance(host, str):
        address = (str(local[0]), int(local[1])) if isinstance(local, (list, tuple)) else None
        try:
            route = router.route(host, address)
        except RemoteProtocolError as error:
            raise ControlError(f"no client can send this host name: {error}") from None
        answer["route"] = {
            "host": route.host,
            "rule": route.rule,
            "pattern": route.pattern,
            "server": route.server.name if route.server is not None else None,
            "addresses": list(route.server.addresses) if route.server is not None else [],
            "why": route.why,
        }
    return answer


def count(number: int, noun: str) -> str:
    """``1 server``, ``2 servers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
