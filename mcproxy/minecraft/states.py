"""Everything that moves the state of a connection, as tables.

``SERVER`` and ``CLIENT`` are for the two ends that :mod:`mcproxy.minecraft.connection` plays;
``SESSION`` is for a third party that looks on (:mod:`mcproxy.minecraft.dissector`).
"""

from __future__ import annotations

import enum

from mcproxy.minecraft.packets import Direction, State

__all__ = ["ANSWERS", "CLIENT", "SERVER", "SESSION", "Phase"]


class Phase(enum.StrEnum):
    """How far a connection that ends with a status or a Login Start has come."""

    HANDSHAKE = "handshake"
    """Nothing has been read (server), or sent (client)."""
    STATUS = "status"
    """The handshake said status."""
    PING = "ping"
    """The status was asked for; a ping may follow."""
    LOGIN = "login"
    """The handshake said login or transfer."""
    DONE = "done"
    """Nothing more is read here; what comes is ``trailing_data``."""
    CLOSED = "closed"
    """The peer has closed its side."""
    ERROR = "error"
    """Somebody broke the protocol; every further call raises."""


# What a server reads. One status request and one ping at most, in this order.
SERVER: dict[tuple[Phase, str], Phase] = {
    (Phase.HANDSHAKE, "handshake for status"): Phase.STATUS,
    (Phase.HANDSHAKE, "handshake for login"): Phase.LOGIN,
    (Phase.HANDSHAKE, "legacy ping"): Phase.DONE,
    (Phase.HANDSHAKE, "legacy login"): Phase.DONE,
    (Phase.STATUS, "status request"): Phase.PING,
    (Phase.STATUS, "ping"): Phase.DONE,
    (Phase.PING, "ping"): Phase.DONE,
    (Phase.LOGIN, "login start"): Phase.DONE,
}

# What a server may then send, once each and in the order of the questions.
ANSWERS: dict[str, str] = {
    "status request": "status",
    "ping": "pong",
    "legacy ping": "status",
    "legacy login": "disconnect",
    "handshake for login": "disconnect",
}

# What a client sends, and which answer it then waits for (all in the order sent).
CLIENT: dict[tuple[Phase, str], tuple[Phase, str | None]] = {
    (Phase.HANDSHAKE, "handshake"): (Phase.STATUS, None),
    (Phase.STATUS, "status request"): (Phase.PING, "status"),
    (Phase.STATUS, "ping"): (Phase.DONE, "pong"),
    (Phase.PING, "ping"): (Phase.DONE, "pong"),
}

# Packets after which one direction speaks another state, since 1.20.2 (764). Up to 1.20.1 the
# login's "success" takes both to play. The directions change at different moments.
SESSION: dict[tuple[State, Direction, str], State] = {
    (State.LOGIN, Direction.CLIENTBOUND, "success"): State.CONFIGURATION,
    (State.LOGIN, Direction.SERVERBOUND, "login_acknowledged"): State.CONFIGURATION,
    (State.CONFIGURATION, Direction.CLIENTBOUND, "finish_configuration"): State.PLAY,
    (State.CONFIGURATION, Direction.SERVERBOUND, "finish_configuration"): State.PLAY,
    (State.PLAY, Direction.CLIENTBOUND, "start_configuration"): State.CONFIGURATION,
    (State.PLAY, Direction.SERVERBOUND, "configuration_acknowledged"): State.CONFIGURATION,
}
