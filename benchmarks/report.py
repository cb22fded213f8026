"""From runs to a page: tables on the terminal, docs/benchmarks.md, its chart and its data."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.chart import bars
from benchmarks.claims import Outcome, outcomes
from benchmarks.measure import QUIET, Run

Column = tuple[str, Callable[[Run], float], str]

COLUMNS: dict[str, tuple[Column, ...]] = {
    "players": (
        ("CPU a message, µs", lambda r: r.cost * 1e6, ".2f"),
        ("messages/s", lambda r: r.rate, ",.0f"),
        ("p50 down, µs", lambda r: r.latency["down"]["p50"], ".0f"),
        ("p99 down, µs", lambda r: r.latency["down"]["p99"], ".0f"),
        ("p99.9 down, µs", lambda r: r.latency["down"]["p99.9"], ".0f"),
        ("p99 up, µs", lambda r: r.latency["up"]["p99"], ".0f"),
    ),
    "mixed": (
        ("p50 down, µs", lambda r: r.latency["down"]["p50"], ".0f"),
        ("p99 down, µs", lambda r: r.latency["down"]["p99"], ".0f"),
        ("p99.9 down, µs", lambda r: r.latency["down"]["p99.9"], ".0f"),
        ("p99 up, µs", lambda r: r.latency["up"]["p99"], ".0f"),
        ("bulk beside, GB/s", lambda r: r.beside / r.seconds / 1e9, ".2f"),
        ("bulk, GB a CPU-second", lambda r: r.beside / r.cpu / 1e9, ".2f"),
    ),
    "pingpong": (
        ("CPU a message, µs", lambda r: r.cost * 1e6, ".2f"),
        ("messages a CPU-second", lambda r: 1 / r.cost, ",.0f"),
        ("messages/s", lambda r: r.rate, ",.0f"),
        ("p99 round trip, µs", lambda r: r.latency["answer"]["p99"], ".0f"),
    ),
    "bulk": (
        ("GB a CPU-second", lambda r: 1e-9 / r.cost, ".2f"),
        ("GB/s", lambda r: r.rate / 1e9, ".2f"),
    ),
    "joins": (
        ("CPU a connection, µs", lambda r: r.cost * 1e6, ".1f"),
        ("connections/s", lambda r: r.rate, ",.0f"),
        ("p99 to the answer, µs", lambda r: r.latency["answer"]["p99"], ".0f"),
    ),
    "status": (
        ("CPU an exchange, µs", lambda r: r.cost * 1e6, ".1f"),
        ("exchanges/s", lambda r: r.rate, ",.0f"),
        ("p99 to the answer, µs", lambda r: r.latency["answer"]["p99"], ".0f"),
    ),
    "idle": (
        ("KiB a session", lambda r: r.memory / r.units / 1024, ".2f"),
        ("MiB in all", lambda r: r.memory / 2**20, ".1f"),
    ),
}


def spread(values: Sequence[float], form: str) -> str:
    """Median, and from the least to the greatest."""
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)}-{format(max(values), form)})"


def figures(work: str, runs: Sequence[Run]) -> list[list[str]]:
    """A row a program: its key, then its figures."""
    rows = []
    for program in dict.fromkeys(run.program for run in runs if run.work == work):
        own = [run for run in runs if (run.work, run.program) == (work, program)]
        cells = [spread([get(run) for run in own], form) for _, get, form in COLUMNS[work]]
        rows.append([program, *cells])
    return rows


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def verdict(outcome: Outcome) -> str:
    if outcome.reached:
        return "reached"
    return f"missed by {abs(outcome.median / outcome.claim.target - 1):.0%}"


def claim_rows(found: Sequence[Outcome]) -> list[list[str]]:
    return [
        [
            o.claim.id,
            o.claim.text,
            f"{'≤' if o.claim.at_most else '≥'} {o.claim.target:g} {o.claim.unit}",
            spread(o.values, ".2f"),
            verdict(o),
        ]
        for o in found
    ]


def limit_row(id: str, text: str, value: float, limit: float, unit: str) -> list[str]:
    """A claim of one figure: at most that many ms, or at least that much of another unit."""
    at_most = unit == "ms"
    reached = value <= limit if at_most else value >= limit
    return [
        id,
        text,
        f"{'≤' if at_most else '≥'} {limit:g} {unit}",
        f"{value:.1f}",
        "reached" if reached else f"missed by {abs(value / limit - 1):.0%}",
    ]


def start_rows(start: dict[str, float]) -> list[list[str]]:
    if not start:
        return []
    return [
        limit_row("B-11", "start: `import mcproxy`", start["import_ms"], 30, "ms"),
        limit_row("B-11", "start: the server listens", start["listening_ms"], 400, "ms"),
    ]


def function_rows(times: dict[str, float]) -> list[list[str]]:
    if not times:
        return []
    ours, theirs = "handshake and login start", "handshake and login start, mcproto"
    frames = 1e3 / times["frame, no object"]
    return [
        limit_row("B-09", "small frames split, without objects", frames, 50, "M/s"),
        limit_row("B-09", f"{ours}, beside mcproto", times[theirs] / times[ours], 50, "×"),
    ]


def calls_table(unit: str, calls: dict[str, dict[str, float]], titles: dict[str, str]) -> str:
    """What the programs ask of the kernel for one unit, call by call; one thing at a time."""
    names = dict.fromkeys(name for found in calls.values() for name in found)
    rows = [
        [f"`{name}`", *(f"{found.get(name, 0):.2f}" for found in calls.values())] for name in names
    ]
    rows.append(["together", *(f"{sum(found.values()):.2f}" for found in calls.values())])
    head = ("", *(titles[key] for key in calls))
    return f"## System calls for one {unit}\n\n" + markdown_table(head, rows)


def page(data: dict[str, Any], runs: Sequence[Run], claims: Sequence[Sequence[str]]) -> str:
    facts, titles = data["machine"], data["titles"]
    others = statistics.median(run.other_cpu for run in runs)
    disturbed = sum(run.other_cpu > QUIET for run in runs)
    versions = ", ".join(
        f"{titles[key]} {version}" for key, version in data["programs"].items() if version != "-"
    )
    parts = [
        "# Benchmarks\n\n"
        "Written by `make bench`; run it on your own machine, since absolute figures move. The\n"
        "program is bound to one core and the load to another. The programs take turns with the\n"
        "same load; a figure is the median of its runs, with the least and the greatest behind\n"
        "it, and a ratio compares runs of the same round.\n\n"
        f"- Machine: {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"congestion control {facts['congestion_control']}, {facts['date']}\n"
        f"- Versions: {versions}; Python {facts['python']}\n"
        f"- {data['rounds']} runs of each program and load"
        + (", short ones (`make bench BENCH=--quick`)\n" if data["quick"] else "\n")
        + f"- Used by others while it ran: {others:.0%} of a core (median); "
        f"{disturbed} of {len(runs)} runs had more than {QUIET:.0%}"
        + ("\n" if data["quick"] else ", though each was tried up to three times\n")
        + "".join(f"- Left out: {title}; {why}\n" for title, why in data["left_out"].items())
        + "- mcproxy and Infrarust read the handshake and route by host name; HAProxy, nginx,\n"
        "  socat and the relays in Python pass every connection to the one backend.\n"
        "- CPU is user and system time of the program, its children and threads included.\n"
        "- *No proxy* is the same load with the players connected to the backend; its CPU is\n"
        "  that of both ends, one send and one receive a message: the floor for a relay.\n\n"
        "![CPU beside HAProxy](benchmarks.svg)\n\n"
        "## What is claimed\n",
        markdown_table(("", "Claim", "Target", "Measured", ""), claims),
    ]
    for work in data["works"]:
        head = ["", *(name for name, _, _ in COLUMNS[work["key"]])]
        rows = [[titles[row[0]], *row[1:]] for row in figures(work["key"], runs)]
        parts.append(f"## {work['title'][0].upper()}{work['title'][1:]}\n")
        parts.append(markdown_table(head, rows))
    parts += [calls_table(unit, calls, titles) for unit, calls in data["calls"].items()]
    if data["allocations"]:
        rows = [[unit, f"{made:.3f}"] for unit, made in data["allocations"].items()]
        parts.append(
            "## Calls of malloc\n\nOf the whole program, Python's objects included, for each of "
            "2,000 units; what there\nis are ticks of the loop in the meantime, and what is "
            "needed once.\n"
        )
        parts.append(markdown_table(("", "mcproxy"), rows))
    if data["functions"]:
        rows = [[name, f"{value:,.1f}"] for name, value in data["functions"].items()]
        parts.append("## Single functions, called from Python\n")
        parts.append(markdown_table(("", "ns"), rows))
    return "\n".join(parts)


def print_tables(
    data: dict[str, Any], runs: Sequence[Run], claims: Sequence[Sequence[str]], console: Console
) -> None:
    for work in data["works"]:
        table = Table("", *(name for name, _, _ in COLUMNS[work["key"]]), title=work["title"])
        for row in figures(work["key"], runs):
            table.add_row(data["titles"][row[0]], *row[1:])
        console.print(table)
    if claims:
        table = Table("", "claim", "target", "measured", "")
        for row in claims:
            table.add_row(*row)
        console.print(table)


def write_report(
    data: dict[str, Any], runs: Sequence[Run], directory: Path | None, console: Console
) -> None:
    """Show the result; with a directory write benchmarks.md, .svg and .json there, too."""
    claims = claim_rows(outcomes(runs))
    claims += function_rows(data["functions"]) + start_rows(data["start"])
    print_tables(data, runs, claims, console)
    if directory is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "benchmarks.md").write_text(page(data, runs, claims))
    (directory / "benchmarks.svg").write_text(bars(data, runs))
    (directory / "benchmarks.json").write_text(json.dumps(data, indent=1) + "\n")
    console.print(f"written: {directory / 'benchmarks.md'}")
