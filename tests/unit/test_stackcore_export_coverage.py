"""Which depths are sharp nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stackcore.coverage import Coverage, End, coverage
from stackcore.depth import depth_map, focus_width
from stackcore.export.coverage_report import AFTER, BEFORE, coverage_report, write_coverage_report
from stackcore.merge import StackMerger
from tests.unit._scenes import tilted_plane

REACHED = End(reached=True, extend_frames=0.0)
DEPTH = np.linspace(0, 12, 1201).reshape(1, -1)
WITHIN = 1.17741
"""At this many standard deviations a Gaussian is half its peak."""


def test_a_stack_that_covers_all_has_no_gaps() -> None:
    report = coverage_report(
        DEPTH, range(13), focus_width=1.0, ends=Coverage(REACHED, REACHED, 1.0), positions_um=range(13)
    )
    assert report.gaps == ()
    assert (report.first, report.last, report.known_share, report.gap_share) == (0, 12, 1, 0)
    assert report.text.splitlines() == [
        "Near end reached, far end reached.",
        "Between the frames every depth is sharp.",
        "100 % of the picture has a depth.",
    ]


def test_frames_too_far_apart_leave_gaps() -> None:
    indices, positions = [0, 2, 4, 8, 12], [100.0, 90.0, 80.0, 40.0, 0.0]
    report = coverage_report(DEPTH, indices, focus_width=1.0, positions_um=positions)
    assert [gap.where for gap in report.gaps] == ["between frames 5 and 9", "between frames 9 and 13"]
    for gap, (first, last) in zip(report.gaps, [(4, 8), (8, 12)], strict=True):
        assert gap.begin == pytest.approx(first + WITHIN, abs=1e-4)
        assert gap.end == pytest.approx(last - WITHIN, abs=1e-4)
        assert gap.begin_um == pytest.approx(120 - 10 * gap.begin, abs=1e-3)
        assert gap.end_um == pytest.approx(120 - 10 * gap.end, abs=1e-3)
        assert gap.pixel_share == pytest.approx((4 - 2 * WITHIN) / 12, abs=0.002)
    assert report.gap_share == pytest.approx(2 * (4 - 2 * WITHIN) / 12, abs=0.004)
    assert (
        "Nothing is sharp between frames 5 and 9, from 68 to 52 um; 13.7 % of what was found" in report.text
    )
    assert "end" not in report.text, "the ends were not judged"


def test_even_steps_too_large_for_the_lens_leave_a_gap_everywhere() -> None:
    report = coverage_report(DEPTH, range(13), focus_width=0.3)
    assert len(report.gaps) == 12
    assert report.gap_share == pytest.approx(1 - 2 * WITHIN * 0.3, abs=0.01)


def test_ends_that_were_not_reached() -> None:
    ends = Coverage(End(reached=False, extend_frames=3.0), End(reached=False, extend_frames=None), 0.9)
    report = coverage_report(
        DEPTH, range(0, 13, 2), focus_width=2.0, ends=ends, positions_um=np.arange(7) * 10.0
    )
    before, after = report.gaps
    assert (before.where, after.where) == (BEFORE, AFTER)
    # Three frames of two indices each.
    assert before.begin == pytest.approx(-6)
    assert before.end == pytest.approx(-2 * WITHIN, abs=1e-4)
    assert before.begin_um == pytest.approx(-30)
    assert before.end_um == pytest.approx(-10 * WITHIN, abs=1e-3)
    assert after.begin == pytest.approx(12 + 2 * WITHIN, abs=1e-4)
    assert (after.end, after.end_um) == (None, None)
    assert report.text.startswith("Extend near by about 3 frames, far end not reached; how far")
    near_last = coverage_report(DEPTH, range(13), ends=ends, near_first=False)
    assert near_last.text.startswith("Near end not reached; how far it is cannot be told, extend far by")


def test_an_end_within_the_sharpness_of_the_last_frame_is_no_gap() -> None:
    ends = Coverage(REACHED, End(reached=False, extend_frames=1.0), 0.9)
    assert coverage_report(DEPTH, range(13), focus_width=1.0, ends=ends).gaps == ()


@pytest.mark.parametrize("width", [None, float("nan")])
def test_what_cannot_be_told_is_not_told(width: float | None) -> None:
    report = coverage_report(np.full((3, 4), np.nan), [0, 5], focus_width=width)
    assert report.sharp_within is None
    assert report.gaps == ()
    assert (report.first, report.last, report.known_share, report.gap_share) == (None, None, 0, 0)
    assert "could not be told" in report.text


def test_a_stack_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="frames"):
        coverage_report(DEPTH, [])
    with pytest.raises(ValueError, match="positions"):
        coverage_report(DEPTH, [0, 4], focus_width=1.0, positions_um=[1.0])


def test_missing_frames_of_a_rendered_stack_are_found(tmp_path: Path) -> None:
    scene = tilted_plane(80, 480, 24, seed=3, blur_px_per_frame=0.6, first=1.0, last=22.0)
    kept = [index for index in range(24) if index not in range(10, 16)]
    with StackMerger(80, 480, threads=1) as merger:
        for index in kept:
            merger.add(scene.frames[index], index)
        merged = merger.merged()
        ends = coverage(merged, merger.history)
        report = coverage_report(
            depth_map(merged).frame_index, merged.indices, focus_width=focus_width(merged), ends=ends
        )
    (gap,) = report.gaps
    assert gap.where == "between frames 10 and 17"
    assert 9 < gap.begin < 12
    assert 13 < gap.end < 16
    write_coverage_report(tmp_path / "coverage.json", report)
    back = json.loads((tmp_path / "coverage.json").read_text())
    assert back["gaps"][0]["begin"] == gap.begin
    assert back["text"] == report.text
    assert back["ends"]["first"]["reached"] is True
