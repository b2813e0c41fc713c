"""Sections of the report on the rail itself: backlash, home, the length of a step, and the lens's pupil."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rigd.calibration.records import Backlash, HomingRepeat, PupilDistance, StepScale
from rigd.calibration.stand import kept
from rigd.charts import Axis, Chart, Mark, Series
from rigd.reports import Fact, Section, Table

GONE = "The evidence is not there any more."


def _evidence(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    try:
        return kept(folder)
    except (OSError, KeyError, ValueError):
        return None


def backlash(record: Backlash, folder: Path) -> Section:
    """Lost motion at a reversal."""
    found = _evidence(folder)
    charts = [] if found is None else _backlash_charts(record, found[0])
    readings = tuple(
        (f"reversal {number + 1}", f"{value:.2f}") for number, value in enumerate(record.readings_um)
    )
    return Section(
        "Backlash",
        (
            Fact(f"{record.backlash_um:.2f} um", f"± {record.error_um:.2f} (one standard deviation)"),
            Fact(f"{record.spread_um:.2f} um", "scatter of the reversals"),
            Fact(f"{1.5 * record.backlash_um:.0f} um", "overshoot that takes it up safely, 1.5 times"),
        ),
        (
            (
                f"The same places counted on the way up and on the way down, at {record.position_um:g} um, measured {record.measured}. "
                "A picture taken on the way down looks like one taken higher on the way up; by how much is the backlash."
            ),
            *(() if found else (GONE,)),
        ),
        charts=tuple(charts),
        tables=(Table(("", "backlash, um"), readings),),
    )


def _backlash_charts(record: Backlash, arrays: dict[str, Any]) -> list[Chart]:
    ways = [arrays[name] for name in sorted(arrays) if name.startswith("way_")]
    labels = {0: "on the way up", 1: "on the way down"}
    series = [
        Series(
            labels.get(number, ""),
            way[:, 0].tolist(),
            (way[:, 1] / way[:, 1].max()).tolist(),
            "both",
            colour=number % 2,
        )
        for number, way in enumerate(ways)
    ]
    singles = [arrays[name] for name in sorted(arrays) if name.startswith("reversal_")]
    counted = np.concatenate([pair[:, 0] for pair in singles]).tolist()
    return [
        Chart(
            "Sharpness of the whole picture",
            Axis("counted position, um"),
            Axis("sharpness, of the largest"),
            tuple(series),
            note="One curve is the other, moved by the backlash.",
        ),
        Chart(
            "Each picture by itself",
            Axis("counted position on the way down, um"),
            Axis("higher on the way up by, um"),
            (
                Series(
                    "by sharpness",
                    counted,
                    np.concatenate([pair[:, 1] for pair in singles]).tolist(),
                    "points",
                ),
                Series(
                    "by size", counted, np.concatenate([pair[:, 2] for pair in singles]).tolist(), "points"
                ),
            ),
            (Mark(f"{record.backlash_um:.2f} um", y=record.backlash_um),),
        ),
    ]


def homing(record: HomingRepeat, folder: Path) -> Section:
    """How well home is found again."""
    numbers = list(range(1, record.homings + 1))
    series = [Series("by camera", numbers, list(record.camera_um), "both")]
    if record.counted_um:
        first = record.homings - len(record.counted_um) + 1
        series.append(
            Series("by count", list(range(first, record.homings + 1)), list(record.counted_um), "points")
        )
    chart = Chart(
        "Where home was found", Axis("homing"), Axis("from the first, um"), tuple(series),
        note="By count: where the switch was met, against where the count before it expected it.",
    )  # fmt: skip
    return Section(
        "Home",
        (
            Fact(
                f"{record.spread_um:.2f} um",
                f"standard deviation of {record.homings} homings, ± {record.error_um:.2f}",
            ),
            Fact(f"{record.worst_um:.2f} um", "farthest two of them"),
        ),
        (
            f"Measured {record.measured}. After each homing the same counted position was gone to from below and looked at.",
            *(() if folder.exists() else (GONE,)),
        ),
        charts=(chart,),
    )


def step_scale(record: StepScale, folder: Path) -> Section:
    """Length of a step."""
    charts = []
    found = _evidence(folder)
    if found is not None:
        focus, clear = found[0]["focus_um"], found[0]["stands_out"]
        good = np.isfinite(focus) & (clear > 1.6)
        rows = np.broadcast_to(np.arange(focus.shape[0])[:, None], focus.shape)[good]
        charts.append(
            Chart(
                "Where each block of the picture is sharpest",
                Axis("row of blocks, from the top"),
                Axis("counted position, um"),
                (Series("", rows.tolist(), focus[good].tolist(), "points"),),
            )
        )
    off = (record.factor - 1) * 100
    what = "of a gauge" if record.evidence else "as read on a ruler"
    return Section(
        "Length of a step",
        (
            Fact(f"{record.factor:.5f}", f"true micrometres for each counted, ± {record.error:.5f}"),
            Fact(f"{off:+.2f} %", "off"),
        ),
        (
            f"Measured {record.measured}: {record.known_um:g} um {what} were {record.counted_um:.1f} um by count.",
        ),
        charts=tuple(charts),
    )


def pupils(records: Sequence[PupilDistance], folders: Sequence[Path]) -> Section:
    """Entrance pupil to the plane in focus."""
    rows, charts = [], []
    for record, folder in zip(records, folders, strict=True):
        name = record.objective or "the lens"
        far = (
            "telecentric" if record.pupil_to_focus_um is None else f"{record.pupil_to_focus_um / 1000:.2f} mm"
        )
        rows.append((name, far, f"{record.error_um / 1000:.2f} mm", record.measured))
        found = _evidence(folder)
        if found is not None:
            x, zoom = found[0]["positions_um"], found[0]["zoom"]
            charts.append(
                Chart(
                    f"Size of things with {name}",
                    Axis("position, um"),
                    Axis("1 / size, relative to the first"),
                    (Series("seen", x.tolist(), (1 / zoom).tolist(), "points"),),
                    note="A straight line, whose slope is one part in the distance from pupil to focus.",
                )
            )
    return Section(
        "Entrance pupil to focus",
        words=("How much a step of the rail changes the size of the image: preview.pupil_to_focus_um.",),
        charts=tuple(charts),
        tables=(Table(("objective", "distance", "±", "measured"), tuple(rows)),),
    )
