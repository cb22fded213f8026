"""What a player and the other players meet when a backend or a client misbehaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.doubles import (
    connect,
    dribbling,
    join,
    listening,
    pattern_hash,
    push_rest,
    push_until_stalled,
    read_exactly,
    read_hash,
    read_to_end,
)
from tests.e2e.processes import NodePeer, ProxyProcess, free_port

StartProxy = Callable[[str], ProxyProcess]
OpenServer = Callable[..., int]

GIGABYTE = 1_000_000_000
MEGABYTE = 1_000_000
KERNEL_BUFFERS = 64 * MEGABYTE
"""More than two pairs of loopback sockets hold between them."""
VERSION = "1.12.2"


def server(name: str, *ports: int, more: str = "") -> str:
    addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return (
        f'[[server]]\nname = "{name}"\ndomains = ["{name}.example.com"]\n'
        f"addresses = [{addresses}]\n{more}\n"
    )


@contextmanager
def relayed(proxy: ProxyProcess, listener: socket.socket) -> Iterator[tuple[socket.socket, ...]]:
    """A raw client joined through the proxy to a raw backend that has read the first bytes."""
    opening = join("raw.example.com")
    with connect(proxy.port) as client:
        client.sendall(opening)
        far, _ = listener.accept()
        with far:
            far.settimeout(30)
            assert read_exactly(far, len(opening)) == opening
            yield client, far


def test_two_names_lead_to_two_servers_at_once(  # M-03
    proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    running = proxy(
        server("lobby", backend("1.20.4", "The lobby"))
        + server("survival", backend("1.20.4", "The wilds"))
    )
    for typed, motd in {
        "lobby.example.com": "The lobby",
        "survival.example.com": "The wilds",
        "SURVIVAL.example.com.": "The wilds",
        "survival.example.com\0FML3\0": "The wilds",
    }.items():
        answer = node_client("ping", host=typed, port=running.port, version="1.20.4")
        assert answer["description"] == {"text": motd}, typed

    joined = {
        name: node_client(
            "join",
            host=f"{name}.example.com",
            port=running.port,
            version="1.20.4",
            username=name.title(),
        )["session"]
        for name in ("lobby", "survival")
    }
    for name, session in joined.items():
        assert node_client("echo", session=session, text=name) == name
        node_client("leave", session=session)


@pytest.mark.parametrize("when", ["login", "play"])
def test_the_text_of_a_kick_reaches_the_player(  # M-06
    when: str, proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    kick = {"when": when, "text": "§cThe server is full"}
    running = proxy(server("full", backend(VERSION, kick=kick)))
    seen = node_client(
        "join", host="full.example.com", port=running.port, version=VERSION, username="Alex"
    )
    assert node_client("ended", session=seen["session"])["kicked"] == "§cThe server is full"


def test_a_server_that_dies_takes_only_its_own_players_along(  # M-18
    proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    with NodePeer("server.js") as doomed:
        port = doomed("listen", version=VERSION, motd="Doomed")["port"]
        running = proxy(
            server("doomed", port, more='disconnect_message = "It fell over"')
            + server("safe", backend(VERSION))
        )
        sessions = {
            name: node_client(
                "join",
                host=f"{name}.example.com",
                port=running.port,
                version=VERSION,
                username="Steve",
            )["session"]
            for name in ("doomed", "safe")
        }
        assert node_client("echo", session=sessions["doomed"], text="alive") == "alive"
        doomed.kill()

        assert node_client("ended", session=sessions["doomed"])["ended"]
        assert node_client("echo", session=sessions["safe"], text="still here") == "still here"
        again = node_client(
            "join", host="doomed.example.com", port=running.port, version=VERSION, username="Steve"
        )
        assert "It fell over" in again["kicked"]


def test_a_join_goes_to_the_next_address_when_one_is_dead_or_does_not_answer(  # M-18
    proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        unanswered = full.getsockname()[1]
        with connect(unanswered):  # fills the queue: the next connection is not answered at all
            running = proxy(
                "timeouts.connect = 0.5\n"
                + server("many", free_port(), unanswered, backend(VERSION, "The last one"))
            )
            seen = node_client(
                "join", host="many.example.com", port=running.port, version=VERSION, username="Alex"
            )
            assert node_client("echo", session=seen["session"], text="there") == "there"


def test_a_server_that_accepts_and_never_answers_is_shown_as_starting(  # M-10
    proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    with listening() as silent:
        running = proxy(
            "timeouts.handshake = 1\ntimeouts.connect = 1\n"
            + server("silent", silent.getsockname()[1], more='motd.starting.text = "Nearly there"')
            + server("lively", backend(VERSION, "Lively"))
        )
        answer = node_client("ping", host="silent.example.com", port=running.port, version=VERSION)
        assert "Nearly there" in str(answer["description"])
        answer = node_client("ping", host="lively.example.com", port=running.port, version=VERSION)
        assert answer["description"] == {"text": "Lively"}


def test_bytes_that_come_one_at_a_time_make_the_same_packets(  # M-01 M-06
    proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    with dribbling(backend(VERSION, "Drop by drop")) as slow_server:
        running = proxy(server("slow", slow_server))
        with dribbling(running.port) as slow_client:
            answer = node_client("ping", host="slow.example.com", port=slow_client, version=VERSION)
            assert answer["description"] == {"text": "Drop by drop"}
            seen = node_client(
                "join", host="slow.example.com", port=slow_client, version=VERSION, username="Alex"
            )
            session = seen["session"]
            assert node_client("echo", session=session, text="plip" * 500) == "plip" * 500
            node_client("leave", session=session)


@pytest.mark.parametrize("reader", ["server", "client"])
@pytest.mark.parametrize("mode", ["passthrough", "zero_copy", "server_only"])
def test_a_reader_that_stops_stops_its_sender_and_loses_nothing(  # M-11
    reader: str, mode: str, proxy: StartProxy
) -> None:
    with listening() as listener:
        running = proxy(server("raw", listener.getsockname()[1], more=f'proxy_mode = "{mode}"'))
        with relayed(running, listener) as (client, far):
            source, sink = (client, far) if reader == "server" else (far, client)
            before = running.memory()
            sent = push_until_stalled(source, GIGABYTE)
            assert sent < KERNEL_BUFFERS
            assert running.memory() - before < 8 * MEGABYTE

            rest = threading.Thread(target=push_rest, args=(source, sent, GIGABYTE))
            rest.start()
            assert read_hash(sink) == (GIGABYTE, pattern_hash(GIGABYTE))
            rest.join()
            assert running.memory() - before < 8 * MEGABYTE


@pytest.mark.parametrize("mode", ["passthrough", "zero_copy", "server_only"])
def test_a_half_that_is_closed_leaves_the_other_half_open(mode: str, proxy: StartProxy) -> None:
    with listening() as listener:  # M-06
        running = proxy(server("raw", listener.getsockname()[1], more=f'proxy_mode = "{mode}"'))
        answer = b"the rest of the world" * 50_000
        with relayed(running, listener) as (client, far):
            client.sendall(b"last words")
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(far) == b"last words"
            sending = threading.Thread(target=far.sendall, args=(answer,))
            sending.start()
            assert read_exactly(client, len(answer)) == answer
            sending.join()
            far.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""

        with relayed(running, listener) as (client, far):
            far.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.sendall(b"one more thing")
            assert read_exactly(far, 14) == b"one more thing"
