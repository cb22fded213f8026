"""Notice that the configuration on disk has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from watchfiles import awatch

from mcproxy_server.config import Configuration

__all__ = ["changes", "fingerprint"]

_Fingerprint = frozenset[tuple[str, int, int, int]]


async def changes(
    current: Callable[[], Configuration], stop: asyncio.Event, *, settle: int
) -> AsyncIterator[None]:
    """Yield whenever the files of the ``current`` configuration are not what they were.

    The folders are watched, not the files: editors and Kubernetes replace files. What else
    happens in these folders is told apart by looking at the files themselves.
    """
    while not stop.is_set():
        configuration = current()
        folders = _folders(configuration)
        seen = fingerprint(configuration)
        async for _ in awatch(
            *folders, stop_event=stop, recursive=False, step=settle, watch_filter=None
        ):
            now = fingerprint(configuration)
            if now == seen:
                continue
            seen = now
            yield
            if _folders(current()) != folders:
                break
            configuration = current()


def fingerprint(configuration: Configuration) -> _Fingerprint:
    """What tells one state of the files from another, a drop-in that is new or gone included."""
    paths = set(configuration.files)
    if configuration.servers_dir is not None:
        paths.update(configuration.servers_dir.glob("*.toml"))
    marks = set()
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        marks.add((str(path), found.st_ino, found.st_mtime_ns, found.st_size))
    return frozenset(marks)


def _folders(configuration: Configuration) -> tuple[Path, ...]:
    folders = {path.absolute().parent for path in configuration.files}
    if configuration.servers_dir is not None:
        folders.add(configuration.servers_dir.absolute())
    return tuple(sorted(folder for folder in folders if folder.is_dir()))
