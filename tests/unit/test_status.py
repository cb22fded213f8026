"""Status answers: made, and read from odd servers."""

import json

import pytest

from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft.status import build_status, parse_status

# The example of the Minecraft Wiki, "Java Edition protocol/Server List Ping".
WIKI = """{
    "version": {"name": "1.21.5", "protocol": 770},
    "players": {
        "max": 100, "online": 5,
        "sample": [{"name": "thinkofdeath", "id": "4566e69f-c907-48ee-8d71-d7ba5aa00d20"}]
    },
    "description": {"text": "Hello, world!"},
    "favicon": "data:image/png;base64,<data>",
    "enforcesSecureChat": false
}"""


def test_the_example_of_the_wiki_is_read():
    status = parse_status(WIKI)
    assert (status.version_name, status.protocol) == ("1.21.5", 770)
    assert (status.online, status.max_players) == (5, 100)
    assert status.sample == (("thinkofdeath", "4566e69f-c907-48ee-8d71-d7ba5aa00d20"),)
    assert status.text == "Hello, world!"
    assert status.favicon == "data:image/png;base64,<data>"
    assert status.raw["enforcesSecureChat"] is False
    assert status.forge is None


def test_the_example_of_the_wiki_is_built():
    built = build_status(
        "1.21.5",
        770,
        description={"text": "Hello, world!"},
        online_players=5,
        max_players=100,
        sample=[("thinkofdeath", "4566e69f-c907-48ee-8d71-d7ba5aa00d20")],
        favicon="data:image/png;base64,<data>",
        enforcesSecureChat=False,
    )
    assert built == json.loads(WIKI)


def test_a_description_with_codes_becomes_a_component():
    assert build_status("v", 1, description="§aHi")["description"] == {
        "text": "Hi",
        "color": "green",
    }


def test_lines_of_a_sample_belong_to_nobody():
    built = build_status("v", 1, sample=["line"])
    assert built["players"]["sample"] == [
        {"name": "line", "id": "00000000-0000-0000-0000-000000000000"}
    ]


def test_nothing_is_sent_that_was_not_asked_for():
    assert set(build_status("v", 1)) == {"version", "players", "description"}
    assert "sample" not in build_status("v", 1)["players"]


def test_a_description_may_be_a_string():
    status = parse_status('{"description": "§cA §lServer"}')
    assert status.text == "A Server"


def test_what_is_missing_is_empty():
    status = parse_status("{}")
    assert (status.version_name, status.protocol, status.online) == ("", None, None)
    assert (status.max_players, status.sample, status.text) == (None, (), "")
    assert (status.favicon, status.forge) == (None, None)


@pytest.mark.parametrize("odd", ["null", "5", '"x"', "[]", "true", '{"name": 5, "max": "many"}'])
def test_a_field_of_the_wrong_type_is_empty(odd):
    keys = ("version", "players", "description", "favicon", "forgeData")
    status = parse_status("{" + ",".join(f'"{key}": {odd}' for key in keys) + "}")
    assert (status.version_name, status.protocol) == ("", None)
    assert (status.online, status.max_players, status.sample) == (None, None, ())
    assert status.favicon is None
    assert isinstance(status.text, str)


def test_numbers_with_a_point_are_numbers():
    assert parse_status('{"players": {"online": 3.0, "max": 2.5}}').online == 3
    assert parse_status('{"players": {"online": 3.0, "max": 2.5}}').max_players is None


@pytest.mark.parametrize("number", ["2147483648", "-2147483649", "1e400", "9" * 4000])
def test_a_number_that_no_client_can_read_is_none(number):
    assert parse_status(f'{{"players": {{"online": {number}}}}}').online is None


def test_odd_entries_of_a_sample_are_left_out():
    status = parse_status('{"players": {"sample": [null, {"name": "a"}, 5]}}')
    assert status.sample == (("a", ""),)


@pytest.mark.parametrize("key", ["forgeData", "modinfo"])
def test_what_forge_says_is_kept(key):
    status = parse_status(json.dumps({key: {"mods": [], "fmlNetworkVersion": 3}}))
    assert status.forge == {"mods": [], "fmlNetworkVersion": 3}
    assert status.raw[key] == status.forge


@pytest.mark.parametrize("data", ["[]", "null", "{", b"\xff", '"text"'])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        parse_status(data)


def test_a_status_is_shown_without_its_icon():
    assert repr(parse_status(WIKI)) == "Status('1.21.5', 'Hello, world!', 5/100)"
