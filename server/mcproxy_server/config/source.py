"""One TOML file: its values, where they stand, and the problems found in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from mcproxy_server.config.locate import KeyPath, key_lines
from mcproxy_server.config.problems import Problem

__all__ = ["Source"]

_LARGEST_FILE = 4 << 20


class Source:
    """A file of the configuration, read once.

    ``problems`` is shared by all files of one configuration, so that everything that is wrong
    comes out together.
    """

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        """Read ``path``; what keeps it from being read is noted in ``problems``."""
        self.path = path
        self.problems = problems
        self.data: dict[str, Any] = {}
        self.readable = False
        self._lines: dict[KeyPath, int] = {}
        self._read()

    def problem(self, path: KeyPath, message: str, line: int | None = None) -> None:
        """Note what is wrong at ``path``."""
        self.problems.append(Problem(str(self.path), line or self.line(path), path, message))

    def line(self, path: KeyPath) -> int | None:
        """The line of ``path``, or of the nearest table around it that is in the file."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def place(self, path: KeyPath) -> str:
        """``FILE:LINE`` of ``path``, for a problem that has two places."""
        line = self.line(path)
        return str(self.path) if line is None else f"{self.path}:{line}"

    def beside(self, path: str) -> Path:
        """``path`` as this file means it: relative to its own folder."""
        return self.path.parent / path

    def _read(self) -> None:
        try:
            if self.path.stat().st_size > _LARGEST_FILE:
                raise ValueError(f"is larger than {_LARGEST_FILE >> 20} MiB")
            text = self.path.read_text(encoding="utf-8")
            self.data = tomllib.loads(text)
        except FileNotFoundError:
            self.problem((), "no such file; `mcproxy-server init` writes one to begin with")
        except OSError as error:
            self.problem((), f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self.problem((), f"is not UTF-8 text (byte {error.start})")
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            message = re.sub(r" \(at .*\)$", "", str(error))
            column = f" (column {found[2]})" if found else ""
            self.problem((), f"not TOML: {message}{column}", int(found[1]) if found else None)
        except ValueError as error:
            self.problem((), str(error))
        else:
            self.readable = True
            self._lines = key_lines(text)
