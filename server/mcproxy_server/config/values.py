"""The kinds of value that a configuration holds, each with its own way to be read.

Every ``read`` takes what stood in the TOML file and returns the value, or raises
``ValueError`` with a sentence that says what is wrong and what would be right.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, ClassVar, Self

from mcproxy.errors import ConfigurationError
from mcproxy.proxy.address import parse_address
from mcproxy.proxy.router import parse_listen, parse_pattern
from mcproxy_server.config.problems import nearest

__all__ = [
    "Address",
    "Balance",
    "Bind",
    "DeadPeer",
    "Domain",
    "Duration",
    "FilePath",
    "Listen",
    "Name",
    "Network",
    "ProxyMode",
    "SendProxy",
    "Timeout",
    "Value",
    "Word",
    "describe",
]

_LONGEST_NAME = 64
_DEFAULT_PORT = 25565
_BIND_EXAMPLE = '"0.0.0.0:25565" or "[::]:25565"'
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Value:
    """A kind of value with a reader of its own."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The value, or ``ValueError`` with a sentence for the operator."""
        raise NotImplementedError


class Duration(float, Value):
    """Seconds: a number, or text with a unit such as ``250ms``, ``5s``, ``2m``, ``1h``."""

    @classmethod
    def read(cls, value: object) -> Self:
        """Seconds, from a number or from text with a unit."""
        if isinstance(value, str):
            found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", value)
            if not found:
                raise ValueError(
                    f'"{value}" is not a duration; write seconds as a number, '
                    'or "250ms", "5s", "2m", "1h"'
                )
            seconds = float(found[1]) * _UNITS[found[2]]
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError('a duration is a number of seconds, or text such as "5s"')
        else:
            seconds = float(value)
        if not 0 <= seconds <= 86400:
            raise ValueError(f"{value} is out of range; durations go from 0 to 24 hours")
        return cls(seconds)


class Timeout(Duration):
    """A duration that is not zero."""

    @classmethod
    def read(cls, value: object) -> Self:
        """Seconds, more than none."""
        seconds = super().read(value)
        if not seconds:
            raise ValueError("0 would end every connection at once; write a longer time")
        return seconds


class DeadPeer(Duration):
    """How long a peer may be gone, which the kernel counts in whole seconds."""

    @classmethod
    def read(cls, value: object) -> Self:
        """Seconds, one at the least."""
        seconds = super().read(value)
        if seconds < 1:
            raise ValueError(f"{value} is too short; write a second or more")
        return seconds


class Bind(str, Value):
    """A local address and port: ``0.0.0.0:25565``, ``[::]:25565``; port 25565 if left out."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The address in its canonical spelling, port included."""
        text = _text(value, f"an address such as {_BIND_EXAMPLE}")
        host, port = _split_port(text)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(
                f'"{text}" is not a local address; write an IP address and a port, '
                f"as in {_BIND_EXAMPLE}"
            ) from None
        number = _DEFAULT_PORT if port is None else port
        return cls(f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}")


class Listen(str, Value):
    """A local address and port that leads to one server: ``192.0.2.1:25566``."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The address as written, once it is known to be one."""
        return cls(_parsed(parse_listen, value, 'a local address such as "192.0.2.1:25566"'))


class Address(str, Value):
    """A backend: ``10.0.0.5:25566``, ``mc.example.com``, ``[2001:db8::5]:25565``."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The address as written, once it is known to be one."""
        return cls(_parsed(parse_address, value, 'an address such as "10.0.0.5:25565"'))


class Network(str, Value):
    """An address or a network in CIDR form: ``192.0.2.7``, ``198.51.100.0/24``."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The network in its canonical spelling."""
        text = _text(value, 'an address or network such as "198.51.100.0/24"')
        try:
            return cls(ipaddress.ip_network(text))
        except ValueError:
            pass
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(
                f'"{text}" is not an address or a network; write "192.0.2.7", '
                '"198.51.100.0/24" or "2001:db8::/32"'
            ) from None
        raise ValueError(
            f'"{text}" has bits set behind its prefix; did you mean "{network}" or '
            f'"{text.partition("/")[0]}"?'
        )


class Domain(str, Value):
    """A host name, exact or with ``*``: ``survival.example.com``, ``*.example.com``."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The name as written, once it is known to be one."""
        wanted = 'a host name such as "survival.example.com" or "*.example.com"'
        return cls(_parsed(parse_pattern, value, wanted))


class Name(str, Value):
    """The name of a server."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The name, if it can be shown in a line."""
        text = _text(value, "a name")
        if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
            raise ValueError(
                f"a name has 1 to {_LONGEST_NAME} characters that can be printed, unlike {text!a}"
            )
        return cls(text)


class FilePath(str, Value):
    """The path of a file or folder."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The path as written."""
        text = _text(value, "a path")
        if not text or "\0" in text:
            raise ValueError(f"{text!a} is not a path")
        return cls(text)


class Word(str, Value):
    """One of a few words, some of which wait for a later version."""

    words: ClassVar[tuple[str, ...]]
    later: ClassVar[dict[str, str]]
    optional: ClassVar[bool] = False
    """Whether ``false`` may stand for none of them: the empty word."""

    @classmethod
    def read(cls, value: object) -> Self:
        """The word, if this version knows it."""
        if cls.optional and value is False:
            return cls()
        known = ", ".join(cls.choices())
        text = _text(value, f"one of {known}")
        if text in cls.later:
            raise ValueError(f'"{text}" is not available yet ({cls.later[text]}); use {known}')
        if text not in cls.words:
            raise ValueError(f'"{text}" is not one of {known}{nearest(text, cls.words)}')
        return cls(text)

    @classmethod
    def choices(cls) -> list[str]:
        """Everything that may be written, in TOML."""
        return [f'"{word}"' for word in cls.words] + ["false"] * cls.optional


class ProxyMode(Word):
    """How much of a session the proxy looks at."""

    words = ("passthrough", "zero_copy", "server_only")
    later: ClassVar[dict[str, str]] = {
        "client_only": "the proxy authenticates the player and logs in to an offline backend",
        "offline": "no authentication, packets open to filters",
    }


class Balance(Word):
    """Which address of a server is tried first."""

    words = ("first_available", "round_robin", "least_conn")
    later: ClassVar[dict[str, str]] = {}


class SendProxy(Word):
    """The version of the PROXY header that a backend is sent, if any."""

    words = ("v1", "v2")
    later: ClassVar[dict[str, str]] = {}
    optional = True


def _text(value: object, wanted: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {wanted}, not {describe(value)}")
    return value


def _parsed(parse: Callable[[str], object], value: object, wanted: str) -> str:
    """``value`` if it is text that ``parse`` takes."""
    text = _text(value, wanted)
    try:
        parse(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return text


def describe(value: Any) -> str:
    """What kind of TOML value this is, in words."""
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "an array",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")


def _split_port(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:]*)(?::(\d+))?", text.strip())
    if not found:
        return text, None
    host = found[1] if found[1] is not None else found[3]
    digits = found[2] or found[4]
    if digits is None:
        return host, None
    if int(digits) > 65535:
        raise ValueError(f'"{text}": ports go up to 65535')
    return host, int(digits)
