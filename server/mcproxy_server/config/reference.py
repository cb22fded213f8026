"""The schema in words: the file that `init` writes and the configuration reference of the docs.

Run as a program (``python -m mcproxy_server.config.reference``) it prints the reference in
Markdown.
"""

from __future__ import annotations

import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from mcproxy_server.config.schema import AddressTable, Root, ServerTable, Table
from mcproxy_server.config.values import (
    Address,
    Bind,
    Domain,
    Duration,
    FilePath,
    Listen,
    Network,
    Word,
)

__all__ = ["Key", "commented_file", "keys", "markdown"]

_HEAD = """\
# The configuration of mcproxy-server.
#
# A line such as "#workers = 0" shows a default or an example: remove the "#" to use it.
# "mcproxy-server check" says what is wrong with this file, and a running proxy reads it
# again whenever it changes. Paths are relative to the folder of this file.
"""

_INTRODUCTION = """\
    `mcproxy-server init` writes a file with every key and its description; `mcproxy-server
    check` says what is wrong with one, with the line and the nearest known key.

    A **duration** is a number of seconds (`5`, `0.25`) or text with a unit (`"250ms"`, `"5s"`,
    `"2m"`, `"1h"`). **Paths** are relative to the folder of the file that names them. A
    **local address** is an IP address with a port; a **backend address** is a name or an IP
    address, with a port or without. Every key has an effect, and an unknown key is an error.
    """

_FIRST_SERVER = {
    "name": '"lobby"',
    "domains": '["lobby.example.com"]',
    "addresses": '["127.0.0.1:25566"]',
}

_KINDS: tuple[tuple[type, str], ...] = (
    (Duration, "duration"),
    (Bind, "local address"),
    (Listen, "local address"),
    (Address, "backend address"),
    (Network, "address or network"),
    (Domain, "host name"),
    (FilePath, "path"),
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (str, "text"),
    (dict, "table"),
)


@dataclass(frozen=True, slots=True)
class Key:
    """What there is to know about one key."""

    name: str
    kind: str
    """The type of its value, in words."""
    default: str | None
    """In TOML; ``None`` where leaving it out means that it is not set."""
    required: bool
    description: str
    example: str | None
    table: type[Table] | None
    """The table that is its value, if it is one."""
    array: bool
    """Whether it is an array of such tables."""


def keys(table: type[Table]) -> Iterator[Key]:
    """The keys of ``table``, in the order of the schema."""
    for field in msgspec.structs.fields(table):
        kind, meta = get_args(field.type)[:2]
        nested = [choice for choice in _choices(kind) if _is_table(choice)]
        array = get_origin(kind) is tuple and _is_table(get_args(kind)[0])
        inner = get_args(kind)[0] if array else (nested[0] if nested else None)
        yield Key(
            name=field.name,
            kind=_words(kind),
            default=None if field.required else _toml(field.default),
            required=field.required,
            description=meta.description or "",
            example=meta.examples[0] if meta.examples else None,
            table=inner,
            array=array,
        )


def commented_file() -> str:
    """The file that `mcproxy-server init` writes: every key, with its description."""
    explained: dict[type[Table], str] = {}
    blocks = [_HEAD, *_assignments(Root, {"bind": '["0.0.0.0:25565"]'})]
    for header, key, table in _tables(Root, ""):
        if not key.array:
            blocks += _commented_table(header, key, table, explained)
    blocks.append(_header("[[server]]", "The servers: one [[server]] for each."))
    blocks += _assignments(ServerTable, _FIRST_SERVER)
    for header, key, table in _tables(ServerTable, "server."):
        blocks += _commented_table(header, key, table, explained)
    return "\n".join(blocks)


def markdown() -> str:
    """The configuration reference of the docs."""
    explained: dict[type[Table], str] = {}
    parts = ["# Configuration reference\n", textwrap.dedent(_INTRODUCTION)]
    parts.append("## The top of the file\n")
    parts.append(_markdown_table(Root))
    for header, key, table in (*_tables(Root, ""), *_tables(ServerTable, "server.")):
        bracketed = f"[[{header}]]" if key.array else f"[{header}]"
        parts.append(f"## `{bracketed}`\n\n{key.description}\n")
        first = explained.setdefault(table, bracketed)
        same = f"Its keys are those of `{first}`.\n"
        parts.append(_markdown_table(table) if first == bracketed else same)
    parts.append("## Not available yet\n")
    parts.append("These keys and values are refused by name until they work.\n")
    parts.append(
        _later(Root, "")
        + _later(ServerTable, "server.")
        + _later(AddressTable, "server.addresses[].")
        + _later_words()
    )
    return "\n".join(parts)


def _tables(table: type[Table], prefix: str) -> Iterator[tuple[str, Key, type[Table]]]:
    """The tables that hold keys below ``table``, with the names of their headers."""
    for key in keys(table):
        if key.table is None:
            continue
        name = f"{prefix}{key.name}"
        if any(inner.table is None for inner in keys(key.table)):
            yield name, key, key.table
        if not key.array:
            yield from _tables(key.table, f"{name}.")


def _commented_table(
    header: str, key: Key, table: type[Table], explained: dict[type[Table], str]
) -> Iterator[str]:
    """A table with its keys; keys that an earlier table explained are only named."""
    first = explained.setdefault(table, header)
    if first == header:
        yield _header(f"[{header}]", key.description)
        yield from _assignments(table, {})
    else:
        names = ", ".join(inner.name for inner in keys(table))
        yield _header(f"[{header}]", f"{key.description} Keys as in [{first}]: {names}.")


def _header(header: str, description: str) -> str:
    return f"\n{_comment(description)}{header}\n"


def _assignments(table: type[Table], active: dict[str, str]) -> Iterator[str]:
    for key in keys(table):
        if key.table is not None:
            continue
        value = active.get(key.name) or key.default or key.example
        sign = "" if key.name in active else "#"
        yield f"{_comment(key.description)}{sign}{key.name} = {value}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text.replace("`", ""), 86))


def _markdown_table(table: type[Table]) -> str:
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for key in keys(table):
        if key.table is not None:
            continue
        default = "required" if key.required else f"`{key.default}`" if key.default else "–"
        example = f" Example: `{key.name} = {key.example}`" if key.example else ""
        cells = (f"`{key.name}`", key.kind, default, f"{key.description}{example}")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _later(table: type[Table], prefix: str) -> str:
    return "".join(f"- `{prefix}{name}`: {what}\n" for name, what in sorted(table.later.items()))


def _later_words() -> str:
    lines = []
    for field in msgspec.structs.fields(ServerTable):
        kind = get_args(field.type)[0]
        if isinstance(kind, type) and issubclass(kind, Word):
            lines += [
                f'- `server.{field.name} = "{word}"`: {what}\n' for word, what in kind.later.items()
            ]
    return "".join(lines)


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _words(kind: Any) -> str:
    """The type of a value in words."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple:
        return f"[{_words(get_args(kind)[0])}, …]"
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{word}"`' for word in get_args(kind))
    choices = [choice for choice in _choices(kind) if choice is not type(None)]
    if len(choices) > 1:
        return " or ".join(_words(choice) for choice in choices)
    kind = get_origin(choices[0]) or choices[0]
    if kind is Annotated or get_origin(choices[0]) is tuple:
        return _words(choices[0])
    if issubclass(kind, Word):
        return ", ".join(f"`{choice}`" for choice in kind.choices())
    return next((words for known, words in _KINDS if issubclass(kind, known)), "table")


def _toml(value: Any) -> str | None:
    """A default in TOML; ``None`` where there is nothing to show."""
    match value:
        case Duration() if value and value % 3600 == 0:
            return f'"{value / 3600:g}h"'
        case Duration():
            return f'"{value:g}s"'
        case Word() if not value:
            return "false"
        case str():
            return f'"{value}"'
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case tuple() if value:
            return "[" + ", ".join(str(_toml(each)) for each in value) + "]"
    return None


if __name__ == "__main__":
    print(markdown())
