"""Real Minecraft software, started once per run, and a proxy per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import Minestom, NodePeer, ProxyProcess

MINESTOM = {"26.1": "2026.07.01-26.1.2", "1.21.11": "2026.04.13-1.21.11"}
"""The client version of minecraft-protocol that joins, and the Minestom build it joins."""


@pytest.fixture(scope="session")
def node_server() -> Iterator[NodePeer]:
    """minecraft-protocol as a server of any version."""
    with NodePeer("server.js") as peer:
        yield peer


@pytest.fixture(scope="session")
def node_client() -> Iterator[NodePeer]:
    """minecraft-protocol as a client of any version."""
    with NodePeer("client.js") as peer:
        yield peer


@pytest.fixture
def backend(node_server: NodePeer) -> Iterator[Callable[..., int]]:
    """Open a Minecraft server and get its port: ``backend(version="1.20.4", motd="Hello")``."""
    ports = []

    def open_server(version: str = "1.20.4", motd: str = "A server", **options: Any) -> int:
        ports.append(node_server("listen", version=version, motd=motd, **options)["port"])
        return ports[-1]

    yield open_server
    for port in ports:
        node_server("close", port=port)


@pytest.fixture(scope="session", params=MINESTOM)
def minestom(request: pytest.FixtureRequest) -> Iterator[tuple[str, Minestom]]:
    """A server written in Java, and the name of the client version that it speaks."""
    with Minestom(MINESTOM[request.param], motd="Hello from Java", transfers=True) as server:
        yield request.param, server


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Callable[[str], ProxyProcess]]:
    """Start `mcproxy-server run` with a configuration: ``proxy('[[server]] ...')``."""
    with ExitStack() as running:
        yield lambda config: running.enter_context(ProxyProcess(tmp_path, config))
