"""Login Start, offline UUIDs, and disconnects in every state."""

import json
from uuid import UUID

import pytest

from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft import versions
from mcproxy.minecraft.login import LoginStart, decode_disconnect, disconnect, offline_uuid
from mcproxy.minecraft.packets import State

NOTCH = UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")


def test_an_offline_uuid_is_what_servers_make_of_the_name():
    assert offline_uuid("Notch") == UUID("b50ad385-829d-3141-a216-7e7d7539ba7f")
    assert offline_uuid("notch") != offline_uuid("Notch")


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (47, "00 05 4e6f746368"),
        (758, "00 05 4e6f746368"),
        (759, "00 05 4e6f746368 00"),
        (760, "00 05 4e6f746368 00 01 069a79f444e94726a5befca90e38aaf5"),
        (761, "00 05 4e6f746368 01 069a79f444e94726a5befca90e38aaf5"),
        (763, "00 05 4e6f746368 01 069a79f444e94726a5befca90e38aaf5"),
        (764, "00 05 4e6f746368 069a79f444e94726a5befca90e38aaf5"),
        (777, "00 05 4e6f746368 069a79f444e94726a5befca90e38aaf5"),
        (778, "00 05 4e6f746368 069a79f444e94726a5befca90e38aaf5"),
    ],
)
def test_a_login_start_has_the_fields_of_its_version(protocol, expected):
    body = LoginStart("Notch", NOTCH).encode(protocol)
    assert body == bytes.fromhex(expected)
    assert LoginStart.decode(body, protocol).name == "Notch"
    assert LoginStart.decode(body, protocol).uuid == (NOTCH if protocol >= 760 else None)


@pytest.mark.parametrize(("protocol", "tail"), [(760, "00 00"), (761, "00")])
def test_a_uuid_that_may_be_left_out_is(protocol, tail):
    assert LoginStart("Notch").encode(protocol) == bytes.fromhex("00 05 4e6f746368" + tail)


def test_a_uuid_that_may_not_be_left_out_is_the_offline_one():
    body = LoginStart("Notch").encode(767)
    assert LoginStart.decode(body, 767).uuid == offline_uuid("Notch")


@pytest.mark.parametrize("name", ["", "x" * 17, "\ud800"])
def test_a_name_that_cannot_be_is_the_callers_mistake(name):
    with pytest.raises(LocalProtocolError):
        LoginStart(name).encode(47)


@pytest.mark.parametrize("protocol", versions.KNOWN)
def test_a_login_disconnect_is_json_in_every_version(protocol):  # M-15
    body = disconnect(protocol, State.LOGIN, "§cNo")
    assert body[0] == 0
    assert json.loads(body[2:]) == {"text": "No", "color": "red"}
    assert decode_disconnect(protocol, State.LOGIN, body) == {"text": "No", "color": "red"}


@pytest.mark.parametrize("state", [State.CONFIGURATION, State.PLAY])
def test_later_disconnects_are_nbt_since_1_20_3(state):
    old = disconnect(764, state, "No")
    assert json.loads(old[2:]) == {"text": "No"}
    # A compound without a name, one string in it, the end.
    compound = b"\x0a" + b"\x08\x00\x04text\x00\x02No" + b"\x00"
    for protocol in (765, 766, 770, 775, 777, 778):
        assert disconnect(protocol, state, "No")[1:] == compound


@pytest.mark.parametrize("protocol", [763, 764, 765, 777])
def test_a_component_survives_a_disconnect(protocol):
    reason = {"text": "a", "extra": [{"text": "b", "bold": True}, {"text": "é\N{PIG FACE}\0"}]}
    body = disconnect(protocol, State.PLAY, reason)
    assert decode_disconnect(protocol, State.PLAY, body) == {
        "text": "a",
        "extra": [{"text": "b", "bold": True}, {"text": "é\N{PIG FACE}\0"}],
    }


def test_parts_of_a_text_are_of_one_type_in_nbt():
    # Lists of NBT had one type until 1.21.5.
    body = disconnect(765, State.PLAY, {"text": "", "extra": ["a", {"text": "b"}, 5, ["c", "d"]]})
    assert decode_disconnect(765, State.PLAY, body) == {
        "text": "",
        "extra": [
            {"text": "a"},
            {"text": "b"},
            {"text": "5"},
            {"text": "c", "extra": [{"text": "d"}]},
        ],
    }


def test_a_list_is_its_first_part_with_the_others_inside():
    body = disconnect(765, State.PLAY, [{"text": "a", "extra": ["b"]}, "c"])
    assert decode_disconnect(765, State.PLAY, body) == {
        "text": "a",
        "extra": [{"text": "b"}, {"text": "c"}],
    }


def test_an_odd_extra_is_replaced_by_the_parts_that_follow():
    body = disconnect(765, State.PLAY, [{"text": "a", "extra": 5}, "b"])
    assert decode_disconnect(765, State.PLAY, body) == {"text": "a", "extra": [{"text": "b"}]}


def test_a_disconnect_before_login_is_the_callers_mistake():
    with pytest.raises(LocalProtocolError):
        disconnect(777, State.STATUS, "No")


def test_a_text_that_is_too_long_is_the_callers_mistake():
    with pytest.raises(LocalProtocolError):
        disconnect(47, State.LOGIN, "x" * 40_000)
    with pytest.raises(LocalProtocolError):
        disconnect(777, State.PLAY, {"text": "x" * 70_000})


@pytest.mark.parametrize(
    ("protocol", "state", "body"),
    [
        (47, State.LOGIN, b""),
        (47, State.LOGIN, b"\x01\x02{}"),
        (47, State.LOGIN, b"\x00\x02{"),
        (47, State.LOGIN, b"\x00\x02{}x"),
        (47, State.LOGIN, b"\x00\x02{]"),
        (777, State.PLAY, b"\x20"),
        (777, State.PLAY, b"\x20\x0a\x08"),
        (777, State.PLAY, b"\x20\x08\x00\x01xx"),
    ],
)
def test_what_is_no_disconnect_is_the_peers_mistake(protocol, state, body):
    with pytest.raises(RemoteProtocolError):
        decode_disconnect(protocol, state, body)
