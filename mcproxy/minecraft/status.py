"""The server list: status requests and answers, pings and pongs.

Bodies are a packet without the length in front of it: the id, then the fields. The format of
the JSON is on the Minecraft Wiki, "Java Edition protocol/Server List Ping".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcproxy._speedups.wire.cursor import Reader, Writer
from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft import text as texts
from mcproxy.minecraft.text import Component

__all__ = [
    "MAX_JSON_UNITS",
    "REQUEST",
    "Status",
    "build_status",
    "decode_ping",
    "decode_response",
    "encode_ping",
    "encode_response",
    "parse_status",
]

MAX_JSON_UNITS = 32767
"""UTF-16 units of the JSON that clients read."""

REQUEST = b"\x00"
"""The body of a status request."""

_NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, repr=False)
class Status:
    """A status answer as a server sent it, read with tolerance.

    ``raw`` is the JSON object with everything in it (``forgeData``, ``modinfo`` and other keys
    included). The properties never fail: what is missing or of a wrong type is None or empty.
    """

    raw: Mapping[str, Any]

    def __repr__(self) -> str:
        """Short: without the icon."""
        return f"Status({self.version_name!r}, {self.text!r}, {self.online}/{self.max_players})"

    def _section(self, key: str) -> Mapping[str, Any]:
        found = self.raw.get(key)
        return found if isinstance(found, Mapping) else {}

    @property
    def version_name(self) -> str:
        """What the server calls its version; may carry ``§`` codes."""
        name = self._section("version").get("name")
        return name if isinstance(name, str) else ""

    @property
    def protocol(self) -> int | None:
        """The protocol number that the server says it speaks."""
        return _integer(self._section("version").get("protocol"))

    @property
    def online(self) -> int | None:
        """Players online; None if the server hides them."""
        return _integer(self._section("players").get("online"))

    @property
    def max_players(self) -> int | None:
        """Places for players; None if the server hides them."""
        return _integer(self._section("players").get("max"))

    @property
    def sample(self) -> tuple[tuple[str, str], ...]:
        """(name, UUID text) of the players, or lines of text, in the hover text."""
        found = self._section("players").get("sample")
        if not isinstance(found, list):
            return ()
        return tuple(
            (str(entry.get("name", "")), str(entry.get("id", "")))
            for entry in found
            if isinstance(entry, Mapping)
        )

    @property
    def description(self) -> Component:
        """The MOTD: a string, which may carry ``§`` codes, or a text component."""
        found = self.raw.get("description")
        return found if isinstance(found, str | dict | list) else ""

    @property
    def text(self) -> str:
        """The MOTD without style."""
        return texts.to_plain(self.description)

    @property
    def favicon(self) -> str | None:
        """The icon as a data URI."""
        found = self.raw.get("favicon")
        return found if isinstance(found, str) and found.startswith("data:image/") else None

    @property
    def forge(self) -> Mapping[str, Any] | None:
        """What Forge tells of its mods: ``forgeData`` (1.13 and newer) or ``modinfo``."""
        return self._section("forgeData") or self._section("modinfo") or None


def _integer(value: object) -> int | None:
    """A 32-bit number, which is what the game has here; 3.0 is 3."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if -(2**31) <= value < 2**31 and value == int(value) else None


def build_status(
    version_name: str,
    protocol: int,
    *,
    description: Component = "",
    online_players: int = 0,
    max_players: int = 20,
    sample: Iterable[str | tuple[str, str]] = (),
    favicon: str | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """The JSON object of a status answer.

    ``description`` is a component, or text with ``§`` codes. ``sample`` has lines of text, or
    (name, UUID text) pairs. ``favicon`` is a data URI of a 64 x 64 PNG. ``extra`` keys, such as
    ``enforcesSecureChat`` or ``forgeData``, are put in as they are.
    """
    players: dict[str, Any] = {"max": max_players, "online": online_players}
    entries = [
        {"name": entry, "id": _NOBODY}
        if isinstance(entry, str)
        else {"name": entry[0], "id": entry[1]}
        for entry in sample
    ]
    if entries:
        players["sample"] = entries
    status: dict[str, Any] = {
        "version": {"name": version_name, "protocol": protocol},
        "players": players,
        "description": texts.component(description),
    }
    if favicon is not None:
        status["favicon"] = favicon
    status.update(extra)
    return status


def parse_status(data: str | bytes) -> Status:
    """Read the JSON of a status answer.

    Raises RemoteProtocolError if it is no JSON object.
    """
    found = texts.from_json(data)
    if not isinstance(found, dict):
        raise RemoteProtocolError("status: the JSON is not an object")
    return Status(found)


def encode_response(status: Mapping[str, Any] | str) -> bytes:
    """The body of a status answer, from the JSON object or its text.

    Raises LocalProtocolError if it has more than :data:`MAX_JSON_UNITS`.
    """
    found = status if isinstance(status, str) else texts.to_json(status)
    return bytes(Writer().varint(0x00).string(found, MAX_JSON_UNITS))


def decode_response(body: bytes) -> Status:
    """Read a status answer; RemoteProtocolError if it is none."""
    reader = Reader(body)
    if reader.varint() != 0x00:
        raise RemoteProtocolError("status: not a status answer")
    found = reader.string(MAX_JSON_UNITS)
    reader.end()
    return parse_status(found)


def encode_ping(payload: int) -> bytes:
    """The body of a ping or a pong: both have id 1 and a signed 64-bit number."""
    return bytes(Writer().varint(0x01).i64(payload))


def decode_ping(body: bytes) -> int:
    """The number in a ping or a pong; RemoteProtocolError if it is neither."""
    reader = Reader(body)
    if reader.varint() != 0x01:
        raise RemoteProtocolError("status: not a ping")
    payload = reader.i64()
    reader.end()
    return payload
