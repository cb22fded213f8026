"""Protocol numbers of every release since 1.7.2, as data with a source.

Numbers of releases grow with time; numbers of snapshots (bit 30 set, since 1.16.4-pre1) count
on their own and are never ordered against releases.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "KNOWN",
    "RELEASES",
    "SNAPSHOT_BIT",
    "Version",
    "by_name",
    "is_known",
    "is_snapshot",
    "nearest",
    "newest",
]

SNAPSHOT_BIT = 1 << 30
"""Set in the protocol numbers of snapshots, pre-releases and release candidates."""


@dataclass(frozen=True, slots=True)
class Version:
    """A release of Minecraft: Java Edition."""

    name: str
    """As players know it, such as ``1.21.11``."""
    protocol: int
    """What its clients send in the handshake; several releases may share a number."""
    source: str = field(repr=False, compare=False)
    """Where the number comes from."""


_data = json.loads(Path(__file__).with_name("versions.json").read_bytes())

RELEASES: tuple[Version, ...] = tuple(
    Version(name, protocol, _data["source"]) for name, protocol in _data["releases"]
)
"""Every release since 1.7.2, oldest first."""

_by_protocol = {version.protocol: version for version in RELEASES}  # the last one stays
_by_name = {version.name: version for version in RELEASES}
_snapshots: list[list[int]] = _data["snapshots"]
del _data

KNOWN: tuple[int, ...] = tuple(_by_protocol)
"""The protocol numbers of :data:`RELEASES`, each once, ascending."""


def newest() -> Version:
    """The newest release that this library knows."""
    return RELEASES[-1]


def is_snapshot(protocol: int) -> bool:
    """Whether the number is that of a snapshot, which cannot be compared with releases'."""
    return protocol > 0 and protocol & SNAPSHOT_BIT != 0


def is_known(protocol: int) -> bool:
    """Whether a release that this library knows has this number."""
    return protocol in _by_protocol


def by_name(name: str) -> Version:
    """The release called ``name``; KeyError if there is none."""
    return _by_name[name]


def nearest(protocol: int) -> Version:
    """The release whose packets fit a client with this number best.

    That is the release with the number itself (the newest of those that share it), for an
    unknown number the newest release below it, for numbers below all of them the oldest. A
    snapshot is handled as the release it led to, one that is newer than every known snapshot
    as the newest release.
    """
    if is_snapshot(protocol):
        number = protocol - SNAPSHOT_BIT
        at = bisect_right(_snapshots, number, key=_first)
        if at == len(_snapshots) and number > _snapshots[-1][1]:
            return newest()
        return _by_protocol[_snapshots[max(at - 1, 0)][2]]
    at = bisect_right(KNOWN, protocol)
    return _by_protocol[KNOWN[max(at - 1, 0)]]


def _first(row: list[int]) -> int:
    return row[0]
