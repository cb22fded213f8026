"""Write the pages of the documentation that come from the code: they cannot fall behind it.

Run by ``conf.py`` on every build; ``python docs/generate.py`` writes them too. What is written
here is not kept in the repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from state_diagram import moves_table, states_svg

from mcproxy._speedups.plane.reasons import COUNTERS, GAUGES, REASONS, REFUSALS, Reason
from mcproxy.minecraft.versions import RELEASES
from mcproxy_server.config.reference import markdown as configuration

DOCS = Path(__file__).resolve().parent
LIMITS = DOCS.parent / "mcproxy" / "_speedups" / "plane" / "limits.pxd"
COMMANDS = (
    "demo",
    "init",
    "check",
    "run",
    "routes",
    "stats",
    "servers",
    "drain",
    "reload",
    "ping",
)
_LIMIT = re.compile(r" +(?P<name>[A-Z_]+) = (?P<value>\d+)(?: +# (?P<meaning>.+))?$")


def table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def limits() -> str:
    """Every bound of the data plane that is not configuration."""
    rows = [
        (f"`{found['name']}`", f"{int(found['value']):,}", found["meaning"] or "")
        for line in LIMITS.read_text(encoding="utf-8").splitlines()
        if (found := _LIMIT.match(line))
    ]
    return table(("Limit", "Value", "What it bounds"), rows)


def refusals() -> str:
    """Why connections are refused."""
    return table(
        ("Reason", "When"), ((f"`{reason.name.lower()}`", REASONS[reason]) for reason in REFUSALS)
    )


def ends() -> str:
    """How sessions end that were not refused."""
    ordinary = [reason for reason in Reason if reason and reason not in REFUSALS]
    return table(
        ("Reason", "When"), ((f"`{reason.name.lower()}`", REASONS[reason]) for reason in ordinary)
    )


def counters() -> str:
    """Every counter."""
    return table(
        ("Counter", "What it counts", "Kind"),
        (
            (f"`{name}`", what, "goes up and down" if name in GAUGES else "only goes up")
            for name, what in COUNTERS.items()
        ),
    )


def versions() -> str:
    """The oldest and the newest release that the library knows by number."""
    first, last = RELEASES[0], RELEASES[-1]
    return (
        f"{first.name} (protocol {first.protocol}) to {last.name} (protocol {last.protocol}), "
        f"{len(RELEASES)} releases\n"
    )


def commands() -> str:
    """What ``mcproxy-server COMMAND --help`` says, for each command."""
    parts = ["# Commands\n", "What `--help` says.\n", _help()]
    for command in COMMANDS:
        parts += [f"## {command}\n", _help(command)]
    return "\n".join(parts)


def _help(*command: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "mcproxy_server", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "88", "NO_COLOR": "1"},
    )
    lines = (line.rstrip() for line in told.stdout.strip().splitlines())
    return "```text\n" + "\n".join(lines) + "\n```\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": configuration,
    "reference/commands.md": commands,
    "generated/states.svg": states_svg,
    "generated/moves.md": moves_table,
    "generated/limits.md": limits,
    "generated/refusals.md": refusals,
    "generated/ends.md": ends,
    "generated/counters.md": counters,
    "generated/versions.md": versions,
}


def write() -> None:
    """Write every page; one that has not changed keeps its date, so that Sphinx skips it."""
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
