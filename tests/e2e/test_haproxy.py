"""HAProxy in front of the proxy and behind it: who it says a player is, and who it is told."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.doubles import connect, join, listening, read_exactly, read_to_end
from tests.e2e.processes import DEADLINE, NodePeer, ProxyProcess, free_port

StartProxy = Callable[[str], ProxyProcess]
OpenServer = Callable[..., int]

SENDS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "v2 with TLVs": "send-proxy-v2 proxy-v2-options unique-id,crc32c",
}
OPENING = join("raw.example.com")


@contextmanager
def haproxy(folder: Path, *sections: str) -> Iterator[None]:
    """HAProxy with these sections, once it listens."""
    ready = free_port()
    defaults = f"""
        defaults
          mode tcp
          timeout connect 10s
          timeout client 60s
          timeout server 60s
        frontend ready
          bind 127.0.0.1:{ready}
          tcp-request connection reject
        """
    config = folder / "haproxy.cfg"
    lines = "\n".join([defaults, *sections]).splitlines()
    config.write_text("\n".join(line.strip() for line in lines) + "\n")
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(config)])
    try:
        listens(process, ready)
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE)


def listens(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
            return
        except ConnectionResetError:
            return  # rejected, so somebody listens
        except ConnectionRefusedError:
            time.sleep(0.01)
    pytest.fail("haproxy does not listen")


def section(name: str, port: int, target: int, *, bind: str = "", server: str = "", more="") -> str:
    return (
        f"listen {name}\nbind 127.0.0.1:{port} {bind}\n{more}\n"
        f"server {name} 127.0.0.1:{target} {server}\n"
    )


def configuration(target: int, *, send: str, trusted: bool) -> str:
    networks = '["127.0.0.0/8"]' if trusted else "[]"
    return f"""
proxy_protocol.trusted = {networks}
default = "raw"
[[server]]
name = "raw"
addresses = ["127.0.0.1:{target}"]
send_proxy_protocol = {send}
"""


def line_of(far: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\r\n"):
        line += read_exactly(far, 1)
    return line.decode()


@pytest.mark.parametrize("send", ['"v1"', '"v2"'])
@pytest.mark.parametrize("received", SENDS)
@pytest.mark.parametrize("address", ["127.0.0.1", "2001:db8::7"])
def test_the_player_s_address_goes_through_all_three(  # M-16
    send: str, received: str, address: str, tmp_path: Path, proxy: StartProxy
) -> None:
    front, behind = free_port(), free_port()
    six = address != "127.0.0.1"
    with listening() as backend:
        running = proxy(configuration(behind, send=send, trusted=True))
        # What HAProxy understood of our header it tells the backend in a line of its own.
        front_more = "unique-id-format session-%rt\n"
        if six:
            front_more += f"tcp-request connection set-src str({address})\n"
        sections = (
            section("front", front, running.port, server=SENDS[received], more=front_more),
            section(
                "behind",
                behind,
                backend.getsockname()[1],
                bind="accept-proxy",
                server="send-proxy",
            ),
        )
        with haproxy(tmp_path, *sections), connect(front) as client:
            client.sendall(OPENING)
            far, _ = backend.accept()
            with far:
                far.settimeout(DEADLINE)
                port = client.getsockname()[1]
                target = f"::ffff:127.0.0.1 {port} {front}" if six else f"127.0.0.1 {port} {front}"
                assert line_of(far) == f"PROXY TCP{6 if six else 4} {address} {target}\r\n"
                assert read_exactly(far, len(OPENING)) == OPENING
                far.sendall(b"back")
                assert read_exactly(client, 4) == b"back"


def test_a_health_check_of_haproxy_finds_the_proxy_up(tmp_path: Path, proxy: StartProxy) -> None:
    front = free_port()
    checks = "check inter 50ms send-proxy-v2"  # and so LOCAL at the head of each check
    with listening() as backend:
        running = proxy(configuration(backend.getsockname()[1], send="false", trusted=True))
        section_ = section("front", front, running.port, server=checks)
        with haproxy(tmp_path, section_):
            end = time.monotonic() + DEADLINE
            while (refused := running.stats()["refused"])["closed_early"] < 3:
                assert time.monotonic() < end
            assert not any(refused[name] for name in refused if name.startswith("proxy_"))
            with connect(front) as client:
                client.sendall(OPENING)
                far, _ = backend.accept()
                with far:
                    far.settimeout(DEADLINE)
                    assert read_exactly(far, len(OPENING)) == OPENING


def test_haproxy_is_refused_where_it_is_not_trusted(tmp_path: Path, proxy: StartProxy) -> None:
    front = free_port()
    running = proxy(configuration(free_port(), send="false", trusted=False))
    sends = section("front", front, running.port, server="send-proxy-v2")
    with haproxy(tmp_path, sends), connect(front) as client:
        client.sendall(OPENING)
        assert read_to_end(client) == b""
    assert running.stats()["refused"]["proxy_untrusted"] == 1


@pytest.mark.parametrize("send", ['"v1"', '"v2"'])
def test_a_server_that_wants_a_header_shows_its_status_and_lets_players_in(  # M-16
    send: str, tmp_path: Path, proxy: StartProxy, backend: OpenServer, node_client: NodePeer
) -> None:
    behind = free_port()
    real = backend(motd="Behind HAProxy")
    section_ = section("behind", behind, real, bind="accept-proxy")
    with haproxy(tmp_path, section_):
        running = proxy(configuration(behind, send=send, trusted=False))
        at = {"host": "raw.example.com", "port": running.port, "version": "1.20.4"}
        assert "Behind HAProxy" in str(node_client("ping", **at)["description"])
        joined = node_client("join", username="Steve", **at)
        assert "entityId" in joined, joined
        node_client("leave", session=joined["session"])
