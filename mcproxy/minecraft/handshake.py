"""The first packet of a modern connection (1.7 and newer), which says what the client wants.

The body is a packet without the length in front of it: the id, then the fields.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mcproxy._speedups.wire.cursor import Writer
from mcproxy._speedups.wire.handshake import MAX_BODY, clean_host, parse_handshake

__all__ = ["MAX_BODY", "Handshake", "Intent", "clean_host"]


class Intent(enum.IntEnum):
    """What follows the handshake."""

    STATUS = 1
    LOGIN = 2
    TRANSFER = 3
    """A login of a player whom another server sent here (1.20.5 and newer)."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A handshake: which protocol the client speaks, and what it typed to get here."""

    protocol: int
    host: str
    """As routes know it, see :func:`clean_host`."""
    port: int
    intent: Intent
    raw_host: str = field(default="", repr=False)
    """As it was sent, with the suffixes of Forge, TCPShield or a forwarding proxy."""

    @classmethod
    def decode(cls, body: bytes) -> Handshake:
        """Read a handshake; RemoteProtocolError if it is none."""
        protocol, raw_host, port, intent = parse_handshake(body)
        return cls(protocol, clean_host(raw_host), port, Intent(intent), raw_host)

    def encode(self) -> bytes:
        """The body of the packet, with ``raw_host`` if there is one.

        Raises LocalProtocolError if a field does not fit the protocol.
        """
        writer = Writer().varint(0x00).varint(self.protocol).string(self.raw_host or self.host)
        return bytes(writer.u16(self.port).varint(self.intent))
