"""Sockets from systemd, and what it is told; see sd_listen_fds(3) and sd_notify(3)."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest

from tests.integration.server.program import BINARY, DEADLINE, until
from tests.integration.server.upgradable import Clients, Upgradable, status

# As systemd does it: descriptors from 3 on, and the number of the very process that is to run.
PASS = """\
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",")]
copies = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in given]
for number, copy in enumerate(copies, 3):
    os.dup2(copy, number)
    os.close(copy)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES="a:b")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Notified:
    """The socket to which a service writes."""

    def __init__(self, path: Path | str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(DEADLINE)

    def message(self) -> tuple[int, dict[str, str]]:
        """Who wrote, and the fields."""
        data, control, _, _ = self.socket.recvmsg(4096, 256)
        (_, _, credentials), *_ = control
        pid = struct.unpack("iII", credentials)[0]
        return pid, dict(line.split("=", 1) for line in data.decode().splitlines())

    def nothing_more(self) -> bool:
        self.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.socket.recv(4096)
        return True


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Notified]:
    one = Notified(tmp_path / "notify")
    yield one
    one.socket.close()


class TestSdNotify:
    @pytest.fixture
    def proxy(self, tmp_path: Path, notified: Notified) -> Iterator[Upgradable]:
        env = {**os.environ, "NOTIFY_SOCKET": str(notified.socket.getsockname())}
        with Upgradable(tmp_path, env=env) as running:
            yield running

    def test_ready_once_it_listens_and_stopping(
        self, proxy: Upgradable, notified: Notified
    ) -> None:
        pid, fields = notified.message()
        assert pid == proxy.process.pid
        assert fields["READY"] == "1"
        assert fields["STATUS"] == f"1 server; listening on 127.0.0.1:{proxy.port}"
        proxy.signal(SIGTERM)
        assert proxy.end() == 0
        assert notified.message()[1]["STOPPING"] == "1"
        assert notified.nothing_more()

    def test_a_reload_from_its_beginning_to_its_end(
        self, proxy: Upgradable, notified: Notified
    ) -> None:
        notified.message()
        before = time.monotonic_ns() // 1000
        proxy.signal(SIGHUP)
        fields = notified.message()[1]
        assert fields["RELOADING"] == "1"
        assert before <= int(fields["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert notified.message()[1]["READY"] == "1"

    def test_a_failed_reload_ends_too(self, proxy: Upgradable, notified: Notified) -> None:
        notified.message()
        proxy.file.write_text("no")
        assert notified.message()[1]["RELOADING"] == "1"
        assert notified.message()[1]["READY"] == "1"

    def test_the_main_process_changes_at_an_upgrade(
        self, proxy: Upgradable, notified: Notified
    ) -> None:
        notified.message()
        new = proxy.upgrade()["pid"]
        assert notified.message() == (proxy.process.pid, {"MAINPID": str(new)})
        pid, fields = notified.message()
        assert (pid, fields["READY"]) == (new, "1")
        assert proxy.process.wait(DEADLINE) == 0
        proxy.now.signal(SIGTERM)
        pid, fields = notified.message()
        assert (pid, fields["STOPPING"]) == (new, "1")
        assert proxy.now.ends()
        assert notified.nothing_more()

    def test_the_new_process_has_no_parent_but_the_first(
        self, proxy: Upgradable, notified: Notified
    ) -> None:
        # systemd sees the end of a main process only when it is its own child.
        new = proxy.upgrade()["pid"]
        parent = Path(f"/proc/{new}/stat").read_text().rpartition(")")[2].split()[1]
        assert int(parent) != proxy.process.pid
        assert notified.message()[1]["READY"] == "1"

    def test_a_failed_upgrade_tells_nothing(self, proxy: Upgradable, notified: Notified) -> None:
        notified.message()
        proxy.script.write_text("raise SystemExit('broken')")
        assert proxy.try_upgrade().returncode == 1
        assert notified.nothing_more()


def test_a_socket_in_the_abstract_namespace_is_told_too(tmp_path: Path) -> None:
    name = f"mcproxy-{os.getpid()}-{time.monotonic_ns()}"
    notified = Notified(f"\0{name}")
    env = {**os.environ, "NOTIFY_SOCKET": f"@{name}"}
    with notified.socket, Upgradable(tmp_path, env=env):
        assert notified.message()[1]["READY"] == "1"


@pytest.mark.parametrize("address", ["/nowhere/notify", "relative", ""])
def test_nobody_to_tell_is_no_reason_not_to_serve(tmp_path: Path, address: str) -> None:
    with Upgradable(tmp_path, env={**os.environ, "NOTIFY_SOCKET": address}) as proxy:
        assert status(proxy.port) == "offline"


class TestSocketActivation:
    @pytest.fixture
    def sockets(self) -> Iterator[list[socket.socket]]:
        both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        yield both
        for one in both:
            one.close()

    @pytest.fixture
    def proxy(self, tmp_path: Path, sockets: list[socket.socket]) -> Iterator[Upgradable]:
        self.ports = [one.getsockname()[1] for one in sockets]
        # Who comes before the program has started waits in the queue.
        self.early = socket.create_connection(("127.0.0.1", self.ports[0]), DEADLINE)
        with activated(tmp_path, sockets, top="workers = 2") as running, self.early:
            for one in sockets:
                one.close()
            yield running

    def test_takes_the_place_of_bind(self, proxy: Upgradable) -> None:
        listening = [f"127.0.0.1:{port}" for port in self.ports]
        assert proxy.control("ping")["listening"] == listening
        assert [status(port) for port in self.ports] == ["offline", "offline"]
        with pytest.raises(ConnectionRefusedError):
            status(proxy.port)
        self.early.sendall(b"\xfe\x01")  # the ping of Minecraft 1.6
        assert self.early.recv(1) == b"\xff"

    def test_goes_on_after_reloads(self, proxy: Upgradable) -> None:
        proxy.configure("default = 'lobby'\nworkers = 2")
        proxy.line_with("reloaded")
        assert [status(port) for port in self.ports] == ["offline", "offline"]

    def test_goes_on_after_upgrades(self, proxy: Upgradable) -> None:
        with Clients(2, lambda: [status(port) for port in self.ports]) as clients:
            for _ in range(2):
                before = clients.done
                proxy.upgrade()
                until(lambda before=before: clients.done > before + 5 or bool(clients.failures))
        assert clients.failures == []
        listening = [f"127.0.0.1:{port}" for port in self.ports]
        assert proxy.control("ping")["listening"] == listening

    def test_serves_both_families_on_one_socket(self, tmp_path: Path) -> None:
        # What ListenStream=25565 makes.
        both = socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=True
        )
        with both, activated(tmp_path, [both]):
            port = both.getsockname()[1]
            assert status(port, "::1") == status(port, "127.0.0.1") == "offline"

    def test_of_what_is_no_listening_socket_is_refused_in_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "mcproxy.toml").write_text("")
        with (
            socket.create_server(("127.0.0.1", 0)) as good,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            (tmp_path / "file").open("w") as file,
        ):
            for bad in (datagrams, file):
                numbers = [good.fileno(), bad.fileno()]
                done = subprocess.run(
                    [*launcher(numbers), BINARY, "run"],
                    pass_fds=numbers,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=DEADLINE,
                    check=False,
                )
                assert (done.returncode, done.stdout) == (1, "")
                assert done.stderr.startswith("mcproxy-server: LISTEN_FDS: descriptor 4 (b) is no ")
                assert done.stderr.count("\n") == 1

    def test_that_is_meant_for_another_process_is_left_alone(self, tmp_path: Path) -> None:
        env = {**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
        with Upgradable(tmp_path, env=env) as proxy:
            assert status(proxy.port) == "offline"


def launcher(numbers: list[int]) -> list[str | Path]:
    """What to put in front of a program that is to get the descriptors with these ``numbers``."""
    return [sys.executable, "-c", PASS, ",".join(map(str, numbers))]


def activated(folder: Path, sockets: list[socket.socket], top: str = "") -> Upgradable:
    numbers = [one.fileno() for one in sockets]
    return Upgradable(folder, top=top, launcher=launcher(numbers), pass_fds=numbers)
