"""Which depths of the stack are sharp in no frame: before its first and after its last one, and between frames too far apart."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.coverage import Coverage, End
from stackcore.depth import depth_um
from stackcore.files.write import write_whole

SHARP_ENERGY = 0.5
"""A depth counts as sharp where a frame holds at least this share of the focus energy that it has at its own focus: contrast is
down to 0.7 of its best there, which is where steps of one depth of field meet."""

BEFORE, AFTER = "before the first frame", "after the last frame"


@dataclass(frozen=True)
class Gap:
    """A range of depth that no frame shows sharp.

    Attributes:
        begin: where it begins, in units of the frame index; None when it is not known how far it reaches.
        end: where it ends, likewise; larger than `begin`.
        begin_um: the same on the rail, um, when positions are known.
        end_um: likewise; it may be smaller than `begin_um`.
        where: in plain words, as "between frames 7 and 9".
        pixel_share: how many of the pixels with a known depth lie in it, 0..1; 0 beyond the ends, where depth is never found.
    """

    begin: float | None
    end: float | None
    begin_um: float | None
    end_um: float | None
    where: str
    pixel_share: float


@dataclass(frozen=True)
class CoverageReport:
    """What of the depth range is sharp.

    Attributes:
        gaps: ranges that no frame shows sharp, in order.
        sharp_within: how far from a frame, in units of the frame index, depth is still sharp; None when it could not be told.
        first: the least depth at which anything was found, in units of the frame index; None when nothing was.
        last: the largest.
        known_share: of the pixels, how many have a depth, 0..1.
        gap_share: of the pixels with a depth, how many lie in gaps, 0..1.
        ends: whether the ends of the subject were reached, when that was judged.
        text: all of it in plain words, one sentence a line.
    """

    gaps: tuple[Gap, ...]
    sharp_within: float | None
    first: float | None
    last: float | None
    known_share: float
    gap_share: float
    ends: Coverage | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def coverage_report(
    frame_index: npt.NDArray[np.floating],
    indices: Sequence[int],
    *,
    focus_width: float | None = None,
    ends: Coverage | None = None,
    positions_um: Sequence[float] | None = None,
    near_first: bool = True,
) -> CoverageReport:
    """Find the gaps of a stack.

    Focus energy is a Gaussian of depth with the standard deviation `focus_width` (`stackcore.depth.focus_width`): a depth is sharp
    where the nearest frame keeps `SHARP_ENERGY` of it.

    Args:
        frame_index: (H, W), depth in units of the frame index, holes NaN.
        indices: of the frames that were merged, increasing.
        focus_width: in units of the frame index; None or NaN: gaps between frames are not judged.
        ends: what `stackcore.coverage.coverage` said; None: the ends are not judged.
        positions_um: where the rail stood for each frame, um.
        near_first: whether the first frame is the near one.

    Raises:
        ValueError: when there are no frames, or the positions do not fit them.
    """
    if len(indices) == 0:
        raise ValueError("a stack without frames covers nothing")
    known = frame_index[np.isfinite(frame_index)]
    within = None
    if focus_width is not None and math.isfinite(focus_width):
        within = focus_width * math.sqrt(-2 * math.log(SHARP_ENERGY))
    ranges = [] if within is None else _between(indices, within)
    if ends is not None:
        ranges = [*_beyond(ends, indices, within or 0.0), *ranges]
    ranges.sort(key=lambda r: -math.inf if r[0] is None else r[0])
    gaps = tuple(_gap(*r, known=known, indices=indices, positions_um=positions_um) for r in ranges)
    report = CoverageReport(
        gaps=gaps,
        sharp_within=within,
        first=float(known.min()) if known.size else None,
        last=float(known.max()) if known.size else None,
        known_share=known.size / max(1, frame_index.size),
        gap_share=min(1.0, sum(gap.pixel_share for gap in gaps)),
        ends=ends,
        text="",
    )
    return _with_text(report, near_first=near_first)


def write_coverage_report(path: str | Path, report: CoverageReport) -> None:
    """Write a report as JSON, atomically. Raises WriteError when the file cannot be written; it names it."""
    write_whole(Path(path), [(json.dumps(report.to_dict(), indent=2) + "\n").encode()])


_Range = tuple[float | None, float | None, str]


def _between(indices: Sequence[int], within: float) -> list[_Range]:
    """Ranges between neighbouring frames that are farther apart than twice `within`."""
    return [
        (before + within, after - within, f"between frames {before + 1} and {after + 1}")
        for before, after in itertools.pairwise(indices)
        if after - before > 2 * within * (1 + 1e-6)
    ]


def _beyond(ends: Coverage, indices: Sequence[int], within: float) -> list[_Range]:
    """Ranges of the subject before the first and after the last frame."""
    step = float(np.median(np.diff(indices))) if len(indices) > 1 else 1.0

    def missing(end: End) -> float | None:
        """How far the subject reaches beyond the end, in units of the frame index; 0 for no farther than is sharp."""
        if end.reached:
            return 0.0
        if end.extend_frames is None:
            return None
        reach = end.extend_frames * step
        return reach if reach > within else 0.0

    ranges: list[_Range] = []
    before, after = missing(ends.first), missing(ends.last)
    if before != 0:
        ranges.append((None if before is None else indices[0] - before, indices[0] - within, BEFORE))
    if after != 0:
        ranges.append((indices[-1] + within, None if after is None else indices[-1] + after, AFTER))
    return ranges


def _gap(
    begin: float | None,
    end: float | None,
    where: str,
    *,
    known: npt.NDArray[np.floating],
    indices: Sequence[int],
    positions_um: Sequence[float] | None,
) -> Gap:
    low, high = (-math.inf if begin is None else begin), (math.inf if end is None else end)
    share = float(((known > low) & (known < high)).mean()) if known.size else 0.0
    places = [
        None if p is None or positions_um is None else _um(p, indices, positions_um) for p in (begin, end)
    ]
    return Gap(begin, end, places[0], places[1], where, share)


def _um(place: float, indices: Sequence[int], positions_um: Sequence[float]) -> float:
    """Rail position of a depth, carried on straight beyond the ends by the step found there."""
    inside = float(np.clip(place, indices[0], indices[-1]))
    position = float(depth_um(np.array([inside]), positions_um, indices)[0])
    if place == inside or len(indices) < 2:
        return position
    one, other = (0, 1) if place < inside else (-1, -2)
    step_um = (positions_um[one] - positions_um[other]) / (indices[one] - indices[other])
    return position + (place - inside) * step_um


def _with_text(report: CoverageReport, *, near_first: bool) -> CoverageReport:
    lines = []
    if report.ends is not None:
        lines.append(_sentence(report.ends.text(near_first)))
    lines += [_sentence(_gap_text(gap)) for gap in report.gaps]
    if report.sharp_within is None:
        lines.append("Whether depth is sharp between frames could not be told.")
    elif all(gap.where in {BEFORE, AFTER} for gap in report.gaps):
        lines.append("Between the frames every depth is sharp.")
    lines.append(f"{100 * report.known_share:.0f} % of the picture has a depth.")
    return replace(report, text="\n".join(lines))


def _gap_text(gap: Gap) -> str:
    text = f"nothing is sharp {gap.where}"
    if gap.begin_um is not None and gap.end_um is not None:
        text += f", from {gap.begin_um:.0f} to {gap.end_um:.0f} um"
    elif gap.begin is not None and gap.end is not None:
        text += f", over {gap.end - gap.begin:.1f} frames"
    if gap.where not in {BEFORE, AFTER}:
        text += f"; {100 * gap.pixel_share:.1f} % of what was found lies there"
    return text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
