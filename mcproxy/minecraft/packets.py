"""Names and ids of packets by protocol, state and direction.

The names are those of the npm package minecraft-data, from which the table is generated; each
protocol's entry says where its ids come from. The table is read at the first question.
"""

from __future__ import annotations

import enum
import json
from functools import cache
from pathlib import Path
from typing import Any

from mcproxy.errors import LocalProtocolError
from mcproxy.minecraft.versions import nearest

__all__ = ["Direction", "State", "disconnect_id", "packet_id", "packet_name", "source"]


class State(enum.StrEnum):
    """The states of a connection."""

    HANDSHAKE = "handshake"
    STATUS = "status"
    LOGIN = "login"
    CONFIGURATION = "configuration"
    """Between login and play since 1.20.2 (764)."""
    PLAY = "play"


class Direction(enum.StrEnum):
    """Where a packet goes."""

    SERVERBOUND = "serverbound"
    CLIENTBOUND = "clientbound"


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("packets.json").read_bytes())
    return data


def _entry(protocol: int) -> dict[str, Any]:
    entry: dict[str, Any] = _data()["protocols"][str(nearest(protocol).protocol)]
    return entry


@cache
def _names(table: int) -> tuple[str, ...]:
    data = _data()
    return tuple(data["names"][number] for number in data["tables"][table])


@cache
def _ids(table: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(_names(table))}


def _table(protocol: int, state: State, direction: Direction) -> int | None:
    tables: list[int] | None = _entry(protocol).get(state)
    return None if tables is None else tables[direction == Direction.CLIENTBOUND]


def source(protocol: int) -> str:
    """Where the ids for ``protocol`` come from."""
    text: str = _entry(protocol)["source"]
    return text


def packet_name(protocol: int, state: State, direction: Direction, number: int) -> str | None:
    """The name of packet ``number``; None if there is no such packet.

    A protocol number that is not known is read as :func:`~mcproxy.minecraft.versions.nearest`.
    """
    table = _table(protocol, state, direction)
    if table is None:
        return None
    names = _names(table)
    return names[number] if 0 <= number < len(names) else None


def packet_id(protocol: int, state: State, direction: Direction, name: str) -> int:
    """The id of the packet called ``name``.

    Raises LocalProtocolError if that protocol, or its nearest known one, has no such packet.
    """
    table = _table(protocol, state, direction)
    number = None if table is None else _ids(table).get(name)
    if number is None:
        raise LocalProtocolError(f"protocol {protocol} has no {direction} {state} packet {name!r}")
    return number


def disconnect_id(protocol: int, state: State) -> int:
    """The id of the clientbound packet that ends a connection with a text.

    Raises LocalProtocolError for states without one.
    """
    if state == State.LOGIN:
        return 0x00  # the same since 1.7.2; the table need not be read
    name = "kick_disconnect" if state == State.PLAY else "disconnect"
    return packet_id(protocol, state, Direction.CLIENTBOUND, name)
