"""Which backend a session reaches, and that it gets the client's bytes as they came."""

from __future__ import annotations

import asyncio

import pytest

from mcproxy.proxy import Mode, Server, SessionOpened
from mcproxy.proxy.resolve import Resolver
from tests.integration.peers import Net, eventually, join, legacy_16, refused, server, settings
from tests.unit.dns_server import dns_server

WILDCARDS = {  # host: server
    "exact.example": "exact",
    "EXACT.Example": "exact",
    "exact.example.": "exact",
    "exact.example\0FML\0": "exact",
    "exact.example\0FML2\0": "exact",
    "exact.example.\0FML3\0": "exact",
    "exact.example\0FORGE12": "exact",
    "exact.example///192.0.2.1:1234///1700000000": "exact",
    "x.exact.example": "wide",
    "a.b.wide.example": "wide",
    "lobby.wide.example": "lobby",
    "game-7.example": "games",
    "elsewhere.example": "default",
    "": "default",
}


async def test_names_lead_to_the_most_specific_server(net: Net) -> None:
    backends = {name: net.backend() for name in ("exact", "wide", "lobby", "games", "default")}
    proxy = await net.proxy(
        server("default", backends["default"], domains=()),
        server("wide", backends["wide"], domains=("*.wide.example", "*.exact.example")),
        server("lobby", backends["lobby"], domains=("lobby.*.example", "lobby.wide.example")),
        server("games", backends["games"], domains=("game-*.example",)),
        server("exact", backends["exact"], domains=("exact.example",)),
        default="default",
    )
    for host, name in WILDCARDS.items():
        assert proxy.router.route(host).server.name == name, host
        await net.client(proxy, join(host))
        await backends[name].accept(join(host))
    await eventually(lambda: len(net.told(SessionOpened)) == len(WILDCARDS))
    assert sorted(event.server for event in net.told(SessionOpened)) == sorted(WILDCARDS.values())


async def test_a_name_server_that_is_silent_holds_up_nobody_but_its_name(net: Net) -> None:  # M-18
    near, far = net.backend(), net.backend()
    named = Server("far", (f"far.test:{far.endpoint[1]}",), domains=("far.example",))
    async with dns_server() as names:
        names.put("far.test", "A", "127.0.0.1")
        names.silent = True
        resolver = Resolver([names.endpoint], lifetime=60.0)
        proxy = await asyncio.wait_for(
            net.proxy(server("near", near), named, hooks={"resolver": resolver}), 30
        )
        await net.client(proxy, join("near.example"))
        await near.accept(join("near.example"))
        await asyncio.wait_for(proxy.apply(settings(server("near", near), named)), 30)
        names.silent = False
        await eventually(lambda: any(state.server == "far" for state in proxy.states()))
        await net.client(proxy, join("far.example"))
        await far.accept(join("far.example"))


async def test_the_local_address_decides_when_no_name_does(net: Net) -> None:  # M-04
    named, local, fallback = net.backend(), net.backend(), net.backend()
    listening = server("local", local, domains=(), listen=("127.0.0.2:0",))
    with pytest.raises(Exception, match="port"):
        await net.proxy(listening)
    free = net.backend()
    port = free.endpoint[1]
    free.close()
    proxy = await net.proxy(
        server("named", named),
        server("local", local, domains=(), listen=(f"127.0.0.2:{port}",)),
        server("fallback", fallback, domains=()),
        bind=(f"127.0.0.1:{port}", f"127.0.0.3:{port}"),
        default="fallback",
    )
    assert set(proxy.addresses) == {(f"127.0.0.{i}", port) for i in (1, 2, 3)}
    await net.client(proxy, join("named.example"), to="127.0.0.2")
    await named.accept(join("named.example"))
    await net.client(proxy, join("other.example"), to="127.0.0.2")
    await local.accept(join("other.example"))
    await net.client(proxy, join("other.example"), to="127.0.0.3")
    await fallback.accept(join("other.example"))


async def test_the_local_address_decides_behind_a_listener_on_every_address(net: Net) -> None:
    local, fallback = net.backend(), net.backend()
    free = net.backend()
    port = free.endpoint[1]
    free.close()
    proxy = await net.proxy(
        server("local", local, domains=(), listen=(f"127.0.0.2:{port}",)),
        server("fallback", fallback, domains=()),
        bind=(f"0.0.0.0:{port}",),
        default="fallback",
    )
    assert proxy.addresses == [("0.0.0.0", port)]
    await net.client(proxy, join("x"), to="127.0.0.2")
    await local.accept(join("x"))
    await net.client(proxy, join("x"), to="127.0.0.1")
    await fallback.accept(join("x"))


async def test_ipv6_is_listened_on_filtered_and_dialled(net: Net) -> None:
    loop = asyncio.get_running_loop()
    met: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.put_nowait((writer.get_extra_info("peername")[0], await reader.read(4096)))
        writer.close()

    backend = await asyncio.start_server(serve, "::1", 0)
    async with backend:
        port = backend.sockets[0].getsockname()[1]
        proxy = await net.proxy(server("a", f"[::1]:{port}"), bind=("[::1]:0",))
        _, writer = await asyncio.open_connection(*proxy.addresses[0])
        writer.write(join())
        assert await met.get() == ("::1", join())
        opened = (await eventually(lambda: net.told(SessionOpened)))[0]
        assert opened.client[0] == "::1"
        assert opened.backend == ("::1", port)
        writer.close()
        await writer.wait_closed()
    assert loop.is_running()


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("transfer", [False, True])
@pytest.mark.parametrize(
    "host",
    [
        "A.EXAMPLE.",
        "a.example\0FML\0",
        "a.example\0FML3\0",
        "a.example///192.0.2.7:4711///1700000000///c2lnbmF0dXJl",
    ],
)
async def test_the_first_bytes_reach_the_backend_as_they_came(
    host: str, transfer: bool, mode: Mode, net: Net
) -> None:
    opening = join(host, intent=3 if transfer else 2)
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, mode=mode))
    behind = b"\x17right behind Login Start" * 400
    client = await net.client(proxy, opening + behind)
    far = await backend.accept(opening)
    assert await far.take(len(behind)) == behind
    client.finish()
    assert await far.rest() == b""
    opened = (await eventually(lambda: net.told(SessionOpened)))[0]
    assert opened.transfer == transfer
    assert opened.host == "a.example"


async def test_a_legacy_ping_follows_its_host_or_the_default(net: Net) -> None:
    named, fallback = (
        await net.status({"description": "named"}),
        await net.status({"description": "fallback"}),
    )
    proxy = await net.proxy(
        server("named", named), server("fallback", fallback, domains=()), default="fallback"
    )
    for data, motd in {
        legacy_16("named.example"): "named",
        legacy_16("NAMED.example."): "named",
        legacy_16("other.example"): "fallback",
        b"\xfe\x01": "fallback",
        b"\xfe": "fallback",
    }.items():
        reply = await (await net.client(proxy, data)).rest()
        assert reply[0] == 0xFF
        assert motd in reply[3:].decode("utf-16-be")
    assert refused(proxy) == {}
