"""The life of a session as a picture, drawn from the table that the data plane obeys.

Places of the states and bends of the arrows are chosen here by hand; which states and arrows there
are, is not. A state for which no place was chosen stands at the bottom.
"""

from __future__ import annotations

import math
from html import escape

from mcproxy._speedups.plane.states import MOVES, STATES

__all__ = ["END", "ENDINGS", "arrows", "moves_table", "states_svg"]

END = "free"
"""The state of a slot without a session: where every session begins and ends."""

Point = tuple[float, float]

PLACES: dict[str, tuple[int, int]] = {
    "PROXY header": (100, 410),
    "first packet": (190, 280),
    "status": (430, 130),
    "status wait": (680, 130),
    "consult": (430, 280),
    "login": (430, 430),
    "dial": (680, 430),
    "relay": (900, 430),
    "linger": (900, 230),
    "warm dial": (680, 540),
    "warm": (850, 540),
}
BENDS = {
    ("status", "status wait"): 16,
    ("status wait", "status"): 16,
    ("status", "consult"): 28,
    ("consult", "status"): 28,
    ("login", "consult"): 28,
    ("consult", "login"): 28,
    ("first packet", "status wait"): 205,
    ("first packet", "linger"): 425,
    ("first packet", "dial"): -235,
    ("consult", "linger"): -14,
    ("consult", "status wait"): 10,
}
"""How far the middle of an arrow is pushed to its left, in pixels."""

BEGINNINGS = {"first packet": (32, 280), "PROXY header": (32, 280), "warm dial": (560, 540)}
ENDINGS = {"relay": (978, 330), "linger": (978, 330), "warm": (965, 540)}
"""Every state can end; the picture shows it where it is the ordinary way."""

WIDTH, BOTTOM, ROW = 1000, 580, 70
HALF_WIDTH, HALF_HEIGHT = 62, 23
MAIN = {"first packet", "login", "dial", "relay"}

STYLE = """\
.states { font: 14px system-ui, sans-serif; max-width: 100%; height: auto; }
.states .box { fill: var(--color-background-secondary, #f8f9fb);
  stroke: var(--color-foreground-muted, #6b6f76); stroke-width: 1.4; }
.states .main { stroke: var(--color-brand-primary, #0a4bff); stroke-width: 2.2; }
.states .name { fill: var(--color-foreground-primary, #000); text-anchor: middle;
  dominant-baseline: central; font-weight: 600; }
.states .arrow { fill: none; stroke: var(--color-foreground-muted, #6b6f76); stroke-width: 1.4; }
.states .head { fill: var(--color-foreground-muted, #6b6f76); }
.states .badge { fill: var(--color-background-primary, #fff);
  stroke: var(--color-foreground-muted, #6b6f76); }
.states .number { fill: var(--color-foreground-primary, #000); text-anchor: middle;
  dominant-baseline: central; font-size: 11px; }
.states .dot { fill: var(--color-foreground-primary, #000); }
.states .ring { fill: none; stroke: var(--color-foreground-primary, #000); stroke-width: 1.4; }
.states g:hover > .arrow { stroke: var(--color-brand-primary, #0a4bff); stroke-width: 2.4; }
.states g:hover > .badge { stroke: var(--color-brand-primary, #0a4bff); stroke-width: 2; }
"""


def arrows() -> dict[tuple[str, str], list[int]]:
    """The moves between two states that are not the end, by their numbers in the table."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, (before, _, after) in enumerate(MOVES, 1):
        if END not in (before, after):
            found.setdefault((before, after), []).append(number)
    return found


def moves_table() -> str:
    """Every move, numbered as in the picture, as a Markdown table."""
    lines = ["| | From | What happens | To |", "|--:|---|---|---|"]
    for number, (before, event, after) in enumerate(MOVES, 1):
        lines.append(f"| {number} | {_spelled(before)} | {event} | {_spelled(after)} |")
    return "\n".join(lines) + "\n"


def _spelled(state: str) -> str:
    return f"({END})" if state == END else state


def states_svg() -> str:
    """The picture: boxes are states, numbers on the arrows are rows of the table."""
    places, height = _places()
    dots = {_dot(place, 7) for place in (*BEGINNINGS.values(), *ENDINGS.values())}
    dots |= {_dot(place, 11, "ring") for place in ENDINGS.values()}
    parts = sorted(dots)
    for state in places:
        if numbers := _numbers(END, state):
            x, y = places[state]
            dot = BEGINNINGS.get(state, (x - 120, y))
            start = _towards(dot, places[state], 4)
            parts.append(_between(start, _edge(places[state], start), numbers))
        if state in ENDINGS:
            dot = ENDINGS[state]
            way = _edge(places[state], dot)
            parts.append(_between(way, _towards(dot, way, 14), _numbers(state, END)))
    parts += [
        _arrow(places, before, after, numbers) for (before, after), numbers in arrows().items()
    ]
    parts += [_box(state, place) for state, place in places.items()]
    return (
        f'<svg class="states" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        'xmlns="http://www.w3.org/2000/svg" role="img" '
        'aria-label="The states of a session and the moves between them">\n'
        f"<style>\n{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _places() -> tuple[dict[str, Point], int]:
    """Where each state stands, and the height of the picture."""
    places: dict[str, Point] = {}
    height = BOTTOM
    for state in STATES:
        if state in PLACES:
            places[state] = PLACES[state]
        elif state != END:
            places[state] = (190, height)
            height += ROW
    return places, height


def _box(state: str, place: Point) -> str:
    x, y = place
    kind = "box main" if state in MAIN else "box"
    ways_out = [f"{number}: {MOVES[number - 1][1]}" for number in _numbers(state, END)]
    title = escape("ends when " + "; ".join(ways_out)) if ways_out else ""
    return (
        f'<g><title>{title}</title><rect class="{kind}" x="{x - HALF_WIDTH}" '
        f'y="{y - HALF_HEIGHT}" width="{2 * HALF_WIDTH}" height="{2 * HALF_HEIGHT}" rx="9"/>'
        f'<text class="name" x="{x}" y="{y}">{escape(state)}</text></g>'
    )


def _numbers(before: str, after: str) -> list[int]:
    return [number for number, move in enumerate(MOVES, 1) if (move[0], move[2]) == (before, after)]


def _dot(place: tuple[int, int], radius: int, kind: str = "dot") -> str:
    return f'<circle class="{kind}" cx="{place[0]}" cy="{place[1]}" r="{radius}"/>'


def _between(start: Point, end: Point, numbers: list[int]) -> str:
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    return _drawn(start, middle, end, middle, numbers)


def _arrow(places: dict[str, Point], before: str, after: str, numbers: list[int]) -> str:
    if before == after:
        return _loop(places[before], numbers)
    (x1, y1), (x2, y2) = places[before], places[after]
    length = math.hypot(x2 - x1, y2 - y1)
    bend = BENDS.get((before, after), 0)
    # To the left of the way, as the eye sees it: y grows downwards.
    left = ((y2 - y1) / length, -(x2 - x1) / length)
    control = ((x1 + x2) / 2 + bend * left[0], (y1 + y2) / 2 + bend * left[1])
    start, end = _edge((x1, y1), control), _edge((x2, y2), control)
    middle = (
        start[0] / 4 + control[0] / 2 + end[0] / 4,
        start[1] / 4 + control[1] / 2 + end[1] / 4,
    )
    return _drawn(start, control, end, middle, numbers)


def _loop(place: Point, numbers: list[int]) -> str:
    x, y = place
    start, end = (x - 28, y + HALF_HEIGHT + 3), (x - HALF_WIDTH - 3, y + 10)
    control = (x - HALF_WIDTH - 45, y + HALF_HEIGHT + 45)
    middle = (
        start[0] / 4 + control[0] / 2 + end[0] / 4,
        start[1] / 4 + control[1] / 2 + end[1] / 4,
    )
    return _drawn(start, control, end, middle, numbers)


def _towards(start: Point, end: Point, distance: float) -> Point:
    length = math.dist(start, end)
    return (
        start[0] + (end[0] - start[0]) * distance / length,
        start[1] + (end[1] - start[1]) * distance / length,
    )


def _edge(centre: Point, towards: Point) -> Point:
    """Where the line from the centre of a box leaves it."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min(
        (HALF_WIDTH + 3) / abs(dx) if dx else math.inf,
        (HALF_HEIGHT + 3) / abs(dy) if dy else math.inf,
    )
    return centre[0] + dx * scale, centre[1] + dy * scale


def _drawn(start: Point, control: Point, end: Point, middle: Point, numbers: list[int]) -> str:
    title = escape("; ".join(f"{number}: {MOVES[number - 1][1]}" for number in numbers))
    label = ", ".join(map(str, numbers))
    half = 9 + 4 * (len(label) - 1)
    angle = math.degrees(math.atan2(end[1] - control[1], end[0] - control[0]))
    return (
        f"<g><title>{title}</title>"
        f'<path class="arrow" d="M {start[0]:.1f} {start[1]:.1f} Q {control[0]:.1f} '
        f'{control[1]:.1f} {end[0]:.1f} {end[1]:.1f}"/>'
        f'<path class="head" d="M 0 0 L -9 -4.2 L -9 4.2 Z" '
        f'transform="translate({end[0]:.1f} {end[1]:.1f}) rotate({angle:.1f})"/>'
        f'<rect class="badge" x="{middle[0] - half:.1f}" y="{middle[1] - 9:.1f}" '
        f'width="{2 * half}" height="18" rx="9"/>'
        f'<text class="number" x="{middle[0]:.1f}" y="{middle[1]:.1f}">{label}</text></g>'
    )
