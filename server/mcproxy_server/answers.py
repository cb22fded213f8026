"""What the commands `routes` and `servers` answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mcproxy.errors import RemoteProtocolError
from mcproxy_server.control import ControlError

if TYPE_CHECKING:
    from mcproxy.proxy.model import Server
    from mcproxy.proxy.router import Router
    from mcproxy.proxy.targets import AddressState

__all__ = ["count", "routes", "servers"]


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


def servers(states: Iterable[AddressState], configured: Iterable[Server]) -> dict[str, Any]:
    """The addresses in ``states`` by server; a ``configured`` server is there without one too."""
    from mcproxy.proxy.address import show_endpoint

    listed: dict[str, dict[str, Any]] = {
        server.name: {"server": server.name, "balance": str(server.balance), "addresses": []}
        for server in configured
    }
    for one in states:
        address = show_endpoint(one.address)
        left_over: dict[str, Any] = {"server": one.server, "balance": None, "addresses": []}
        listed.setdefault(one.server, left_over)["addresses"].append(
            {
                "address": address,
                "name": one.configured if one.configured != address else None,
                "state": _state(one),
                "up": one.up if one.checked else None,
                "ejected": one.ejected,
                "draining": one.draining,
                "sessions": one.sessions,
                "weight": one.weight,
            }
        )
    return {"servers": list(listed.values())}


def _state(one: AddressState) -> str:
    """One word: why no new player is sent there, or that they are."""
    if one.configured is None:
        return "removed"
    if one.draining:
        return "draining" if one.sessions else "drained"
    if not one.up:
        return "down"
    if one.ejected:
        return "ejected"
    return "up" if one.checked else "in use"


def count(number: int, noun: str) -> str:
    """``1 server``, ``2 servers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
