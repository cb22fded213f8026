"""Functions of the embedding program decide about sessions, at once or later."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import Any

import pytest

from mcproxy.proxy import Motd, Server, Session, SessionOpened, StatusPolicy
from tests.integration.peers import (
    PING,
    STATUS_REQUEST,
    Net,
    eventually,
    framed,
    handshake,
    join,
    legacy_16,
    login_start,
    refused,
    server,
    status_request,
    status_text,
)
from tests.unit.wire_bytes import text

NOTCH = uuid.UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")


def later(answer: Any) -> Any:
    """The same hook as a coroutine that takes its time."""

    async def hook(*args: Any) -> Any:
        await asyncio.sleep(0.02)
        return answer(*args)

    return hook


def at_once(answer: Any) -> Any:
    return answer


@pytest.fixture(params=[at_once, later])
def when(request: pytest.FixtureRequest) -> Any:
    return request.param


async def status_of(net: Net, proxy: Any, data: bytes) -> dict[str, Any]:
    client = await net.client(proxy, data)
    status = json.loads(status_text(await client.frame()))
    client.close()
    return status


async def test_a_route_hook_names_a_server(when: Any, net: Net) -> None:
    a, b = net.backend(), net.backend()
    met: list[Session] = []

    def route(session: Session) -> str:
        met.append(session)
        return "b"

    proxy = await net.proxy(server("a", a), server("b", b), hooks={"route": when(route)})
    opening = join("A.example\0FML3\0", intent=3)
    client = await net.client(proxy, opening + b"more")
    await b.accept(opening + b"more")
    (session,) = met
    assert session.client == client.name
    assert session.local == proxy.addresses[0]
    assert (session.host, session.raw_host) == ("a.example", "A.example\0FML3\0")
    assert (session.protocol, session.intent) == (763, 3)
    assert session.server is not None
    assert session.server.name == "a"
    assert (await eventually(lambda: net.told(SessionOpened)))[0].server == "b"


async def test_a_route_hook_makes_up_a_server(when: Any, net: Net) -> None:
    a, own = net.backend(), await net.status({"description": "made up"})

    def route(session: Session) -> Server:
        return Server(
            f"own-{session.host}", (own.address,), motd_online=Motd(text={"text": "mine"})
        )

    proxy = await net.proxy(server("a", a), hooks={"route": when(route)})
    for host in ("x.example", "y.example", "x.example"):
        status = await status_of(net, proxy, status_request(host))
        assert status["description"] == {"text": "mine"}
    assert own.connections == 2  # a server of the same value is the same server


async def test_servers_that_a_hook_makes_up_are_remembered_within_bounds(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcproxy.proxy.proxy.OWN_SERVERS_MOST", 4)
    own = await net.status()

    def route(session: Session) -> Server:
        return Server(session.host, (own.address,))

    proxy = await net.proxy(server("a", net.nobody()), hooks={"route": route})
    for number in range(12):
        await status_of(net, proxy, status_request(f"host{number}.example"))
    assert len(proxy._own_servers) == 4
    assert len(proxy._by_id) <= 5
    assert len(proxy._cache) <= 5


async def test_a_server_made_up_with_a_configured_name_keeps_its_own_status(net: Net) -> None:
    a, other = await net.status({"description": "a"}), await net.status({"description": "other"})

    def route(session: Session) -> Server | None:
        return Server("a", (other.address,)) if session.host == "x.example" else session.server

    proxy = await net.proxy(server("a", a), hooks={"route": route}, status=StatusPolicy(ttl=600))
    for _ in range(2):
        assert (await status_of(net, proxy, status_request()))["description"] == "a"
        status = await status_of(net, proxy, status_request("x.example"))
        assert status["description"] == "other"


async def test_a_route_hook_that_returns_none_means_an_unknown_host(when: Any, net: Net) -> None:
    proxy = await net.proxy(
        server("a", net.nobody()),
        hooks={"route": when(lambda session: None)},
        motd_unknown=Motd(text="Who?"),
        unknown_message="Nobody",
    )
    client = await net.client(proxy, join())
    assert b"Nobody" in await client.rest()
    assert "Who?" in str((await status_of(net, proxy, status_request()))["description"])
    await eventually(lambda: refused(proxy) == {"unknown_host": 1})


@pytest.mark.parametrize("intent", [1, 2])
async def test_a_client_may_send_on_while_a_route_is_decided(intent: int, net: Net) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def route(session: Session) -> Server | None:
        asked.set()
        await go.wait()
        return session.server

    def admit(session: Session) -> None:
        assert session.name == "Steve"

    backend = await net.status({"description": "hello"}) if intent == 1 else net.backend()
    proxy = await net.proxy(server("a", backend), hooks={"route": route, "on_login": admit})
    client = await net.client(proxy, handshake(intent=intent))
    await asked.wait()
    rest = STATUS_REQUEST + PING if intent == 1 else login_start()
    await client.send(rest)
    await asyncio.sleep(0.05)
    go.set()
    if intent == 1:
        assert "hello" in status_text(await client.frame())
        assert await client.rest() == PING
    else:
        await backend.accept(handshake() + rest)


@pytest.mark.parametrize("ping", ["with the request", "while it is decided", "behind"])
async def test_a_status_hook_changes_the_answer(ping: str, when: Any, net: Net) -> None:
    backend = await net.status({"description": "hello", "players": {"max": 1, "online": 0}})

    def on_status(session: Session, status: dict[str, Any]) -> dict[str, Any]:
        assert session.server is not None
        return {**status, "description": f"for {session.client[0]} at {session.server.name}"}

    proxy = await net.proxy(server("a", backend), hooks={"on_status": when(on_status)})
    first = status_request() + (PING if ping == "with the request" else b"")
    client = await net.client(proxy, first)
    if ping == "while it is decided":
        await client.send(PING)
    status = json.loads(status_text(await client.frame()))
    assert status == {"description": "for 127.0.0.1 at a", "players": {"max": 1, "online": 0}}
    if ping == "behind":
        await client.send(PING)
    assert await client.rest() == PING


async def test_a_half_closed_client_waits_for_a_status_hook(net: Net) -> None:
    proxy = await net.proxy(
        server("a", await net.status()), hooks={"on_status": later(lambda session, status: status)}
    )
    client = await net.client(proxy, status_request() + PING)
    client.finish()
    await client.frame()
    assert await client.rest() == PING


async def test_a_status_hook_may_say_nothing(when: Any, net: Net) -> None:
    proxy = await net.proxy(
        server("a", await net.status()),
        hooks={"on_status": when(lambda session, status: None)},
    )
    client = await net.client(proxy, status_request())
    assert await client.rest_or_reset() == b""
    await eventually(lambda: refused(proxy) == {"hook": 1})


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("data", [b"\xfe", b"\xfe\x01", legacy_16()])
async def test_hooks_decide_about_pings_from_before_1_7(
    data: bytes, routed: bool, when: Any, net: Net
) -> None:
    met: list[Session] = []

    def route(session: Session) -> str:
        met.append(session)
        return "a"

    def on_status(session: Session, status: dict[str, Any]) -> dict[str, Any]:
        met.append(session)
        return {**status, "description": "§ahooked"}

    hooks = {"on_status": when(on_status)} | ({"route": when(route)} if routed else {})
    proxy = await net.proxy(server("a", await net.status()), default="a", hooks=hooks)
    client = await net.client(proxy, data)
    assert "hooked" in (await client.rest())[3:].decode("utf-16-be")
    assert len(met) == 1 + routed
    assert {session.intent for session in met} == {0}
    if data == legacy_16():
        assert {session.host for session in met} == {"a.example"}
    assert refused(proxy) == {}


async def test_a_login_hook_sees_the_player_and_admits(when: Any, net: Net) -> None:
    backend = net.backend()
    met: list[Session] = []
    proxy = await net.proxy(server("a", backend), hooks={"on_login": when(met.append)})
    opening = handshake(protocol=764) + framed(b"\0" + text("Notch") + NOTCH.bytes)
    await net.client(proxy, opening + b"right behind")
    await backend.accept(opening + b"right behind")
    (session,) = met
    assert (session.name, session.uuid, session.host) == ("Notch", NOTCH, "a.example")
    assert session.local == proxy.addresses[0]


async def test_a_login_hook_turns_a_player_away(when: Any, net: Net) -> None:
    backend = net.backend()
    texts: dict[str, Any] = {"Steve": "§cNot you", "Alex": {"text": "Nor you"}}
    proxy = await net.proxy(
        server("a", backend), hooks={"on_login": when(lambda session: texts[session.name])}
    )
    for name, answer in (("Steve", "Not you"), ("Alex", "Nor you")):
        client = await net.client(proxy, handshake() + login_start(name))
        assert answer.encode() in await client.frame()
        assert await client.rest() == b""
    await eventually(lambda: refused(proxy) == {"hook": 2})


@pytest.mark.parametrize("hook", ["route", "on_status", "on_login"])
async def test_a_hook_that_raises_refuses_its_session_and_is_logged(
    hook: str, when: Any, net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the hook is broken")

    proxy = await net.proxy(server("a", await net.status()), hooks={hook: when(fail)})
    with caplog.at_level(logging.ERROR):
        client = await net.client(proxy, status_request() if hook == "on_status" else join())
        told = await client.rest_or_reset()
    assert (b"could not decide" in told) == (hook != "on_status")
    await eventually(lambda: refused(proxy) == {"hook": 1})
    assert "the hook is broken" in caplog.text


async def test_a_hook_that_names_no_server_refuses_its_session(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = await net.proxy(server("a", net.nobody()), hooks={"route": lambda session: "nowhere"})
    client = await net.client(proxy, join())
    assert b"could not decide" in await client.rest()
    assert "'nowhere', which is no server" in caplog.text


async def test_clients_that_leave_while_a_hook_decides_are_let_go(net: Net) -> None:
    go = asyncio.Event()

    async def on_login(session: Session) -> None:
        await go.wait()

    backend = net.backend()
    proxy = await net.proxy(server("a", backend), hooks={"on_login": on_login}, workers=1)
    for _ in range(600):  # more than may wait at once, if any stayed
        (await net.client(proxy, join())).reset()
    await eventually(lambda: proxy.counters()["accepted"] == 600)
    await eventually(lambda: proxy.counters()["open"] == 0)
    client = await net.client(proxy, join())
    go.set()
    await backend.accept(join())
    client.close()


async def test_a_stop_while_hooks_decide_is_quiet(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    async def on_login(session: Session) -> str:
        asked.set()
        await asyncio.sleep(0.05)
        return "too late"

    proxy = await net.proxy(server("a", net.nobody()), hooks={"on_login": on_login})
    clients = [await net.client(proxy, join()) for _ in range(20)]
    await asked.wait()
    await proxy.stop(0)
    for client in clients:
        await client.rest_or_reset()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
