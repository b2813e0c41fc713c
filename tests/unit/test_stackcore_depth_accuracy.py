"""Depth of rendered stacks against their truth: a step wedge, and depth that varies continuously."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.depth import DepthMap, depth_map, smooth_depth
from stackcore.merge import StackMerger
from tests.unit._depth_scenes import board, hill, step_wedge
from tests.unit._scenes import Scene

BORDER_PX = 8
INSIDE = slice(BORDER_PX, -BORDER_PX)


def depth_of(scene: Scene, min_confidence: float) -> DepthMap:
    height, width = scene.depth.shape
    with StackMerger(height, width, threads=1) as merger:
        for index, frame in enumerate(scene.frames):
            merger.add(frame, index)
        return depth_map(merger.merged(), min_confidence=min_confidence)


def test_heights_of_a_step_wedge_within_a_seventh_of_a_step() -> None:
    wedge = step_wedge()
    found = depth_of(wedge.scene, 0.6).frame_index
    for height, (first, end) in zip(wedge.heights, wedge.treads, strict=True):
        tread = found[INSIDE, first:end]
        assert np.isfinite(tread).mean() > 0.95
        assert np.nanmedian(tread) == pytest.approx(height, abs=0.05)
        assert np.nanmean(tread) == pytest.approx(height, abs=0.05)
    rises = np.diff([np.nanmedian(found[INSIDE, first:end]) for first, end in wedge.treads])
    np.testing.assert_allclose(rises, np.diff(wedge.heights), atol=0.15)


@pytest.mark.parametrize(
    ("make", "min_confidence", "least_known"), [(hill, 0.6, 0.99), (board, 0.8, 0.5)], ids=["hill", "board"]
)
@pytest.mark.parametrize("smooth", [False, True], ids=["as found", "smoothed"])
def test_continuous_depth(make, min_confidence: float, least_known: float, smooth: bool) -> None:
    scene = make()
    depth = depth_of(scene, min_confidence)
    found = smooth_depth(depth) if smooth else depth
    error = (found.frame_index - scene.depth)[INSIDE, INSIDE]
    assert np.isfinite(error).mean() >= least_known
    assert np.nanmedian(np.abs(error)) <= (0.05 if smooth else 0.06)
    assert np.sqrt(np.nanmean(error**2)) <= 0.15


def test_whole_frames_would_not_do() -> None:
    scene = hill()
    whole = np.rint(depth_of(scene, 0.6).frame_index)
    error = (whole - scene.depth)[INSIDE, INSIDE]
    assert np.nanmedian(np.abs(error)) > 0.15
    assert np.sqrt(np.nanmean(error**2)) > 0.25
