"""Which server a player who typed a certain name reaches, and why.

Decides with the same compiled table that the data plane uses: exact names first, then the
most specific wildcard, then the local address, then the default.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from mcproxy._speedups.plane.routes import RouteTable
from mcproxy.errors import ConfigurationError, RemoteProtocolError
from mcproxy.minecraft.handshake import clean_host
from mcproxy.proxy.address import parse_address
from mcproxy.proxy.model import Server

__all__ = ["Route", "Router", "Row", "Rule", "parse_listen", "parse_pattern"]

Rule: TypeAlias = Literal["exact", "wildcard", "address", "default", "none"]

_RULES: tuple[Rule, ...] = ("none", "exact", "wildcard", "address", "default")
_LABEL = re.compile(r"[a-z0-9_*-]{1,63}")
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Route:
    """A decision: the server, or None, and what decided."""

    server: Server | None
    rule: Rule
    pattern: str | None
    """The domain or listen address that matched."""
    host: str
    """The host as it was compared: lower case, without the suffixes that clients add."""

    @property
    def why(self) -> str:
        """The decision as a sentence for people."""
        name = self.server.name if self.server else ""
        host = self.host or "an empty host name"
        match self.rule:
            case "exact":
                return f"{host} is a domain of {name}"
            case "wildcard":
                return f"{host} matches {self.pattern} of {name}"
            case "address":
                return f"no domain matches {host}; {name} listens on {self.pattern}"
            case "default":
                return f"no domain matches {host}; {name} is the default"
            case _:
                return f"no domain matches {host}, and there is no default"


class Row(NamedTuple):
    """A line of the table of routes."""

    rule: Rule
    pattern: str
    server: str


class Router:
    """The routes of some servers; immutable.

    ``default`` is the name of the server for everything that nothing else matches. Raises
    `ConfigurationError` for a domain or listen address that two servers claim, a pattern that
    cannot be read, two servers of one name and a default that is none of them.
    """

    def __init__(self, servers: Sequence[Server], default: str | None = None) -> None:
        """See the class."""
        self.servers = tuple(servers)
        numbers = _numbered(self.servers)
        if default is not None and default not in numbers:
            raise ConfigurationError(
                f"default {default!r} is not the name of a server{_hint(default, numbers)}"
            )
        self.default = None if default is None else self.servers[numbers[default]]
        domains = _claimed(self.servers, "domains", parse_pattern)
        listens = _claimed(self.servers, "listen", parse_listen)
        self.compiled = RouteTable(
            domains.items(),
            ((ip, port or 0, number) for (ip, port), number in listens.items()),
            -1 if default is None else numbers[default],
        )

    def route(self, host: str | bytes, local: tuple[str, int] | None = None) -> Route:
        """The server for ``host`` as a client sent it (it is cleaned here), on a connection that
        came in at the ``local`` IP address and port.

        Raises `RemoteProtocolError` for a host that no client may send.
        """
        cleaned = clean_host(host)
        address = ipaddress.ip_address(local[0].partition("%")[0]).packed if local else None
        number, rule, entry = self.compiled.lookup(
            cleaned.encode(), address, local[1] if local else 0
        )
        server = self.servers[number] if number >= 0 else None
        pattern = self.compiled.entries[entry][1] if entry >= 0 else None
        return Route(server, _RULES[rule], pattern, cleaned)

    def table(self) -> list[Row]:
        """Every pattern in the order in which they decide; the default, if any, comes last."""
        rows = [
            Row(_RULES[rule], pattern, self.servers[number].name)
            for rule, pattern, number in self.compiled.entries
        ]
        if self.default is not None:
            rows.append(Row("default", "", self.default.name))
        return rows


def parse_pattern(text: str) -> str:
    """A domain of the configuration as the route table compares it.

    Lower case, without a trailing dot, non-ASCII names in the IDNA form that clients send. A
    leading ``*.`` stands for one or more labels, any other ``*`` for a run of characters within
    a label, ``*`` alone for every name. IP addresses are names too: clients send what was typed.
    Raises `ConfigurationError`.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(text.strip("[]"))
        return clean_host(text)
    # What a * stands for within a label cannot be put into its IDNA form.
    mixed = any("*" in label and not label.isascii() for label in text.split("."))
    with contextlib.suppress(UnicodeError, RemoteProtocolError):
        pattern = clean_host(text if text.isascii() else text.encode("idna"))
        labels = pattern.split(".")
        if (
            len(pattern) <= 253
            and not mixed
            and "**" not in pattern
            and all(_LABEL.fullmatch(label) for label in labels)
        ):
            return pattern
    advice = "write a host name, with * for what varies"
    if ":" in text:
        advice = "leave out the port; the players' port is that of `bind`"
    elif "**" in text:
        advice = "one * is enough"
    raise ConfigurationError(f"domain {text!r} cannot be read; {advice}")


def parse_listen(text: str) -> tuple[str, int | None]:
    """A local ``address:port``, or an ``address`` for all its ports, as (IP address, port or None).

    ``0.0.0.0`` and ``[::]`` mean any address, need a port, and come back as ``0.0.0.0``. Raises
    `ConfigurationError`.
    """
    host, port = parse_address(text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigurationError(
            f"listen address {text!r} must be an IP address of this machine, "
            "such as 192.0.2.1:25566"
        ) from None
    if address.is_unspecified:
        if port is None:
            raise ConfigurationError(f"listen address {text!r} is every connection; add a port")
        return "0.0.0.0", port
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), port


def _numbered(servers: Sequence[Server]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, server in enumerate(servers):
        if numbers.setdefault(server.name, number) != number:
            raise ConfigurationError(f"two servers have the name {server.name!r}")
    return numbers


def _claimed(
    servers: Sequence[Server], field: Literal["domains", "listen"], parse: Callable[[str], _Key]
) -> dict[_Key, int]:
    """What the servers list in a field, each with the one server's number that it leads to."""
    claims: dict[_Key, int] = {}
    for number, server in enumerate(servers):
        for text in getattr(server, field):
            try:
                key = parse(text)
            except ConfigurationError as error:
                raise ConfigurationError(f"server {server.name!r}: {error}") from None
            other = claims.setdefault(key, number)
            if other != number:
                raise ConfigurationError(
                    f"{text!r} is in {field} of server {servers[other].name!r} "
                    f"and of server {server.name!r}; leave it to one of them"
                )
    return claims


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
