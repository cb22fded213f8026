"""The addresses of servers, and what is known of each: health, drain, sessions.

What is known belongs to (server, IP address, port) and outlives reloads, so that neither a
change of the configuration nor a new answer of a name server forgets that an address is down or
drained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcproxy.errors import ConfigurationError
from mcproxy.proxy.address import show_endpoint
from mcproxy.proxy.model import Balance, Server

if TYPE_CHECKING:
    from mcproxy._speedups.plane.engine import Target
    from mcproxy.proxy.events import Address

__all__ = ["AddressState", "Targets", "check_servers"]

ADDRESSES_MOST = 32
"""Addresses of one server that are used."""
WEIGHT_MOST = 1000


@dataclass(frozen=True, slots=True)
class AddressState:
    """One address of a server, as it is now."""

    server: str
    address: Address
    configured: str | None
    """As the configuration writes it; None: it is no longer there, and its sessions go on."""
    weight: int
    up: bool
    """What health checks found; True where there are none."""
    checked: bool
    """Whether there are health checks."""
    ejected: bool
    """Left out for a while because connections to it failed."""
    draining: bool
    """No new session is sent there."""
    sessions: int
    """Being dialled or relayed now."""


class Targets:
    """What the workers know of each address, kept over reloads."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.endpoints: dict[str, tuple[Address, ...]] = {}
        """The IP addresses behind each configured address, as far as it could be resolved."""
        self._known: dict[tuple[str, str, int], Target] = {}

    def of(self, server: Server) -> list[tuple[Target, int]]:
        """The addresses of ``server`` with their weights, in the order of the configuration."""
        from mcproxy._speedups.plane.engine import Target

        targets = []
        for (host, port), (_, weight) in self._weighted(server).items():
            key = (server.name, host, port)
            if key not in self._known:
                self._known[key] = Target(host, port)
            targets.append((self._known[key], weight))
        return targets

    def to_ask(self, server: Server) -> list[Address]:
        """The addresses of ``server`` in the order in which its status is asked for.

        Those that players are sent to come first, those that are down last.
        """
        targets = [target for target, _ in self.of(server)]
        targets.sort(key=lambda each: (not each.up, each.ejected or each.draining))
        return [(target.host, target.port) for target in targets]

    def states(self, servers: Iterable[Server]) -> Iterator[AddressState]:
        """Every address of ``servers``, then those that are left over but have sessions."""
        shown = set()
        for server in servers:
            checked = server.health.interval > 0
            for address, (configured, weight) in self._weighted(server).items():
                key = (server.name, *address)
                if key in self._known:
                    shown.add(key)
                    yield _state(key, self._known[key], configured, weight, checked)
        for key, target in self._known.items():
            if key not in shown and target.sessions:
                yield _state(key, target, None, 0, False)

    def drain(self, server: Server, address: str, on: bool) -> list[Target]:
        """Keep new sessions away from an address, or, with ``on`` false, no longer.

        ``address`` is one of the configuration, or the IP address and port behind one. Raises
        `ConfigurationError` for any other.
        """
        wanted = {
            (server.name, *found)
            for found, (configured, _) in self._weighted(server).items()
            if address in (configured, show_endpoint(found))
        }
        targets = [target for key, target in self._known.items() if key in wanted]
        if not targets:
            known = [show_endpoint(found) for found in self._weighted(server)]
            raise ConfigurationError(
                f'"{address}" is no address of server "{server.name}"; '
                f"it has {', '.join(known) or 'none that is resolved'}"
            )
        for target in targets:
            target.draining = on
        return targets

    def prune(self, servers: Iterable[Server]) -> None:
        """Forget what belongs to none of ``servers`` and has no session."""
        servers = list(servers)
        wanted = {(server.name, *found) for server in servers for found in self._weighted(server)}
        named = {address for server in servers for address in server.addresses}
        self.endpoints = {name: found for name, found in self.endpoints.items() if name in named}
        self._known = {
            key: target for key, target in self._known.items() if key in wanted or target.sessions
        }

    def _weighted(self, server: Server) -> dict[Address, tuple[str, int]]:
        """(as configured, weight) of each address; the first of two that are the same counts."""
        weights = server.weights or (1,) * len(server.addresses)
        found: dict[Address, tuple[str, int]] = {}
        for address, weight in zip(server.addresses, weights, strict=True):
            for endpoint in self.endpoints.get(address, ()):
                if len(found) < ADDRESSES_MOST:
                    found.setdefault(endpoint, (address, weight))
        return found


def check_servers(servers: Iterable[Server]) -> None:
    """Raise `ConfigurationError` for numbers that cannot work."""
    for server in servers:
        if fault := _fault(server):
            raise ConfigurationError(f"{server.name}: {fault}")


def _fault(server: Server) -> str | None:
    health, pool = server.health, server.pool
    if server.weights and len(server.weights) != len(server.addresses):
        return f"{len(server.weights)} weights for {len(server.addresses)} addresses"
    if any(not 1 <= weight <= WEIGHT_MOST for weight in server.weights):
        return f"a weight is a number from 1 to {WEIGHT_MOST}"
    if server.balance is Balance.FIRST_AVAILABLE and (server.slow_start or {*server.weights} - {1}):
        return "weights and slow_start need round_robin or least_conn"
    if health.interval < 0 or health.timeout <= 0 or health.fall < 1 or health.rise < 1:
        return "health: interval is not negative, timeout more than 0, fall and rise at least 1"
    if pool.warm < 0 or pool.max_idle <= 0 or server.slow_start < 0:
        return "pool.warm and slow_start are not negative, and pool.max_idle is more than 0"
    return None


def _state(
    key: tuple[str, str, int], target: Target, configured: str | None, weight: int, checked: bool
) -> AddressState:
    return AddressState(
        server=key[0],
        address=(target.host, target.port),
        configured=configured,
        weight=weight,
        up=target.up,
        checked=checked,
        ejected=target.ejected,
        draining=target.draining,
        sessions=target.sessions,
    )
