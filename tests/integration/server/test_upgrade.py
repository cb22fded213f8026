"""`mcproxy-server upgrade`: another process takes over, and nobody outside can tell."""  # M-19

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGSTOP, SIGTERM

import pytest

from mcproxy.minecraft.connection import ClientConnection
from tests.integration.server.program import DEADLINE, free_port, join, rest_of, until
from tests.integration.server.upgradable import WORKS, Clients, Process, Upgradable, status

Start = Callable[..., Upgradable]

# What may be wrong with a new program, and a word of what the command says then.
BROKEN = {
    "says why": ("raise SystemExit('the licence has expired')", "the licence has expired"),
    "not Python": ("def", "SyntaxError"),
    "part missing": ("import mcproxy_missing", "No module named 'mcproxy_missing'"),
    "killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "without a word"),
    "dies when it serves": (
        "import os\nfrom mcproxy_server.handover import Takeover\n"
        f"Takeover.ready = lambda self, **_: os._exit(3)\n{WORKS}",
        "without a word",
    ),
    "not this program": ("print('hello')", "without a word"),
}
HANGS = "import os, time\nopen('hanging', 'w').write(str(os.getpid()))\ntime.sleep(3600)\n"
HANGS_SERVING = (
    "import os, time\nfrom mcproxy_server.handover import Takeover\n"
    "def hang(self, **_):\n"
    "    open('hanging', 'w').write(str(os.getpid()))\n    time.sleep(3600)\n"
    f"Takeover.ready = hang\n{WORKS}"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Upgradable] = []

    def begin(**options: object) -> Upgradable:
        running.append(Upgradable(tmp_path, **options))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for one in running:
        one.__exit__()


@pytest.fixture
def backend() -> Iterator[socket.socket]:
    """A listening socket; what it does is up to the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        yield listener


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not just waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Player:
    """A session between a client and a backend."""

    def __init__(self, port: int, backend: socket.socket) -> None:
        self.client = join("lobby.test", port, "Alice")
        self.server, _ = backend.accept()
        self.server.recv(1024, socket.MSG_WAITALL | socket.MSG_DONTWAIT)
        until(self._joined)

    def _joined(self) -> bool:
        self.server.sendall(b"x")
        return self.client.recv(1) == b"x"

    def plays(self) -> bool:
        self.server.sendall(b"clientbound")
        return self.client.recv(100, socket.MSG_WAITALL)[:11] == b"clientbound"

    def leaves(self) -> bytes:
        self.server.close()
        rest = rest_of(self.client)
        self.client.close()
        return rest


def test_ten_upgrades_under_connecting_clients_lose_not_one_connection(start: Start) -> None:
    proxy = start(top="workers = 2")
    with (
        Clients(4, lambda: status(proxy.port)) as clients,
        Clients(1, lambda: proxy.control("ping")) as commands,
    ):
        for _ in range(10):
            before = clients.done
            proxy.upgrade()
            until(lambda before=before: clients.done > before + 10 or bool(clients.failures))
    assert (clients.failures, commands.failures) == ([], [])
    assert proxy.process.wait(DEADLINE) == 0
    assert all(process.ends() for process in proxy.processes[:-1])
    assert proxy.now.alive()
    assert [path.name for path in proxy.cwd.glob("*.sock*")] == ["mcproxy.sock"]
    assert list(proxy.cwd.glob(".*.sock*")) == []


def test_sessions_go_on_to_their_own_end_in_the_process_that_has_them(
    start: Start, backend: socket.socket
) -> None:
    proxy = start(backend=backend.getsockname()[1])
    players = [Player(proxy.port, backend)]
    for _ in range(2):
        old = proxy.upgrade()["old"]
        assert old["open"] == 1
        players.append(Player(proxy.port, backend))
    assert proxy.control("stats")["open"] == 1
    assert all(player.plays() for player in players)
    assert all(process.alive() for process in proxy.processes)
    for player, process in zip(players[:2], proxy.processes[:2], strict=True):
        assert player.leaves() == b""
        assert process.ends()
    assert proxy.process.wait(DEADLINE) == 0
    assert players[2].plays()
    players[2].leaves()


def test_sessions_of_the_old_process_end_at_the_bound(start: Start, backend: socket.socket) -> None:
    proxy = start(backend=backend.getsockname()[1], top='timeouts.upgrade = "300ms"')
    player = Player(proxy.port, backend)
    proxy.upgrade()
    assert rest_of(player.client) == b""
    assert proxy.process.wait(DEADLINE) == 0
    player.leaves()


def test_the_new_process_runs_what_is_on_the_disk(start: Start) -> None:
    proxy = start()
    proxy.script.write_text(f"import mcproxy\nmcproxy.__version__ = '99.0'\n{WORKS}")
    answer = proxy.upgrade()
    assert answer["version"] == "99.0"
    assert answer["old"]["pid"] == proxy.process.pid
    assert proxy.control("ping")["pid"] == answer["pid"]
    assert proxy.control("ping")["version"] == "99.0"


def test_a_drained_address_stays_drained(start: Start) -> None:
    proxy = start(backend=4)
    proxy.ask("drain", "lobby", "127.0.0.1:4")
    proxy.upgrade()
    (lobby,) = proxy.ask("servers")["servers"]
    (address,) = lobby["addresses"]
    assert address["draining"] is True


def test_the_command_says_who_serves_and_the_log_tells_both_sides(start: Start) -> None:
    proxy = start()
    old = proxy.process.pid
    done = proxy.try_upgrade()
    new = proxy.control("ping")["pid"]
    proxy.processes.append(Process(new))
    assert done.returncode == 0
    first, second, third = done.stdout.splitlines()
    assert first.startswith(f"process {old} (")
    assert second.startswith(f"process {new} (")
    assert f"serves 127.0.0.1:{proxy.port}" in second
    assert third == f"process {old} had no open session"
    assert f'"to": {new}' in proxy.line_with("handed over")
    assert f'"process": {old}' in proxy.line_with("took over")


class TestAFailedUpgradeChangesNothing:
    @pytest.fixture(autouse=True)
    def _proxy(self, start: Start, backend: socket.socket) -> Iterator[None]:
        self.proxy = start(backend=backend.getsockname()[1])
        self.player = Player(self.proxy.port, backend)
        backend.close()
        yield
        assert self.player.plays()
        assert self.proxy.control("ping")["pid"] == self.proxy.process.pid
        assert status(self.proxy.port) == "offline"
        assert list(self.proxy.cwd.glob(".*.sock*")) == []
        self.proxy.script.write_text(WORKS)
        self.proxy.configure()
        self.proxy.upgrade()  # it can still be upgraded
        assert self.player.plays()
        self.player.leaves()

    @pytest.mark.parametrize("how", BROKEN)
    def test_when_the_program_is_broken(self, how: str) -> None:
        text, why = BROKEN[how]
        self.proxy.script.write_text(text)
        done = self.proxy.try_upgrade()
        assert done.returncode == 1
        assert done.stderr.startswith("not upgraded: the new process failed")
        assert why in done.stderr
        self.proxy.line_with("not upgraded; this process goes on")

    def test_when_the_configuration_is_wrong(self) -> None:
        self.proxy.configure("wrokers = 1")
        done = self.proxy.try_upgrade()
        assert done.returncode == 1
        assert "mcproxy.toml:2: wrokers: unknown key" in done.stderr

    def test_when_an_address_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.proxy.configure(bind=[f"127.0.0.1:{self.proxy.port}", f"127.0.0.1:{port}"])
            done = self.proxy.try_upgrade()
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}: another program already does" in done.stderr

    @pytest.mark.parametrize("text", [HANGS, HANGS_SERVING], ids=["before", "after it serves"])
    def test_when_the_program_is_not_ready_in_time(self, text: str) -> None:
        self.proxy.script.write_text(text)
        done = self.proxy.try_upgrade("--timeout", "4")
        assert done.returncode == 1
        assert "the new process was not ready after 4 seconds" in done.stderr
        hanging = int((self.proxy.cwd / "hanging").read_text())
        assert not is_running(hanging)


class TestStopping:
    def test_serves_whoever_is_queued_by_then(self, start: Start) -> None:
        proxy = start(top="workers = 1")
        assert status(proxy.port) == "offline"  # from now on it is cached
        proxy.signal(SIGSTOP)
        with contextlib.ExitStack() as queued:
            clients = []
            for _ in range(300):
                address = ("127.0.0.1", proxy.port)
                client = queued.enter_context(socket.create_connection(address, DEADLINE))
                client.sendall(ClientConnection("lobby.test", proxy.port).request_status())
                clients.append(client)
            proxy.signal(SIGTERM)
            proxy.signal(SIGCONT)
            assert all(client.recv(1) for client in clients)
        assert proxy.end() == 0

    def test_during_an_upgrade_stops_both(self, start: Start) -> None:
        proxy = start()
        proxy.script.write_text(HANGS)
        done = []
        asking = threading.Thread(target=lambda: done.append(proxy.try_upgrade()))
        asking.start()
        until((proxy.cwd / "hanging").exists)
        proxy.signal(SIGTERM)
        assert proxy.end() == 0  # and nobody has its output open any more
        asking.join()
        assert done[0].returncode == 1
        assert "the proxy is stopping" in done[0].stderr
        with pytest.raises(ConnectionRefusedError):
            status(proxy.port)
        assert list(proxy.cwd.glob("*.sock*")) == []

    def test_the_new_process_ends_everything(self, start: Start) -> None:
        proxy = start()
        proxy.upgrade()
        proxy.line_with("took over")
        proxy.now.signal(SIGTERM)
        assert proxy.now.ends()
        assert proxy.end() == 0
        assert "Traceback" not in "\n".join(proxy.lines)
        assert list(proxy.cwd.glob("*.sock*")) == []
        with pytest.raises(ConnectionRefusedError):
            status(proxy.port)

    def test_the_old_process_lets_its_sessions_end_sooner(
        self, start: Start, backend: socket.socket
    ) -> None:
        proxy = start(backend=backend.getsockname()[1], top='timeouts.drain = "300ms"')
        player = Player(proxy.port, backend)
        proxy.upgrade()
        assert player.plays()
        proxy.signal(SIGTERM)
        assert rest_of(player.client) == b""
        assert proxy.process.wait(DEADLINE) == 0
        player.leaves()

    def test_the_old_process_twice_ends_it_at_once(
        self, start: Start, backend: socket.socket
    ) -> None:
        proxy = start(backend=backend.getsockname()[1])
        player = Player(proxy.port, backend)
        proxy.upgrade()
        proxy.signal(SIGTERM)
        assert player.plays()
        proxy.signal(SIGINT)
        # Signals that arrive together are handled by number, whichever was sent first.
        assert proxy.process.wait(DEADLINE) in (128 + SIGINT, 128 + SIGTERM)
        assert proxy.control("ping")["pid"] == proxy.now.pid
        player.leaves()


class TestWhatMayChange:
    def test_workers(self, start: Start) -> None:
        proxy = start(top="workers = 1")
        with Clients(2, lambda: status(proxy.port)) as clients:
            for workers in (3, 1, 2):
                proxy.configure(f"workers = {workers}")
                before = clients.done
                proxy.upgrade()
                until(lambda before=before: clients.done > before + 10 or bool(clients.failures))
        assert clients.failures == []

    def test_workers_are_said_to_need_an_upgrade_when_reloaded(self, start: Start) -> None:
        proxy = start(top="workers = 1")
        proxy.configure("workers = 2")
        assert "mcproxy-server upgrade" in proxy.line_with("workers: 2 instead of 1")

    def test_addresses(self, start: Start) -> None:
        proxy = start()
        other = free_port()
        both = [f"127.0.0.1:{proxy.port}", f"127.0.0.1:{other}"]
        proxy.configure(bind=both)
        assert proxy.upgrade()["listening"] == both
        assert status(other) == status(proxy.port) == "offline"
        proxy.configure(bind=both[1:])
        assert proxy.upgrade()["listening"] == both[1:]
        assert status(other) == "offline"
        assert proxy.processes[-2].ends()
        with pytest.raises(ConnectionRefusedError):
            status(proxy.port)

    def test_one_address_to_all_addresses_on_the_same_port(self, start: Start) -> None:
        proxy = start()
        proxy.configure(bind=[f"0.0.0.0:{proxy.port}"])
        proxy.upgrade()
        assert proxy.process.wait(DEADLINE) == 0
        assert status(proxy.port, "127.0.0.2") == status(proxy.port) == "offline"

    def test_the_control_socket(self, start: Start) -> None:
        proxy = start()
        proxy.configure('control.socket = "moved.sock"')
        done = proxy.try_upgrade("--socket", "mcproxy.sock")
        assert done.returncode == 0
        new = proxy.ask("upgrade")  # through the new socket
        proxy.processes.append(Process(new["old"]["pid"]))
        proxy.processes.append(Process(new["pid"]))
        assert proxy.process.wait(DEADLINE) == 0
        assert [path.name for path in proxy.cwd.glob("*.sock*")] == ["moved.sock"]
