"""Whatever a configuration says, it is read or refused with its mistakes: nothing else happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcproxy_server.config import Configuration, ConfigurationProblems, load
from mcproxy_server.config.schema import Root, ServerTable

NAMES = [field.name for table in (Root, ServerTable) for field in msgspec.structs.fields(table)] + [
    "ttl",
    "level",
    "online",
    "offline",
    "text",
    "favicon",
    "weight",
    "pool",
    "x",
]
TEXTS = ["lobby", "a.example.com", "10.0.0.1:25565", "::1", "*", "data:image/png;base64,", "", "§"]

scalars = st.one_of(
    st.sampled_from(TEXTS),
    st.text("ab:.*/[]§\x00 ", max_size=6),
    st.integers(-(2**40), 2**40),
    st.booleans(),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=10,
)


def written(value: Any) -> str:
    """``value`` in TOML; JSON's strings are basic strings of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(each) for each in value) + "]"
    return json.dumps(value)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration") / "mcproxy.toml"


def read(file: Path, text: str) -> Configuration | None:
    file.write_text(text, encoding="utf-8")
    try:
        return load(file)
    except ConfigurationProblems as error:
        mistakes = error.problems
    assert mistakes
    assert all(str(mistake).startswith(str(file)) for mistake in mistakes)
    return None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
def test_any_values_under_any_keys(file: Path, document: dict[str, Any]) -> None:
    read(file, "\n".join(f"{key} = {written(value)}" for key, value in document.items()))


@given(st.text("ab=[]{}\"'\n,.# 1", max_size=30))
def test_any_text(file: Path, text: str) -> None:
    read(file, text)


@given(
    st.lists(st.sampled_from(["a.org", "A.org.", "*.a.org", "b.org", "*"]), max_size=3),
    st.lists(st.sampled_from(["a.org", "*.A.org", "c.org", "*"]), max_size=3),
)
def test_domains_are_accepted_exactly_when_none_is_claimed_twice(
    file: Path, first: list[str], second: list[str]
) -> None:
    claims = [name.lower().rstrip(".") for name in first + second]
    text = "".join(
        f'[[server]]\nname = "{name}"\naddresses = ["x"]\ndomains = {json.dumps(domains)}\n'
        for name, domains in (("one", first), ("two", second))
    )
    assert (read(file, text) is not None) == (len(set(claims)) == len(claims))
