"""Text components: to and from ``§`` codes, to plain text, JSON and NBT.

A component is what Minecraft shows as styled text: a string, a dictionary with ``text`` (or
``translate``, ``keybind`` ...), style keys and ``extra``, or a list of components of which the
first is the parent of the others. Children inherit style. The format is described on the
Minecraft Wiki under "Text component format", the codes under "Formatting codes".

Components come from strangers: nothing here recurses or grows without bound. What lies deeper
than :data:`MAX_DEPTH` or behind :data:`MAX_LENGTH` characters is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from mcproxy._speedups.wire.nbt import decode_nbt, encode_nbt
from mcproxy.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "COLOURS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "Component",
    "Style",
    "component",
    "flatten",
    "from_json",
    "from_legacy",
    "from_nbt",
    "to_json",
    "to_legacy",
    "to_nbt",
    "to_plain",
    "well_formed",
]

Component: TypeAlias = str | dict[str, Any] | list[Any]

MAX_DEPTH = 64
"""Levels of nesting that are looked at."""
MAX_LENGTH = 65536
"""Characters of text that are looked at, in all parts together."""
_MAX_NODES = 16384

COLOURS: dict[str, tuple[str, int]] = {
    "black": ("0", 0x000000),
    "dark_blue": ("1", 0x0000AA),
    "dark_green": ("2", 0x00AA00),
    "dark_aqua": ("3", 0x00AAAA),
    "dark_red": ("4", 0xAA0000),
    "dark_purple": ("5", 0xAA00AA),
    "gold": ("6", 0xFFAA00),
    "gray": ("7", 0xAAAAAA),
    "dark_gray": ("8", 0x555555),
    "blue": ("9", 0x5555FF),
    "green": ("a", 0x55FF55),
    "aqua": ("b", 0x55FFFF),
    "red": ("c", 0xFF5555),
    "light_purple": ("d", 0xFF55FF),
    "yellow": ("e", 0xFFFF55),
    "white": ("f", 0xFFFFFF),
}
"""Name to (formatting code, RGB)."""

_FORMATS = {
    "obfuscated": "k",
    "bold": "l",
    "strikethrough": "m",
    "underlined": "n",
    "italic": "o",
}
_COLOUR_OF_CODE = {code: name for name, (code, _) in COLOURS.items()}
_FORMAT_OF_CODE = {code: name for name, code in _FORMATS.items()}
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_CODE = re.compile(r"§(?:[xX]((?:§[0-9a-fA-F]){6})|(.?))", re.DOTALL)
_PLACEHOLDER = re.compile(r"%(?:(\d{1,4})\$)?([sd%])")


class Style(NamedTuple):
    """How a run of text looks; ``color`` is a name of :data:`COLOURS`, ``#rrggbb`` or None."""

    color: str | None = None
    obfuscated: bool = False
    bold: bool = False
    strikethrough: bool = False
    underlined: bool = False
    italic: bool = False


_PLAIN = Style()


def _flag(value: object) -> bool:
    # NBT has bytes for booleans; hand-written JSON sometimes has strings.
    return value is True or value == 1 or value == "true"


def _colour(value: object, inherited: str | None) -> str | None:
    if not isinstance(value, str):
        return inherited
    if value in COLOURS:
        return value
    if _HEX.fullmatch(value):
        return value.lower()
    return None if value == "reset" else inherited


def _styled(part: Mapping[str, Any], style: Style) -> Style:
    changes: dict[str, Any] = {key: _flag(part[key]) for key in _FORMATS if key in part}
    if "color" in part:
        changes["color"] = _colour(part["color"], style.color)
    return style._replace(**changes) if changes else style


def _split_codes(text: str, base: Style) -> Iterator[tuple[str, Style]]:
    """Cut at ``§`` codes: a colour ends formats, ``§r`` goes back to ``base``, an unknown code
    vanishes, as the game has it."""
    style = base
    at = 0
    for match in _CODE.finditer(text):
        if match.start() > at:
            yield text[at : match.start()], style
        at = match.end()
        code = (match[2] or "").lower()
        if match[1]:
            style = Style("#" + match[1].replace("§", "").lower())
        elif code in _COLOUR_OF_CODE:
            style = Style(_COLOUR_OF_CODE[code])
        elif code in _FORMAT_OF_CODE:
            style = _styled({_FORMAT_OF_CODE[code]: True}, style)
        elif code == "r":
            style = base
    if at < len(text):
        yield text[at:], style


class _Flattener:
    """Walks a component and collects its runs, within the bounds."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, Style]] = []
        self.room = MAX_LENGTH
        self.nodes = _MAX_NODES

    def literal(self, text: str, style: Style) -> None:
        for piece, piece_style in _split_codes(text[: self.room], style):
            self.room -= len(piece)
            if self.runs and self.runs[-1][1] == piece_style:
                self.runs[-1] = (self.runs[-1][0] + piece, piece_style)
            else:
                self.runs.append((piece, piece_style))

    def visit(self, part: object, style: Style, depth: int) -> Style:
        """Returns the style that the children of ``part`` inherit."""
        self.nodes -= 1
        if depth > MAX_DEPTH or self.nodes < 0 or self.room <= 0:
            return style
        if isinstance(part, Mapping):
            style = _styled(part, style)
            self.content(part, style, depth)
            self.children(part.get("extra"), style, depth)
        elif isinstance(part, list | tuple):
            if part:
                style = self.visit(part[0], style, depth + 1)
                self.children(part[1:], style, depth)
        elif isinstance(part, bool):
            self.literal("true" if part else "false", style)
        elif part is not None:
            self.literal(str(part), style)
        return style

    def children(self, parts: object, style: Style, depth: int) -> None:
        if isinstance(parts, list | tuple):
            for part in parts:
                if self.nodes < 0 or self.room <= 0:
                    break
                self.visit(part, style, depth + 1)

    def content(self, part: Mapping[str, Any], style: Style, depth: int) -> None:
        if "translate" in part and "text" not in part:
            self.translation(part, style, depth)
            return
        score = part.get("score")
        value = score.get("value") if isinstance(score, Mapping) else None
        # A list wraps elements that are not compounds as {"": element} in NBT.
        for found in (part.get("text"), part.get(""), part.get("keybind"), value,
                      part.get("selector")):  # fmt: skip
            if isinstance(found, str | int | float):
                self.visit(found, style, depth)
                return

    def translation(self, part: Mapping[str, Any], style: Style, depth: int) -> None:
        template = part.get("fallback")
        if not isinstance(template, str):
            template = str(part["translate"])
        arguments = part.get("with")
        if not isinstance(arguments, list | tuple):
            arguments = ()
        at = following = 0
        for match in _PLACEHOLDER.finditer(template):
            self.literal(template[at : match.start()], style)
            at = match.end()
            if match[2] == "%":
                self.literal("%", style)
                continue
            index = int(match[1]) - 1 if match[1] else following
            following += not match[1]
            if 0 <= index < len(arguments):
                self.visit(arguments[index], style, depth + 1)
            else:
                self.literal(match[0], style)
        self.literal(template[at:], style)


def flatten(value: object) -> list[tuple[str, Style]]:
    """The runs of text that a component shows, in order, each with its complete style.

    ``translate`` gives its ``fallback``, or else the key, with ``with`` filled in: no language
    file is known here. ``keybind`` gives the name of the key, ``selector`` the selector,
    ``score`` its value. ``§`` codes in texts count as the game counts them.
    """
    flattener = _Flattener()
    flattener.visit(value, _PLAIN, 0)
    return flattener.runs


def to_plain(value: object) -> str:
    """The text of a component without any style, ``§`` codes taken out."""
    return "".join(text for text, _ in flatten(value))


def _nearest_name(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour[1:])

    def distance(name: str) -> int:
        rgb = COLOURS[name][1]
        return (
            (red - (rgb >> 16)) ** 2 + (green - (rgb >> 8 & 0xFF)) ** 2 + (blue - (rgb & 0xFF)) ** 2
        )

    return min(COLOURS, key=distance)


def _colour_code(colour: str, hex_colours: bool) -> str:
    if colour.startswith("#"):
        if hex_colours:
            return "§x" + "".join("§" + digit for digit in colour[1:])
        colour = _nearest_name(colour)
    return "§" + COLOURS[colour][0]


def to_legacy(value: object, *, hex_colours: bool = True) -> str:
    """A component as text with ``§`` codes.

    With ``hex_colours`` an RGB colour becomes ``§x§r§r§g§g§b§b`` (as Bukkit and BungeeCord
    write it), otherwise the nearest of the sixteen names. Starts in the plain style.
    """
    written: list[str] = []
    now = _PLAIN
    for text, style in flatten(value):
        formats = [code for name, code in _FORMATS.items() if getattr(style, name)]
        held = [code for name, code in _FORMATS.items() if getattr(now, name)]
        if style.color != now.color or not set(held) <= set(formats):
            written.append(_colour_code(style.color, hex_colours) if style.color else "§r")
            held = []
        written.extend("§" + code for code in formats if code not in held)
        written.append(text)
        now = style
    return "".join(written)


def _run(text: str, style: Style) -> dict[str, Any]:
    part: dict[str, Any] = {"text": text}
    if style.color:
        part["color"] = style.color
    part.update({name: True for name in _FORMATS if getattr(style, name)})
    return part


def from_legacy(text: str) -> dict[str, Any]:
    """Text with ``§`` codes (``§x§r§r§g§g§b§b`` included) as a component."""
    runs = flatten(text)
    if len(runs) == 1:
        return _run(*runs[0])
    return {"text": "", "extra": [_run(*run) for run in runs]} if runs else {"text": ""}


def component(value: Component) -> Component:
    """What people write as a component: a string is read for ``§`` codes, others are kept."""
    return from_legacy(value) if isinstance(value, str) else value


def well_formed(text: str) -> str:
    """``text`` with surrogates that have no partner replaced, so that it can be encoded."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_json(value: Component | Mapping[str, Any]) -> str:
    """Compact JSON; LocalProtocolError if there is something in it that JSON cannot say."""
    try:
        return well_formed(
            json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(f"not a JSON value: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def from_json(text: str | bytes) -> Any:
    """JSON from a peer: any value; RemoteProtocolError if it is none or nested too deep."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON: {error}") from error


def _nbt_part(value: object, depth: int) -> dict[str, Any]:
    """One component as a compound: lists had to be of one type before 1.21.5."""
    if depth > MAX_DEPTH:
        raise LocalProtocolError("a text component is nested too deep")
    if isinstance(value, Mapping):
        return {str(key): _nbt_value(key, found, depth) for key, found in value.items()
                if found is not None}  # fmt: skip
    if isinstance(value, list | tuple):
        if not value:
            return {"text": ""}
        first, *others = (_nbt_part(part, depth + 1) for part in value)
        inner = first.get("extra")
        extra = [*inner, *others] if isinstance(inner, list) else others
        return {**first, "extra": extra} if extra else first
    if isinstance(value, bool):
        return {"text": "true" if value else "false"}
    return {"text": well_formed(str(value))}


def _nbt_value(key: object, value: object, depth: int) -> Any:
    if key in ("extra", "with") and isinstance(value, list | tuple):
        return [_nbt_part(part, depth + 1) for part in value]
    if depth > MAX_DEPTH:
        raise LocalProtocolError("a text component is nested too deep")
    if isinstance(value, Mapping):
        return {str(inner): _nbt_value(inner, found, depth + 1) for inner, found in value.items()
                if found is not None}  # fmt: skip
    if isinstance(value, list | tuple):
        return [_nbt_value(None, part, depth + 1) for part in value]
    return well_formed(value) if isinstance(value, str) else value


def to_nbt(value: Component | Mapping[str, Any]) -> bytes:
    """A component as network NBT (no name at the root), as text is sent since 1.20.3 (765).

    Raises LocalProtocolError if there is something in it that NBT cannot say.
    """
    plain = well_formed(value) if isinstance(value, str) else _nbt_part(value, 0)
    return encode_nbt(plain)


def from_nbt(data: bytes) -> Any:
    """A component from network NBT; RemoteProtocolError if the bytes are not exactly one tag."""
    return decode_nbt(data)
