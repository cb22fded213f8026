"""The two ends of a Minecraft connection up to the Login Start, without I/O.

Bytes go in, events come out; methods that send give bytes back. Nothing here knows sockets or
an event loop::

    connection = ServerConnection()
    for event in connection.receive(data):
        if isinstance(event, StatusRequested):
            reply = connection.send_status(build_status("26.3", 777, description="Hello"))

What may follow what stands in the tables of :mod:`mcproxy.minecraft.states`. A peer that
breaks them raises RemoteProtocolError, a caller that does LocalProtocolError; either way the
connection is in the phase ERROR from then on, and every further call raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from mcproxy._speedups.wire.frames import FrameSplitter, join_frame
from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft import legacy, login, status
from mcproxy.minecraft.handshake import MAX_BODY, Handshake, Intent
from mcproxy.minecraft.legacy import LegacyKind, LegacyPing
from mcproxy.minecraft.login import LoginStart
from mcproxy.minecraft.packets import State
from mcproxy.minecraft.states import ANSWERS, CLIENT, SERVER, Phase
from mcproxy.minecraft.status import Status
from mcproxy.minecraft.text import Component
from mcproxy.minecraft.versions import newest

__all__ = [
    "ClientConnection",
    "ClientEvent",
    "ConnectionClosed",
    "HandshakeReceived",
    "LegacyLoginReceived",
    "LegacyPingReceived",
    "LoginStarted",
    "PingRequested",
    "PongReceived",
    "ServerConnection",
    "ServerEvent",
    "StatusReceived",
    "StatusRequested",
]

_MAX_STATUS_PACKET = 9  # id and i64 of a ping
_MAX_TRAILING = 1 << 20  # bytes behind a Login Start before the caller must take over
_MAX_STATUS_ANSWER = 3 * status.MAX_JSON_UNITS + 4  # id, length, text


@dataclass(frozen=True, slots=True)
class HandshakeReceived:
    """A modern client said what it wants."""

    handshake: Handshake


@dataclass(frozen=True, slots=True)
class StatusRequested:
    """The client waits for :meth:`ServerConnection.send_status`."""


@dataclass(frozen=True, slots=True)
class PingRequested:
    """The client waits for :meth:`ServerConnection.send_pong`."""

    payload: int


@dataclass(frozen=True, slots=True)
class LoginStarted:
    """A player wants to join. What follows is in :attr:`ServerConnection.trailing_data`."""

    login: LoginStart


@dataclass(frozen=True, slots=True)
class LegacyPingReceived:
    """A client from before 1.7 waits for :meth:`ServerConnection.send_status`."""

    ping: LegacyPing


@dataclass(frozen=True, slots=True)
class LegacyLoginReceived:
    """A client from before 1.7 wants to join: :meth:`ServerConnection.send_disconnect`."""


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """The server's status."""

    status: Status


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The server's answer to a ping."""

    payload: int


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """The peer has closed its side, between two packets."""


ServerEvent: TypeAlias = (
    HandshakeReceived
    | StatusRequested
    | PingRequested
    | LoginStarted
    | LegacyPingReceived
    | LegacyLoginReceived
    | ConnectionClosed
)
ClientEvent: TypeAlias = StatusReceived | PongReceived | ConnectionClosed


class _Connection:
    """What both ends share: phases, errors, the end of the stream."""

    def __init__(self) -> None:
        self._phase = Phase.HANDSHAKE
        self._error = ""
        self._eof = False

    @property
    def phase(self) -> Phase:
        """How far the connection has come."""
        return self._phase

    def _check(self) -> None:
        if self._phase is Phase.ERROR:
            raise LocalProtocolError(f"the connection has failed: {self._error}")

    def _refuse(self, error: RemoteProtocolError) -> NoReturn:
        self._phase, self._error = Phase.ERROR, str(error)
        raise error

    def _misuse(self, message: str) -> NoReturn:
        self._phase, self._error = Phase.ERROR, message
        raise LocalProtocolError(message)

    def _closed(self, rest: int) -> ConnectionClosed | None:
        """Once, when the peer has closed and nothing is left to read."""
        if not self._eof or self._phase is Phase.CLOSED:
            return None
        if rest:
            raise RemoteProtocolError(f"closed in the middle of a packet, after {rest} bytes")
        self._phase = Phase.CLOSED
        return ConnectionClosed()


class ServerConnection(_Connection):
    """The server's end: handshake, then status and ping, or Login Start; legacy pings too.

    ``max_handshake`` bounds the first packet in bytes; raise it only for proxies that are
    trusted to put a player's identity behind the host.
    """

    def __init__(self, *, max_handshake: int = MAX_BODY) -> None:
        """See the class."""
        super().__init__()
        self._max_handshake = max_handshake
        self._head = bytearray()  # until modern and legacy can be told apart
        self._splitter: FrameSplitter | None = None
        self._trailing = bytearray()
        self._timer_expired = False
        self._owed: deque[str] = deque()
        self._pings: deque[int] = deque()
        self._handshake: Handshake | None = None
        self._legacy: LegacyKind | None = None

    @property
    def handshake(self) -> Handshake | None:
        """The handshake, once it was received."""
        return self._handshake

    @property
    def undecided(self) -> bool:
        """Whether time must tell a legacy ping from the beginning of a modern packet.

        Call :meth:`timer_expired` when nothing has followed for about 200 ms.
        """
        return self._phase is Phase.HANDSHAKE and bool(self._head)

    @property
    def trailing_data(self) -> bytes:
        """What came behind the Login Start, for whoever goes on with the login."""
        return bytes(self._trailing)

    @property
    def finished(self) -> bool:
        """Whether every question is answered and no other can come: time to close."""
        return self._phase in (Phase.DONE, Phase.CLOSED) and not self._owed

    def receive(self, data: bytes) -> Iterator[ServerEvent]:
        """Take bytes from the client (none: it has closed its side), iterate over the events.

        What the loop leaves behind comes with the next call. Raises RemoteProtocolError, at
        the event it concerns, if the client breaks the protocol.
        """
        self._check()
        if self._eof:
            self._misuse("data behind the end")
        if not data:
            self._eof = True
        elif self._splitter is not None:
            self._splitter.feed(data)
        elif self._phase is Phase.HANDSHAKE:
            self._head += data
        elif self._legacy is None:
            self._trail(data)
        return iter(self.next_event, None)

    def timer_expired(self) -> Iterator[ServerEvent]:
        """Say that nothing has followed for a moment: see :attr:`undecided`."""
        self._check()
        self._timer_expired = True
        return iter(self.next_event, None)

    def next_event(self) -> ServerEvent | None:
        """The next event of the bytes received so far; None if more are needed."""
        self._check()
        try:
            event = self._begin() if self._head else None
            return event or self._next_packet()
        except RemoteProtocolError as error:
            self._refuse(error)

    def send_status(self, answer: Mapping[str, Any] | str) -> bytes:
        """Answer a status request or a legacy ping: with the JSON object, see
        :func:`~mcproxy.minecraft.status.build_status`, or its text."""
        self._check()
        if self._legacy is not None:
            found = status.parse_status(answer).raw if isinstance(answer, str) else answer
            reply = legacy.reply_from_status(self._legacy, found)
        else:
            reply = join_frame(status.encode_response(answer))
        self._spend("status")
        return reply

    def send_pong(self) -> bytes:
        """Answer a ping."""
        self._check()
        self._spend("pong")
        return join_frame(status.encode_ping(self._pings.popleft()))

    def send_disconnect(self, reason: Component) -> bytes:
        """Turn a joining player away with a text."""
        self._check()
        if self._handshake is None:
            reply = legacy.encode_kick(reason)
        else:
            reply = join_frame(login.disconnect(self._handshake.protocol, State.LOGIN, reason))
        self._spend("disconnect")
        if self._phase is Phase.LOGIN:
            self._finish(b"")
        return reply

    def _spend(self, answer: str) -> None:
        if not self._owed or self._owed[0] != answer:
            wanted = self._owed[0] if self._owed else "nothing"
            self._misuse(f"the client waits for {wanted}, not for a {answer}")
        self._owed.popleft()

    def _advance(self, trigger: str) -> None:
        following = SERVER.get((self._phase, trigger))
        if following is None:
            raise RemoteProtocolError(f"a {trigger} cannot come in phase {self._phase}")
        self._phase = following
        if trigger in ANSWERS:
            self._owed.append(ANSWERS[trigger])

    def _trail(self, data: bytes) -> None:
        if len(self._trailing) + len(data) > _MAX_TRAILING:
            self._misuse("the login has started: take trailing_data, and read on elsewhere")
        self._trailing += data

    def _finish(self, rest: bytes) -> None:
        self._phase = Phase.DONE
        self._splitter = None
        self._trail(rest)

    def _begin(self) -> ServerEvent | None:
        found = legacy.parse_ping(self._head, self._timer_expired or self._eof)
        if found.kind == LegacyKind.UNDECIDED:
            return None
        if found.kind == LegacyKind.NOT:
            self._splitter = FrameSplitter(max_frame=self._max_handshake).feed(self._head)
            self._head.clear()
            return None
        if found.kind == LegacyKind.BAD:
            raise RemoteProtocolError("a legacy ping that is none")
        self._legacy = found.kind
        self._head.clear()
        if found.kind == LegacyKind.LOGIN:
            self._advance("legacy login")
            return LegacyLoginReceived()
        self._advance("legacy ping")
        return LegacyPingReceived(found)

    def _next_packet(self) -> ServerEvent | None:
        splitter = self._splitter
        if splitter is None:
            return self._closed(len(self._head))
        for frame in splitter:
            return self._packet(bytes(frame), splitter)
        return self._closed(len(splitter.pending))

    def _packet(self, body: bytes, splitter: FrameSplitter) -> ServerEvent:
        if self._phase is Phase.HANDSHAKE:
            return self._shake(Handshake.decode(body), splitter)
        if self._phase is Phase.LOGIN and self._handshake is not None:
            started = LoginStart.decode(body, self._handshake.protocol)
            self._advance("login start")
            self._finish(splitter.pending)
            return LoginStarted(started)
        if body == status.REQUEST:
            self._advance("status request")
            return StatusRequested()
        payload = status.decode_ping(body)
        self._advance("ping")
        self._pings.append(payload)
        return PingRequested(payload)

    def _shake(self, handshake: Handshake, splitter: FrameSplitter) -> HandshakeReceived:
        self._handshake = handshake
        if handshake.intent == Intent.STATUS:
            self._advance("handshake for status")
            limit = _MAX_STATUS_PACKET
        else:
            self._advance("handshake for login")
            limit = login.max_login_start_body(handshake.protocol)
        # Each packet is held to its own length before it is buffered.
        self._splitter = FrameSplitter(max_frame=limit).feed(splitter.pending)
        return HandshakeReceived(handshake)


class ClientConnection(_Connection):
    """A client that asks for a server's status, measures a ping, or both.

    ``host`` and ``port`` are what the server is told; ``protocol`` is the client's number, the
    newest known one by default.
    """

    def __init__(self, host: str, port: int = 25565, protocol: int | None = None) -> None:
        """See the class."""
        super().__init__()
        number = newest().protocol if protocol is None else protocol
        self._hello = Handshake(number, host, port, Intent.STATUS)
        self._awaited: deque[str] = deque()
        self._splitter = FrameSplitter(direction="clientbound", max_frame=_MAX_STATUS_ANSWER)

    @property
    def finished(self) -> bool:
        """Whether every answer has come."""
        return self._phase is not Phase.HANDSHAKE and not self._awaited

    def request_status(self) -> bytes:
        """Ask for the status (the handshake is put in front of what is sent first)."""
        return self._send("status request", status.REQUEST)

    def ping(self, payload: int = 0) -> bytes:
        """Send a signed 64-bit number that the server sends back."""
        return self._send("ping", status.encode_ping(payload))

    def receive(self, data: bytes) -> Iterator[ClientEvent]:
        """Take bytes from the server (none: it has closed its side), iterate over the events.

        Raises RemoteProtocolError, at the event it concerns, if the server breaks the protocol.
        """
        self._check()
        if self._eof:
            self._misuse("data behind the end")
        if data:
            self._splitter.feed(data)
        else:
            self._eof = True
        return iter(self.next_event, None)

    def next_event(self) -> ClientEvent | None:
        """The next event of the bytes received so far; None if more are needed."""
        self._check()
        try:
            for frame in self._splitter:
                return self._packet(bytes(frame))
            return self._closed(len(self._splitter.pending))
        except RemoteProtocolError as error:
            self._refuse(error)

    def _send(self, trigger: str, body: bytes) -> bytes:
        self._check()
        data = b""
        if self._phase is Phase.HANDSHAKE:
            data = join_frame(self._hello.encode())
            self._move("handshake")
        self._move(trigger)
        return data + join_frame(body)

    def _move(self, trigger: str) -> None:
        found = CLIENT.get((self._phase, trigger))
        if found is None:
            self._misuse(f"a {trigger} cannot be sent in phase {self._phase}")
        self._phase, awaited = found
        if awaited is not None:
            self._awaited.append(awaited)

    def _packet(self, body: bytes) -> ClientEvent:
        awaited = self._awaited.popleft() if self._awaited else "nothing"
        if awaited == "status":
            return StatusReceived(status.decode_response(body))
        if awaited == "pong":
            return PongReceived(status.decode_ping(body))
        raise RemoteProtocolError("a packet that was not asked for")
