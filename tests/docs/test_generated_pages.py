"""The pages that are made from the code say all that the code says."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from mcproxy._speedups.plane import states
from mcproxy._speedups.plane.reasons import COUNTERS, REFUSALS, Reason

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import generate

    return generate


@pytest.fixture
def diagram(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import state_diagram

    return state_diagram


def numbers_in(svg):
    labels = svg.iter("{http://www.w3.org/2000/svg}text")
    return {
        int(number)
        for label in labels
        if label.get("class") == "number"
        for number in label.text.split(", ")
    }


def test_the_picture_has_every_state(diagram):
    svg = ET.fromstring(diagram.states_svg())
    names = {
        label.text
        for label in svg.iter("{http://www.w3.org/2000/svg}text")
        if label.get("class") == "name"
    }
    assert names == set(states.STATES) - {diagram.END}


def test_the_picture_has_an_arrow_for_every_move_but_early_ends(diagram):
    svg = ET.fromstring(diagram.states_svg())
    expected = {
        number
        for number, (before, _, after) in enumerate(states.MOVES, 1)
        if after != diagram.END or before in diagram.ENDINGS
    }
    assert numbers_in(svg) == expected


def test_a_state_for_which_no_place_was_chosen_is_drawn_all_the_same(diagram, monkeypatch):
    monkeypatch.setattr(diagram, "STATES", (*states.STATES, "limbo"))
    monkeypatch.setattr(diagram, "MOVES", (*states.MOVES, ("relay", "lost", "limbo")))
    assert ">limbo</text>" in diagram.states_svg()
    assert len(states.MOVES) + 1 in numbers_in(ET.fromstring(diagram.states_svg()))


def test_the_table_has_every_move(diagram):
    rows = diagram.moves_table().splitlines()[2:]
    assert len(rows) == len(states.MOVES)
    for row, (_, event, _) in zip(rows, states.MOVES, strict=True):
        assert f"| {event} |" in row


def test_every_reason_and_counter_has_its_row(generate):
    ends, refusals = generate.ends(), generate.refusals()
    for reason in Reason:
        if reason:
            assert (f"`{reason.name.lower()}`" in refusals) == (reason in REFUSALS)
            assert (f"`{reason.name.lower()}`" in ends) == (reason not in REFUSALS)
    assert re.findall(r"^\| `(\w+)`", generate.counters(), re.M) == list(COUNTERS)


def test_every_limit_has_its_row(generate):
    code = (DOCS.parent / "mcproxy/_speedups/plane/limits.pxd").read_text()
    names = re.findall(r"^ +([A-Z_]+) =", code, re.M)
    assert re.findall(r"^\| `(\w+)`", generate.limits(), re.M) == names
