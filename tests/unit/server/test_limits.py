"""Limits in a configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcproxy.proxy import (
    Action,
    Buffers,
    Flood,
    Limit,
    Limits,
    OpenLimit,
    SessionLimit,
    Settings,
)
from mcproxy_server.config import ConfigurationProblems, load

SERVER = """
[[server]]
name = "lobby"
addresses = ["127.0.0.1:25566"]
"""


def read(folder: Path, text: str) -> Settings:
    path = folder / "mcproxy.toml"
    path.write_text(text + SERVER, encoding="utf-8")
    return load(path).settings


def test_every_key_reaches_the_settings(tmp_path: Path) -> None:  # M-12
    settings = read(
        tmp_path,
        """
        [limits]
        prefix_v4 = 24
        prefix_v6 = 48
        exempt = ["192.0.2.0/24"]
        message = "Slowly."
        connections = { rate = 1.5, burst = 2, action = "drop" }
        status = { rate = 3, burst = 4, action = "tarpit" }
        logins = { rate = 0.5, burst = 1, action = "close" }
        open = { most = 7, action = "message" }
        session = { serverbound = 10, clientbound = 20, packets = 30, action = "close" }
        [flood]
        begin = 100
        end = 50
        calm = "10s"
        handshake = "500ms"
        [buffers]
        session = 4096
        total = 8192
        """,
    )
    assert settings.limits == Limits(
        connections=Limit(1.5, 2, Action.DROP),
        status=Limit(3, 4, Action.TARPIT),
        logins=Limit(0.5, 1, Action.CLOSE),
        open=OpenLimit(7, Action.MESSAGE),
        session=SessionLimit(10, 20, 30, "close"),
        prefix_v4=24,
        prefix_v6=48,
        exempt=("192.0.2.0/24",),
        message="Slowly.",
    )
    assert settings.flood == Flood(100, 50, 10.0, 0.5)
    assert settings.buffers == Buffers(4096, 8192)


def test_the_defaults_of_the_file_are_those_of_the_library(tmp_path: Path) -> None:
    settings, library = read(tmp_path, ""), Settings()
    assert settings.limits == library.limits
    assert settings.flood == library.flood
    assert settings.buffers == library.buffers


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[limits]\nprefix_v6 = 65", "limits.prefix_v6"),
        ("[limits.status]\nburst = 0", "limits.status.burst"),
        ('[limits.logins]\naction = "tarpits"', "limits.logins.action"),
        ('[limits]\nexempt = ["nowhere"]', "limits.exempt"),
        ("[rate_limit]\nper_second = 3", "limits of one address: [limits]"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    text: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)


def test_packets_that_are_never_seen_cannot_be_limited(tmp_path: Path) -> None:
    path = tmp_path / "mcproxy.toml"
    path.write_text(
        "[limits.session]\npackets = 100\n" + SERVER + 'proxy_mode = "zero_copy"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationProblems, match=r"limits\.session\.packets") as caught:
        load(path)
    assert '"zero_copy" never sees them' in str(caught.value)
