"""From the values of a file to the tables of the schema, with every mistake noted."""

from __future__ import annotations

import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from mcproxy_server.config.locate import KeyPath
from mcproxy_server.config.problems import nearest
from mcproxy_server.config.schema import ServerTable, Table
from mcproxy_server.config.source import Source
from mcproxy_server.config.values import Value, describe

__all__ = ["read_table"]

_T = TypeVar("_T", bound=Table)

# Keys that people look for in the wrong table, and where they are.
_ELSEWHERE: dict[KeyPath, str] = {
    ("receive_proxy_protocol",): "the networks that send a PROXY header: [proxy_protocol] trusted",
    ("health",): "health checks belong to a server: [server.health]",
    ("pool",): "connections in advance belong to a server: [server.pool]",
    ("rate_limit",): "limits of one address: [limits]",
    ("motd", "offline"): "this state belongs to a server: [server.motd.offline]",
    ("motd", "online"): "this state belongs to a server: [server.motd.online]",
    ("motd", "starting"): "this state belongs to a server: [server.motd.starting]",
}
# The same within a server, wherever it stands.
_ELSEWHERE_IN_SERVER = {
    "health_check": "health checks are set in [server.health]",
    "weight": "a weight belongs to an address: "
    'addresses = [{ address = "10.0.0.5:25565", weight = 2 }]',
}


class _Invalid(Exception):
    """A value that could not be read; its problem is noted already."""


def read_table(source: Source, path: KeyPath, raw: dict[str, Any], kind: type[_T]) -> _T | None:
    """The table at ``path`` of ``source``; ``None`` if a required key is missing or wrong.

    Keys that are wrong are noted as problems and keep their defaults, so that the checks that
    follow find what else there is to say.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key in raw:
        if key not in fields:
            source.problem((*path, key), _unknown(path, key, kind, list(fields)))
    values = {}
    complete = True
    for name, field in fields.items():
        if name in raw:
            try:
                values[name] = _read(source, (*path, name), raw[name], field.type)
                continue
            except _Invalid:
                pass
        elif field.required:
            source.problem((*path, name), f"this key is missing{_example(field.type)}")
        complete = complete and not field.required
    return kind(**values) if complete else None


def _unknown(path: KeyPath, key: str, kind: type[Table], known: list[str]) -> str:
    if key in kind.later:
        return f"not available yet: {kind.later[key]}; remove the key"
    if (elsewhere := _ELSEWHERE.get((*path, key))) is not None:
        return elsewhere
    if kind is ServerTable and key in _ELSEWHERE_IN_SERVER:
        return _ELSEWHERE_IN_SERVER[key]
    return f"unknown key{nearest(key, known) or '; known here: ' + ', '.join(sorted(known))}"


def _example(annotation: Any) -> str:
    for part in get_args(annotation)[1:]:
        if isinstance(part, msgspec.Meta) and part.examples:
            return f"; for example {part.examples[0]}"
    return ""


def _read(source: Source, path: KeyPath, raw: Any, annotation: Any) -> Any:
    """The value at ``path``; raises `_Invalid` once its problem is noted."""
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(kind) is tuple:
        return _read_array(source, path, raw, annotation, get_args(kind)[0])
    choices = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    for choice in choices:
        if get_origin(choice) is tuple:
            return _read_array(source, path, raw, annotation, get_args(choice)[0])
        if _is_a(choice, Table) and (isinstance(raw, dict) or len(choices) == 1):
            return _read_nested(source, path, raw, choice)
    for choice in choices:
        if _is_a(choice, Value):
            try:
                return choice.read(raw)
            except ValueError as error:
                source.problem(path, str(error))
                raise _Invalid from None
    try:
        return msgspec.convert(raw, annotation)
    except msgspec.ValidationError as error:
        source.problem(path, _plain(str(error), raw, kind))
        raise _Invalid from None


def _is_a(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _read_nested(source: Source, path: KeyPath, raw: Any, kind: type[Table]) -> Table:
    if not isinstance(raw, dict):
        source.problem(path, f"expected a table, not {describe(raw)}")
        raise _Invalid
    table = read_table(source, path, raw, kind)
    if table is None:
        raise _Invalid
    return table


def _read_array(
    source: Source, path: KeyPath, raw: Any, annotation: Any, item: Any
) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        hint = f'; write ["{raw}"]' if isinstance(raw, str) else _example(annotation)
        source.problem(path, f"expected an array, not {describe(raw)}{hint}")
        raise _Invalid
    if not raw and any(getattr(part, "min_length", None) for part in get_args(annotation)[1:]):
        source.problem(path, f"is empty{_example(annotation)}")
        raise _Invalid
    members = []
    for index, value in enumerate(raw):
        try:
            members.append(_read(source, (*path, index), value, item))
        except _Invalid:
            continue
    if raw and not members:
        raise _Invalid
    return tuple(members)


def _plain(message: str, raw: Any, kind: Any) -> str:
    """What msgspec says about a single value, in the words of a TOML file."""
    words = [word for word in get_args(kind) if isinstance(word, str)]
    if words:
        known = ", ".join(f'"{word}"' for word in words)
        near = nearest(raw, words) if isinstance(raw, str) else ""
        return f"expected one of {known}, not {_quoted(raw)}{near}"
    for python, toml in (
        ("`int | null`", "a whole number"),
        ("`int`", "a whole number"),
        ("`str | object | null`", "text, or a table with a text component"),
        ("`str | null`", "text"),
        ("`str`", "text"),
        ("`object`", "a table"),
    ):
        message = message.replace(python, toml)
    message = message.split(", got ")[0].split(" - at ")[0]
    return f"{message[0].lower()}{message[1:]}, not {_quoted(raw)}"


def _quoted(raw: Any) -> str:
    if isinstance(raw, str):
        return f'"{raw}"' if raw else "an empty text"
    return str(raw) if type(raw) in (int, float) else describe(raw)
