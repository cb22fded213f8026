"""The table of a session's life: whole, without doubles, and fit to be drawn."""

from __future__ import annotations

from collections import Counter

from mcproxy._speedups.plane.reasons import COUNTERS, GAUGES, REASONS, REFUSALS, Reason
from mcproxy._speedups.plane.states import MOVES, STATES

# The one state that is no step of a session but the absence of one.
REST = "free"


def reachable(start: str) -> set[str]:
    found, new = set(), {start}
    while new:
        found |= new
        new = {after for before, _, after in MOVES if before in found} - found
    return found


def test_every_state_can_be_reached_and_left_for_the_end() -> None:
    assert reachable(REST) == set(STATES)
    for state in STATES:
        assert REST in reachable(state), f"no way ends {state}"


def test_moves_name_states_and_have_no_double() -> None:
    assert {state for before, _, after in MOVES for state in (before, after)} == set(STATES)
    assert Counter(STATES).most_common(1)[0][1] == 1
    double = [move for move, times in Counter(MOVES).items() if times > 1]
    assert not double
    same_event = [pair for pair, times in Counter((b, e) for b, e, _ in MOVES).items() if times > 1]
    assert not same_event, "one event leads to two states"


def test_each_row_says_what_happens() -> None:
    assert all(event.strip() == event and event for _, event, _ in MOVES)


def test_a_diagram_can_be_drawn_from_the_table() -> None:
    lines = ["digraph session {"]
    lines += [f'  "{before}" -> "{after}" [label="{event}"];' for before, event, after in MOVES]
    drawn = "\n".join([*lines, "}"])
    assert drawn.count("->") == len(MOVES)
    assert drawn.count('"') == 6 * len(MOVES), "a quotation mark in a name would break the drawing"


def test_reasons_are_numbered_named_and_explained() -> None:
    assert [int(reason) for reason in Reason] == list(range(len(Reason)))
    assert set(REASONS) == set(Reason)
    assert all(REASONS.values())
    assert len(set(REASONS.values())) == len(Reason)
    assert Reason.NONE not in REFUSALS
    # Refusals come first, so that one comparison tells them apart.
    assert list(REFUSALS) == [Reason(number) for number in range(1, len(REFUSALS) + 1)]


def test_counters_are_named_and_explained() -> None:
    assert all(COUNTERS.values())
    assert set(COUNTERS) > GAUGES
    assert all(name.isidentifier() and name.islower() for name in COUNTERS)
