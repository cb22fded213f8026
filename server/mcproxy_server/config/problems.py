"""What is wrong with a configuration: said once, all at once, with the place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcproxy_server.config.locate import KeyPath

__all__ = ["ConfigurationProblems", "Problem", "nearest", "spell"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, and what to do about it."""

    file: str
    line: int | None
    path: KeyPath
    message: str

    def __str__(self) -> str:
        """``FILE:LINE: KEY: MESSAGE``, without the parts that are not known."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{spell(self.path)}: " if self.path else ""
        return f"{place}: {key}{self.message}"


class ConfigurationProblems(Exception):
    """A configuration that cannot be used; ``problems`` names every mistake in it.

    ``files`` were looked at: when one of them changes, it is worth another try.
    """

    def __init__(self, problems: Sequence[Problem], files: Iterable[Path]) -> None:
        """Say all of ``problems``, a line each, in the order of the files."""
        self.files = tuple(files)
        order = list(dict.fromkeys(problem.file for problem in problems))
        self.problems = tuple(
            sorted(problems, key=lambda each: (order.index(each.file), each.line or 0))
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


def spell(path: KeyPath) -> str:
    """The path of a key as people read it: ``server[2].motd.offline.favicon``."""
    spelled = ""
    for part in path:
        if isinstance(part, int):
            spelled += f"[{part}]"
        else:
            spelled += f".{part}" if spelled else part
    return spelled


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` for the known word that ``word`` was probably meant to be."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
