"""What a proxy tells becomes log lines that say enough and stay few."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from mcproxy.proxy import (
    AcceptPaused,
    BackendFailed,
    FloodBegan,
    FloodEnded,
    NameFailed,
    ProxyEvent,
    Reason,
    Refused,
    SessionClosed,
    SessionOpened,
)
from mcproxy_server.config.schema import Log
from mcproxy_server.events import EventLog

CLIENT = ("192.0.2.7", 4711)


class FakeProxy:
    """Counts refusals as the data plane does, and tells as many of them as the test wants."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.subscribers: list[Callable[[ProxyEvent], None]] = []

    def subscribe(
        self, callback: Callable[[ProxyEvent], None], *, sessions: bool = True
    ) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def counters(self) -> dict[str, Any]:
        return {"refused": self.refused}

    def tell(self, event: ProxyEvent) -> None:
        for callback in self.subscribers:
            callback(event)

    def refuse(self, reason: Reason, count: int, told: int | None = None) -> None:
        name = reason.name.lower()
        self.refused[name] = self.refused.get(name, 0) + count
        for _ in range(count if told is None else told):
            self.tell(Refused(CLIENT, None, reason))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.fixture
def proxy() -> FakeProxy:
    return FakeProxy()


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def begin(proxy: FakeProxy, level: str = "info", early: list[ProxyEvent] | None = None) -> EventLog:
    return EventLog(proxy, Log(level=level, format="json"), early or [])


Lines = Callable[[], list[dict[str, Any]]]


def test_a_refusal_is_told_with_its_reason_and_client(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy)
    proxy.refuse(Reason.FILTERED, 1)
    (line,) = lines()
    assert (line["event"], line["level"]) == ("refused", "info")
    assert (line["reason"], line["client"]) == ("filtered", "192.0.2.7:4711")
    assert "server" not in line  # not known, so not said


@pytest.mark.parametrize(
    "reason", [Reason.MALFORMED, Reason.FRAME_TOO_LONG, Reason.HOST_TOO_LONG, Reason.SILENT]
)
def test_what_scanners_send_is_told_at_debug_only(
    proxy: FakeProxy, lines: Lines, reason: Reason
) -> None:
    log = begin(proxy)
    proxy.refuse(reason, 100)
    log.close()
    assert lines() == []
    begin(proxy, "debug")
    proxy.refuse(reason, 1)
    assert [line["level"] for line in lines()] == ["debug"]


def test_what_is_not_told_uses_up_no_lines(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy)
    proxy.refuse(Reason.MALFORMED, 1000)
    proxy.refuse(Reason.UNKNOWN_HOST, 1)
    assert [line["reason"] for line in lines()] == ["unknown_host"]


def test_all_kinds_share_ten_lines_a_second_and_the_rest_is_summed_up(
    proxy: FakeProxy, lines: Lines
) -> None:
    log = begin(proxy)
    proxy.refuse(Reason.UNKNOWN_HOST, 8)
    proxy.refuse(Reason.NO_BACKEND, 30)
    log.close()
    told = lines()
    assert [line["event"] for line in told] == ["refused"] * 10 + ["more refused"]
    assert (told[-1]["total"], told[-1]["no_backend"]) == (28, 28)
    assert told[-1]["level"] == "warning"
    assert "unknown_host" not in told[-1]


def test_the_sum_counts_what_the_data_plane_left_out_too(proxy: FakeProxy, lines: Lines) -> None:
    log = begin(proxy)
    proxy.refuse(Reason.FILTERED, 1_000_000, told=50)
    log.close()
    assert lines()[-1]["filtered"] == 1_000_000 - 10


def test_a_backend_that_stays_down_is_told_once(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy)
    for _ in range(50):
        proxy.tell(BackendFailed("lobby", ("10.0.0.5", 25565), "Connection refused"))
    proxy.tell(BackendFailed("lobby", ("10.0.0.6", 25565), "Connection refused"))
    assert [line["backend"] for line in lines()] == ["10.0.0.5:25565", "10.0.0.6:25565"]


def test_running_out_of_descriptors_is_told_once(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy)
    for _ in range(50):
        proxy.tell(AcceptPaused("Too many open files"))
    (line,) = lines()
    assert (line["level"], line["error"]) == ("warning", "Too many open files")


def test_a_flood_is_a_line_when_it_begins_and_one_when_it_ends(
    proxy: FakeProxy, lines: Lines
) -> None:
    begin(proxy)
    proxy.tell(FloodBegan(1001))
    proxy.tell(FloodEnded(12.34))
    began, ended = lines()
    assert (began["level"], began["connections"]) == ("warning", 1001)
    assert (ended["level"], ended["seconds"]) == ("warning", 12.3)


def test_what_happened_before_the_log_began_is_told(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy, early=[NameFailed("lobby", "mc.example.com", "no address")])
    assert [line["address"] for line in lines()] == ["mc.example.com"]


def test_a_session_is_told_when_it_opens_and_closes(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy)
    backend = ("2001:db8::5", 25565)
    proxy.tell(SessionOpened(1, CLIENT, backend, "lobby", "a.example.com", 47, False, "Alice"))
    proxy.tell(SessionClosed(1, CLIENT, "lobby", Reason.CLIENT_CLOSED, 10, 20, 1.26))
    opened, closed = lines()
    assert opened["backend"] == "[2001:db8::5]:25565"
    assert (opened["player"], opened["version"][:3]) == ("Alice", "1.8")
    assert (closed["reason"], closed["seconds"]) == ("client_closed", 1.3)
    assert (closed["serverbound"], closed["clientbound"]) == (10, 20)


def test_sessions_too_are_a_bounded_number_of_lines(proxy: FakeProxy, lines: Lines) -> None:
    log = begin(proxy)
    for number in range(5000):
        proxy.tell(SessionClosed(number, CLIENT, "lobby", Reason.CLIENT_CLOSED, 0, 0, 0))
    log.close()
    told = lines()
    assert len(told) <= 101
    assert told[-1]["closed"] == 5000 - (len(told) - 1)


def test_a_new_level_holds_from_then_on(proxy: FakeProxy, lines: Lines) -> None:
    log = begin(proxy)
    log.configure(Log(level="error", format="json"))
    proxy.refuse(Reason.FILTERED, 5)
    assert lines() == []


def test_nothing_is_told_after_the_end(proxy: FakeProxy, lines: Lines) -> None:
    begin(proxy).close()
    proxy.refuse(Reason.FILTERED, 1)
    assert lines() == []


def test_what_others_log_with_the_standard_module_comes_out_alike(
    proxy: FakeProxy, lines: Lines
) -> None:
    begin(proxy)
    try:
        raise KeyError("a bug")
    except KeyError:
        logging.getLogger("asyncio").exception("it broke")
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("it broke", "error", "asyncio")
    assert "KeyError: 'a bug'" in line["exception"]


def test_a_terminal_gets_readable_lines(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    EventLog(proxy, Log(), [])
    proxy.refuse(Reason.FILTERED, 1)
    assert "refused" in terminal.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(terminal.getvalue())


def test_a_log_whose_reader_has_gone_does_not_stop_the_proxy(
    proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    begin(proxy)
    proxy.refuse(Reason.FILTERED, 1)
