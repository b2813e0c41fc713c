"""The plots of a bench report: samples in their order, histograms, and what a test draws itself, as `rigd.charts` shows them."""

from __future__ import annotations

from collections.abc import Sequence

from hil.figures import Plot, Series
from rigd import charts

WIDTH, HEIGHT = 460, 230
BINS = 24
COUNTED = "number"
"""At the x axis of samples in their order."""


def svg(plot: Plot) -> str:
    """The plot as an `<svg>` element."""
    several = len(plot.series) > 1
    return charts.svg(
        charts.Chart(
            plot.title,
            charts.Axis(plot.x, whole=plot.x == COUNTED),
            charts.Axis(plot.y),
            tuple(charts.Series(one.label if several else "", one.x, one.y, one.kind) for one in plot.series),
            () if plot.level is None else (charts.Mark("limit", y=plot.level),),
        ),
        WIDTH,
        HEIGHT,
    )


def in_order(title: str, samples: Sequence[float], unit: str, limit: float | None = None) -> Plot:
    """Samples as they came."""
    x = tuple(float(number) for number in range(1, len(samples) + 1))
    return Plot(title, COUNTED, unit, (Series("sample", x, tuple(samples)),), limit)


def histogram(title: str, samples: Sequence[float], unit: str) -> Plot:
    """How often each value came."""
    low, high = min(samples), max(samples)
    width = (high - low) / BINS or max(abs(high) * 1e-3, 1e-9)
    counts = [0] * BINS
    for sample in samples:
        counts[min(BINS - 1, int((sample - low) / width))] += 1
    x = tuple(low + (number + 0.5) * width for number in range(BINS))
    return Plot(title, unit, "how often", (Series("count", x, tuple(map(float, counts)), "bars"),))
