"""The chart of the page: what each program uses for the same work, HAProxy being 1."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.measure import Run

COLOURS = {
    "mcproxy": "#2f81c7",
    "mcproxy-two": "#7fb3de",
    "haproxy": "#9a9a9a",
    "haproxy-splice": "#c4c4c4",
    "nginx": "#b8a888",
    "socat": "#cfc3ad",
    "infrarust": "#c98b6b",
    "infrarust-splice": "#dfb8a3",
    "asyncio": "#a58bc0",
    "uvloop": "#c4b3d6",
    "direct": "#5aa469",
}
LABELS = {
    "players": "players",
    "pingpong": "ping-pong",
    "bulk": "bulk",
    "joins": "logins",
    "status": "status",
    "idle": "memory, idle",
}
LEFT, WIDTH, BAR, GAP, TOP = 110, 520, 16, 18, 56


def relative(work: str, runs: Sequence[Run]) -> dict[str, float]:
    """Median use of each program, divided by HAProxy's."""

    def use(run: Run) -> float:
        return run.memory / run.units if work == "idle" else run.cost

    medians = {
        program: statistics.median(
            use(run) for run in runs if (run.work, run.program) == (work, program)
        )
        for program in dict.fromkeys(run.program for run in runs if run.work == work)
    }
    base = medians.get("haproxy")
    return {key: value / base for key, value in medians.items()} if base else {}


def bars(data: dict[str, Any], runs: Sequence[Run]) -> str:
    """An SVG picture: a group a load, a bar a program, shorter is better."""
    groups = {
        work["key"]: relative(work["key"], runs) for work in data["works"] if work["key"] in LABELS
    }
    longest = max((value for group in groups.values() for value in group.values()), default=1.0)
    scale = WIDTH / max(longest, 1.0)
    shapes: list[str] = []
    y = TOP
    for work, group in groups.items():
        middle = y + len(group) * BAR / 2 + 4
        shapes.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" class="end">{LABELS[work]}</text>')
        for key, value in group.items():
            length = max(value * scale, 1)
            shapes.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" '
                f'fill="{COLOURS[key]}"/>'
                f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 6}" class="small">'
                f"{value:.2f} {escape(data['titles'][key])}</text>"
            )
            y += BAR
        y += GAP
    one = LEFT + scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 180} {y}" '
        'font-family="sans-serif" font-size="13">'
        "<style>text{fill:#444}.small{font-size:11px}.end{text-anchor:end}</style>"
        f'<rect width="{LEFT + WIDTH + 180}" height="{y}" fill="#fff"/>'
        '<text x="10" y="22" font-size="15">CPU (or memory) for the same work; '
        "HAProxy = 1, shorter is better</text>"
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 10}" y2="{y - GAP}" stroke="#bbb" '
        'stroke-dasharray="3 3"/>' + "".join(shapes) + "</svg>\n"
    )
