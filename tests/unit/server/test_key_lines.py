"""The lines of keys in a TOML document are found, however it is written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcproxy_server.config.locate import key_lines

DOCUMENT = """\
# a comment with [brackets] and a = sign
bind = [ # not ] the end
  "a]", 'b"',
  # nor this ]
  {x = 1, "y.z" = [2]},
]
"quoted key" . inner = 1
text = \"\"\"
[not.a.table]
a = \\"\"\" still text \"\"\"\"
raw = '''
b = 1'''''
[a.b]
c = 2026-01-01T00:00:00Z

[[list]]
name = "one"
[list.sub]
k = 1
[[list.nested]]
deep = {}
[[list.nested]]
[[list]]

name = "two"
"""

EXPECTED = {
    ("bind",): 2,
    ("bind", 0): 3,
    ("bind", 1): 3,
    ("bind", 2): 5,
    ("bind", 2, "x"): 5,
    ("bind", 2, "y.z"): 5,
    ("bind", 2, "y.z", 0): 5,
    ("quoted key",): 7,
    ("quoted key", "inner"): 7,
    ("text",): 8,
    ("raw",): 11,
    ("a", "b"): 13,
    ("a", "b", "c"): 14,
    ("list",): 16,
    ("list", 0): 16,
    ("list", 0, "name"): 17,
    ("list", 0, "sub"): 18,
    ("list", 0, "sub", "k"): 19,
    ("list", 0, "nested"): 20,
    ("list", 0, "nested", 0): 20,
    ("list", 0, "nested", 0, "deep"): 21,
    ("list", 0, "nested", 1): 22,
    ("list", 1): 23,
    ("list", 1, "name"): 25,
}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    found = {path} - {()}
    for key, member in members:
        found |= paths(member, (*path, key))
    return found


def test_each_key_has_the_line_on_which_it_stands() -> None:
    assert key_lines(DOCUMENT) == EXPECTED


def test_windows_line_ends_count_as_lines() -> None:
    assert key_lines("a = 1\r\n[b]\r\nc = 'x'\r\n") == {("a",): 1, ("b",): 2, ("b", "c"): 3}


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n", "a=1", "[t]", "a = {}", "a = []"])
def test_small_documents(text: str) -> None:
    assert set(key_lines(text)) == paths(tomllib.loads(text))


_scalars = st.one_of(
    st.text("ab\"'[]{}=,.#\\ \né", max_size=8),
    st.integers(-(2**40), 2**40),
    st.booleans(),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab.\"' ", max_size=3), inner),
    max_leaves=12,
)


def written(value: Any) -> str:
    """``value`` in TOML; JSON's strings are basic strings of TOML."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {written(each)}" for key, each in value.items())
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",\n ".join(written(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(st.text("abc\"'.=[]#", max_size=4), _values, max_size=5))
def test_every_key_that_the_parser_sees_has_a_line(document: dict[str, Any]) -> None:
    text = "\n".join(f"{json.dumps(key)} = {written(value)}" for key, value in document.items())
    assert set(key_lines(text)) == paths(tomllib.loads(text))
