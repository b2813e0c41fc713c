"""What can be wrong with a config, said so that it can be put right: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file, counted from 1; no line for values from the command line."""

    file: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or, among a report's warnings, worth knowing."""

    file: str
    """The config, or `--set section.key=value`."""
    path: str
    """Dotted path of the value, such as `rail.travel_um`; empty for the file as a whole."""
    line: int | None
    """From 1; None when there is none."""
    column: int | None
    """From 1; None when there is none."""
    message: str
    """What is wrong."""
    fix: str = ""
    """What would be right."""

    def __str__(self) -> str:
        """One line: `file:line:column: path: message; fix`."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        what = "; ".join(part for part in (self.message, self.fix) if part)
        return ": ".join(part for part in (place, self.path, what) if part)

    @classmethod
    def at(cls, place: Place, path: str, message: str, fix: str = "") -> Problem:
        """A problem at a place."""
        return cls(place.file, path, place.line, place.column, message, fix)


class ConfigError(ValueError):
    """A config that cannot be used. `problems` holds everything that is wrong with it, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(format_problems(problems))
        self.problems = tuple(problems)


def in_file_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Without repetitions, sorted by line and column; those of the command line last."""

    def key(problem: Problem) -> tuple[bool, int, int]:
        return problem.line is None and bool(problem.path), problem.line or 0, problem.column or 0

    return tuple(sorted(dict.fromkeys(problems), key=key))


def format_problems(problems: Iterable[Problem]) -> str:
    """One line a problem, as compilers write them, so that editors can jump there."""
    return "\n".join(str(problem) for problem in problems)
