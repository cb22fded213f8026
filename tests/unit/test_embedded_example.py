"""The example with a proxy in it routes, greets and turns away as it says."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .wire_bytes import hello, text, varint

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedded_proxy.py"


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


class Backend:
    """Says its name to whoever sends a byte, and closes."""

    def __init__(self, name):
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    self.received = connection.recv(4096)
                    connection.sendall(self.name)


@pytest.fixture
def old():
    backend = Backend(b"the old server")
    yield backend
    backend.listener.close()


@pytest.fixture
def new():
    backend = Backend(b"the new server")
    yield backend
    backend.listener.close()


@pytest.fixture
def port(old, new):
    command = [sys.executable, EXAMPLE, "0", old.address, new.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(re.fullmatch(r"listening on port (\d+)\n", process.stdout.readline())[1])
        finally:
            process.terminate()


def exchange(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        reply = b""
        while part := connection.recv(4096):
            reply += part
        return reply


def join(protocol, name):
    return frame(hello(protocol=protocol)) + frame(b"\x00" + text(name) + bytes(16))


def test_it_has_less_than_40_lines():
    assert len(EXAMPLE.read_text().splitlines()) < 40


def test_the_routing_function_decides_by_the_version(port, old, new):  # S-01
    assert exchange(port, frame(hello(protocol=47)) + frame(b"\x00" + text("Bob"))) == old.name
    assert exchange(port, join(765, "Bob")) == new.name


def test_the_server_gets_the_bytes_that_the_player_sent(port, new):
    exchange(port, join(772, "Bob"))
    assert new.received == join(772, "Bob")


def test_a_banned_player_is_turned_away_by_name(port):
    reply = exchange(port, join(772, "Griefer"))
    told = json.loads(reply[reply.index(b"{") :])
    assert "No entry, Griefer." in json.dumps(told)


def test_the_status_greets_the_client(port):
    reply = exchange(
        port, frame(hello(protocol=772, intent=1)) + frame(b"\x00") + frame(b"\x01" + bytes(8))
    )
    assert b"Hello 127.0.0.1" in reply
