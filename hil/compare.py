"""Two bench reports beside each other: `python -m hil.compare EARLIER LATER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.figures import FORMAT

SAME = 0.05
"""A change of less than this share is none, unless the errors of the two say that they differ."""


class ReportError(Exception):
    """A report cannot be used."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure, then and now. None: not in that report, or not told."""

    name: str
    unit: str
    before: float | str | None
    after: float | str | None
    verdict: str
    """`same`, `better`, `worse`, `changed`, `new`, `gone`; `broke`: it kept its limit then, and does not now."""

    @property
    def words(self) -> str:
        """For a table."""
        if self.verdict in {"new", "gone"}:
            return self.verdict
        before = f"{self.before:.4g}" if isinstance(self.before, float) else str(self.before)
        share = ""
        if isinstance(self.before, int | float) and isinstance(self.after, int | float) and self.before:
            share = f", {100 * (self.after - self.before) / abs(self.before):+.0f} %"
        return f"{before} {self.unit}".rstrip() + f"{share}: {self.verdict}"

    @property
    def css(self) -> str:
        """How a page shows it."""
        return {"worse": "bad", "broke": "bad", "better": "good", "gone": "skip"}.get(self.verdict, "soft")


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Each figure of either report, in the order of the later one. Raises `ReportError` for another format."""
    for report in (before, after):
        if report.get("format") != FORMAT:
            raise ReportError(f"a report of format {report.get('format')!r}; this release reads {FORMAT}")
    old = {one["name"]: one for one in before["figures"]}
    new = {one["name"]: one for one in after["figures"]}
    return [_change(name, old.get(name), new.get(name)) for name in [*new, *(set(old) - set(new))]]


def _change(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Change:
    if old is None or new is None:
        either = new or old or {}
        return Change(
            name,
            either.get("unit", ""),
            old["value"] if old else None,
            new["value"] if new else None,
            "new" if old is None else "gone",
        )
    return Change(name, new["unit"], old["value"], new["value"], _verdict(old, new))


def _verdict(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old.get("kept") is not False and new.get("kept") is False:
        return "broke"
    one, other = old["value"], new["value"]
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return "same" if one == other else "changed"
    noise = ((old.get("error") or 0.0) ** 2 + (new.get("error") or 0.0) ** 2) ** 0.5
    if abs(other - one) <= max(2 * noise, SAME * max(abs(one), abs(other))):
        return "same"
    better = new.get("better")
    if not better:
        return "changed"
    return "better" if (other < one) == (better == "lower") else "worse"


def read(path: Path) -> dict[str, Any]:
    """A report's JSON; a folder of a report will do too. Raises `ReportError`."""
    file = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ReportError(f"{file}: {error}") from error
    if not isinstance(data, dict) or "figures" not in data:
        raise ReportError(f"{file}: not a bench report")
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    """0: nothing is worse; 1: something is; 2: a report cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.compare", description="Two bench reports beside each other."
    )
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    given = parser.parse_args(arguments)
    try:
        found = changes(read(given.earlier), read(given.later))
    except ReportError as error:
        print(error, file=sys.stderr)
        return 2
    width = max((len(change.name) for change in found), default=0)
    for change in found:
        after = f"{change.after:.4g}" if isinstance(change.after, float) else str(change.after)
        print(f"{change.name:{width}}  {after + ' ' + change.unit:>18}   {change.words}")
    worse = [change.name for change in found if change.verdict in {"worse", "broke"}]
    print(f"\nworse: {', '.join(worse)}" if worse else "\nnothing is worse")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
