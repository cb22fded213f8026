"""Text components, formatting codes and plain text."""

import json

import pytest

from mcproxy.errors import LocalProtocolError, RemoteProtocolError
from mcproxy.minecraft import text
from mcproxy.minecraft.text import Style, flatten, from_legacy, to_legacy, to_plain

# Minecraft Wiki, "Formatting codes".
COLOUR_TABLE = {
    "0": ("black", 0x000000), "1": ("dark_blue", 0x0000AA), "2": ("dark_green", 0x00AA00),
    "3": ("dark_aqua", 0x00AAAA), "4": ("dark_red", 0xAA0000), "5": ("dark_purple", 0xAA00AA),
    "6": ("gold", 0xFFAA00), "7": ("gray", 0xAAAAAA), "8": ("dark_gray", 0x555555),
    "9": ("blue", 0x5555FF), "a": ("green", 0x55FF55), "b": ("aqua", 0x55FFFF),
    "c": ("red", 0xFF5555), "d": ("light_purple", 0xFF55FF), "e": ("yellow", 0xFFFF55),
    "f": ("white", 0xFFFFFF),
}  # fmt: skip
FORMAT_TABLE = {
    "k": "obfuscated", "l": "bold", "m": "strikethrough", "n": "underlined", "o": "italic",
}  # fmt: skip


@pytest.mark.parametrize(("code", "colour"), COLOUR_TABLE.items())
def test_a_colour_code_is_the_colour_of_the_wiki(code, colour):
    name, rgb = colour
    assert from_legacy(f"§{code}x") == {"text": "x", "color": name}
    assert from_legacy(f"§{code.upper()}x") == {"text": "x", "color": name}
    assert to_legacy({"text": "x", "color": name}) == f"§{code}x"
    assert text.COLOURS[name] == (code, rgb)


@pytest.mark.parametrize(("code", "key"), FORMAT_TABLE.items())
def test_a_format_code_is_the_format_of_the_wiki(code, key):
    assert from_legacy(f"§{code}x") == {"text": "x", key: True}
    assert to_legacy({"text": "x", key: True}) == f"§{code}x"


def test_text_without_codes_stays_a_plain_component():
    assert from_legacy("hello") == {"text": "hello"}
    assert from_legacy("") == {"text": ""}


def test_a_colour_ends_the_formats_before_it():
    assert flatten("§l§aA§lB§cC") == [
        ("A", Style("green")),
        ("B", Style("green", bold=True)),
        ("C", Style("red")),
    ]


def test_reset_ends_everything():
    assert from_legacy("§a§lA§rB") == {
        "text": "",
        "extra": [{"text": "A", "color": "green", "bold": True}, {"text": "B"}],
    }
    assert to_legacy([{"text": "A", "color": "green"}]) == "§aA"
    assert to_legacy(["", {"text": "A", "color": "green"}, "B"]) == "§aA§rB"


def test_hex_colours_are_written_and_read_as_bukkit_does():
    component = {"text": "x", "color": "#12abef"}
    assert to_legacy(component) == "§x§1§2§a§b§e§fx"
    assert from_legacy("§x§1§2§A§b§e§fx") == component
    assert from_legacy("§X§1§2§A§b§e§fx") == component


def test_a_hex_colour_can_become_the_nearest_name():
    assert to_legacy({"text": "x", "color": "#fffffe"}, hex_colours=False) == "§fx"
    assert to_legacy({"text": "x", "color": "#010000"}, hex_colours=False) == "§0x"
    assert to_legacy({"text": "x", "color": "#ff5050"}, hex_colours=False) == "§cx"


def test_an_unfinished_hex_colour_is_an_unknown_code():
    assert flatten("§x§1§2x") == [("x", Style("dark_green"))]


@pytest.mark.parametrize("value", ["§zx", "x§", "§§x", "§ x"])
def test_unknown_codes_vanish(value):
    assert to_plain(value) == "x"


def test_children_inherit_and_override():
    component = {
        "text": "A",
        "color": "gold",
        "bold": True,
        "extra": [{"text": "B", "bold": False, "extra": ["C"]}, {"text": "D", "color": "red"}],
    }
    assert flatten(component) == [
        ("A", Style("gold", bold=True)),
        ("BC", Style("gold")),
        ("D", Style("red", bold=True)),
    ]
    assert to_legacy(component) == "§6§lA§6BC§c§lD"


def test_the_first_of_a_list_is_the_parent_of_the_others():
    assert flatten([{"text": "A", "color": "red"}, "B", {"text": "C", "color": "blue"}]) == [
        ("AB", Style("red")),
        ("C", Style("blue")),
    ]


def test_codes_inside_a_component_count_on_top_of_its_style():
    assert flatten({"text": "A§cB§rC", "color": "gold"}) == [
        ("A", Style("gold")),
        ("B", Style("red")),
        ("C", Style("gold")),
    ]


def test_a_colour_can_be_taken_back():
    assert flatten({"text": "A", "color": "red", "extra": [{"text": "B", "color": "reset"}]}) == [
        ("A", Style("red")),
        ("B", Style()),
    ]


@pytest.mark.parametrize("colour", ["pink", "#12345", "#gggggg", 5, None, ["red"]])
def test_a_colour_that_is_none_is_left_out(colour):
    assert flatten({"text": "x", "color": colour}) == [("x", Style())]


@pytest.mark.parametrize("value", [True, 1, "true"])
def test_a_format_is_also_a_byte_or_a_string(value):
    assert flatten({"text": "x", "bold": value}) == [("x", Style(bold=True))]


@pytest.mark.parametrize("value", [False, 0, "false", None, []])
def test_a_format_can_be_off(value):
    assert flatten({"text": "x", "bold": value}) == [("x", Style())]


def test_a_translation_without_language_is_its_key():
    assert to_plain({"translate": "multiplayer.disconnect.generic"}) == (
        "multiplayer.disconnect.generic"
    )


def test_a_fallback_is_preferred_to_the_key():
    assert to_plain({"translate": "my.key", "fallback": "Hi %s", "with": ["Bob"]}) == "Hi Bob"


def test_arguments_are_put_in_by_order_and_by_number():
    component = {
        "translate": "%s and %s, %2$s then %1$s, 100%% %d",
        "with": ["A", {"text": "B", "color": "red"}, 3],
        "color": "gray",
    }
    assert to_plain(component) == "A and B, B then A, 100% 3"
    assert ("B", Style("red")) in flatten(component)


def test_a_missing_argument_shows_its_place():
    assert to_plain({"translate": "%s %s %5$s", "with": ["A"]}) == "A %s %5$s"


def test_other_contents_show_what_is_known_of_them():
    assert to_plain({"keybind": "key.jump"}) == "key.jump"
    assert to_plain({"selector": "@p"}) == "@p"
    assert to_plain({"score": {"name": "Bob", "objective": "deaths", "value": "7"}}) == "7"
    assert to_plain({"score": {"name": "Bob", "objective": "deaths"}}) == ""


def test_numbers_and_booleans_are_text():
    assert to_plain(["", 5, True, False, 1.5, None]) == "5truefalse1.5"
    assert to_plain({"text": 5}) == "5"


@pytest.mark.parametrize("value", [{"extra": 5}, {"extra": {"text": "x"}}, {}, [], None, object])
def test_odd_components_do_not_fail(value):
    assert isinstance(to_plain(value), str)


def test_deep_nesting_is_cut_off():
    component = {"text": "end"}
    for _ in range(5000):
        component = {"text": "x", "extra": [component]}
    assert to_plain(component) == "x" * (text.MAX_DEPTH + 1)


def test_a_translation_cannot_blow_up():
    component = {"text": "lol" * 10}
    for _ in range(40):
        component = {"translate": "%1$s" * 10, "with": [component]}
    assert len(to_plain(component)) <= text.MAX_LENGTH


def test_empty_parts_cannot_take_forever():
    component = {"text": ""}
    for _ in range(40):
        component = {"translate": "%1$s" * 10, "with": [component]}
    assert to_plain(component) == ""


def test_json_is_compact_and_keeps_letters():
    assert text.to_json({"text": "§aé\N{PIG FACE}"}) == '{"text":"§aé\N{PIG FACE}"}'


def test_half_a_surrogate_pair_becomes_the_replacement_character():
    found = text.from_json('{"text":"a\\ud83d"}')
    assert json.loads(text.to_json(found).encode()) == {"text": "a\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("data", ["", "{", '{"a":NaN}', b"\xff\xfe\xfd", "[" * 100_000, "1" * 9999])
def test_what_is_no_json_is_the_peers_mistake(data):
    with pytest.raises(RemoteProtocolError):
        text.from_json(data)


def test_what_json_cannot_say_is_the_callers_mistake():
    with pytest.raises(LocalProtocolError):
        text.to_json({"text": float("nan")})
    with pytest.raises(LocalProtocolError):
        text.to_json({"text": b"bytes"})
