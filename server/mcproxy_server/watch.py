"""Notice that the configuration on disk has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

__all__ = ["Fingerprint", "changes", "fingerprint"]

Fingerprint = dict[Path, tuple[int, int, int]]
"""What tells one state of some files from another: inode, time of the change, size."""

_SETTLE = 200
"""Milliseconds without a change before changed files are read: editors write in steps."""
_LOOK_ANYWAY = 2000
"""Milliseconds after which files are looked at unasked: not every file system tells."""


async def changes(
    paths: Callable[[], Iterable[Path]], seen: Fingerprint, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Yield whenever the files at ``paths`` are not what they were when last ``seen``.

    What ``paths`` returns may change with every yield. The folders are watched, not the files:
    editors and Kubernetes replace files. What else happens in these folders is told apart by
    looking at the files themselves.
    """
    from watchfiles import awatch

    while not stop.is_set():
        folders = _folders(paths())
        async for _ in awatch(
            *folders,
            watch_filter=None,
            stop_event=stop,
            step=_SETTLE,
            recursive=False,
            rust_timeout=_LOOK_ANYWAY,
            yield_on_timeout=True,
        ):
            now = fingerprint(paths())
            if now == seen:
                continue
            yield
            # A change that came while the files were read counts as one: of files that were
            # there before, what they were before is remembered.
            seen = {path: now.get(path, mark) for path, mark in fingerprint(paths()).items()}
            if _folders(paths()) != folders:
                break


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """The state of the files at ``paths``; of folders, that of the drop-ins in them."""
    marks = {}
    for path in paths:
        for file in path.glob("*.toml") if path.is_dir() else (path,):
            try:
                found = file.stat()
            except OSError:
                continue
            marks[file] = (found.st_ino, found.st_mtime_ns, found.st_size)
    return marks


def _folders(paths: Iterable[Path]) -> frozenset[Path]:
    folders = (path if path.is_dir() else path.absolute().parent for path in paths)
    return frozenset(folder for folder in folders if folder.is_dir())
