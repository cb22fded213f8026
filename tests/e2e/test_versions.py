"""A real client of every version reaches a real server of its version through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.processes import NodePeer, ProxyProcess, free_port

# Every version of minecraft-protocol 1.68.0 and its protocol number.
VERSIONS = {
    "1.7": 5, "1.8.8": 47, "1.9.4": 110, "1.10.2": 210, "1.11.2": 316, "1.12.2": 340,
    "1.13.2": 404, "1.14.4": 498, "1.15.2": 578, "1.16.5": 754, "1.17.1": 756, "1.18.2": 758,
    "1.19": 759, "1.19.2": 760, "1.19.3": 761, "1.19.4": 762, "1.20.1": 763, "1.20.2": 764,
    "1.20.4": 765, "1.20.6": 766, "1.21.1": 767, "1.21.3": 768, "1.21.4": 769, "1.21.5": 770,
    "1.21.6": 771, "1.21.8": 772, "1.21.9": 773, "1.21.11": 774, "26.1": 775,
}  # fmt: skip
TEN_MEGABYTES = 10_000_000
NO_COMPRESSION = -2

each_version = pytest.mark.parametrize("version", VERSIONS)


def host(version: str) -> str:
    return f"v{VERSIONS[version]}.example.com"


@pytest.fixture(scope="module")
def ports(node_server: NodePeer) -> Iterator[dict[str, int]]:
    """A server of each version, and its port."""
    opened = {
        version: node_server("listen", version=version, motd=f"§aWelcome to {version}")["port"]
        for version in VERSIONS
    }
    yield opened
    for port in opened.values():
        node_server("close", port=port)


@pytest.fixture(scope="module")
def world(
    ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxyProcess]:
    """One proxy before all of them, each behind a name of its own."""
    servers = [
        f'[[server]]\nname = "v{VERSIONS[version]}"\n'
        f'domains = ["{host(version)}"]\naddresses = ["127.0.0.1:{port}"]\n'
        for version, port in ports.items()
    ]
    servers.append(
        '[[server]]\nname = "gone"\ndomains = ["gone.example.com"]\n'
        f'addresses = ["127.0.0.1:{free_port()}"]\ndisconnect_message = "§cBack at nine"\n'
        'motd.offline.text = "§7Asleep"\n'
    )
    text = 'unknown_message = "§eNobody lives here"\n' + "".join(servers)
    with ProxyProcess(tmp_path_factory.mktemp("world"), text) as running:
        yield running


@each_version
def test_a_ping_shows_the_server_behind_the_name(  # M-01 M-15
    version: str, world: ProxyProcess, node_client: NodePeer
) -> None:
    answer = node_client("ping", host=host(version), port=world.port, version=version)
    assert answer["description"] == {"text": f"§aWelcome to {version}"}
    assert answer["version"]["protocol"] == VERSIONS[version]


@each_version
def test_a_player_joins_and_packets_pass_both_ways(  # M-01 M-06 M-15
    version: str,
    world: ProxyProcess,
    ports: dict[str, int],
    node_client: NodePeer,
    node_server: NodePeer,
) -> None:
    seen = node_client(
        "join", host=host(version), port=world.port, version=version, username="Steve"
    )
    assert seen["entityId"] > 1000, seen
    assert seen["threshold"] == (256 if VERSIONS[version] >= 47 else NO_COMPRESSION)
    (player,) = node_server("players", port=ports[version])
    assert player == {
        "username": "Steve",
        "host": host(version),
        "protocol": VERSIONS[version],
        "connected": True,
    }

    session = seen["session"]
    assert node_client("echo", session=session, text="a play packet") == "a play packet"
    stream = node_client("stream", session=session, total=TEN_MEGABYTES)
    assert stream["serverReceived"] == stream["clientSent"]
    assert stream["clientReceived"] == stream["serverSent"]

    node_server("kick", port=ports[version], username="Steve", text="Good night, §lSteve")
    assert node_client("ended", session=session)["kicked"] == "Good night, §lSteve"


@each_version
def test_a_player_who_joins_an_unknown_name_is_told_so(  # M-03
    version: str, world: ProxyProcess, node_client: NodePeer
) -> None:
    seen = node_client(
        "join", host="nowhere.example.com", port=world.port, version=version, username="Steve"
    )
    assert "Nobody lives here" in seen["kicked"]
    assert seen["packets"] == ["login.disconnect"]


@each_version
def test_a_player_whose_server_is_down_reads_its_own_text(  # M-18
    version: str, world: ProxyProcess, node_client: NodePeer
) -> None:
    seen = node_client(
        "join", host="gone.example.com", port=world.port, version=version, username="Steve"
    )
    assert "Back at nine" in seen["kicked"]
    assert seen["packets"] == ["login.disconnect"]


@each_version
def test_a_ping_for_a_server_that_is_down_shows_its_text_and_fits_the_client(  # M-10 M-15
    version: str, world: ProxyProcess, node_client: NodePeer
) -> None:
    answer = node_client("ping", host="gone.example.com", port=world.port, version=version)
    assert "Asleep" in str(answer["description"])
    assert answer["version"]["protocol"] == VERSIONS[version]
