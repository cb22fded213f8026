"""`mcproxy-server run`: from its start to its end, through changes and mistakes."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
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

OFFLINE = '[server.motd.offline]\ntext = "offline: {}"\n'


class Running(Program):
    """`mcproxy-server run` in a folder with a configuration."""

    def __init__(self, folder: Path, servers: str, top: str = "") -> None:
        self.port = free_port()
        self.file = folder / "mcproxy.toml"
        self.configure(servers, top)
        super().__init__("run", cwd=folder)
        self.line_with(f"listening on 127.0.0.1:{self.port}")

    def configure(self, servers: str, top: str = "") -> None:
        text = f'bind = ["127.0.0.1:{self.port}"]\ntimeouts.drain = "10s"\n{top}\n{servers}'
        self.file.write_text(text, encoding="utf-8")

    def logged(self, event: str) -> dict[str, object]:
        """The next line of the log for ``event``."""
        return json.loads(self.line_with(f'"event": "{event}'))


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def begin(servers: str, top: str = "") -> Running:
        running.append(Running(tmp_path, servers, top))
        return running[-1]

    yield begin
    for one in running:
        one.__exit__()


def server(name: str, port: int = 1) -> str:
    return (
        f'[[server]]\nname = "{name}"\ndomains = ["{name}.test"]\n'
        f'addresses = ["127.0.0.1:{port}"]\n' + OFFLINE.format(name)
    )


@pytest.fixture
def backend() -> Iterator[socket.socket]:
    """A listening socket; what it does is up to the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        yield listener


def test_the_routes_in_force_are_those_of_the_running_proxy(start: Start) -> None:
    proxy = start(server("lobby"))
    assert proxy.ask("routes", "lobby.test")["route"]["server"] == "lobby"
    proxy.file.write_text("this is not TOML")  # what runs is asked, not the file
    proxy.logged("mcproxy.toml:1: not TOML")
    assert proxy.ask("routes", "lobby.test")["route"]["server"] == "lobby"


def test_stats_count_what_was_refused_by_reason(start: Start) -> None:
    proxy = start(server("lobby"), 'timeouts.handshake = "300ms"')
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        rest_of(connection)
    with join("nobody.test", proxy.port, "Alice") as player:
        assert b"no server at this address" in rest_of(player)
    until(lambda: proxy.ask("stats")["refused"]["unknown_host"] == 1)
    refused = proxy.ask("stats")["refused"]
    assert sum(refused.values()) == 2  # each under one reason


def test_the_control_socket_is_its_owners_alone_and_gone_at_the_end(start: Start) -> None:
    proxy = start(server("lobby"))
    path = proxy.cwd / "mcproxy.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    proxy.signal(signal.SIGTERM)
    assert proxy.end() == 0
    assert not path.exists()


def test_a_socket_left_by_a_proxy_that_was_killed_does_not_matter(start: Start) -> None:
    proxy = start(server("lobby"))
    proxy.signal(signal.SIGKILL)
    proxy.end()
    assert (proxy.cwd / "mcproxy.sock").exists()
    again = start(server("lobby"))
    assert again.ask("stats")["open"] == 0


def test_a_second_proxy_of_the_same_configuration_is_refused_in_one_line(start: Start) -> None:
    proxy = start(server("lobby"))
    done = subprocess.run(
        [BINARY, "run"],
        cwd=proxy.cwd,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "another mcproxy-server is running" in done.stderr
    assert proxy.ask("routes", "lobby.test")["route"]["server"] == "lobby"


def test_a_port_that_is_taken_is_one_line_and_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "mcproxy.toml").write_text(f'bind = ["127.0.0.1:{port}"]')
        for command in (["run"], ["demo", "--port", str(port)]):
            done = subprocess.run(
                [BINARY, *command],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.count("\n") == 1
            assert f":{port}: another program already does" in done.stderr
    assert not (tmp_path / "mcproxy.sock").exists()


class TestReload:  # M-19
    def test_by_editing_the_file(self, start: Start) -> None:
        proxy = start(server("lobby"))
        assert shown_under("lobby.test", proxy.port) == "offline: lobby"
        proxy.configure(server("lobby") + server("survival"))
        proxy.logged("reloaded")
        assert shown_under("survival.test", proxy.port) == "offline: survival"

    def test_by_replacing_the_file_as_editors_do(self, start: Start) -> None:
        proxy = start(server("lobby"))
        text = proxy.file.read_text() + server("survival")
        proxy.file.with_suffix(".new").write_text(text)
        proxy.file.with_suffix(".new").rename(proxy.file)
        proxy.logged("reloaded")
        assert proxy.ask("routes", "survival.test")["route"]["server"] == "survival"

    def test_by_adding_and_removing_a_drop_in(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "servers").mkdir()
        proxy = start(server("lobby"), 'servers_dir = "servers"')
        drop_in = tmp_path / "servers" / "survival.toml"
        drop_in.write_text('domains = ["survival.test"]\naddresses = ["127.0.0.1:1"]\n')
        proxy.logged("reloaded")
        assert proxy.ask("routes", "survival.test")["route"]["server"] == "survival"
        drop_in.unlink()
        proxy.logged("reloaded")
        assert proxy.ask("routes", "survival.test")["route"]["server"] is None

    def test_by_sighup(self, start: Start) -> None:
        proxy = start(server("lobby"))
        proxy.signal(signal.SIGHUP)
        assert proxy.logged("reloaded")["why"] == "SIGHUP"

    def test_by_command_which_shows_what_is_wrong(self, start: Start) -> None:
        proxy = start(server("lobby"))
        proxy.configure(server("lobby") + "addres = []\n")
        done = subprocess.run(
            [BINARY, "reload"],
            cwd=proxy.cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 1
        assert "motd.offline.addres: unknown key" in done.stderr

    def test_with_a_mistake_changes_nothing_and_says_what_it_is(self, start: Start) -> None:
        proxy = start(server("lobby"))
        proxy.configure(server("changed") + "workers = 'x'\n")
        proxy.logged("mcproxy.toml:")
        proxy.logged("not reloaded; the running configuration stays")
        assert shown_under("lobby.test", proxy.port) == "offline: lobby"
        table = proxy.ask("routes")["table"]
        assert [row["pattern"] for row in table] == ["lobby.test"]

    def test_that_cannot_be_applied_changes_nothing(self, start: Start) -> None:
        proxy = start(server("lobby"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = f'bind = ["127.0.0.1:{proxy.port}", "127.0.0.1:{port}"]\n{server("changed")}'
            proxy.file.write_text(text)
            line = proxy.logged("mcproxy.toml: cannot listen on")
        assert f"127.0.0.1:{port}" in str(line["event"])
        assert shown_under("lobby.test", proxy.port) == "offline: lobby"

    def test_moves_the_control_socket(self, start: Start, tmp_path: Path) -> None:
        proxy = start(server("lobby"))
        proxy.configure(server("lobby"), 'control.socket = "moved.sock"')
        proxy.logged("reloaded")
        assert proxy.ask("routes", "lobby.test")["route"]["server"] == "lobby"
        assert not (tmp_path / "mcproxy.sock").exists()

    def test_leaves_open_sessions_alone(self, start: Start, backend: socket.socket) -> None:
        proxy = start(server("lobby", backend.getsockname()[1]))
        with join("lobby.test", proxy.port, "Alice") as player:
            there, _ = backend.accept()
            proxy.configure(server("survival"))  # its server is gone
            proxy.logged("reloaded")
            there.sendall(b"still here")
            assert player.recv(100) == b"still here"
            there.close()
            assert rest_of(player) == b""


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_lets_open_sessions_end(
        self, start: Start, backend: socket.socket, number: signal.Signals
    ) -> None:
        proxy = start(server("lobby", backend.getsockname()[1]))
        with join("lobby.test", proxy.port, "Alice") as player:
            there, _ = backend.accept()
            proxy.signal(number)
            assert proxy.logged("stopping")["open"] == 1
            there.sendall(b"good bye")
            assert player.recv(100) == b"good bye"
            there.close()
            assert rest_of(player) == b""
        assert proxy.end() == 0

    def test_ends_sessions_that_outlast_the_drain(
        self, start: Start, backend: socket.socket
    ) -> None:
        proxy = start(server("lobby", backend.getsockname()[1]))
        proxy.configure(server("lobby", backend.getsockname()[1]).replace("lobby.test", "x.test"))
        proxy.file.write_text(proxy.file.read_text().replace('"10s"', '"200ms"'))
        proxy.logged("reloaded")
        with join("x.test", proxy.port, "Alice") as player:
            there, _ = backend.accept()
            proxy.signal(signal.SIGTERM)
            assert rest_of(player) == b""
            there.close()
        assert proxy.end() == 0
        assert proxy.lines[-1].count('"reason": "shutdown"') == 1

    def test_ends_at_once_at_the_second_signal(self, start: Start, backend: socket.socket) -> None:
        proxy = start(server("lobby", backend.getsockname()[1]))
        with join("lobby.test", proxy.port, "Alice"):
            there, _ = backend.accept()
            proxy.signal(signal.SIGTERM)
            proxy.logged("stopping")
            proxy.signal(signal.SIGINT)
            assert proxy.end() == 128 + signal.SIGINT
            there.close()
        assert not (proxy.cwd / "mcproxy.sock").exists()


def test_a_session_is_logged_with_who_and_where(start: Start, backend: socket.socket) -> None:
    lobby = server("lobby", backend.getsockname()[1])
    lobby = lobby.replace("domains", 'proxy_mode = "server_only"\ndomains')
    proxy = start(lobby)
    with join("Lobby.Test.", proxy.port, "Alice") as player:
        opened = proxy.logged("session opened")
        host, port = player.getsockname()
        there, _ = backend.accept()
        there.close()
    closed = proxy.logged("session closed")
    assert opened["client"] == closed["client"] == f"{host}:{port}"
    assert (opened["server"], opened["host"]) == ("lobby", "lobby.test")
    assert (opened["player"], opened["version"]) == ("Alice", "1.21.1")
    assert closed["reason"] in ("backend_closed", "backend_lost", "client_closed")


def test_a_flood_of_refusals_is_a_bounded_number_of_lines(start: Start) -> None:
    proxy = start(server("lobby"), 'ip_filter.blacklist = ["127.0.0.0/8"]')
    number = 300
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as connection:
            connection.sendall(b"\0")  # the kernel keeps a client back until it speaks
            rest_of(connection)
    until(lambda: proxy.ask("stats")["refused"]["filtered"] == number)
    proxy.signal(signal.SIGTERM)
    assert proxy.end() == 0
    lines = [json.loads(line) for line in proxy.lines if line.startswith("{")]
    told = [line for line in lines if line["event"] == "refused"]
    rest = [line for line in lines if line["event"] == "more refused"]
    assert all(line["reason"] == "filtered" for line in told)
    assert len(told) < number
    assert len(told) + sum(line["filtered"] for line in rest) == number


def test_nothing_is_logged_of_malformed_connections(start: Start) -> None:
    proxy = start(server("lobby"), 'timeouts.handshake = "300ms"')
    for garbage in (b"\x00" * 40, b"\xff" * 10, b"\x05\x00\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as connection:
            connection.sendall(garbage)
            rest_of(connection)
    proxy.signal(signal.SIGTERM)
    assert proxy.end() == 0
    assert [json.loads(line)["event"] for line in proxy.lines if line.startswith("{")] == [
        "stopping"
    ]


def test_an_address_is_drained_and_shown_while_its_session_goes_on(
    start: Start, backend: socket.socket
) -> None:
    other = socket.create_server(("127.0.0.1", 0))
    other.settimeout(DEADLINE)
    ports = [one.getsockname()[1] for one in (backend, other)]
    first, second = (f"127.0.0.1:{port}" for port in ports)
    proxy = start(
        f'[[server]]\nname = "lobby"\ndomains = ["lobby.test"]\nbalance = "least_conn"\n'
        f'addresses = ["{first}", {{ address = "{second}", weight = 2 }}]\n'
    )

    def addresses() -> list[tuple[str, str, int, int]]:
        (shown,) = proxy.ask("servers")["servers"]
        assert (shown["server"], shown["balance"]) == ("lobby", "least_conn")
        return [
            (each["address"], each["state"], each["sessions"], each["weight"])
            for each in shown["addresses"]
        ]

    with join("lobby.test", proxy.port, "Steve") as player, other, other.accept()[0] as far:
        assert addresses() == [(first, "in use", 0, 1), (second, "in use", 1, 2)]
        proxy.ask("drain", "lobby", second)
        assert addresses() == [(first, "in use", 0, 1), (second, "draining", 1, 2)]
        with join("lobby.test", proxy.port, "Alex"), backend.accept()[0]:
            player.sendall(b"still here")
            came = b""
            while b"still here" not in came:
                came += far.recv(4096)
        player.close()
        rest_of(far)
        far.close()
        until(lambda: addresses()[1] == (second, "drained", 0, 2))
    (again,) = proxy.ask("drain", "lobby", second, "--undo")["servers"]
    assert [each["state"] for each in again["addresses"]] == ["in use"]
    refused = subprocess.run(
        [BINARY, "drain", "lobby", "10.9.9.9:1"],
        cwd=proxy.cwd,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        f'"10.9.9.9:1" is no address of server "lobby"; it has {first}, {second}\n'
    )


def test_a_server_whose_name_leads_nowhere_is_shown_without_addresses(start: Start) -> None:
    proxy = start('[[server]]\nname = "lobby"\naddresses = ["nowhere.invalid:1"]\n')
    assert proxy.ask("servers") == {
        "servers": [{"server": "lobby", "balance": "first_available", "addresses": []}]
    }


def test_health_checks_tell_the_log_what_changes(start: Start) -> None:
    port = free_port()
    checks = 'health = { interval = 0.05, fall = 2, rise = 1, type = "tcp" }'
    proxy = start(
        f'[[server]]\nname = "lobby"\naddresses = ["127.0.0.1:{port}"]\n{checks}\n',
        'log.format = "json"',
    )
    down = proxy.logged("address down")
    assert (down["level"], down["server"]) == ("warning", "lobby")
    assert down["backend"] == f"127.0.0.1:{port}"
    assert "refused" in str(down["error"])
    assert proxy.ask("servers")["servers"][0]["addresses"][0]["state"] == "down"
    with socket.create_server(("127.0.0.1", port)):
        assert proxy.logged("address up")["level"] == "info"
        assert proxy.ask("servers")["servers"][0]["addresses"][0]["state"] == "up"
