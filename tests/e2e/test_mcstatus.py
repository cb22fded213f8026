"""The server list tools that people run: mcstatus, which knows modern and legacy pings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mcstatus import JavaServer, LegacyServer

from tests.e2e.processes import ProxyProcess


@pytest.fixture
def port(backend: Callable[..., int], proxy: Callable[[str], ProxyProcess]) -> int:
    """A proxy that shows one server under any name."""
    return proxy(
        f"""
        default = "lobby"
        [[server]]
        name = "lobby"
        addresses = ["127.0.0.1:{backend("1.20.4", "§6Golden §lhour")}"]
        """
    ).port


def test_the_status_is_that_of_the_server(port: int) -> None:  # M-10
    status = JavaServer("127.0.0.1", port).status(tries=1)
    assert status.motd.to_minecraft().removesuffix("§r") == "§6Golden §lhour"
    assert (status.version.name, status.version.protocol) == ("1.20.4", 765)
    assert (status.players.online, status.players.max) == (0, 20)
    assert status.latency >= 0


def test_a_ping_is_answered_without_a_status_request(port: int) -> None:  # M-15
    assert JavaServer("127.0.0.1", port).ping(tries=1, ping_token=0x1234567890ABCDEF) >= 0


def test_a_legacy_ping_is_answered_from_the_same_status(port: int) -> None:  # M-15
    status = LegacyServer("127.0.0.1", port).status(tries=1)
    assert status.motd.to_minecraft().removesuffix("§r") == "§6Golden §lhour"
    assert status.version.protocol == 127
    assert (status.players.online, status.players.max) == (0, 20)


def test_asking_again_and_again_asks_the_server_once(port: int) -> None:  # M-10
    first = JavaServer("127.0.0.1", port).status(tries=1)
    for _ in range(20):
        assert JavaServer("127.0.0.1", port).status(tries=1).raw == first.raw
