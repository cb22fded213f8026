"""The library beside real clients and servers: looking on, asking, and answering."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import pytest

from mcproxy.minecraft import ClientConnection, Dissector, Packet, State, StatusReceived, text
from mcproxy.minecraft.login import decode_disconnect
from mcproxy.minecraft.packets import Direction
from tests.e2e.doubles import connect, listening
from tests.e2e.processes import NodePeer
from tests.e2e.test_versions import VERSIONS

C, S = Direction.CLIENTBOUND, Direction.SERVERBOUND
Seen = list[Packet]


def look_on(near: socket.socket, far: socket.socket, seen: Seen) -> None:
    """Pass everything on between the two, and name the packets on the way."""
    dissector = Dissector()
    ways = {near: (S, far), far: (C, near)}
    while True:
        for source in select.select([near, far], [], [])[0]:
            direction, target = ways[source]
            data = source.recv(65536)
            if not data:
                return
            seen.extend(dissector.feed(direction, data))
            target.sendall(data)


def names(seen: Seen, state: State, direction: Direction) -> list[str | None]:
    return [p.name for p in seen if p.state is state and p.direction is direction]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_join_can_be_followed_packet_by_packet(
    backend: Callable[..., int], node_client: NodePeer, version: str
) -> None:  # S-01, M-15
    seen: Seen = []
    port = backend(version=version, kick={"when": "play", "text": "Come back later"})

    def handle(near: socket.socket) -> None:
        with connect(port) as far:
            look_on(near, far, seen)

    with listening(handle) as tap:
        node_client("join", host="h", port=tap.getsockname()[1], version=version, username="Bob")
    protocol = VERSIONS[version]
    assert all(packet.name for packet in seen)
    assert names(seen, State.HANDSHAKE, S) == ["set_protocol"]
    compressed = ["compress"] if protocol >= 47 else []
    assert names(seen, State.LOGIN, C) == [*compressed, "success"]
    acknowledged = ["login_acknowledged"] if protocol >= 764 else []
    assert names(seen, State.LOGIN, S) == ["login_start", *acknowledged]
    for direction in (C, S) if protocol >= 764 else ():
        assert names(seen, State.CONFIGURATION, direction)[-1] == "finish_configuration"
    assert "login" in names(seen, State.PLAY, C)
    [kick] = [p.data for p in seen if p.name == "kick_disconnect"]
    assert text.to_plain(decode_disconnect(protocol, State.PLAY, kick)) == "Come back later"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_status_can_be_asked_for(backend: Callable[..., int], version: str) -> None:  # M-15
    port = backend(version=version, motd="§aHello from Node")
    client = ClientConnection("localhost", port, VERSIONS[version])
    events = []
    with connect(port) as connection:
        connection.sendall(client.request_status() + client.ping(7))
        while not client.finished:
            events.extend(client.receive(connection.recv(65536)))
    assert isinstance(events[0], StatusReceived)
    assert events[0].status.protocol == VERSIONS[version]
    assert events[0].status.text == "Hello from Node"
