"""Login Start, and the packets that end a connection with a text in any state.

Bodies are packets without the length in front: the id, then the fields. Layouts are those of
the nearest known version, see :func:`mcproxy.minecraft.versions.nearest`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mcproxy._speedups.wire.cursor import Reader, Writer
from mcproxy._speedups.wire.handshake import (
    MAX_NAME_UNITS,
    max_login_start_body,
    parse_login_start,
)
from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft import text
from mcproxy.minecraft.packets import State, disconnect_id
from mcproxy.minecraft.text import Component
from mcproxy.minecraft.versions import nearest

__all__ = [
    "LoginStart",
    "decode_disconnect",
    "disconnect",
    "max_login_start_body",
    "offline_uuid",
]

_KEY = 759  # 1.19: an optional signature of the chat key, until 760
_OPTIONAL_UUID = 760
_UUID = 764
_NBT_TEXT = 765


def offline_uuid(name: str) -> UUID:
    """The UUID of a player whom no session server knows: MD5 of ``OfflinePlayer:`` + name,
    version 3, without a namespace; case matters."""
    digest = bytearray(
        hashlib.md5(b"OfflinePlayer:" + name.encode(), usedforsecurity=False).digest()
    )
    digest[6] = digest[6] & 0x0F | 0x30
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


@dataclass(frozen=True, slots=True)
class LoginStart:
    """Who wants to join. Nothing in it is proven."""

    name: str
    """1 to 16 characters."""
    uuid: UUID | None = None
    """Sent since 1.19.1, always since 1.20.2."""

    @classmethod
    def decode(cls, body: bytes, protocol: int) -> LoginStart:
        """Read a Login Start in the layout of ``protocol``; RemoteProtocolError if it is none.

        The chat key of 1.19 to 1.19.2 is skipped.
        """
        name, raw = parse_login_start(body, protocol)
        return cls(name, None if raw is None else UUID(bytes=raw))

    def encode(self, protocol: int) -> bytes:
        """The body of the packet in the layout of ``protocol``, without a chat key.

        Where the UUID is mandatory and not known, it is :func:`offline_uuid`. Raises
        LocalProtocolError if the name is empty or too long.
        """
        layout = nearest(protocol).protocol
        if not self.name:
            raise LocalProtocolError("a player's name cannot be empty")
        writer = Writer().varint(0x00).string(self.name, MAX_NAME_UNITS)
        if _KEY <= layout <= _OPTIONAL_UUID:
            writer.boolean(False)
        if layout >= _UUID:
            writer.uuid(self.uuid or offline_uuid(self.name))
        elif layout >= _OPTIONAL_UUID:
            writer.optional(self.uuid, writer.uuid)
        return bytes(writer)


def _has_nbt(protocol: int, state: State) -> bool:
    return state != State.LOGIN and nearest(protocol).protocol >= _NBT_TEXT


def disconnect(protocol: int, state: State, reason: Component) -> bytes:
    """The body of the packet that ends a connection in ``state`` with a text.

    ``reason`` is a component, or text with ``§`` codes. The text is JSON, except in
    configuration and play since 1.20.3 (765), where it is NBT. Raises LocalProtocolError for
    a state without such a packet or a text that cannot be sent.
    """
    writer = Writer().varint(disconnect_id(protocol, state))
    component = text.component(reason)
    if _has_nbt(protocol, state):
        return bytes(writer.raw(text.to_nbt(component)))
    return bytes(writer.string(text.to_json(component)))


def decode_disconnect(protocol: int, state: State, body: bytes) -> Any:
    """The component in a packet that :func:`disconnect` could have made.

    Raises RemoteProtocolError for any other packet.
    """
    reader = Reader(body)
    if reader.varint() != disconnect_id(protocol, state):
        raise RemoteProtocolError("not a disconnect packet")
    if _has_nbt(protocol, state):
        return text.from_nbt(reader.rest())
    reason = text.from_json(reader.string())
    reader.end()
    return reason
