"""Packets out of the two directions of somebody else's connection, without I/O.

For looking on: at a capture, in a logger, beside a relay. It follows the state of each
direction and compression, and names packets; where encryption begins it says so and sees
nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from mcproxy._speedups.wire.cursor import Reader
from mcproxy._speedups.wire.frames import MAX_INFLATED_CLIENTBOUND, FrameSplitter
from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft import legacy
from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.legacy import LegacyKind, LegacyPing
from mcproxy.minecraft.packets import Direction, State, packet_name
from mcproxy.minecraft.states import SESSION
from mcproxy.minecraft.versions import nearest

__all__ = ["Dissector", "EncryptionStarted", "LegacySeen", "Packet", "Seen"]

_CONFIGURATION = 764  # the first protocol with that state


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a connection."""

    direction: Direction
    state: State
    number: int
    """The packet's id."""
    name: str | None
    """What minecraft-data calls it; None if the protocol is not known to have it."""
    data: bytes = field(repr=False)
    """The packet without length and compression, from its id on."""


@dataclass(frozen=True, slots=True)
class EncryptionStarted:
    """Client and server have agreed on a key: the rest cannot be read."""


@dataclass(frozen=True, slots=True)
class LegacySeen:
    """The client is from before 1.7; the rest is not looked at."""

    ping: LegacyPing


Seen: TypeAlias = Packet | EncryptionStarted | LegacySeen


class Dissector:
    """Splits both directions of one connection into named packets.

    Feed the bytes of each direction in the order in which they were seen, from the beginning
    of the connection. ``max_inflated`` bounds a packet after decompression, in bytes; servers
    with mods may need more than its 8 MiB::

        dissector = Dissector()
        for seen in dissector.feed(Direction.SERVERBOUND, data):
            print(seen)
    """

    def __init__(self, *, max_inflated: int = MAX_INFLATED_CLIENTBOUND) -> None:
        """See the class."""
        self.protocol: int | None = None
        """The client's protocol number, once its handshake was seen."""
        self.blind = False
        """Whether the rest cannot be read: it is encrypted, or not of this protocol."""
        self._head: bytearray | None = bytearray()  # None once the client is known to be modern
        self._state = dict.fromkeys(Direction, State.HANDSHAKE)
        # A server's limits for both: an onlooker does not judge the client.
        self._splitters = {
            direction: FrameSplitter(direction="clientbound", max_inflated=max_inflated)
            for direction in Direction
        }

    def state(self, direction: Direction) -> State:
        """The state in which that side sends now."""
        return self._state[direction]

    def feed(self, direction: Direction, data: bytes) -> Iterator[Seen]:
        """Take bytes of one direction, iterate over what they show.

        Raises RemoteProtocolError if this is no Minecraft connection, or not its beginning.
        """
        legacy_ping = None
        if self.blind:
            return iter(())
        if self._head is None:
            self._splitters[direction].feed(data)
        else:
            legacy_ping = self._begin(self._head, direction, data)
        return iter((legacy_ping,)) if legacy_ping else self._packets(direction)

    def _begin(self, head: bytearray, direction: Direction, data: bytes) -> LegacySeen | None:
        """Modern or legacy: a server that answers has decided that the ping was complete."""
        answered = direction is Direction.CLIENTBOUND
        if not answered:
            head += data
        elif not head:
            raise RemoteProtocolError("the server spoke first")
        found = legacy.parse_ping(head, answered)
        if found.kind == LegacyKind.BAD:
            raise RemoteProtocolError("a legacy ping that is none")
        if found.kind == LegacyKind.NOT:
            self._head = None
            self._splitters[Direction.SERVERBOUND].feed(head)
            if answered:
                self._splitters[Direction.CLIENTBOUND].feed(data)
        elif found.kind != LegacyKind.UNDECIDED:
            self.blind = True
            return LegacySeen(found)
        return None

    def _packets(self, direction: Direction) -> Iterator[Seen]:
        for frame in self._splitters[direction]:
            state = self._state[direction]
            number = frame.packet_id
            name = packet_name(self.protocol or 0, state, direction, number)
            packet = Packet(direction, state, number, name, bytes(frame))
            self._follow(packet)
            yield packet
            if name == "encryption_begin" and direction is Direction.SERVERBOUND:
                # The server's request was plain; what follows the client's answer is not.
                self.blind = True
                yield EncryptionStarted()
                return

    def _follow(self, packet: Packet) -> None:
        if packet.state is State.HANDSHAKE:
            handshake = Handshake.decode(packet.data)
            self.protocol = handshake.protocol
            state = State.STATUS if handshake.intent == Intent.STATUS else State.LOGIN
            self._state = dict.fromkeys(Direction, state)
        elif packet.name in ("compress", "set_compression"):
            reader = Reader(packet.data)
            reader.varint()
            # Any threshold reads any packet; only whether there is one matters here.
            threshold = min(reader.varint(), 0)
            for splitter in self._splitters.values():
                splitter.set_compression(threshold)
        else:
            self._change(packet)

    def _change(self, packet: Packet) -> None:
        following = SESSION.get((packet.state, packet.direction, packet.name or ""))
        if following is None:
            return
        if packet.state is State.LOGIN and nearest(self.protocol or 0).protocol < _CONFIGURATION:
            self._state = dict.fromkeys(Direction, State.PLAY)
        else:
            self._state[packet.direction] = following
