"""Asking real sockets for a status, those that answer and those that do not."""

import asyncio
import socket

import pytest

from mcproxy.errors import BackendDown, BackendSilent, NameNotResolved, RemoteProtocolError
from mcproxy.proxy.query import ping_server, query_status
from mcproxy.proxy.resolve import Resolver
from tests.unit.status_backend import free_endpoint, packet, status_backend, varint

STATUS = {
    "version": {"name": "Paper 1.21.8", "protocol": 772},
    "players": {"max": 20, "online": 1, "sample": [{"name": "jeb_", "id": "0" * 32}]},
    "description": {"text": "Hi ", "extra": [{"text": "there", "color": "gold"}]},
    "favicon": "data:image/png;base64,iVBORw0KGgo=",
    "forgeData": {"mods": [], "fmlNetworkVersion": 3},
}


async def ask(*endpoints, host="mc.example.com", port=25565, protocol=772, seconds=5.0):
    return await query_status(
        endpoints, host, port, protocol, connect_timeout=seconds, timeout=seconds
    )


async def test_the_answer_is_what_the_backend_said():
    async with status_backend(STATUS) as backend:
        reply = await ask(backend.endpoint, protocol=340, port=25570)
    assert reply.json == STATUS
    assert reply.endpoint == backend.endpoint
    assert reply.latency > 0
    name = b"mc.example.com"
    # Packet 0, protocol 340 as a VarInt, the name, port 25570 and intent 1 (status).
    assert backend.handshakes == [b"\0\xd4\x02" + bytes([len(name)]) + name + b"\x63\xe2\x01"]


async def test_an_answer_in_single_bytes_is_put_together():
    async with status_backend(STATUS, "drip") as backend:
        assert (await ask(backend.endpoint)).json == STATUS


async def test_the_first_address_that_takes_a_connection_is_asked():
    async with status_backend(STATUS) as backend:
        reply = await ask(free_endpoint(), backend.endpoint)
        assert reply.endpoint == backend.endpoint


async def test_a_backend_that_nobody_reaches_is_down_with_a_reason_for_each_address():
    one, two = free_endpoint(), free_endpoint()
    with pytest.raises(BackendDown) as caught:
        await ask(one, two)
    for endpoint in (one, two):
        assert f"{endpoint[0]}:{endpoint[1]}" in str(caught.value)
    with pytest.raises(BackendDown, match="no address"):
        await ask()


async def test_an_address_that_never_takes_the_connection_ends_with_its_time_out():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = [socket.socket() for _ in range(3)]
        for one in held:  # fills the backlog; further connections hang
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        try:
            with pytest.raises(BackendDown, match="no connection in"):
                await ask(full.getsockname(), seconds=0.2)
        finally:
            for one in held:
                one.close()


@pytest.mark.parametrize("mode", ["silent", "close"])
async def test_a_backend_that_says_nothing_is_silent(mode):
    async with status_backend(mode=mode) as backend:
        with pytest.raises(BackendSilent):
            await ask(backend.endpoint, seconds=0.2)


async def test_an_answer_that_stops_half_way_is_silence():
    async with status_backend(b"\x7f\x00", "no_end") as backend:
        with pytest.raises(BackendSilent):
            await ask(backend.endpoint, seconds=0.2)


@pytest.mark.parametrize(
    "answer",
    [
        packet(b"\0" + varint(2) + b"[]"),
        packet(b"\0" + varint(4) + b"{\"a\""),
        packet(b"\0" + varint(2) + b"\xff\xff"),
        packet(b"\0" + varint(200) + b"{}"),
        packet(b"\0" + varint(-1) + b"{}"),
        packet(b"\0" + varint(2) + b"{}more"),
        packet(b"\x01" + bytes(8)),
        packet(b"\0" + varint(6000) + b"[" * 6000),
        packet(b"\0" + varint(32770) + b'{"a":"' + b"a" * 32762 + b'"}'),
        varint(0x1FFFFF) + b"\0",
        b"\xff\xff\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_no_status_is_refused(answer):
    async with status_backend(answer, "no_end") as backend:
        with pytest.raises((RemoteProtocolError, BackendSilent)) as caught:
            await ask(backend.endpoint, seconds=1.0)
    if not answer.startswith(b"HTTP"):  # 0x48 announces 72 bytes that never come
        assert caught.type is RemoteProtocolError


async def test_an_answer_of_the_greatest_length_is_taken():
    text = '{"a":"' + "ü" * 32759 + '"}'
    async with status_backend(text) as backend:
        assert (await ask(backend.endpoint)).json == {"a": "ü" * 32759}


async def test_the_connection_is_closed_when_the_asker_gives_up():
    async with status_backend(mode="silent") as backend:
        task = asyncio.create_task(ask(backend.endpoint))
        await backend.connected.wait()
        assert not backend.left.is_set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(backend.left.wait(), 5)


async def test_a_person_sees_what_a_modern_server_says():
    async with status_backend(STATUS) as backend:
        found = await ping_server("127.0.0.1", backend.endpoint[1])
    assert found.kind == "modern"
    assert found.motd == "Hi §6there"
    assert (found.online, found.max_players, found.sample) == (1, 20, ("jeb_",))
    assert (found.version, found.protocol) == ("Paper 1.21.8", 772)
    assert found.favicon
    assert found.latency > 0
    assert found.raw == STATUS


async def test_a_server_without_a_pong_has_a_latency_too():
    async with status_backend(STATUS, "status_only") as backend:
        assert (await ping_server("127.0.0.1", backend.endpoint[1])).latency > 0


async def test_servers_from_before_1_7_are_asked_their_own_way():
    async with status_backend(mode="legacy") as backend:
        found = await ping_server("127.0.0.1", backend.endpoint[1])
    assert found.kind == "legacy"
    assert (found.motd, found.online, found.max_players) == ("A §1server", 3, 20)
    assert (found.version, found.protocol) == ("1.6.4", 78)
    async with status_backend(mode="beta") as backend:
        found = await ping_server("127.0.0.1", backend.endpoint[1])
    assert (found.motd, found.online, found.max_players) == ("An old server", 3, 20)
    assert (found.version, found.protocol) == ("", None)


async def test_a_server_that_is_not_there_is_said_to_be_down():
    with pytest.raises(BackendDown):
        await ping_server(*free_endpoint())
    with pytest.raises(NameNotResolved):
        await ping_server("nowhere.invalid", resolver=Resolver([free_endpoint()], lifetime=0.2))


async def test_a_server_that_never_answers_is_said_to_be_silent():
    async with status_backend(mode="silent") as backend:
        with pytest.raises(BackendSilent, match=r"no answer from 127\.0\.0\.1"):
            await ping_server("127.0.0.1", backend.endpoint[1], timeout=0.1)
