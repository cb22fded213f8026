"""Write mcproxy/minecraft/versions.json and packets.json from the npm package minecraft-data.

    npm install --no-save minecraft-data@3.117.0
    python tools/generate_protocol_data.py node_modules/minecraft-data [FOLDER]

Release numbers come from its protocolVersions.json, packet ids from the protocol.json of
each version; what it lacks comes from packet_additions.toml, which names its sources.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from bisect import bisect_left
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "mcproxy" / "minecraft"
RELEASE = re.compile(r"\d+\.\d+(\.\d+)?")
SNAPSHOT_BIT = 1 << 30
APRIL_FOOLS = {"26w14a"}  # their data versions are jokes too
STATES = {
    "handshaking": "handshake",
    "status": "status",
    "login": "login",
    "configuration": "configuration",
    "play": "play",
}
DIRECTIONS = {"toServer": "serverbound", "toClient": "clientbound"}

Tables = dict[str, dict[str, list[str]]]


def releases(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every release since 1.7.2, the first with today's protocol, oldest first."""
    found = [e for e in entries if e["usesNetty"] and RELEASE.fullmatch(e["minecraftVersion"])]
    return sorted(found, key=lambda e: (e["version"], e["dataVersion"]))


def snapshot_ranges(entries: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """(first, last, protocol of the release they led to); numbers without the bit."""
    known = sorted((e["dataVersion"], e["version"]) for e in releases(entries))
    found: dict[int, int] = {}
    for entry in entries:
        if entry["version"] >= SNAPSHOT_BIT and entry["minecraftVersion"] not in APRIL_FOOLS:
            at = bisect_left(known, (entry["dataVersion"], 0))
            if at < len(known):
                # One number may serve release candidates of two releases: the later wins.
                number = entry["version"] - SNAPSHOT_BIT
                found[number] = max(found.get(number, 0), known[at][1])
    ranges: list[tuple[int, int, int]] = []
    for number, protocol in sorted(found.items()):
        if ranges and ranges[-1][1] == number - 1 and ranges[-1][2] == protocol:
            ranges[-1] = (ranges[-1][0], number, protocol)
        else:
            ranges.append((number, number, protocol))
    return ranges


def packet_tables(protocol: dict[str, Any]) -> Tables:
    """``state -> direction -> names``, the index being the id."""
    tables: Tables = {}
    for state, ours in STATES.items():
        if state not in protocol:
            continue
        tables[ours] = {}
        for side, direction in DIRECTIONS.items():
            mapper = protocol[state][side]["types"]["packet"][1][0]["type"][1]["mappings"]
            by_id = {int(number, 16): name for number, name in mapper.items()}
            if ours == "handshake":
                by_id.pop(0xFE, None)  # the legacy ping is no packet of this protocol
            if sorted(by_id) != list(range(len(by_id))):
                sys.exit(f"{state} {side}: the ids have gaps")
            tables[ours][direction] = [by_id[number] for number in range(len(by_id))]
    return tables


def add_missing(tables: dict[int, Tables], sources: dict[int, str]) -> None:
    """Put in what packet_additions.toml says."""
    additions = tomllib.loads((ROOT / "tools" / "packet_additions.toml").read_text())
    for wrong in additions["wrong"]:
        for protocol in wrong["protocols"]:
            names = tables[protocol][wrong["state"]][wrong["direction"]]
            for name in wrong["names"]:
                names.remove(name)
            sources[protocol] += "; without " + ", ".join(wrong["names"]) + ": " + wrong["source"]
    for table in additions["table"]:
        protocol = table["protocol"]
        if protocol in tables:
            sys.exit(f"minecraft-data has a table for {protocol} now: delete the addition")
        copy: Tables = json.loads(json.dumps(tables[table["as"]]))
        for change in table.get("changes", ()):
            names = copy[change["state"]][change["direction"]]
            if "insert" in change:
                names.insert(change["insert"], change["name"])
            elif names.pop(change["remove"]) != change["name"]:
                sys.exit(f"{protocol}: {change['name']} is not at {change['remove']:#x}")
        tables[protocol] = copy
        sources[protocol] = table["source"]


def encode_packets(tables: dict[int, Tables], sources: dict[int, str], source: str) -> str:
    """Names once, each distinct table once: a line per table, so that changes can be read."""
    names: dict[str, int] = {}
    distinct: dict[tuple[int, ...], int] = {}
    protocols: list[str] = []
    for protocol in sorted(tables):
        entry: dict[str, Any] = {"source": sources[protocol]}
        for state, sides in tables[protocol].items():
            entry[state] = [
                distinct.setdefault(
                    tuple(names.setdefault(name, len(names)) for name in sides[direction]),
                    len(distinct),
                )
                for direction in DIRECTIONS.values()
            ]
        protocols.append(f'"{protocol}": {json.dumps(entry)}')
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in distinct)
    return (
        f'{{"source": {json.dumps(source)},\n"names": {json.dumps(list(names))},\n'
        f'"tables": [\n{rows}\n],\n"protocols": {{\n' + ",\n".join(protocols) + "\n}}\n"
    )


def main() -> None:
    """Read the package at the path given, write both files into the folder."""
    package = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    version = json.loads((package / "package.json").read_text())["version"]
    data = package / "minecraft-data" / "data"
    source = f"npm minecraft-data {version}"
    entries = json.loads((data / "pc" / "common" / "protocolVersions.json").read_text())
    numbers = {e["minecraftVersion"]: e["version"] for e in entries}
    numbers["1.7"] = numbers["1.7.10"]  # its folder for 1.7.6 to 1.7.10

    tables: dict[int, Tables] = {}
    sources: dict[int, str] = {}
    for name, paths in json.loads((data / "dataPaths.json").read_text())["pc"].items():
        protocol = numbers.get(name)
        released = RELEASE.fullmatch(name) or name == "1.9.1-pre2"  # the number of 1.9.1
        if released and protocol not in (None, *tables):
            path = paths["protocol"]
            tables[protocol] = packet_tables(
                json.loads((data / path / "protocol.json").read_text())
            )
            sources[protocol] = f"{source} {path}"
    add_missing(tables, sources)

    known = releases(entries)
    missing = {e["version"] for e in known} - set(tables)
    if missing:
        sys.exit(f"no packet ids for {sorted(missing)}: add them to packet_additions.toml")
    from_file = f"{source} pc/common/protocolVersions.json"
    rows = ",\n".join(json.dumps([e["minecraftVersion"], e["version"]]) for e in known)
    ranges = ",\n".join(json.dumps(row) for row in snapshot_ranges(entries))
    (target / "versions.json").write_text(
        f'{{"source": {json.dumps(from_file)},\n"releases": [\n{rows}\n],\n'
        f'"snapshots": [\n{ranges}\n]}}\n'
    )
    (target / "packets.json").write_text(encode_packets(tables, sources, source))


if __name__ == "__main__":
    main()
