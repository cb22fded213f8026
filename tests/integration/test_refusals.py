"""Each reason of refusal is provoked, counted once under its name, and ends the connection."""

from __future__ import annotations

import asyncio

import pytest

from mcproxy._speedups.plane.reasons import REASONS, REFUSALS, Reason
from mcproxy.proxy import Filters, Mode, Refused, Timeouts
from tests.integration.peers import (
    PING,
    Net,
    eventually,
    framed,
    handshake,
    join,
    login_start,
    refused,
    server,
    status_request,
)
from tests.unit.wire_bytes import hello, text

# By reason: what a client sends as its first bytes.
FIRST_BYTES = {
    "malformed, no handshake": ("malformed", framed(b"\x17 nonsense")),
    "malformed, empty frame": ("malformed", b"\x00" * 8),
    "malformed, negative length": ("malformed", b"\xff\xff\xff\xff\x0f"),
    "malformed, endless length": ("malformed", b"\x80" * 16),
    "malformed, HTTP": ("malformed", b"GET / HTTP/1.1\r\nHost: a.example\r\n" + b"x: y\r\n" * 20),
    "malformed, host is not UTF-8": ("malformed", handshake(b"\xff\xfe")),
    "malformed, host runs past the end": ("malformed", framed(b"\0\x2f\x7fabc")),
    "malformed, trailing byte": ("malformed", framed(hello("a.example") + b"\0")),
    "malformed, legacy": ("malformed", b"\xfe\x01\xfa\x00\x0bnonsense"),
    "frame too long, longest": ("frame_too_long", b"\xff\xff\x7f\x00"),
    "frame too long, by one": ("frame_too_long", b"\x9a\x06\x00"),
    "frame too long, TLS": ("frame_too_long", b"\x97\x80\x01\x00"),
    "host too long": ("host_too_long", handshake("h" * 256)),
    "host too long, bytes": ("host_too_long", handshake("ü" * 128)),
    "bad intent": ("bad_intent", handshake(intent=4)),
    "no intent": ("bad_intent", handshake(intent=0)),
    "bad status, packet": ("bad_status", handshake(intent=1) + b"\x01\x07"),
    "bad status, twice": ("bad_status", status_request() + b"\x01\x00"),
    "bad status, frame": ("frame_too_long", handshake(intent=1) + b"\x0a\x01" + b"x" * 9),
    "legacy login": ("legacy_login", b"\x02\x00\x05" + "Steve".encode("utf-16-be")),
    "unknown host": ("unknown_host", join("nowhere.example")),
}


async def ended(net: Net, client, proxy, reason: str) -> bytes:
    """What the client still got; the refusal is counted once and nothing else is."""
    data = await client.rest_or_reset()
    await eventually(lambda: refused(proxy))
    assert refused(proxy) == {reason: 1}
    return data


@pytest.mark.parametrize(("reason", "data"), FIRST_BYTES.values(), ids=FIRST_BYTES)
async def test_first_bytes_that_are_refused(reason: str, data: bytes, net: Net) -> None:
    proxy = await net.proxy(server("a", await net.status()))
    client = await net.client(proxy, data)
    await ended(net, client, proxy, reason)
    told = (await eventually(lambda: net.told(Refused)))[0]
    assert told.reason.name.lower() == reason
    assert told.client == client.name


@pytest.mark.parametrize(("reason", "data"), FIRST_BYTES.values(), ids=FIRST_BYTES)
async def test_first_bytes_are_refused_alike_when_they_come_one_by_one(
    reason: str, data: bytes, net: Net
) -> None:
    proxy = await net.proxy(server("a", await net.status()))
    client = await net.client(proxy)
    try:
        for at in range(len(data)):
            await client.send(data[at : at + 1])
            await asyncio.sleep(0)
    except ConnectionError:
        pass  # it has seen enough
    await ended(net, client, proxy, reason)


async def test_an_address_on_the_blacklist_is_refused(net: Net) -> None:
    proxy = await net.proxy(
        server("a", net.nobody()), filters=Filters(blacklist=("127.0.0.2", "127.1.0.0/16"))
    )
    for local in ("127.0.0.2", "127.1.2.3"):
        client = await net.client(proxy, local=local)
        assert await client.rest_or_reset() == b""
    assert refused(proxy) == {"filtered": 2}
    assert {event.client[0] for event in await told(net, 2)} == {"127.0.0.2", "127.1.2.3"}


async def told(net: Net, count: int) -> list[Refused]:
    await eventually(lambda: len(net.told(Refused)) >= count)
    return net.told(Refused)


async def test_an_address_that_is_not_on_the_whitelist_is_refused(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(
        server("a", backend),
        filters=Filters(whitelist=("127.0.0.0/30",), blacklist=("127.0.0.2",)),
    )
    for local in ("127.0.0.4", "127.0.0.2"):
        client = await net.client(proxy, local=local)
        assert await client.rest_or_reset() == b""
    assert refused(proxy) == {"filtered": 2}
    await net.client(proxy, join(), local="127.0.0.3")
    await backend.accept(join())


async def test_a_server_s_own_lists_count_for_that_server_only(net: Net) -> None:
    closed, open_ = net.backend(), net.backend()
    proxy = await net.proxy(
        server("a", closed, filters=Filters(whitelist=("127.0.0.9",))), server("b", open_)
    )
    client = await net.client(proxy, join("a.example"), local="127.0.0.8")
    await ended(net, client, proxy, "filtered_server")
    assert (await told(net, 1))[0].server == "a"
    await net.client(proxy, join("b.example"), local="127.0.0.8")
    await open_.accept(join("b.example"))
    await net.client(proxy, join("a.example"), local="127.0.0.9")
    await closed.accept(join("a.example"))


async def test_max_connections_counts_all_workers_together(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), max_connections=3)
    pairs = [await net.relay(proxy, backend) for _ in range(3)]
    for _ in range(4):
        client = await net.client(proxy)
        assert await client.rest_or_reset() == b""
    assert refused(proxy) == {"max_connections": 4}
    pairs[0][0].close()
    assert await pairs[0][1].rest() == b""
    pairs[0][1].close()
    await eventually(lambda: proxy.counters()["open"] == 2)
    await net.relay(proxy, backend)


SILENT = {
    "nothing": b"",
    "half a handshake": handshake()[:-3],
    "a length": b"\x10",
    "half a legacy ping": b"\xfe\x01\xfa\x00\x0b\x00M",
    "no request": handshake(intent=1),
    "half a request": handshake(intent=1) + b"\x01",
}


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT)
async def test_silence_is_ended_by_the_handshake_deadline(data: bytes, net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()), timeouts=Timeouts(handshake=0.2))
    client = await net.client(proxy, data)
    assert await ended(net, client, proxy, "silent") == b""


async def test_silence_ends_within_its_deadline_although_the_kernel_keeps_it_back(net: Net) -> None:
    # Both have two seconds, and the silent one comes first by more than half a second.
    proxy = await net.proxy(server("a", net.nobody()), timeouts=Timeouts(handshake=2.0))
    silent = await net.client(proxy)
    await asyncio.sleep(0.7)
    speaking = await net.client(proxy, b"\x10")
    ends = {
        asyncio.ensure_future(one.rest_or_reset()): name
        for one, name in ((speaking, "speaking"), (silent, "silent"))
    }
    first, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    assert [ends[one] for one in first] == ["silent"]
    await asyncio.gather(*ends)


async def test_a_byte_now_and_then_does_not_move_the_deadline(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()), timeouts=Timeouts(handshake=0.3))
    client = await net.client(proxy)
    for byte in handshake("h" * 250):
        try:
            await client.send(bytes((byte,)))
        except ConnectionError:
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the handshake was taken to its end")
    await eventually(lambda: refused(proxy) == {"silent": 1})


@pytest.mark.parametrize("mode", [Mode.SERVER_ONLY])
async def test_silence_before_login_start_is_ended(mode: Mode, net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody(), mode=mode), timeouts=Timeouts(handshake=0.2))
    client = await net.client(proxy, handshake() + login_start()[:-1])
    assert await ended(net, client, proxy, "silent") == b""


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT)
async def test_a_client_that_leaves_early_is_counted(data: bytes, net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()))
    client = await net.client(proxy, data)
    client.finish()
    assert await ended(net, client, proxy, "closed_early") == b""


async def test_a_client_that_resets_early_is_counted(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()))
    (await net.client(proxy, handshake()[:4])).reset()
    await eventually(lambda: refused(proxy) == {"closed_early": 1})


BAD_LOGINS = {
    "no name": framed(b"\0\0\0"),
    "long name": login_start("N" * 17),
    "no UUID": login_start(more=b""),
    "trailing": login_start(more=b"\0\0"),
    "packet": framed(b"\x01" + text("Steve")),
    "not UTF-8": framed(b"\0\x02\xc3\x28\0"),
    "negative": framed(b"\0\xff\xff\xff\xff\x0f"),
}


@pytest.mark.parametrize("start", BAD_LOGINS.values(), ids=BAD_LOGINS)
async def test_a_bad_login_start_is_refused_where_it_is_read(start: bytes, net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody(), mode=Mode.SERVER_ONLY))
    client = await net.client(proxy, handshake() + start)
    await ended(net, client, proxy, "bad_login")


async def test_a_login_start_that_announces_too_much_is_refused(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody(), mode=Mode.SERVER_ONLY))
    client = await net.client(proxy, handshake() + b"\xff\xff\x7f")
    await ended(net, client, proxy, "frame_too_long")


async def test_a_player_hears_that_no_address_answered(net: Net) -> None:
    proxy = await net.proxy(
        server("a", net.nobody(), net.nobody(), disconnect_message="§cBack at noon")
    )
    client = await net.client(proxy, join())
    told = await client.frame()
    assert told[0] == 0
    assert "Back at noon" in told.decode()
    assert await ended(net, client, proxy, "no_backend") == b""
    assert proxy.counters()["dial_failed"] == 2


async def test_a_player_hears_that_the_host_is_unknown(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()), unknown_message="Nobody lives here")
    client = await net.client(proxy, join("b.example"))
    assert b"Nobody lives here" in await client.frame()
    assert await ended(net, client, proxy, "unknown_host") == b""
    assert [event.host for event in await told(net, 1)] == ["b.example"]


async def test_a_client_from_before_1_7_hears_that_it_is_too_old(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()))
    client = await net.client(proxy, b"\x02\x49" + "Steve".encode("utf-16-be"))
    kick = await ended(net, client, proxy, "legacy_login")
    assert kick[0] == 0xFF
    assert len(kick) == 3 + 2 * int.from_bytes(kick[1:3])
    assert "1.7" in kick[3:].decode("utf-16-be")


async def test_too_many_sessions_that_wait_for_a_hook_are_refused(net: Net) -> None:
    asked, go = 0, asyncio.Event()

    async def on_login(session):
        nonlocal asked
        asked += 1
        await go.wait()
        return "no"

    proxy = await net.proxy(server("a", net.nobody()), hooks={"on_login": on_login}, workers=1)
    clients = [await net.client(proxy, join()) for _ in range(257)]
    await eventually(lambda: refused(proxy) == {"control_busy": 1})
    assert asked <= 256
    go.set()
    answers = await asyncio.gather(*(client.rest_or_reset() for client in clients))
    assert sum(b"no" in answer for answer in answers) == 256
    await eventually(lambda: refused(proxy) == {"control_busy": 1, "hook": 256})


async def test_a_decision_that_does_not_come_ends_the_session(net: Net) -> None:
    async def never(session, status=None):
        await asyncio.Event().wait()

    proxy = await net.proxy(
        server("a", await net.status()), hooks={"on_login": never, "on_status": never}
    )
    joining = await net.client(proxy, join())
    asking = await net.client(proxy, status_request() + PING)
    assert await joining.rest_or_reset() == b""
    assert await asking.rest_or_reset() == b""
    assert refused(proxy) == {"control_slow": 2}


async def test_every_reason_has_a_sentence_and_a_counter(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()))
    counters = proxy.counters()
    assert set(counters["refused"]) == {reason.name.lower() for reason in REFUSALS}
    assert set(counters["refused"]) | set(counters["ended"]) == {
        reason.name.lower() for reason in Reason if reason
    }
    assert all(REASONS[reason] for reason in Reason)
    assert not any(counters["refused"].values())


async def test_refusals_are_told_at_a_bounded_rate_and_all_counted(net: Net) -> None:
    proxy = await net.proxy(server("a", net.nobody()), workers=1)
    for _ in range(300):
        (await net.client(proxy, b"\x00\x00\x00")).close()
    await eventually(lambda: refused(proxy) == {"malformed": 300})
    (await net.client(proxy, b"\x02")).close()  # told behind the others, if at all
    await eventually(lambda: refused(proxy) == {"malformed": 300, "legacy_login": 1})
    await proxy.stop(0)
    assert 0 < len(net.told(Refused)) < 300
