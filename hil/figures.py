"""What a bench finds out: figures with their samples, limits and pictures, kept as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FORMAT = 1
"""Version of the report's JSON."""
KEPT_SAMPLES = 4000
"""Of more samples every n-th is kept: a report stays a file that a browser opens."""

Kind = Literal["points", "line", "bars"]


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or cloud of a plot."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    kind: Kind = "points"


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture beside a figure."""

    title: str
    x: str
    """Words at the axis, with the unit."""
    y: str
    series: tuple[Series, ...]
    level: float | None = None
    """A limit, drawn across."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured."""

    name: str
    """`what_of_what`: the same from report to report."""
    value: float | str | None
    """None: it could not be told."""
    unit: str = ""
    limit: float | None = None
    """The value may be at most this."""
    at_least: float | None = None
    better: Literal["lower", "higher", ""] = ""
    """Which way is an improvement; empty: a change is only a change."""
    error: float | None = None
    """One standard deviation of the value."""
    samples: tuple[float, ...] = ()
    note: str = ""
    """In words: how it was measured, and what it is good for."""
    test: str = ""
    plots: tuple[Plot, ...] = field(default=())

    @property
    def kept(self) -> bool | None:
        """Whether the value keeps its limits; None where there are none."""
        if self.limit is None and self.at_least is None:
            return None
        if not isinstance(self.value, int | float) or not math.isfinite(self.value):
            return False
        above = self.limit is None or self.value <= self.limit
        return above and (self.at_least is None or self.value >= self.at_least)

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "value": finite(self.value), "kept": self.kept}


def finite(value: float | str | None) -> float | str | None:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def curve(label: str, x: Sequence[float], y: Sequence[float], kind: Kind = "line") -> Series:
    """A series from arrays, thinned out to what a page can bear."""
    every = max(1, math.ceil(len(x) / KEPT_SAMPLES))
    return Series(label, tuple(float(v) for v in x[::every]), tuple(float(v) for v in y[::every]), kind)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that this share of all does not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
