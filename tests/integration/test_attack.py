"""An attack of many connections a second: players keep playing, and a new one still joins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_players_play_and_join_while_the_proxy_is_attacked() -> None:  # M-12
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.attack", "--json"),
            *("--rate", "4000", "--seconds", "2", "--players", "50"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    measured = json.loads(ended.stdout)
    assert measured["joins"] > 0
    assert measured["joined"] == measured["joins"]
    assert measured["messages_lost"] == 0
    assert measured["floods"] == 1
    assert measured["refused"] > 1000
    # The table of limits, blocks for first packets, sessions: all bounded, and small.
    assert measured["memory_most"] - measured["memory_before"] < 64 << 20
