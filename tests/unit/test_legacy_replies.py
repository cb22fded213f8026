"""Answers to legacy pings, and the client's side of them."""

import pytest

from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft.legacy import (
    LegacyKind,
    decode_reply,
    encode_kick,
    encode_ping,
    encode_reply,
    reply_from_status,
)

# The examples of wiki.vg, "Server List Ping".
PING_1_6 = bytes.fromhex(
    "fe01 fa00 0b00 4d00 4300 7c00 5000 6900 6e00 6700 4800 6f00 7300 7400 1949 0009"
    "006c 006f 0063 0061 006c 0068 006f 0073 0074 0000 63dd"
)
REPLY_1_4 = bytes.fromhex(
    "ff00 2300 a700 3100 0000 3400 3700 0000 3100 2e00 3400 2e00 3200 0000 4100 2000"
    "4d00 6900 6e00 6500 6300 7200 6100 6600 7400 2000 5300 6500 7200 7600 6500 7200"
    "0000 3000 0000 3200 30"
)
REPLY_BETA = b"\xff\x00\x17" + "A Minecraft Server§0§20".encode("utf-16-be")


def test_the_ping_of_1_6_is_that_of_the_wiki():
    assert encode_ping(LegacyKind.V1_6, "localhost", 25565, protocol=73) == PING_1_6


def test_the_older_pings_are_fe_and_fe_01():
    assert encode_ping(LegacyKind.BETA) == b"\xfe"
    assert encode_ping(LegacyKind.V1_4, "ignored", 1) == b"\xfe\x01"


@pytest.mark.parametrize("kind", [LegacyKind.V1_4, LegacyKind.V1_6])
def test_the_answer_since_1_4_is_that_of_the_wiki(kind):
    reply = encode_reply(
        kind, "A Minecraft Server", online=0, max_players=20, version_name="1.4.2", protocol=47
    )
    assert reply == REPLY_1_4


def test_the_answer_until_1_3_has_three_fields():
    reply = encode_reply(
        LegacyKind.BETA, "A Minecraft Server", online=0, max_players=20, version_name="1.4.2"
    )
    assert reply == REPLY_BETA


def test_answers_are_read():
    found = decode_reply(REPLY_1_4)
    assert (found.kind, found.protocol, found.version_name) == (LegacyKind.V1_4, 47, "1.4.2")
    assert (found.motd, found.online, found.max_players) == ("A Minecraft Server", 0, 20)
    old = decode_reply(REPLY_BETA)
    assert (old.kind, old.protocol, old.version_name) == (LegacyKind.BETA, None, None)
    assert (old.motd, old.online, old.max_players) == ("A Minecraft Server", 0, 20)


@pytest.mark.parametrize("reply", [REPLY_1_4, REPLY_BETA])
def test_a_part_of_an_answer_asks_for_more(reply):
    assert all(decode_reply(reply[:end]) is None for end in range(len(reply)))


def text_of(reply: bytes) -> str:
    assert reply[0] == 0xFF
    assert int.from_bytes(reply[1:3], "big") * 2 == len(reply) - 3
    return reply[3:].decode("utf-16-be")


def test_only_the_first_line_is_shown():
    reply = encode_reply(LegacyKind.V1_4, "one\ntwo", online=1, max_players=2, version_name="26.3")
    assert text_of(reply) == "§1\x00127\x0026.3\0one\x001\x002"


def test_clients_until_1_3_get_no_section_sign_in_the_motd():
    reply = encode_reply(
        LegacyKind.BETA, "§aGreen §lbold", online=3, max_players=9, version_name="x"
    )
    assert text_of(reply) == "Green bold§3§9"


def test_a_component_becomes_codes_that_old_clients_know():
    motd = {"text": "A", "color": "#fe5454", "extra": [{"text": "B", "bold": True}]}
    reply = encode_reply(LegacyKind.V1_6, motd, online=0, max_players=0, version_name="v")
    assert text_of(reply).split("\0")[3] == "§cA§lB"


def test_a_zero_in_a_text_cannot_shift_the_fields():
    reply = encode_reply(LegacyKind.V1_4, "a\0b", online=1, max_players=2, version_name="v\0w")
    assert decode_reply(reply).motd == "ab"
    assert decode_reply(reply).version_name == "vw"


@pytest.mark.parametrize(
    ("kind", "units"), [(LegacyKind.BETA, 100), (LegacyKind.V1_4, 256), (LegacyKind.V1_6, 256)]
)
@pytest.mark.parametrize("letter", ["m", "\N{PIG FACE}"])
def test_a_long_motd_is_cut_to_what_clients_read(kind, units, letter):
    # Packet255KickDisconnect reads at most 256 characters, in Beta 100.
    reply = encode_reply(kind, letter * 400, online=123, max_players=456, version_name="1.2.3")
    text = text_of(reply)
    assert units - 1 <= len(text.encode("utf-16-be")) // 2 <= units
    assert decode_reply(reply).online == 123
    assert decode_reply(reply).max_players == 456


def test_a_modern_status_answers_a_legacy_ping():
    status = {
        "version": {"name": "Paper 1.21.8", "protocol": 772},
        "players": {"max": 100, "online": 7},
        "description": {"text": "", "extra": [{"text": "Hi", "color": "gold"}]},
    }
    assert text_of(reply_from_status(LegacyKind.V1_4, status)) == (
        "§1\x00127\0Paper 1.21.8\0§6Hi\x007\x00100"
    )
    assert text_of(reply_from_status(LegacyKind.BETA, status)) == "Hi§7§100"


def test_a_status_without_players_still_answers_a_legacy_ping():
    assert text_of(reply_from_status(LegacyKind.BETA, {"description": "x"})) == "x§0§0"


def test_a_kick_carries_codes_and_is_cut():
    assert text_of(encode_kick({"text": "Too old", "color": "red"})) == "§cToo old"
    assert len(text_of(encode_kick("k" * 300))) == 256


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        b"\xff\x00\x02\x00a\xd8\x00",  # half of a pair
        b"\xff\x00\x01\x00a",  # a kick, no status
        b"\xff\x00\x05" + "a§b§c".encode("utf-16-be"),
        b"\xff\x00\x03" + "§1\0".encode("utf-16-be"),
        b"\xff\x00\x0c" + "§1\x00127\0v\0m\x001".encode("utf-16-be"),
    ],
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        decode_reply(data)


@pytest.mark.parametrize(
    "arguments",
    [
        (LegacyKind.LOGIN,),
        (LegacyKind.V1_6, "h" * 256),
        (LegacyKind.V1_6, "h", 65536),
        (LegacyKind.V1_6, "h", 1, 256),
    ],
)
def test_a_ping_that_cannot_be_is_the_callers_mistake(arguments):
    with pytest.raises(LocalProtocolError):
        encode_ping(*arguments)


@pytest.mark.parametrize("kind", [LegacyKind.BETA, LegacyKind.V1_4])
def test_a_number_that_no_client_can_read_is_the_callers_mistake(kind):
    with pytest.raises(LocalProtocolError):
        encode_reply(kind, "x", online=2**31, max_players=0, version_name="v")


def test_an_answer_to_no_ping_is_the_callers_mistake():
    with pytest.raises(LocalProtocolError):
        encode_reply(LegacyKind.LOGIN, "x", online=0, max_players=0, version_name="v")
