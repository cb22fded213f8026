"""Pings and kicks of clients from before 1.7: Beta 1.8 to 1.3, 1.4 to 1.5, and 1.6.

All texts are UTF-16BE with their length in units in front. The formats are those of the
Minecraft Wiki, "Java Edition protocol/Server List Ping", section "Legacy".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcproxy._speedups.wire.legacy import LegacyKind, LegacyPing
from mcproxy._speedups.wire.legacy import probe as parse_ping
from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft.text import Component, component, to_legacy, to_plain, well_formed

__all__ = [
    "LEGACY_PROTOCOL",
    "LegacyKind",
    "LegacyPing",
    "LegacyStatus",
    "decode_reply",
    "encode_kick",
    "encode_ping",
    "encode_reply",
    "parse_ping",
    "reply_from_status",
]

LEGACY_PROTOCOL = 127
"""The protocol number in answers to legacy pings, which no legacy client has: vanilla's."""

_KICK = 0xFF
_MAX_UNITS = {LegacyKind.BETA: 100}
_MAX_UNITS_SINCE_1_3 = 256  # what clients read of a kick (Packet255KickDisconnect); Beta: 100
_CHANNEL = "MC|PingHost"


@dataclass(frozen=True, slots=True)
class LegacyStatus:
    """The answer to a legacy ping; ``kind`` is BETA for the short form, else V1_4."""

    kind: LegacyKind
    motd: str
    online: int
    max_players: int
    version_name: str | None = None
    protocol: int | None = None


def _cut(text: str, units: int) -> str:
    """The longest beginning that fits, no pair of surrogates cut in two."""
    return text.encode("utf-16-be")[: 2 * units].decode("utf-16-be", "ignore")


def _string(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return (len(data) // 2).to_bytes(2, "big") + data


def _line(text: str) -> str:
    return well_formed(text).partition("\n")[0].replace("\0", "").replace("\r", "")


def encode_ping(
    kind: LegacyKind, host: str = "", port: int = 25565, protocol: int = LEGACY_PROTOCOL
) -> bytes:
    """The bytes that a client of that age sends; host, port and protocol only matter to V1_6."""
    if kind == LegacyKind.BETA:
        return b"\xfe"
    if kind == LegacyKind.V1_4:
        return b"\xfe\x01"
    if kind != LegacyKind.V1_6:
        raise LocalProtocolError(f"{kind!r} is not a kind of legacy ping")
    if not 0 <= protocol <= 0xFF or not 0 <= port <= 0xFFFF:
        raise LocalProtocolError("protocol or port does not fit a legacy ping")
    name = _string(host)
    if len(name) > 2 + 2 * 255:
        raise LocalProtocolError("the host is longer than 255 characters")
    body = bytes([protocol]) + name + port.to_bytes(4, "big")
    return b"\xfe\x01\xfa" + _string(_CHANNEL) + len(body).to_bytes(2, "big") + body


def encode_reply(
    kind: LegacyKind,
    motd: Component,
    *,
    online: int,
    max_players: int,
    version_name: str,
    protocol: int = LEGACY_PROTOCOL,
) -> bytes:
    """The answer to a ping of that kind.

    Of the MOTD the first line is shown; clients up to 1.3 cannot be sent ``§``. It is cut so
    that the whole fits what the client reads (100 UTF-16 units for BETA, else 256).
    """
    value = component(motd)
    for number in (online, max_players, protocol):
        if not -(2**31) <= number < 2**31:
            raise LocalProtocolError(f"{number} does not fit a legacy answer")
    if kind == LegacyKind.BETA:
        tail = f"§{online}§{max_players}"
        motd = _line(to_plain(value)).replace("§", "")
        room = _MAX_UNITS[kind] - len(tail)
        return bytes([_KICK]) + _string(_cut(motd, room) + tail)
    if kind not in (LegacyKind.V1_4, LegacyKind.V1_6):
        raise LocalProtocolError(f"{kind!r} is not a kind of legacy ping")
    version = _cut(_line(version_name), 64)
    head = f"§1\0{protocol}\0{version}\0"
    tail = f"\0{online}\0{max_players}"
    motd = _line(to_legacy(value, hex_colours=False))
    room = _MAX_UNITS_SINCE_1_3 - len(_string(head + tail)) // 2 + 1
    return bytes([_KICK]) + _string(head + _cut(motd, room) + tail)


def reply_from_status(kind: LegacyKind, status: Mapping[str, Any]) -> bytes:
    """The answer to a legacy ping, made from the JSON object of a modern status."""
    from mcproxy.minecraft.status import Status

    modern = Status(status)
    return encode_reply(
        kind,
        modern.description,
        online=modern.online or 0,
        max_players=modern.max_players or 0,
        version_name=modern.version_name,
    )


def encode_kick(reason: Component) -> bytes:
    """What ends the connection of a client from before 1.7 with a text (``§`` codes, at most
    256 UTF-16 units)."""
    text = well_formed(to_legacy(component(reason), hex_colours=False)).replace("\0", "")
    return bytes([_KICK]) + _string(_cut(text, _MAX_UNITS_SINCE_1_3))


def decode_reply(data: bytes) -> LegacyStatus | None:
    """Read the answer to a legacy ping; None while bytes are missing.

    Raises RemoteProtocolError for anything else, a kick with another text included.
    """
    if data and data[0] != _KICK:
        raise RemoteProtocolError(f"legacy ping: the answer begins with {data[0]:#04x}")
    if len(data) < 3:
        return None
    units = int.from_bytes(data[1:3], "big")
    if len(data) < 3 + 2 * units:
        return None
    try:
        text = bytes(data[3 : 3 + 2 * units]).decode("utf-16-be")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("legacy ping: the answer is not UTF-16") from error
    try:
        if text.startswith("§1\0"):
            _, protocol, version, motd, online, most = text.split("\0", 5)
            return LegacyStatus(
                LegacyKind.V1_4, motd, _number(online), _number(most), version, _number(protocol)
            )
        motd, online, most = text.rsplit("§", 2)
        return LegacyStatus(LegacyKind.BETA, motd, _number(online), _number(most))
    except ValueError as error:
        shown = to_plain(text)[:100]
        raise RemoteProtocolError(f"legacy ping: the answer is no status: {shown!r}") from error


def _number(text: str) -> int:
    if len(text) > 11:
        raise ValueError("not an i32")
    return int(text)
