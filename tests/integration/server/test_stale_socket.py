"""A warm socket that the backend closed in the very moment in which a player comes."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.login import LoginStart
from tests.integration.server.program import DEADLINE, Program, frame, free_port, until

OPENING = frame(Handshake(767, "a.test", 1, Intent.LOGIN).encode()) + frame(
    LoginStart("Steve").encode(767)
)


def all_stopped(process: int) -> bool:
    """Whether every thread stands still: the signal does not wait for that."""
    stats = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "spoken on"])
def test_it_is_not_used(tmp_path: Path, closed: bool) -> None:  # M-02
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as backend:
        backend.settimeout(DEADLINE)
        (tmp_path / "mcproxy.toml").write_text(
            f'bind = ["127.0.0.1:{port}"]\nworkers = 1\n'
            f'[[server]]\nname = "a"\ndomains = ["a.test"]\n'
            f'addresses = ["127.0.0.1:{backend.getsockname()[1]}"]\n'
            f'pool = {{ warm = 1, max_idle = "1h" }}\n'
        )
        with Program("run", cwd=tmp_path) as proxy:
            proxy.line_with("listening on")
            until(lambda: proxy.ask("stats")["warm"] == 1)
            warm, _ = backend.accept()
            player = socket.create_connection(("127.0.0.1", port), DEADLINE)
            player.sendall(OPENING[:3])
            until(lambda: proxy.ask("stats")["open"] == 1)
            # Both happen before the worker runs again, and it looks at the player first.
            proxy.signal(signal.SIGSTOP)
            until(lambda: all_stopped(proxy.process.pid))
            player.sendall(OPENING[3:])
            if closed:
                warm.close()
            else:
                warm.sendall(b"?")
            proxy.signal(signal.SIGCONT)
            while True:
                far, _ = backend.accept()
                far.settimeout(DEADLINE)
                if far.recv(len(OPENING), socket.MSG_PEEK) == OPENING:
                    break
            far.sendall(b"welcome")
            assert player.recv(7) == b"welcome"
            counters = proxy.ask("stats")
            assert (counters["warm_used"], counters["warm_lost"]) == (0, 1)
            for one in (player, far, warm):
                one.close()
