"""The PROXY header: required from trusted networks, refused from others, sent to backends.

The headers are put together by hand after HAProxy's doc/proxy-protocol.txt.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from typing import Any, Literal

import pytest

from mcproxy.proxy import (
    Filters,
    Mode,
    Proxy,
    Refused,
    Session,
    SessionClosed,
    SessionOpened,
    Timeouts,
)
from mcproxy.proxy.model import Pool
from tests.integration.peers import (
    LOOPBACK,
    PING,
    Net,
    Wire,
    eventually,
    handshake,
    join,
    legacy_16,
    login_start,
    refused,
    server,
    status_request,
    status_text,
)
from tests.unit.status_backend import free_endpoint

Version = Literal["v1", "v2"]

TRUSTED = "127.0.0.7"
"""The load balancer."""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = ("198.51.100.7", 50123)
FRONT = ("203.0.113.1", 25565)
V1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 50123 25565\r\n"
V1_SIX = b"PROXY TCP6 2001:db8::7 2001:db8::1 50123 25565\r\n"
BLOCK_4 = bytes([198, 51, 100, 7, 203, 0, 113, 1]) + struct.pack(">HH", 50123, 25565)
BLOCK_6 = (
    bytes.fromhex("20010db8000000000000000000000007")
    + bytes.fromhex("20010db8000000000000000000000001")
    + struct.pack(">HH", 50123, 25565)
)
TLVS = b"\x01\0\5h2/x1" + b"\x04\0\x03abc" + b"\xe0\0\0" + b"\x04\x01\x00" + bytes(256)


def v2(family: int, block: bytes, *, command: int = 1, version: int = 2) -> bytes:
    head = struct.pack(">BBH", version << 4 | command, family, len(block))
    return SIGNATURE + head + block


V2 = v2(0x11, BLOCK_4)
V2_SIX = v2(0x21, BLOCK_6)

CARRIES_AN_ADDRESS = {
    "version 1": (V1, CLIENT),
    "version 1, IPv6": (V1_SIX, ("2001:db8::7", 50123)),
    "version 2": (V2, CLIENT),
    "version 2, IPv6": (V2_SIX, ("2001:db8::7", 50123)),
    "version 2, TLVs": (v2(0x11, BLOCK_4 + TLVS), CLIENT),
    "version 2, TLVs that run past the end": (v2(0x11, BLOCK_4 + b"\x01\xff\xffx"), CLIENT),
    "version 2, IPv4 in IPv6": (
        v2(0x21, bytes(10) + b"\xff\xff" + BLOCK_4[:4] + bytes(16) + BLOCK_4[8:]),
        CLIENT,
    ),
    "version 1, IPv4 in IPv6": (b"PROXY TCP6 ::ffff:198.51.100.7 ::1 50123 1\r\n", CLIENT),
    "version 2, longest": (v2(0x11, BLOCK_4 + bytes(2048 - 28)), CLIENT),
}

CARRIES_NONE = {
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
    "UNKNOWN with addresses": b"PROXY UNKNOWN 198.51.100.7 203.0.113.1 50123 25565\r\n",
    "UNKNOWN, longest": b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n",
    "LOCAL": v2(0, b"", command=0),
    "LOCAL with an address": v2(0x11, BLOCK_4, command=0),
    "LOCAL, family out of range": v2(0xFF, b"", command=0),
    "unspecified": v2(0, b""),
    "UDP": v2(0x12, BLOCK_4),
    "a Unix socket": v2(0x31, bytes(216)),
}

MALFORMED = {
    "family that the line is not of": b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
    "leading zero": b"PROXY TCP4 198.051.100.7 203.0.113.1 1 2\r\n",
    "port too large": b"PROXY TCP4 198.51.100.7 203.0.113.1 65536 2\r\n",
    "two spaces": b"PROXY TCP4  198.51.100.7 203.0.113.1 1 2\r\n",
    "no CRLF": b"PROXY UNKNOWN " + b"x" * 94,
    "bare LF": b"PROXY TCP4 198.51.100.7 203.0.113.1 1 2\n" + b"x" * 80,
    "version 3": v2(0x11, BLOCK_4, version=3),
    "unknown command": v2(0x11, BLOCK_4, command=2),
    "unknown family": v2(0x41, BLOCK_4),
    "unknown transport": v2(0x13, BLOCK_4),
    "short block": v2(0x11, BLOCK_4[:-1]),
    "short block, IPv6": v2(0x21, BLOCK_6[:-1]),
    "longer than the bound by one": v2(0x11, BLOCK_4 + bytes(2048 - 27)),
    "longest that can be announced": SIGNATURE + b"\x21\x11\xff\xff",
}


async def behind(net: Net, *servers: Any, **more: Any) -> Proxy:
    """A proxy behind a load balancer at `TRUSTED`."""
    more.setdefault("proxy_trusted", (TRUSTED,))
    return await net.proxy(*servers, **more)


async def ended(client: Wire, proxy: Proxy, reason: str) -> None:
    assert await client.rest_or_reset() == b""
    await eventually(lambda: refused(proxy))
    assert refused(proxy) == {reason: 1}


async def opened(net: Net) -> SessionOpened:
    return (await eventually(lambda: net.told(SessionOpened)))[0]


# ---- From a load balancer in front. ----


@pytest.mark.parametrize(("header", "address"), CARRIES_AN_ADDRESS.values(), ids=CARRIES_AN_ADDRESS)
async def test_the_address_in_the_header_is_the_client_s(  # M-16
    header: bytes, address: tuple[str, int], net: Net
) -> None:
    backend = net.backend()
    proxy = await behind(net, server("a", backend))
    client = await net.client(proxy, header + join() + b"more", local=TRUSTED)
    relay = await backend.accept(join() + b"more")  # and nothing of the header
    assert (await opened(net)).client == address
    await relay.send(b"back")
    assert await client.take(4) == b"back"
    client.close()
    assert await relay.rest() == b""
    relay.close()
    assert (await eventually(lambda: net.told(SessionClosed)))[0].client == address


@pytest.mark.parametrize("header", CARRIES_NONE.values(), ids=CARRIES_NONE)
async def test_a_header_without_an_address_leaves_that_of_the_socket(  # M-16
    header: bytes, net: Net
) -> None:
    backend = net.backend()
    proxy = await behind(net, server("a", backend))
    client = await net.client(proxy, header + join(), local=TRUSTED)
    await backend.accept(join())
    assert (await opened(net)).client == client.sock.getsockname()


@pytest.mark.parametrize("header", [V1, V1_SIX, V2, V2_SIX, CARRIES_NONE["UNKNOWN"]])
async def test_a_header_may_come_byte_by_byte(header: bytes, net: Net) -> None:  # M-16
    backend = net.backend()
    proxy = await behind(net, server("a", backend))
    client = await net.client(proxy, local=TRUSTED)
    for byte in header + join():
        await client.send(bytes((byte,)))
        await asyncio.sleep(0.001)
    await backend.accept(join())
    assert refused(proxy) == {}


@pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])
async def test_the_first_packet_may_come_long_after_its_header(header: bytes, net: Net) -> None:
    # Each has the time of timeouts.handshake.
    backend = net.backend()
    proxy = await behind(net, server("a", backend), timeouts=Timeouts(handshake=2))
    client = await net.client(proxy, header[:9], local=TRUSTED)
    await asyncio.sleep(1.2)
    await client.send(header[9:])
    await asyncio.sleep(1.2)
    await client.send(join())
    await backend.accept(join())


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_header_is_refused(data: bytes, net: Net) -> None:
    proxy = await behind(net, server("a", net.nobody()))
    client = await net.client(proxy, data, local=TRUSTED)
    await ended(client, proxy, "proxy_malformed")
    told = (await eventually(lambda: net.told(Refused)))[0]
    assert told.client[0] == TRUSTED


WITHOUT = {
    "a join": join(),
    "a status request": status_request(),
    "a legacy ping": b"\xfe",
    "a ping of 1.6": legacy_16(),
    "a frame as long as P says": b"P\0",
    "HTTP": b"POST / HTTP/1.1\r\n\r\n",
    "lower case": V1.lower(),
    "half a signature": SIGNATURE[:9] + b"x",
}


@pytest.mark.parametrize("data", WITHOUT.values(), ids=WITHOUT)
async def test_a_trusted_network_must_send_a_header(data: bytes, net: Net) -> None:
    proxy = await behind(net, server("a", net.nobody()))
    client = await net.client(proxy, data, local=TRUSTED)
    await ended(client, proxy, "proxy_missing")


@pytest.mark.parametrize("trusted", [(), (TRUSTED,)], ids=["nobody is", "another is"])
@pytest.mark.parametrize("header", [V1, V2, V1[:6], V2[:12]])
async def test_a_header_from_who_is_not_trusted_is_refused(
    header: bytes, trusted: tuple[str, ...], net: Net
) -> None:  # M-16
    proxy = await behind(net, server("a", net.nobody()), proxy_trusted=trusted)
    client = await net.client(proxy, header)
    await ended(client, proxy, "proxy_untrusted")
    told = (await eventually(lambda: net.told(Refused)))[0]
    assert told.client[0] == LOOPBACK


async def test_a_second_header_is_one_of_the_client_s_own_and_refused(net: Net) -> None:
    proxy = await behind(net, server("a", net.nobody()))
    client = await net.client(proxy, V2 + V1 + join(), local=TRUSTED)
    await ended(client, proxy, "proxy_untrusted")
    assert (await eventually(lambda: net.told(Refused)))[0].client == CLIENT


@pytest.mark.parametrize("size", [80, 13], ids=["P", "CR"])
async def test_a_handshake_that_begins_with_a_byte_of_a_signature_is_one(
    size: int, net: Net
) -> None:
    host = b"x" * (size - len(handshake(b"")) + 1)
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), default="a")
    opening = handshake(host) + login_start()
    assert opening[0] == size
    client = await net.client(proxy)
    for byte in opening:
        await client.send(bytes((byte,)))
        await asyncio.sleep(0.001)
    await backend.accept(opening)


@pytest.mark.parametrize("data", [b"", V1[:1], V1[:-1], V2[:5], V2[:-1]])
async def test_a_load_balancer_that_says_nothing_is_ended_and_holds_up_nobody(  # M-16
    data: bytes, net: Net
) -> None:
    backend = net.backend()
    proxy = await behind(net, server("a", backend), workers=1, timeouts=Timeouts(handshake=1))
    silent = [await net.client(proxy, data, local=TRUSTED) for _ in range(20)]
    await net.client(proxy, V1 + join(), local=TRUSTED)
    await backend.accept(join())
    await net.client(proxy, join())
    await backend.accept(join())
    for client in silent:
        assert await client.rest_or_reset() == b""
    assert refused(proxy) == {"silent": 20}


async def test_a_health_check_may_end_before_or_behind_its_header(net: Net) -> None:
    proxy = await behind(net, server("a", net.nobody()))
    for data in (b"", V1[:7], CARRIES_NONE["LOCAL"]):
        client = await net.client(proxy, data, local=TRUSTED)
        client.finish()
        assert await client.rest_or_reset() == b""
    await eventually(lambda: refused(proxy) == {"closed_early": 3})


async def test_the_real_address_is_filtered(net: Net) -> None:  # M-11
    backend = net.backend()
    proxy = await behind(
        net,
        server("a", backend),
        server("b", backend, filters=Filters(blacklist=("2001:db8::7",))),
        filters=Filters(blacklist=("198.51.100.0/24",)),
    )
    client = await net.client(proxy, V1 + join(), local=TRUSTED)
    await ended(client, proxy, "filtered")
    assert (await eventually(lambda: net.told(Refused)))[0].client == CLIENT
    client = await net.client(proxy, V2_SIX + join("b.example"), local=TRUSTED)
    assert await client.rest_or_reset() == b""
    await eventually(lambda: refused(proxy) == {"filtered": 1, "filtered_server": 1})
    await net.client(proxy, V2_SIX + join(), local=TRUSTED)
    await backend.accept(join())


async def test_the_whitelist_holds_for_the_real_address_only(net: Net) -> None:  # M-11
    backend = net.backend()
    proxy = await behind(net, server("a", backend), filters=Filters(whitelist=("198.51.100.0/24",)))
    await net.client(proxy, V1 + join(), local=TRUSTED)
    await backend.accept(join())
    for header in (V2_SIX, CARRIES_NONE["LOCAL"]):  # and the load balancer's own where it counts
        client = await net.client(proxy, header + join(), local=TRUSTED)
        assert await client.rest_or_reset() == b""
    await eventually(lambda: refused(proxy) == {"filtered": 2})


async def test_a_load_balancer_on_the_blacklist_is_refused_at_once(net: Net) -> None:
    proxy = await behind(net, server("a", net.nobody()), filters=Filters(blacklist=(TRUSTED,)))
    client = await net.client(proxy, V1, local=TRUSTED)
    await ended(client, proxy, "filtered")


async def test_the_address_that_the_client_reached_is_the_local_one(net: Net) -> None:
    seen: list[Session] = []
    backend = net.backend()

    def route(session: Session) -> str | None:
        seen.append(session)
        return session.server.name if session.server else None

    port = free_endpoint()[1]
    proxy = await behind(
        net,
        server("a", backend, domains=(), listen=(f"203.0.113.1:{port}",)),
        hooks={"route": route},
        bind=(f"0.0.0.0:{port}",),
    )
    header = v2(0x11, BLOCK_4[:-2] + struct.pack(">H", port))
    await net.client(proxy, header + join("nowhere"), local=TRUSTED, to=LOOPBACK)
    await backend.accept(join("nowhere"))
    assert (seen[0].client, seen[0].local) == (CLIENT, ("203.0.113.1", port))


async def test_statuses_are_answered_behind_a_header(net: Net) -> None:
    proxy = await behind(net, server("a", await net.status({"description": "there"})), default="a")
    client = await net.client(proxy, V2 + status_request() + PING, local=TRUSTED)
    assert "there" in status_text(await client.frame())
    assert await client.take(10) == PING
    old = await net.client(proxy, V1 + b"\xfe\x01", local=TRUSTED)
    assert "there" in (await old.rest())[3:].decode("utf-16-be")


async def test_a_reload_changes_who_is_trusted(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend))
    await proxy.apply(replace(proxy.settings, proxy_trusted=("127.0.0.0/8", "::/0")))
    await net.client(proxy, V1 + join())
    await backend.accept(join())
    await proxy.apply(replace(proxy.settings, proxy_trusted=()))
    await net.client(proxy, join())
    await backend.accept(join())


# ---- To a backend behind. ----


def expected(version: Version, source: tuple[str, int], target: tuple[str, int]) -> bytes:
    """By the specification: one family for both, IPv4 mapped where they differ."""
    six = ":" in source[0] or ":" in target[0]
    if version == "v1":
        family = "TCP6" if six else "TCP4"
        return f"PROXY {family} {source[0]} {target[0]} {source[1]} {target[1]}\r\n".encode()
    packed = b""
    for host, _ in (source, target):
        if ":" in host:
            packed += socket.inet_pton(socket.AF_INET6, host)
        else:
            packed += (bytes(10) + b"\xff\xff") * six + socket.inet_pton(socket.AF_INET, host)
    return v2(0x21 if six else 0x11, packed + struct.pack(">HH", source[1], target[1]))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("mode", [Mode.PASSTHROUGH, Mode.ZERO_COPY, Mode.SERVER_ONLY])
@pytest.mark.parametrize("bind", ["127.0.0.1:0", "0.0.0.0:0"])
async def test_a_backend_is_told_the_client_s_address(  # M-16
    version: Version, mode: Mode, bind: str, net: Net
) -> None:
    backend = net.backend()
    proxy = await net.proxy(
        server("a", backend, mode=mode, send_proxy_protocol=version), bind=(bind,)
    )
    client = await net.client(proxy, join() + b"more", to="127.0.0.1")
    header = expected(version, client.sock.getsockname(), client.sock.getpeername())
    relay = await backend.accept(header + join() + b"more")
    await client.send(b"again")
    assert await relay.take(5) == b"again"


async def test_a_hook_is_no_reason_to_leave_the_header_out(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(
        hooks={
            "route": lambda _: server("made", backend, send_proxy_protocol="v2"),
            "on_login": lambda _: None,
        }
    )
    client = await net.client(proxy, join())
    await backend.accept(
        expected("v2", client.sock.getsockname(), client.sock.getpeername()) + join()
    )


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("header", "source", "target"),
    [
        (V1, CLIENT, FRONT),
        (V2_SIX, ("2001:db8::7", 50123), ("2001:db8::1", 25565)),
        (
            b"PROXY TCP6 2001:db8::7 ::ffff:203.0.113.1 1 65535\r\n",
            ("2001:db8::7", 1),
            ("::ffff:cb00:7101", 65535),
        ),
    ],
)
async def test_a_header_from_the_front_is_passed_on(  # M-16
    version: Version,
    header: bytes,
    source: tuple[str, int],
    target: tuple[str, int],
    net: Net,
) -> None:
    backend = net.backend()
    proxy = await behind(net, server("a", backend, send_proxy_protocol=version))
    await net.client(proxy, header + join(), local=TRUSTED)
    await backend.accept(expected(version, source, target) + join())


async def test_the_next_address_of_a_server_gets_the_header_too(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", net.nobody(), backend, send_proxy_protocol="v2"))
    client = await net.client(proxy, join())
    await backend.accept(
        expected("v2", client.sock.getsockname(), client.sock.getpeername()) + join()
    )


async def test_a_server_that_wants_none_gets_none(net: Net) -> None:
    backend = net.backend()
    proxy = await behind(net, server("a", backend), server("b", backend, send_proxy_protocol="v2"))
    await net.client(proxy, V1 + join(), local=TRUSTED)
    await backend.accept(join())


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_backend_is_asked_for_its_status_behind_a_header(
    version: Version, net: Net
) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend, send_proxy_protocol=version))
    client = await net.client(proxy, status_request())
    asked = await backend.accept()
    if version == "v2":
        header = v2(0, b"", command=0)
    else:  # the addresses of the connection itself
        header = expected("v1", asked.sock.getpeername(), asked.sock.getsockname())
    assert await asked.take(len(header)) == header
    assert (await asked.frame())[0] == 0
    asked.close()
    assert client


async def test_a_warm_socket_gets_its_header_with_the_client(net: Net) -> None:  # M-02
    backend = net.backend()
    proxy = await net.proxy(
        server("a", backend, send_proxy_protocol="v2", pool=Pool(warm=1)), workers=1
    )
    warm = await backend.accept()
    await eventually(lambda: proxy.counters()["warm"] == 1)
    client = await net.client(proxy, join())
    opening = expected("v2", client.sock.getsockname(), client.sock.getpeername()) + join()
    assert await warm.take(len(opening)) == opening
