"""Stacks cut at known places: were the ends reached, and how many frames are missing?"""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.coverage import Coverage, End, coverage
from stackcore.focus_history import KEPT, FocusHistory
from stackcore.merge import StackMerger
from tests.unit._scenes import occlusion_scene, photograph, tilted_plane


def judge(frames: list[np.ndarray], step: int = 1) -> Coverage:
    with StackMerger(*frames[0].shape[:2]) as merger:
        for number, frame in enumerate(frames):
            merger.add(frame, step * number)
        return coverage(merger.merged(), merger.history)


def assert_about(end: End, missing: float) -> None:
    assert not end.reached
    assert end.extend_frames == pytest.approx(missing, abs=max(1.0, 0.3 * missing))


@pytest.mark.parametrize("blur_px_per_frame", [0.3, 0.8, 1.5])
@pytest.mark.parametrize(
    ("first", "last"), [(2.0, 13.0), (-3.0, 13.0), (-6.0, 12.0), (2.0, 18.0), (-2.0, 19.0)]
)
def test_a_tilted_plane(first: float, last: float, blur_px_per_frame: float) -> None:
    scene = tilted_plane(240, 400, 16, seed=5, blur_px_per_frame=blur_px_per_frame, first=first, last=last)
    found = judge(scene.frames)
    for end, missing in ((found.first, -first), (found.last, last - 15)):
        if missing > 0:
            assert_about(end, 0.95 * missing)
        else:
            assert end.reached


@pytest.mark.parametrize(("count", "beyond", "step"), [(96, 8.0, 1), (96, 20.0, 3), (200, 20.0, 1)])
def test_a_long_stack_is_told_in_frames_though_its_history_is_thinned(
    count: int, beyond: float, step: int
) -> None:
    assert count > KEPT
    last = count - 1 + beyond
    scene = tilted_plane(160, 320, count, seed=5, blur_px_per_frame=0.15, first=2.0, last=last)
    found = judge(scene.frames, step)
    assert found.first.reached
    assert_about(found.last, 0.95 * beyond)


def test_occlusion_scenes_are_nearly_always_right() -> None:
    """Where a few small shapes in front are all that was cut off, a stack can mislead; 1 case in 10 was measured."""
    right, cases = 0, 0
    for seed in (1, 2, 3):
        scene = occlusion_scene(240, 320, 24, seed=seed, blur_px_per_frame=0.6)
        near, far = float(scene.depth.min()), float(scene.depth.max())
        for cut in (slice(5, 24), slice(7, 24), slice(0, 21), slice(0, 19)):
            found = judge(scene.frames[cut])
            end, missing = (found.first, cut.start - near) if cut.start else (found.last, far - cut.stop + 1)
            cases += 1
            right += not end.reached and abs((end.extend_frames or 0) - missing) <= max(1.0, 0.3 * missing)
        whole = judge(scene.frames)
        assert whole.first.reached
        assert whole.last.reached
    assert cases == 12
    assert right >= 10


def test_plain_words() -> None:
    found = Coverage(End(reached=False, extend_frames=3.2), End(reached=True, extend_frames=0.0), 0.9)
    assert found.text() == "extend near by about 3 frames, far end reached"
    assert found.text(near_first=False) == "near end reached, extend far by about 3 frames"
    assert End(reached=False, extend_frames=0.8).text("far") == "extend far by about 1 frame"
    assert "cannot be told" in End(reached=False, extend_frames=None).text("far")


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_nothing_to_see_is_said(count: int) -> None:
    rng = np.random.default_rng(0)
    flat = np.full((64, 64, 3), 90, np.float32)
    found = judge([photograph(rng, flat, 0) for _ in range(count)])
    assert found.confident_share == 0
    assert found.text() == "nothing in this stack is sharp anywhere"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_stack_too_short_to_learn_from_says_so(count: int) -> None:
    scene = tilted_plane(120, 160, count, seed=1, blur_px_per_frame=0.5, first=-5, last=-3)
    found = judge(scene.frames)
    assert not found.first.reached
    assert found.first.extend_frames is None


def test_history_is_bounded_and_keeps_both_ends() -> None:
    history = FocusHistory(40, 60, 1)
    rng = np.random.default_rng(0)
    newest = 0
    for index in range(0, 2000, 2):
        values = rng.integers(0, 256, (40, 60), dtype=np.uint8)
        history.add(values, np.ones((40, 60), np.uint16), index)
        newest = index
        assert len(history.energies()[0]) <= KEPT + 1
    indices, energies = history.energies()
    assert indices[0] == 0
    assert indices[-1] == newest
    assert len(np.unique(np.diff(indices[:-1]))) == 1, "the kept ones are evenly spaced"
    assert energies.shape[0] == len(indices) > KEPT // 2
