"""Answers of the commands, laid out for people."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mcproxy_server.answers import count

__all__ = ["motd", "ping", "routes", "servers", "stats", "upgrade"]

_COLOURS = {
    "0": "#000000",
    "1": "#0000aa",
    "2": "#00aa00",
    "3": "#00aaaa",
    "4": "#aa0000",
    "5": "#aa00aa",
    "6": "#ffaa00",
    "7": "#aaaaaa",
    "8": "#555555",
    "9": "#5555ff",
    "a": "#55ff55",
    "b": "#55ffff",
    "c": "#ff5555",
    "d": "#ff55ff",
    "e": "#ffff55",
    "f": "#ffffff",
}
_FORMATS = {"l": "bold", "m": "strike", "n": "underline", "o": "italic"}
_STATES = {
    "down": "red",
    "ejected": "red",
    "draining": "yellow",
    "drained": "yellow",
    "removed": "dim",
}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def routes(answer: dict[str, Any]) -> None:
    """The route table, or the route of one host."""
    console = Console(highlight=False)
    route = answer["route"]
    if route is not None:
        server = route["server"]
        target = f"[bold]{escape(server)}[/]" if server else "no server"
        addresses = f" ({', '.join(route['addresses'])})" if server else ""
        console.print(f"{escape(route['host'])} → {target}{escape(addresses)}", soft_wrap=True)
        console.print(f"  {escape(route['why'])}", soft_wrap=True)
        return
    table = _table("Rule", "Pattern", "Server")
    for row in answer["table"]:
        table.add_row(row["rule"], escape(row["pattern"] or "everything else"), row["server"])
    if not any(row["rule"] == "default" or row["pattern"] == "*" for row in answer["table"]):
        table.add_row("none", "everything else", "[dim]told that there is no such server[/]")
    console.print(table)


def servers(answer: dict[str, Any]) -> None:
    """Every address of every server and how it is."""
    table = _table("Server", "Balance", "Address", "State", "Sessions", "Weight")
    table.columns[4].justify = table.columns[5].justify = "right"
    for server in answer["servers"]:
        name, balance = server["server"], server["balance"] or ""
        if not server["addresses"]:
            table.add_row(escape(name), balance, "[dim]none is known: its name leads nowhere[/]")
        for one in server["addresses"]:
            address = f"{one['address']} ({one['name']})" if one["name"] else one["address"]
            state = f"[{_STATES.get(one['state'], 'green')}]{one['state']}[/]"
            weight = str(one["weight"]) if one["weight"] else ""
            table.add_row(
                escape(name), balance, escape(address), state, f"{one['sessions']:,}", weight
            )
            name = balance = ""
    Console(highlight=False).print(table)


def stats(answer: dict[str, Any]) -> None:
    """Every counter with what it counts; refusals and ends of sessions by reason."""
    from mcproxy.proxy import COUNTERS, REASONS

    console = Console(highlight=False)
    single = {name: value for name, value in answer.items() if not isinstance(value, dict)}
    console.print(_counters("counter", single, COUNTERS))
    reasons = {reason.name.lower(): meaning for reason, meaning in REASONS.items()}
    for title, group in answer.items():
        if isinstance(group, dict):
            console.print()
            console.print(_counters(title, group, reasons))


def _counters(title: str, counters: dict[str, int], meanings: dict[str, str]) -> Table:
    table = _table(title, "", "")
    table.columns[1].justify = "right"
    for name, value in counters.items():
        meaning = f"[dim]{escape(meanings.get(name, ''))}[/]"
        table.add_row(escape(name), f"{value:,}", meaning, style=None if value else "dim")
    return table


def upgrade(answer: dict[str, Any]) -> None:
    """Who serves now, and what becomes of the old process."""
    old = answer["old"]
    print(f"process {answer['pid']} ({answer['version']}) serves {', '.join(answer['listening'])}")
    if old["open"]:
        sessions = count(old["open"], "open session")
        print(f"process {old['pid']} relays {sessions} to the end, {old['drain']:g} s at most")
    else:
        print(f"process {old['pid']} had no open session")


def ping(answer: dict[str, Any]) -> None:
    """A server's status."""
    console = Console(highlight=False)
    console.print(motd(answer["motd"]))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    players = f"{_known(answer['online'])} of {_known(answer['max'])}"
    table.add_row("players", players)
    for name in answer["sample"]:
        table.add_row("", motd(name))
    table.add_row("version", motd(f"{answer['version']} (protocol {_known(answer['protocol'])})"))
    table.add_row("latency", f"{answer['latency_ms']:.1f} ms")
    table.add_row("icon", "yes" if answer["favicon"] else "no")
    table.add_row("answered", f"{answer['kind']} ping, from {answer['address']}")
    console.print(table)


def motd(text: str) -> Text:
    """Text with § codes, as a terminal shows it; control characters of the sender left out."""
    shown = Text()
    style: list[str] = []
    for number, part in enumerate(text.split("§")):
        body = part
        if number:
            code, body = part[:1].lower(), part[1:]
            if code in _COLOURS:
                style = [_COLOURS[code]]
            elif code in _FORMATS:
                style = [*style, _FORMATS[code]]
            elif code == "r":
                style = []
        shown.append(_UNPRINTABLE.sub("", body), " ".join(style))
    return shown


def _known(value: object) -> str:
    return "?" if value is None else str(value)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
