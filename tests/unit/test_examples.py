"""The examples of mcproxy.minecraft do what they say."""

import contextlib
import json
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from mcstatus import JavaServer

from mcproxy.minecraft.legacy import LegacyKind, decode_reply, encode_ping

from .wire_bytes import hello, text, varint

EXAMPLES = Path(__file__).parents[2] / "examples"


def frame(body: bytes) -> bytes:
    return varint(len(body)) + body


def run(name, *arguments, stdin=""):
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture(scope="module")
def status_server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, EXAMPLES / "status_server.py", str(port)]) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def exchange(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        reply = b""
        while part := connection.recv(4096):
            reply += part
        return reply


@pytest.mark.parametrize("example", ["status_server.py", "ping_client.py", "packet_logger.py"])
def test_an_example_has_less_than_40_lines(example):
    assert len((EXAMPLES / example).read_text().splitlines()) < 40


def test_the_ping_client_shows_what_the_status_server_says(status_server):
    done = run("ping_client.py", "127.0.0.1", status_server)
    version, motd, players, latency = done.stdout.splitlines()
    assert (version, motd, players) == ("26.3 (protocol 777)", "Hello world", "3/20 players")
    assert latency.endswith(" ms")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_status_server_answers_somebody_elses_client(status_server):
    server = JavaServer("127.0.0.1", status_server)
    status = server.status()
    assert (status.version.name, status.version.protocol) == ("26.3", 777)
    assert status.motd.to_plain() == "Hello world"
    assert status.players.online == 3
    assert server.ping() >= 0  # without a status request


@pytest.mark.parametrize("kind", [LegacyKind.BETA, LegacyKind.V1_4, LegacyKind.V1_6])
def test_the_status_server_answers_old_clients(status_server, kind):
    reply = decode_reply(exchange(status_server, encode_ping(kind, "localhost")))
    assert (reply.online, reply.max_players) == (3, 20)
    assert reply.motd == ("Hello world" if kind is LegacyKind.BETA else "§aHello §lworld")


def test_the_status_server_turns_players_away(status_server):
    data = frame(hello(protocol=767)) + frame(b"\x00" + text("Bob") + bytes(16))
    reply = exchange(status_server, data)
    assert json.loads(reply[reply.index(b"{") :]) == {"text": "No world here", "color": "red"}
    kick = "§cNo world here"
    assert exchange(status_server, b"\x02\x49") == b"\xff\0\x0f" + kick.encode("utf-16-be")


def test_the_ping_client_says_when_the_server_hangs_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, EXAMPLES / "ping_client.py", *map(str, listener.getsockname())]
        client = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.close()
        assert client.communicate(timeout=30)[1] == "the server hung up\n"


def test_the_packet_logger_names_what_tshark_has_captured():
    deflated = frame(varint(100) + zlib.compress(b"\x07" + bytes(99)))
    conversation = [
        ("", frame(hello(protocol=772)) + frame(b"\x00" + text("Bob") + bytes(16))),
        ("\t", frame(b"\x03" + varint(64))),
        ("\t", frame(b"\x00\x02" + bytes(16) + text("Bob") + b"\x00")),
        ("", frame(b"\x00\x03")),
        ("\t", deflated[:20]),
        ("\t", deflated[20:]),
    ]
    follow = "\n===\nFollow: tcp,raw\nFilter: tcp.stream eq 0\nNode 0: 127.0.0.1:1\n"
    follow += "".join(f"{tab}{data.hex()}\n" for tab, data in conversation) + "===\n"
    done = run("packet_logger.py", stdin=follow)
    assert done.stderr == ""
    assert [line.split()[:4] for line in done.stdout.splitlines()] == [
        ["->", "handshake", "0x00", "set_protocol"],
        ["->", "login", "0x00", "login_start"],
        ["<-", "login", "0x03", "compress"],
        ["<-", "login", "0x02", "success"],
        ["->", "login", "0x03", "login_acknowledged"],
        ["<-", "configuration", "0x07", "registry_data"],
    ]


def test_the_packet_logger_says_where_encryption_begins():
    conversation = [
        ("", frame(hello(protocol=47)) + frame(b"\x00" + text("Bob"))),
        ("\t", frame(b"\x01" + bytes(20))),
        ("", frame(b"\x01" + bytes(20)) + b"\xff" * 20),
        ("\t", b"\xff" * 20),
    ]
    done = run(
        "packet_logger.py", stdin="".join(f"{tab}{data.hex()}\n" for tab, data in conversation)
    )
    assert done.stdout.splitlines()[-1] == "the rest is encrypted"
    assert done.stdout.count("encryption_begin") == 2
