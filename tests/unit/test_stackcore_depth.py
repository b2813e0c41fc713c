"""Sub-frame depth, its confidence and its holes."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.depth import DepthMap, depth_map, depth_um, focus_width, smooth_depth
from stackcore.merge import StackMerger
from stackcore.scores import Merged
from tests import naive
from tests.unit._scenes import Scene, photograph, tilted_plane


def merge(frames: list[np.ndarray], indices: list[int] | None = None) -> Merged:
    height, width = frames[0].shape[:2]
    with StackMerger(height, width, channels=1 if frames[0].ndim == 2 else 3) as merger:
        for index, frame in zip(indices or range(len(frames)), frames, strict=True):
            merger.add(frame, index)
        return merger.merged()


def gaussian_stack(peak: np.ndarray, sigma: float, at: list[int]) -> Merged:
    """Scores as an ideal lens would give them, without noise."""
    curves = np.stack([1e6 * np.exp(-((i - peak) ** 2) / (2 * sigma**2)) for i in at])
    scores = naive.encode(np.where(curves >= 1, curves, 0))
    best = scores.argmax(axis=0)
    rows, columns = np.indices(peak.shape)
    around = np.pad(scores, ((1, 1), (0, 0), (0, 0)))
    return Merged(
        picture=np.full((*peak.shape, 3), 100, np.uint8),
        frame=best.astype(np.uint16),
        best=around[best + 1, rows, columns],
        before=around[best, rows, columns],
        after=around[best + 2, rows, columns],
        indices=tuple(at),
        noise_floor=np.zeros(8, np.float32),
        radius=3,
    )


@pytest.fixture(scope="module")
def plane() -> Scene:
    return tilted_plane(120, 480, 24, seed=2, blur_px_per_frame=0.6)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 4.0])
@pytest.mark.parametrize("at", [list(range(12)), [0, 1, 2, 4, 5, 7, 8, 9, 11]], ids=["every frame", "gaps"])
def test_a_gaussian_peak_is_found_exactly(sigma: float, at: list[int]) -> None:
    peak = np.linspace(1.0, 10.0, 400).reshape(20, 20)
    depth = depth_map(gaussian_stack(peak, sigma, at))
    # The three samples are scores of 11 bits: 1/2048 of energy is sigma^2 / 2048 of a frame or less.
    np.testing.assert_allclose(depth.frame_index, peak, atol=0.002 + sigma**2 / 1000)
    assert focus_width(gaussian_stack(peak, sigma, at)) == pytest.approx(sigma, rel=0.02)


def test_a_peak_at_an_end_stays_in_the_stack() -> None:
    peak = np.linspace(-3, 12, 1000).reshape(20, 50)
    depth = depth_map(gaussian_stack(peak, 1.5, list(range(10))))
    np.testing.assert_allclose(depth.frame_index, np.clip(peak, 0, 9), atol=0.02)
    assert (depth.confidence[peak < -0.5] <= 0.5).all()


def test_continuous_depth_within_a_twentieth_of_a_frame(plane: Scene) -> None:
    depth = depth_map(merge(plane.frames))
    error = np.abs(depth.frame_index - plane.depth)[8:-8, 8:-8]
    assert np.isfinite(error).mean() > 0.99
    assert np.nanmedian(error) <= 0.05
    smooth = np.abs(smooth_depth(depth).frame_index - plane.depth)[8:-8, 8:-8]
    assert np.nanmedian(smooth) < 0.8 * np.nanmedian(error)


def test_confidence_says_where_the_error_is() -> None:
    scene = tilted_plane(160, 480, 24, seed=4, blur_px_per_frame=0.4, noise_sigma=0)
    rng = np.random.default_rng(0)
    contrast = np.linspace(1.0, 0.1, 160)[:, None, None]
    frames = [
        photograph(rng, (120 + contrast * (frame - 120.0)).astype(np.float32)) for frame in scene.frames
    ]
    depth = depth_map(merge(frames), min_confidence=0.0)
    error = np.abs(depth.frame_index - scene.depth)
    low, high = np.quantile(depth.confidence, [0.3, 0.7])
    assert np.median(error[depth.confidence >= high]) < 0.4 * np.median(error[depth.confidence <= low])
    assert depth.confidence.min() >= 0
    assert depth.confidence.max() <= 1


def test_noise_alone_is_a_hole() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((100, 150, 3), 120, np.float32)
    depth = depth_map(merge([photograph(rng, flat) for _ in range(24)]))
    assert np.isfinite(depth.frame_index).mean() < 0.01


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_flat_stack_has_no_depth_and_no_warning(count: int) -> None:
    depth = depth_map(merge([np.full((20, 30, 3), 50, np.uint8)] * count))
    assert np.isnan(depth.frame_index).all()
    assert (depth.confidence == 0).all()


def test_one_and_two_frames_are_all_ends() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(96, 128, (40, 40), dtype=np.uint8)
    flat = rng.integers(111, 113, (40, 40), dtype=np.uint8)
    flat[:, :20] = sharp[:, :20]
    one = depth_map(merge([flat], [7])).frame_index
    assert np.isnan(one[:, 25:]).all(), "no detail, no depth"
    assert np.nanmin(one) == np.nanmax(one) == 7
    two = depth_map(merge([flat, sharp], [2, 5])).frame_index
    assert (two[:, :15] == 2).all()
    assert (two[:, 25:] == 5).all()


def test_depth_in_um_follows_unequal_steps() -> None:
    index = np.array([[0.0, 0.5, 1.0], [1.5, 2.0, np.nan]], np.float32)
    expected = [[100.0, 105.0, 110.0], [130.0, 150.0, np.nan]]
    np.testing.assert_allclose(depth_um(index, [100.0, 110.0, 150.0]), expected)
    np.testing.assert_allclose(depth_um(index, [150.0, 110.0], [0, 2])[0], [150.0, 140.0, 130.0])


@pytest.mark.parametrize(("positions", "indices"), [([], None), ([1.0, 2.0], [0]), ([1.0, 2.0], [1, 1])])
def test_positions_that_do_not_fit_are_refused(positions: list[float], indices: list[int] | None) -> None:
    with pytest.raises(ValueError):
        depth_um(np.zeros((1, 1), np.float32), positions, indices)


def test_smoothing_keeps_jumps_tilts_and_holes() -> None:
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(80) < 40, 3.0, 12.0)[None, :] + np.arange(60)[:, None] * 0.05
    noisy = (truth + 0.1 * rng.standard_normal(truth.shape)).astype(np.float32)
    noisy[30, 20] = np.nan
    smooth = smooth_depth(DepthMap(noisy, np.ones_like(noisy))).frame_index
    assert np.isnan(smooth[30, 20])
    assert np.isnan(smooth).sum() == 1
    error = np.abs(smooth - truth)
    assert np.nanmedian(error[5:-5, 5:30]) < 0.03
    assert np.nanmax(error[:, 39:41]) < 0.6
