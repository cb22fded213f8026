"""Read `mcproxy.toml` with its drop-ins into settings: all of it, or every reason why not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mcproxy.errors import ConfigurationError
from mcproxy.proxy.model import (
    Action,
    Balance,
    Buffers,
    Filters,
    Flood,
    Health,
    Limit,
    Limits,
    Mode,
    Motd,
    OpenLimit,
    Pool,
    Server,
    SessionLimit,
    Settings,
    StatusPolicy,
    Timeouts,
)
from mcproxy.proxy.router import Router, parse_listen, parse_pattern
from mcproxy_server.config.icon import read_icon
from mcproxy_server.config.locate import KeyPath
from mcproxy_server.config.problems import ConfigurationProblems, Problem, nearest
from mcproxy_server.config.schema import (
    AddressTable,
    HealthTable,
    IpFilter,
    LimitsTable,
    LimitTable,
    Log,
    LoginLimitTable,
    MotdTable,
    Root,
    ServerTable,
    StatusCache,
    TimeoutTable,
)
from mcproxy_server.config.source import Source
from mcproxy_server.config.tables import read_table
from mcproxy_server.config.values import FilePath, describe

__all__ = ["Configuration", "find_control_socket", "load"]

_LONGEST_TEXTS = 4000
_LONGEST_SOCKET_NAME = 80
"""Bytes of the file name of a Unix socket, in however deep a folder; see `control._short`."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that can be run."""

    path: Path
    settings: Settings
    log: Log
    control_socket: Path
    upgrade_drain: float
    """Seconds that sessions may go on in a process that was upgraded."""
    files: tuple[Path, ...]
    """Everything that was read, the folder of drop-ins included: a change of any of it asks for
    a reload."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One server table and where it stands."""

    source: Source
    path: KeyPath
    raw: dict[str, Any]
    table: ServerTable | None

    @property
    def name(self) -> str | None:
        name = self.raw.get("name")
        return name if isinstance(name, str) else None


def load(path: Path, socket: Path | None = None) -> Configuration:
    """The configuration in ``path``; ``socket`` takes the place of `control.socket`.

    Raises `ConfigurationProblems` with everything that is wrong.
    """
    problems: list[Problem] = []
    source = Source(path, problems)
    if not source.readable:
        raise ConfigurationProblems(problems, [path])
    # Only required keys make a table incomplete, and the top has none.
    top = {key: value for key, value in source.data.items() if key != "server"}
    root = read_table(source, (), top, Root) or Root()
    files = [path]
    entries = list(_main_entries(source, source.data.get("server", [])))
    folder = source.beside(root.servers_dir) if root.servers_dir is not None else None
    if folder is not None:
        files.append(folder)
        for drop_in in _drop_ins(source, folder):
            files.append(drop_in.path)
            entries.append(_drop_in_entry(drop_in))
    _check_names(source, root, entries)
    _check_unique(entries, "domains", parse_pattern)
    _check_unique(entries, "listen", parse_listen)
    motd_unknown = _motd(source, ("motd", "unknown"), root.motd.unknown, files)
    servers = [_server(entry, entry.table, files) for entry in entries if entry.table]
    _check_packets(source, root, entries)
    control_socket = _control_socket(source, root, socket)
    settings = _settings(root, servers, motd_unknown)
    if not problems:
        _check_router(source, settings)
    if problems:
        raise ConfigurationProblems(problems, files)
    return Configuration(
        path, settings, root.log, control_socket, float(root.timeouts.upgrade), tuple(files)
    )


def find_control_socket(path: Path) -> Path:
    """Where a proxy that runs the configuration in ``path`` is to be asked.

    The file may have become wrong, or be gone, since the proxy read it.
    """
    source = Source(path, [])
    control = source.data.get("control")
    socket = control.get("socket") if isinstance(control, dict) else None
    try:
        return _control_path(source, FilePath.read(socket))
    except ValueError:
        return _control_path(source, None)


def _main_entries(source: Source, tables: object) -> Iterator[_Entry]:
    if not isinstance(tables, list):
        source.problem(("server",), "servers are an array of tables: write [[server]]")
        return
    for index, raw in enumerate(tables):
        path = ("server", index)
        if isinstance(raw, dict):
            yield _Entry(source, path, raw, read_table(source, path, raw, ServerTable))
        else:
            source.problem(path, f"expected a table, not {describe(raw)}")


def _drop_ins(source: Source, folder: Path) -> Iterator[Source]:
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix == ".toml" and not path.name.startswith(".")
        )
    except OSError as error:
        source.problem(("servers_dir",), f"cannot read the folder {folder}: {error.strerror}")
        return
    for path in paths:
        drop_in = Source(path, source.problems)
        if drop_in.readable:
            yield drop_in


def _drop_in_entry(drop_in: Source) -> _Entry:
    raw = {"name": drop_in.path.stem, **drop_in.data}
    return _Entry(drop_in, (), raw, read_table(drop_in, (), raw, ServerTable))


def _check_names(source: Source, root: Root, entries: list[_Entry]) -> None:
    seen: dict[str, _Entry] = {}
    for entry in entries:
        if entry.name is None:
            continue
        path = (*entry.path, "name")
        if (first := seen.setdefault(entry.name, entry)) is not entry:
            place = first.source.place((*first.path, "name"))
            entry.source.problem(
                path, f'"{entry.name}" is the name of another server already ({place})'
            )
    if root.default is not None and root.default not in seen:
        hint = nearest(root.default, seen) or (
            f"; there are: {', '.join(sorted(seen))}" if seen else "; there is no [[server]] at all"
        )
        source.problem(("default",), f'there is no server "{root.default}"{hint}')


def _check_unique(entries: list[_Entry], key: str, parse: Callable[[str], Hashable]) -> None:
    """No two servers, nor one twice, may claim the same domain or local address."""
    seen: dict[Hashable, tuple[_Entry, KeyPath]] = {}
    for entry in entries:
        claims = entry.raw.get(key)
        for index, text in enumerate(claims if isinstance(claims, list) else ()):
            try:
                claim = parse(text) if isinstance(text, str) else None
            except ConfigurationError:
                claim = None
            if claim is None:
                continue  # its own problem is noted already
            path = (*entry.path, key, index)
            first, first_path = seen.setdefault(claim, (entry, path))
            if first_path is path:
                continue
            if first is entry:
                entry.source.problem(path, f'"{text}" is listed twice')
            else:
                entry.source.problem(
                    path,
                    f'"{text}" leads to server "{first.name}" already '
                    f'({first.source.place(first_path)}) and cannot lead to "{entry.name}" too',
                )


def _server(entry: _Entry, table: ServerTable, files: list[Path]) -> Server:
    def motd(state: str) -> Motd | None:
        path = (*entry.path, "motd", state)
        return _motd(entry.source, path, getattr(table.motd, state), files)

    addresses = [
        each if isinstance(each, AddressTable) else AddressTable(address=each)
        for each in table.addresses
    ]
    _check_effects(entry, table, addresses)
    return Server(
        name=str(table.name),
        addresses=_plain(each.address for each in addresses),
        weights=tuple(each.weight for each in addresses),
        domains=_plain(table.domains),
        listen=_plain(table.listen),
        mode=Mode(table.proxy_mode),
        motd_online=motd("online"),
        motd_offline=motd("offline"),
        motd_starting=motd("starting"),
        disconnect_message=table.disconnect_message,
        filters=_filters(table.ip_filter),
        send_proxy_protocol=_version(table.send_proxy_protocol),
        balance=Balance(table.balance),
        slow_start=float(table.slow_start),
        health=_health(table.health),
        pool=Pool(warm=table.pool.warm, max_idle=float(table.pool.max_idle)),
    )


def _check_effects(entry: _Entry, table: ServerTable, addresses: list[AddressTable]) -> None:
    """No key is accepted that would do nothing without another."""
    if table.balance == "first_available":
        without = 'has no effect with balance = "first_available"; '
        instead = 'use "round_robin" or "least_conn", or remove the key'
        keys: list[KeyPath] = [
            ("addresses", index, "weight")
            for index, address in enumerate(addresses)
            if address.weight != 1
        ]
        for key in keys + [("slow_start",)] * bool(table.slow_start):
            entry.source.problem((*entry.path, *key), without + instead)
    for name, needed, example in (("health", "interval", '"5s"'), ("pool", "warm", "4")):
        given = entry.raw.get(name)
        if isinstance(given, dict) and given and needed not in given:
            entry.source.problem(
                (*entry.path, name), f"has no effect without {needed}; write {needed} = {example}"
            )


def _health(table: HealthTable) -> Health:
    return Health(
        interval=float(table.interval),
        timeout=float(table.timeout),
        fall=table.fall,
        rise=table.rise,
        status=table.type == "status",
    )


def _motd(source: Source, path: KeyPath, table: MotdTable, files: list[Path]) -> Motd | None:
    if table == MotdTable():
        return None
    if (fault := _unspeakable(table)) is not None:
        source.problem((*path, "text"), fault)
    icon = None
    if table.favicon is not None:
        file = source.beside(table.favicon)
        if not table.favicon.startswith("data:"):
            files.append(file)
        try:
            icon = read_icon(table.favicon, file)
        except ValueError as error:
            source.problem((*path, "favicon"), str(error))
    fields = msgspec.structs.asdict(table) | {"favicon": icon}
    return Motd(**fields)


def _unspeakable(table: MotdTable) -> str | None:
    """Why a status answer cannot hold the texts of ``table``, if it cannot."""
    texts = msgspec.structs.asdict(table) | {"favicon": None}
    try:
        length = len(json.dumps(texts, allow_nan=False))
    except (TypeError, ValueError):
        return "a text component is made of text, numbers, true or false, arrays and tables"
    if length > _LONGEST_TEXTS:
        return (
            f"the texts of a status have at most {_LONGEST_TEXTS} characters as JSON, not {length}"
        )
    return None


def _filters(table: IpFilter) -> Filters:
    return Filters(whitelist=_plain(table.whitelist), blacklist=_plain(table.blacklist))


def _version(word: str) -> Literal["v1", "v2", False]:
    return "v1" if word == "v1" else "v2" if word == "v2" else False


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    """Compiled code takes ``str`` itself, no subclass of it."""
    return tuple(str(text) for text in texts)


def _control_socket(source: Source, root: Root, override: Path | None) -> Path:
    if override is not None:
        return override
    path = _control_path(source, root.control.socket)
    length = len(os.fsencode(path.name))
    if length > _LONGEST_SOCKET_NAME:
        source.problem(
            ("control", "socket"),
            f"the name {path.name} has {length} bytes; "
            f"a socket's has at most {_LONGEST_SOCKET_NAME}",
        )
    return path


def _control_path(source: Source, socket: str | None) -> Path:
    return source.path.with_suffix(".sock") if socket is None else source.beside(socket)


def _settings(root: Root, servers: list[Server], motd_unknown: Motd | None) -> Settings:
    timeouts = _seconds(root.timeouts)
    del timeouts["upgrade"]  # concerns processes, not the proxy in them
    return Settings(
        bind=_plain(root.bind),
        servers=tuple(servers),
        default=root.default,
        motd_unknown=motd_unknown,
        unknown_message=root.unknown_message,
        workers=root.workers,
        max_connections=root.max_connections,
        timeouts=Timeouts(**timeouts),
        status=StatusPolicy(**_seconds(root.status_cache)),
        filters=_filters(root.ip_filter),
        limits=_limits(root.limits),
        buffers=Buffers(root.buffers.session, root.buffers.total),
        flood=Flood(
            root.flood.begin,
            root.flood.end,
            float(root.flood.calm),
            float(root.flood.handshake),
        ),
        proxy_trusted=_plain(root.proxy_protocol.trusted),
    )


def _limits(table: LimitsTable) -> Limits:
    return Limits(
        connections=_limit(table.connections),
        status=_limit(table.status),
        logins=_limit(table.logins),
        session=SessionLimit(**msgspec.structs.asdict(table.session)),
        open=OpenLimit(table.open.most, Action(table.open.action)),
        prefix_v4=table.prefix_v4,
        prefix_v6=table.prefix_v6,
        exempt=_plain(table.exempt),
        message=table.message,
    )


def _limit(table: LimitTable | LoginLimitTable) -> Limit:
    return Limit(table.rate, table.burst, Action(table.action))


def _check_packets(source: Source, root: Root, entries: list[_Entry]) -> None:
    """Packets that are never seen cannot be counted."""
    for entry in entries:
        if root.limits.session.packets and entry.table and entry.table.proxy_mode == "zero_copy":
            source.problem(
                ("limits", "session", "packets"),
                f'the packets of server "{entry.name}" cannot be counted: proxy_mode = '
                '"zero_copy" never sees them; leave the key out, or choose another mode',
            )


def _seconds(table: TimeoutTable | StatusCache) -> dict[str, float]:
    return {name: float(value) for name, value in msgspec.structs.asdict(table).items()}


def _check_router(source: Source, settings: Settings) -> None:
    """What only the route table itself can object to."""
    try:
        Router(settings.servers, settings.default)
    except ConfigurationError as error:
        source.problem((), str(error))
