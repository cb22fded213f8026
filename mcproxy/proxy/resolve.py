"""Addresses of backends, from names to endpoints, at run time and again when their TTL ends.

Names in ``/etc/hosts`` are answered from there. For others, SRV records
(``_minecraft._tcp``) are asked first when no port is given, then A and AAAA. IPv4 comes
before IPv6, as in the game's own client.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from mcproxy.errors import ConfigurationError, NameNotResolved
from mcproxy.proxy.address import DEFAULT_PORT, Endpoint, is_literal, parse_address

# dnspython takes a tenth of a second to import: only who has names to look up pays for it.
if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.resolver
    from dns.rdtypes.IN.SRV import SRV

__all__ = ["DEFAULT_PORT", "Endpoint", "Resolved", "Resolver", "parse_address"]

TTL_LEAST = 1.0
"""Seconds; shorter TTLs, 0 included, count as this."""
TTL_MOST = 3600.0
RETRY = 5.0
"""Seconds until a lookup that failed is tried again; its outcome stands meanwhile."""
HOSTS_TTL = 5.0
"""Seconds until ``/etc/hosts`` is looked at again."""
ENDPOINTS_MOST = 32
KNOWN_MOST = 4096
"""Addresses remembered; beyond it the one asked longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where an address leads now."""

    endpoints: tuple[Endpoint, ...]
    """In the order in which to try them; never empty."""
    ttl: float
    """Seconds for which this holds; infinite for literal addresses."""
    srv: bool = False
    """Whether SRV records named the hosts and ports."""


@dataclass(slots=True)
class _Known:
    good: Resolved | None = None
    error: str = ""
    expires: float = -math.inf
    running: asyncio.Task[None] | None = None


class Resolver:
    """Resolves addresses of backends, with a cache that honours TTLs.

    ``nameservers``: (address, port) of the servers to ask instead of those in
    ``/etc/resolv.conf``. ``hosts``: the file to read instead of ``/etc/hosts``. ``lifetime``:
    seconds for one lookup with all its retries. Use one resolver in one event loop.
    """

    def __init__(
        self,
        nameservers: Sequence[Endpoint] | None = None,
        *,
        hosts: str | os.PathLike[str] = "/etc/hosts",
        lifetime: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See the class."""
        self._nameservers = nameservers
        self._lifetime = lifetime
        self._clock = clock
        self._hosts = _HostsFile(hosts)
        self._dns: dns.asyncresolver.Resolver | None = None
        self._known: dict[str, _Known] = {}

    async def resolve(self, address: str) -> Resolved:
        """The endpoints of ``host:port``, ``host`` (SRV first, then port 25565) or ``[v6]:port``.

        Answers are remembered until their TTL ends; then one lookup runs, whoever asks. When it
        fails, the last good answer stays, and the next lookup comes `RETRY` seconds later.
        Raises `NameNotResolved` when there never was a good answer, `ConfigurationError` when
        the address cannot be read.
        """
        host, port = parse_address(address)
        if is_literal(host):
            return Resolved(((host, port or DEFAULT_PORT),), math.inf)
        known = self._remember(address)
        if self._clock() >= known.expires:
            if known.running is None:
                known.running = asyncio.create_task(self._refresh(known, host, port))
            # Others may wait for the same lookup, so one who gives up must not end it.
            await asyncio.shield(known.running)
        if known.good is None:
            raise NameNotResolved(known.error)
        return replace(known.good, ttl=max(known.expires - self._clock(), 0.0))

    def _remember(self, address: str) -> _Known:
        known = self._known.pop(address, None) or _Known()
        while len(self._known) >= KNOWN_MOST:
            self._known.pop(next(iter(self._known)))
        self._known[address] = known
        return known

    async def _refresh(self, known: _Known, host: str, port: int | None) -> None:
        try:
            known.good = await self._lookup(host, port, known.good)
            known.expires = self._clock() + known.good.ttl
        except NameNotResolved as error:
            known.error = str(error)
            known.expires = self._clock() + RETRY
        finally:
            known.running = None

    async def _lookup(self, host: str, port: int | None, good: Resolved | None) -> Resolved:
        fixed = self._hosts.find(host)
        if fixed:
            return Resolved(tuple((ip, port or DEFAULT_PORT) for ip in fixed), HOSTS_TTL)
        if port is None:
            found = await self._lookup_srv(host, good)
            if found:
                return found
        addresses, ttl = await self._lookup_addresses(host)
        return _bounded(((ip, port or DEFAULT_PORT) for ip in addresses), ttl)

    async def _lookup_srv(self, host: str, good: Resolved | None) -> Resolved | None:
        try:
            answer = await self._ask(f"_minecraft._tcp.{host}", "SRV")
        except NameNotResolved:
            # An unanswered question is not a "no": do not fall back to another port for it.
            if good is not None and good.srv:
                raise
            return None
        if answer is None or answer.rrset is None:
            return None
        ttl = float(answer.chaining_result.minimum_ttl)
        endpoints: list[Endpoint] = []
        for record in cast("list[SRV]", answer.rrset.processing_order())[:ENDPOINTS_MOST]:
            target = record.target.to_text(omit_final_dot=True)
            with contextlib.suppress(NameNotResolved):
                addresses, address_ttl = await self._lookup_target(target)
                endpoints += [(ip, record.port) for ip in addresses]
                ttl = min(ttl, address_ttl)
        if not endpoints:
            raise NameNotResolved(f"no SRV target of {host} has an address")
        return _bounded(endpoints, ttl, srv=True)

    async def _lookup_target(self, target: str) -> tuple[list[str], float]:
        if is_literal(target):  # not allowed, but met
            return [target], math.inf
        fixed = self._hosts.find(target)
        if fixed:
            return fixed, HOSTS_TTL
        return await self._lookup_addresses(target)

    async def _lookup_addresses(self, host: str) -> tuple[list[str], float]:
        answers = await asyncio.gather(
            self._ask(host, "A"), self._ask(host, "AAAA"), return_exceptions=True
        )
        addresses: list[str] = []
        ttl = math.inf
        failure: NameNotResolved | None = None
        for answer in answers:
            if isinstance(answer, NameNotResolved):
                failure = answer
            elif isinstance(answer, BaseException):
                raise answer
            elif answer is not None:
                addresses += [record.address for record in answer]
                ttl = min(ttl, float(answer.chaining_result.minimum_ttl))
        if not addresses:
            raise failure or NameNotResolved(f"{host} has no address")
        return addresses, ttl

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer | None:
        """The records, or None when the servers say that there are none."""
        try:
            import dns.exception
            import dns.resolver
        except ModuleNotFoundError:
            raise ConfigurationError(
                f"to look up {name} takes dnspython: install the extra [proxy], "
                "or write the address in numbers"
            ) from None
        try:
            return await self._resolver().resolve(name, kind, search=True)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise NameNotResolved(f"{name} ({kind}): {error}") from error

    def _resolver(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver
        import dns.name
        import dns.nameserver

        if self._dns is None:
            if self._nameservers is None:
                self._dns = dns.asyncresolver.Resolver()
            else:
                self._dns = dns.asyncresolver.Resolver(configure=False)
                self._dns.domain = dns.name.root
                self._dns.nameservers = [
                    dns.nameserver.Do53Nameserver(ip, port) for ip, port in self._nameservers
                ]
            self._dns.lifetime = self._lifetime
        return self._dns


def _bounded(endpoints: Iterable[Endpoint], ttl: float, srv: bool = False) -> Resolved:
    unique = tuple(dict.fromkeys(endpoints))[:ENDPOINTS_MOST]
    return Resolved(unique, min(max(ttl, TTL_LEAST), TTL_MOST), srv)


class _HostsFile:
    """The addresses in a hosts file, read again when the file has changed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._names: dict[str, list[str]] = {}

    def find(self, host: str) -> list[str]:
        """IPv4 before IPv6; ``localhost`` and names below it always have an answer (RFC 6761)."""
        self._refresh()
        name = host.removesuffix(".").lower()
        found = self._names.get(name, [])
        if not found and (name == "localhost" or name.endswith(".localhost")):
            return ["127.0.0.1", "::1"]
        return sorted(found, key=lambda ip: ":" in ip)

    def _refresh(self) -> None:
        try:
            stat = os.stat(self._path)
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self._stamp:
                return
            with open(self._path, encoding="utf-8", errors="replace") as lines:
                self._names = _read_hosts(lines)
            self._stamp = stamp
        except OSError:
            self._names, self._stamp = {}, None


def _read_hosts(lines: Iterable[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for line in lines:
        address, *aliases = line.partition("#")[0].split() or [""]
        if is_literal(address):
            for alias in aliases:
                names.setdefault(alias.lower(), []).append(address.partition("%")[0])
    return names
