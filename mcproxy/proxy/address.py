"""Addresses of backends and listeners as people write them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import TypeAlias

from mcproxy.errors import ConfigurationError

__all__ = ["DEFAULT_PORT", "Endpoint", "is_literal", "parse_address", "show_endpoint"]

Endpoint: TypeAlias = tuple[str, int]
"""An IP address as text, and a port."""

DEFAULT_PORT = 25565

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


def parse_address(text: str) -> tuple[str, int | None]:
    """``host:port``, ``host``, ``[v6]:port`` or ``[v6]`` as (host, port or None).

    A bare IPv6 address is taken as one, without a port. Names come back as given, non-ASCII
    ones in their IDNA form. Raises `ConfigurationError` for anything else.
    """
    host, port = _split(text)
    if not is_literal(host):
        host = _host_name(host, text)
    return host, port


def _split(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not is_literal(host) or (rest and not rest.startswith(":")):
            raise ConfigurationError(f"{text!r} is not an address; write [2001:db8::1]:25565")
        return host, _port(rest[1:], text) if rest else None
    if text.count(":") > 1:
        if not is_literal(text):
            raise ConfigurationError(f"{text!r} is not an address; write host:port")
        return text, None
    host, colon, port = text.partition(":")
    return host, _port(port, text) if colon else None


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= 0xFFFF):
        raise ConfigurationError(f"{text!r}: the port must be a number from 1 to 65535")
    return int(digits)


def is_literal(host: str) -> bool:
    """Whether this is an IP address, without a port."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _host_name(host: str, text: str) -> str:
    with contextlib.suppress(UnicodeError):
        ascii_name = host if host.isascii() else host.encode("idna").decode()
        labels = ascii_name.removesuffix(".").split(".")
        # A name whose last label is a number is an address with a slip of the pen.
        if (
            len(ascii_name) <= 254
            and all(_LABEL.fullmatch(label) for label in labels)
            and not labels[-1].isdigit()
        ):
            return ascii_name
    raise ConfigurationError(
        f"{text!r} is not an address; write host:port, such as 192.0.2.7:25565 or mc.example.com"
    )


def show_endpoint(endpoint: Endpoint) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
