"""`mcproxy-server demo`: two servers to try, and nothing left of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server.program import (
    BINARY,
    DEADLINE,
    Program,
    free_port,
    join,
    rest_of,
    shown_under,
    until,
)


class Demo(Program):
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        # What is left behind when a test kills it goes with the folder of the test.
        env = {**os.environ, "TMPDIR": str(folder)}
        super().__init__("demo", "--port", str(self.port), cwd=folder, env=env)
        self.line_with(f"listening on 0.0.0.0:{self.port}")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with Demo(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "first_line"),
    [
        ("lobby.localhost", "The lobby of the mcproxy demo"),
        ("survival.localhost", "Survival of the mcproxy demo"),
        ("sky.survival.localhost", "Survival of the mcproxy demo"),
        ("localhost", "The lobby of the mcproxy demo"),
        ("127.0.0.1", "The lobby of the mcproxy demo"),
        ("elsewhere.localhost", "There is no server under this name."),
    ],
)
def test_each_name_shows_its_server(demo: Demo, host: str, first_line: str) -> None:
    assert shown_under(host, demo.port).splitlines()[0] == first_line


@pytest.mark.parametrize("protocol", [4, 47, 340, 754, 763, 765, 767, 772, 775, 999])
def test_a_player_is_turned_away_by_name_and_server(demo: Demo, protocol: int) -> None:
    with join("survival.localhost", demo.port, "Alice", protocol) as player:
        player.settimeout(DEADLINE)
        told = rest_of(player).decode(errors="replace")
    assert "Alice" in told
    assert "survival" in told


def test_a_player_under_an_unknown_name_is_told_so(demo: Demo) -> None:
    with join("elsewhere.localhost", demo.port, "Alice") as player:
        assert "There is no server under this name." in rest_of(player).decode(errors="replace")


def test_what_it_says_to_try_works(demo: Demo) -> None:
    file = re.search(r"stats -c (\S+)", demo.line_with("stats -c"))[1]
    assert demo.ask("routes", "sky.survival.localhost", "-c", file)["route"]["server"] == "survival"
    pinged = demo.ask("ping", f"lobby.localhost:{demo.port}")
    assert pinged["favicon"] is True
    assert demo.ask("stats", "-c", file)["status_answered"] >= 1


def test_it_is_not_upgraded(demo: Demo) -> None:
    file = re.search(r"stats -c (\S+)", demo.line_with("stats -c"))[1]
    done = subprocess.run(
        [BINARY, "upgrade", "-c", file],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be upgraded" in done.stderr
    assert shown_under("localhost", demo.port).startswith("The lobby of the mcproxy demo")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_nothing_is_left(demo: Demo, number: signal.Signals) -> None:
    file = re.search(r"stats -c (\S+)", demo.line_with("stats -c"))[1]
    assert Path(file).exists()
    demo.line_with("Ctrl-C stops the demo.")
    demo.signal(number)
    assert demo.end() == 0
    assert not Path(file).parent.exists()
    assert "Traceback" not in "\n".join(demo.lines)


def test_a_second_signal_ends_it_at_once_and_nothing_is_left(demo: Demo) -> None:
    file = re.search(r"stats -c (\S+)", demo.line_with("stats -c"))[1]
    demo.line_with("Ctrl-C stops the demo.")
    # A connection holds up the end, so that there is time to ask again.
    with socket.create_connection(("127.0.0.1", demo.port)) as player:
        player.sendall(b"\x0f")
        until(lambda: demo.ask("stats", "-c", file)["open"] == 1)
        demo.signal(signal.SIGINT)
        demo.line_with("stopping")
        demo.signal(signal.SIGINT)
        assert demo.end() == 128 + signal.SIGINT
    assert not Path(file).parent.exists()
