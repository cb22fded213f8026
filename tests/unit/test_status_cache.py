"""What the server list shows, and how often backends are asked for it. # M-10"""

import asyncio
import json
from dataclasses import replace

import pytest

from mcproxy.errors import BackendDown, BackendSilent, NameNotResolved, RemoteProtocolError
from mcproxy.minecraft.versions import KNOWN, newest
from mcproxy.proxy.model import Motd, Server, StatusPolicy
from mcproxy.proxy.query import query_status
from mcproxy.proxy.status_cache import LEGACY_PROTOCOL, UNKNOWN_PROTOCOL, StatusCache
from tests.unit.status_backend import free_endpoint, packet, status_backend, varint

POLICY = StatusPolicy(ttl=5.0, max_stale=60.0, negative_ttl=3.0)
STATUS = {
    "version": {"name": "Paper 1.21.8", "protocol": 772},
    "players": {"max": 20, "online": 1, "sample": [{"name": "jeb_", "id": "0" * 32}]},
    "description": {"text": "Hi", "color": "gold"},
    "favicon": "data:image/png;base64,AAAA",
    "enforcesSecureChat": True,
    "forgeData": {"channels": [], "mods": [], "fmlNetworkVersion": 3},
}
SERVER = Server("survival", ("127.0.0.1:1",))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Backend:
    """Stands in for a backend whose answers and faults the test chooses."""

    def __init__(self):
        self.answer = STATUS
        self.asked = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, server, protocol):
        self.asked.append((server.name, protocol))
        await self.go.wait()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture
def cache(backend, clock):
    return StatusCache(POLICY, backend, clock=clock)


def carried(frame: bytes) -> dict:
    """The JSON object in a status response, read by hand."""

    def number(at):
        value = shift = 0
        while True:
            value |= (frame[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if frame[at - 1] < 0x80:
                return value, at

    length, at = number(0)
    assert length == len(frame) - at
    assert frame[at] == 0
    size, at = number(at + 1)
    assert size == len(frame) - at
    return json.loads(frame[at:])


def legacy_text(reply: bytes) -> str:
    assert reply[0] == 0xFF
    text = reply[3:].decode("utf-16-be")
    assert int.from_bytes(reply[1:3], "big") == len(text)
    return text


# How often a backend is asked


async def test_an_answer_is_asked_for_once_and_lives_as_long_as_its_ttl(cache, backend, clock):
    first = await cache.get(SERVER, 772)
    assert first.state == "online"
    assert first.expires == clock.now + 5
    clock.now += 4.9
    assert (await cache.get(SERVER, 772)).frame == first.frame
    assert len(backend.asked) == 1
    clock.now += 0.1
    await cache.get(SERVER, 772)
    assert len(backend.asked) == 2


async def test_many_who_ask_at_once_cause_one_question(cache, backend):
    backend.go.clear()
    waiting = [asyncio.create_task(cache.get(SERVER, 772)) for _ in range(50)]
    await asyncio.sleep(0)
    backend.go.set()
    answers = await asyncio.gather(*waiting)
    assert len(backend.asked) == 1
    assert {answer.state for answer in answers} == {"online"}


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(cache, backend):
    backend.go.clear()
    first = asyncio.create_task(cache.get(SERVER, 772))
    await asyncio.sleep(0)
    other = asyncio.create_task(cache.get(SERVER, 772))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    backend.go.set()
    assert (await other).state == "online"
    assert len(backend.asked) == 1


async def test_each_protocol_gets_the_backends_answer_to_that_protocol(cache, backend):
    backend.answer = {"description": "new"}
    new = await cache.get(SERVER, 772)
    backend.answer = {"description": "old"}
    old = await cache.get(SERVER, 47)
    assert carried(new.frame)["description"] == "new"
    assert carried(old.frame)["description"] == "old"
    assert backend.asked == [("survival", 772), ("survival", 47)]


async def test_unknown_protocols_and_legacy_pings_share_the_newest_ones_question(cache, backend):
    for protocol in (-1, 0, 3, 46, 99_999, 2**30 + 5, -(2**31), 2**31 - 1, LEGACY_PROTOCOL):
        await cache.get(SERVER, protocol)
    await cache.get(SERVER, newest().protocol)
    assert backend.asked == [("survival", newest().protocol)]


async def test_any_protocol_number_leaves_the_table_within_its_bound(cache, backend):
    for protocol in range(-10, 2000):
        await cache.get(SERVER, protocol)
    assert len(cache) <= len(KNOWN) + 2
    assert len(backend.asked) == len(KNOWN)
    assert {cache.key(protocol) for protocol in range(-10, 2000)} == {
        *KNOWN, UNKNOWN_PROTOCOL, LEGACY_PROTOCOL,
    }  # fmt: skip


async def test_a_dead_backend_is_not_asked_again_for_a_moment_with_whatever_protocol(
    cache, backend, clock
):
    backend.answer = BackendDown("refused")
    for protocol in (772, 47, 340, -1):
        answer = await cache.get(SERVER, protocol)
        assert answer.state == "offline"
        assert answer.expires == clock.now + 3
    assert len(backend.asked) == 1
    clock.now += 3
    backend.answer = STATUS
    assert (await cache.get(SERVER, 47)).state == "online"
    assert (await cache.get(SERVER, 772)).state == "online"


async def test_a_protocol_that_a_backend_is_silent_for_does_not_hide_it_from_others(cache, backend):
    backend.answer = BackendSilent("nothing came")
    assert (await cache.get(SERVER, 4)).state == "offline"
    backend.answer = STATUS
    assert (await cache.get(SERVER, 772)).state == "online"
    assert (await cache.get(SERVER, 4)).state == "offline"
    assert len(backend.asked) == 2


async def test_without_a_ttl_every_question_is_asked_but_shared(backend, clock):
    cache = StatusCache(StatusPolicy(ttl=0.0), backend, clock=clock)
    for _ in range(3):
        assert (await cache.get(SERVER, 772)).state == "online"
    assert len(backend.asked) == 3


async def test_a_server_that_is_forgotten_or_changed_is_asked_again(cache, backend):
    await cache.get(SERVER, 772)
    cache.forget("survival")
    assert len(cache) == 0
    await cache.get(SERVER, 772)
    await cache.get(replace(SERVER, motd_online=Motd(text="new")), 772)
    assert len(backend.asked) == 3


# What is shown while a backend fails


async def test_the_last_answer_is_shown_up_to_max_stale_and_then_the_offline_text(
    cache, backend, clock
):
    server = replace(SERVER, motd_offline=Motd(text="Back soon"))
    await cache.get(server, 772)
    backend.answer = BackendDown("refused")
    clock.now += 5
    stale = await cache.get(server, 772)
    assert stale.state == "stale"
    assert carried(stale.frame) == STATUS
    assert stale.expires == clock.now + 3
    clock.now = 1059.0
    stale = await cache.get(server, 772)
    assert stale.state == "stale"
    assert stale.expires == 1060.0  # not beyond max_stale, although the next question is later
    asked = len(backend.asked)
    clock.now = 1060.0
    offline = await cache.get(server, 772)
    assert offline.state == "offline"
    assert len(backend.asked) == asked
    assert carried(offline.frame)["description"] == {"text": "Back soon"}
    assert "Hi" not in offline.frame.decode("utf-8", "replace")


async def test_a_backend_that_comes_back_is_shown_again(cache, backend, clock):
    backend.answer = BackendDown("refused")
    await cache.get(SERVER, 772)
    backend.answer = STATUS
    clock.now += 3
    assert (await cache.get(SERVER, 772)).state == "online"


async def test_a_backend_that_takes_connections_and_says_nothing_is_starting(cache, backend):
    backend.answer = BackendSilent("nothing came")
    server = replace(SERVER, motd_starting=Motd(text="One moment"), motd_offline=Motd(text="Off"))
    starting = await cache.get(server, 772)
    assert starting.state == "starting"
    assert carried(starting.frame)["description"] == {"text": "One moment"}


async def test_a_backend_that_is_only_slow_keeps_its_answer_but_one_that_was_down_is_starting(
    cache, backend, clock
):
    server = replace(SERVER, motd_starting=Motd(text="One moment"))
    await cache.get(server, 772)
    clock.now += 5
    backend.answer = BackendSilent("nothing came")
    assert (await cache.get(server, 772)).state == "stale"
    clock.now += 3
    backend.answer = BackendDown("refused")
    assert (await cache.get(server, 772)).state == "stale"
    clock.now += 3
    backend.answer = BackendSilent("nothing came")
    assert (await cache.get(server, 772)).state == "starting"


async def test_without_a_starting_text_a_silent_backend_is_offline(cache, backend):
    backend.answer = BackendSilent("nothing came")
    assert (await cache.get(SERVER, 772)).state == "offline"


@pytest.mark.parametrize(
    "fault",
    [
        BackendDown("refused"), NameNotResolved("no name"), TimeoutError(), OSError("network"),
        RemoteProtocolError("nonsense"), RuntimeError("a mistake in a hook"), KeyError("x"),
        [], "text", None, {"a": object()}, {"a": float("nan")}, {"description": "x" * 40_000},
    ],
)  # fmt: skip
async def test_whatever_goes_wrong_the_server_is_offline_and_nothing_raises(cache, backend, fault):
    backend.answer = fault
    answer = await cache.get(SERVER, 772)
    assert answer.state == "offline"
    assert "offline" in carried(answer.frame)["description"]["extra"][0]["text"]


async def test_an_icon_that_makes_an_answer_too_long_is_left_out(cache, backend):
    backend.answer = {"description": "Hi", "favicon": "data:image/png;base64," + "A" * 32_760}
    answer = await cache.get(SERVER, 772)
    assert answer.state == "online"
    assert carried(answer.frame) == {"description": "Hi"}


async def test_a_backend_that_hangs_costs_those_who_ask_again_nothing(cache, backend, clock):
    await cache.get(SERVER, 772)
    backend.go.clear()
    clock.now += 5
    slow = await cache.get(SERVER, 772)
    assert slow.state == "stale"
    assert clock.now < slow.expires < clock.now + 1
    assert len(backend.asked) == 2
    backend.answer = BackendDown("no connection")
    backend.go.set()
    await asyncio.sleep(0)
    clock.now = 1100.0
    backend.go.clear()
    assert (await cache.get(SERVER, 772)).state == "offline"
    assert (await cache.get(SERVER, 47)).state == "offline"
    backend.go.set()


async def test_an_answer_too_old_to_show_is_waited_for(cache, backend, clock):
    await cache.get(SERVER, 772)
    clock.now += 60
    backend.go.clear()
    task = asyncio.create_task(cache.get(SERVER, 772))
    done, _ = await asyncio.wait({task}, timeout=0.7)
    assert not done
    backend.go.set()
    assert (await task).state == "online"


async def test_a_backend_that_hangs_from_the_beginning_does_not_take_the_answer_with_it(
    cache, backend, monkeypatch
):
    monkeypatch.setattr("mcproxy.proxy.status_cache.FIRST_PATIENCE", 0.05)
    backend.go.clear()
    first = await cache.get(SERVER, 772)
    assert first.state == "offline"
    assert (await cache.get(SERVER, 772)).state == "offline"
    assert len(backend.asked) == 1
    backend.go.set()
    assert (await cache.get(SERVER, 772)).state == "online"


# What the answers say


async def test_a_backends_answer_is_passed_on_with_everything_in_it(cache):
    answer = await cache.get(SERVER, 772)
    assert carried(answer.frame) == STATUS
    assert answer.status == STATUS


async def test_what_is_set_replaces_that_part_of_the_backends_answer(cache, backend):
    motd = Motd(text="§aOpen", favicon="data:image/png;base64,BBBB", version_name="Ours",
                max_players=500, online_players=7, sample=("a line",))  # fmt: skip
    shown = carried((await cache.get(replace(SERVER, motd_online=motd), 772)).frame)
    assert shown["description"] == {"text": "Open", "color": "green"}
    assert shown["favicon"] == "data:image/png;base64,BBBB"
    assert shown["version"] == {"name": "Ours", "protocol": 772}
    assert shown["players"]["max"] == 500
    assert shown["players"]["online"] == 7
    assert [line["name"] for line in shown["players"]["sample"]] == ["a line"]
    assert shown["forgeData"] == STATUS["forgeData"]
    assert shown["enforcesSecureChat"] is True
    assert STATUS["players"]["max"] == 20  # the backend's own answer is untouched


async def test_parts_that_are_not_set_stay_the_backends(cache):
    server = replace(SERVER, motd_online=Motd(max_players=500, sample=()))
    shown = carried((await cache.get(server, 772)).frame)
    assert shown == STATUS | {"players": {"max": 500, "online": 1, "sample": []}}


@pytest.mark.parametrize("odd", [{}, {"version": "x", "players": []}, {"players": None}])
async def test_overrides_fit_onto_the_oddest_answer(cache, backend, odd):
    backend.answer = odd
    motd = Motd(version_name="Ours", max_players=5)
    shown = carried((await cache.get(replace(SERVER, motd_online=motd), 772)).frame)
    assert shown["version"]["name"] == "Ours"
    assert shown["players"]["max"] == 5


async def test_own_answers_have_the_askers_protocol_so_that_players_are_shown(cache, backend):
    backend.answer = BackendDown("refused")
    for protocol in (4, 47, 340, 772):
        shown = carried((await cache.get(SERVER, protocol)).frame)
        assert shown["version"]["protocol"] == protocol
    shown = carried((await cache.get(SERVER, 99_999)).frame)
    assert shown["version"]["protocol"] == newest().protocol


async def test_a_version_text_is_shown_because_no_client_has_its_protocol(cache, backend):
    backend.answer = BackendDown("refused")
    server = replace(SERVER, motd_offline=Motd(version_name="§4Maintenance", max_players=9))
    shown = carried((await cache.get(server, 772)).frame)
    assert shown["version"] == {"name": "§4Maintenance", "protocol": -1}
    assert shown["players"] == {"max": 9, "online": 0}


async def test_clients_from_before_1_7_get_their_kind_of_answer(cache):
    answer = await cache.get(SERVER, LEGACY_PROTOCOL)
    # §1, protocol, version, MOTD, players, places: 1.4 to 1.6. 127 is what no such client has.
    assert legacy_text(answer.legacy) == "§1\x00127\0Paper 1.21.8\0§6Hi\x001\x0020"
    assert legacy_text(answer.legacy_beta) == "Hi§1§20"


async def test_an_unknown_host_is_told_so(cache, backend):
    answer = cache.unknown(None, 340)
    shown = carried(answer.frame)
    assert answer.state == "unknown"
    assert "no server at this address" in json.dumps(shown["description"])
    assert shown["version"]["protocol"] == 340
    own = cache.unknown(Motd(text="Not here", version_name="?", sample=("try lobby",)), 772)
    shown = carried(own.frame)
    assert shown["description"] == {"text": "Not here"}
    assert shown["version"] == {"name": "?", "protocol": -1}
    assert shown["players"]["sample"][0]["name"] == "try lobby"
    assert legacy_text(cache.unknown(None, LEGACY_PROTOCOL).legacy_beta).endswith("§0§0")
    assert backend.asked == []


# With real sockets


def asking(*endpoints):
    async def query(server, protocol):
        reply = await query_status(
            endpoints, "mc.example.com", 25565, protocol, connect_timeout=1.0, timeout=0.3
        )
        return reply.json

    return query


async def test_a_real_backend_is_asked_once_by_a_hundred(clock):
    async with status_backend(STATUS) as backend:
        backend.answer_when.clear()
        cache = StatusCache(POLICY, asking(backend.endpoint), clock=clock)
        waiting = [asyncio.create_task(cache.get(SERVER, 772)) for _ in range(100)]
        await backend.connected.wait()
        for task in waiting[:50]:
            task.cancel()
        backend.answer_when.set()
        answers = await asyncio.gather(*waiting[50:])
        assert backend.connections == 1
        assert all(carried(answer.frame) == STATUS for answer in answers)


async def test_real_backends_that_fail_in_every_way_are_shown_as_they_are(clock):
    server = replace(SERVER, motd_starting=Motd(text="One moment"))
    for mode in ("silent", "close"):
        async with status_backend(mode=mode) as backend:
            cache = StatusCache(POLICY, asking(backend.endpoint), clock=clock)
            assert (await cache.get(server, 772)).state == "starting"
    cache = StatusCache(POLICY, asking(free_endpoint()), clock=clock)
    assert (await cache.get(server, 772)).state == "offline"
    for nonsense in (b"\xff" * 10, packet(b"\0" + varint(3) + b"[1]"), varint(2**21 - 1) + b"\0"):
        async with status_backend(nonsense, "no_end") as backend:
            cache = StatusCache(POLICY, asking(backend.endpoint), clock=clock)
            assert (await cache.get(server, 772)).state == "offline"
