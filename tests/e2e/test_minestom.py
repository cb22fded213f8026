"""A server written in Java, which nobody of the proxy or of minecraft-protocol wrote."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.processes import Minestom, NodePeer, ProxyProcess

PROTOCOLS = {"26.1": 775, "1.21.11": 774}


@pytest.mark.parametrize("mode", ["passthrough", "zero_copy", "server_only"])
def test_a_player_pings_joins_and_chats_on_minestom(  # M-01 M-06 M-09
    mode: str,
    minestom: tuple[str, Minestom],
    proxy: Callable[[str], ProxyProcess],
    node_client: NodePeer,
) -> None:
    version, server = minestom
    running = proxy(
        f"""
        [[server]]
        name = "java"
        domains = ["java.example.com"]
        addresses = ["127.0.0.1:{server.port}"]
        proxy_mode = "{mode}"
        """
    )
    where = {"host": "java.example.com", "port": running.port, "version": version}
    answer = node_client("ping", **where)
    assert answer["description"] == "Hello from Java"
    assert answer["version"]["protocol"] == PROTOCOLS[version]
    assert (answer["players"]["online"], answer["players"]["max"]) == (3, 50)

    session = node_client("join", **where, username="Steve")["session"]
    heard = node_client("chat", session=session, text="is anybody out there?")
    assert heard == "heard: is anybody out there?"
    node_client("leave", session=session)


def test_a_player_is_transferred_through_the_proxy(  # M-15
    minestom: tuple[str, Minestom],
    proxy: Callable[[str], ProxyProcess],
    node_client: NodePeer,
) -> None:
    version, server = minestom
    running = proxy(
        f"""
        [[server]]
        name = "java"
        domains = ["java.example.com"]
        addresses = ["127.0.0.1:{server.port}"]
        """
    )
    seen = node_client(
        "join",
        host="java.example.com",
        port=running.port,
        version=version,
        username="Alex",
        transfer=True,
    )
    assert node_client("chat", session=seen["session"], text="moved in") == "heard: moved in"
    node_client("leave", session=seen["session"])
