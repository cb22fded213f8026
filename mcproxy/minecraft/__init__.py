"""The Minecraft protocol, sans-I/O: bytes in, events out; events in, bytes out."""

from mcproxy.minecraft.connection import (
    ClientConnection,
    ConnectionClosed,
    HandshakeReceived,
    LegacyLoginReceived,
    LegacyPingReceived,
    LoginStarted,
    PingRequested,
    PongReceived,
    ServerConnection,
    StatusReceived,
    StatusRequested,
)
from mcproxy.minecraft.dissector import Dissector, EncryptionStarted, LegacySeen, Packet
from mcproxy.minecraft.handshake import Handshake, Intent, clean_host
from mcproxy.minecraft.legacy import LegacyKind, LegacyPing, LegacyStatus
from mcproxy.minecraft.login import LoginStart, disconnect, offline_uuid
from mcproxy.minecraft.packets import Direction, State, packet_id, packet_name
from mcproxy.minecraft.states import Phase
from mcproxy.minecraft.status import Status, build_status, parse_status
from mcproxy.minecraft.versions import Version, nearest, newest

__all__ = [
    "ClientConnection",
    "ConnectionClosed",
    "Direction",
    "Dissector",
    "EncryptionStarted",
    "Handshake",
    "HandshakeReceived",
    "Intent",
    "LegacyKind",
    "LegacyLoginReceived",
    "LegacyPing",
    "LegacyPingReceived",
    "LegacySeen",
    "LegacyStatus",
    "LoginStart",
    "LoginStarted",
    "Packet",
    "Phase",
    "PingRequested",
    "PongReceived",
    "ServerConnection",
    "State",
    "Status",
    "StatusReceived",
    "StatusRequested",
    "Version",
    "build_status",
    "clean_host",
    "disconnect",
    "nearest",
    "newest",
    "offline_uuid",
    "packet_id",
    "packet_name",
    "parse_status",
]
