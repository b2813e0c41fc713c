"""How well `unveil` does, held against the truth: on the scenes of its own model of light, and on the simulator's, which have another."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.methods.argmax import Argmax
from tests.unit._methods import aligned, fused, setting_for
from tests.unit._moving import moved, similarity
from tests.unit._scenes import psnr_db
from tests.unit._unveil import FRAMES, HEIGHT, SEEDS, WIDTH, occlusion, tilt, unveiled
from tests.unit.test_scenes_merged import POSITIONS_UM, STEP_UM, stack

MARGIN = 24


@cache
def result(seed: int, **options):
    return unveiled(occlusion(seed).frames, **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_nearer_things_lay_over_farther_ones_is_taken_off(seed):
    truth = occlusion(seed).truth
    quality = psnr_db(result(seed).picture, truth)
    assert quality >= 33.0
    assert quality >= psnr_db(result(seed, unveil=False).picture, truth) + 1.5
    picked = fused(Argmax(setting_for(truth)), aligned(occlusion(seed).frames)).picture
    assert quality >= psnr_db(picked, truth) + 1.5


@pytest.mark.parametrize("name", ["ring", "insect"])
def test_frames_that_do_not_share_its_model_are_no_worse_than_picked(name):
    """The simulator adds up light before it is encoded, and knows heights that change from pixel to pixel."""
    frames, truth = stack(name, f_number=4.0)
    picked = psnr_db(fused(Argmax(setting_for(frames[0])), aligned(frames)).picture, truth.picture)
    found = unveiled(frames, threads=2).picture
    assert psnr_db(found, truth.picture) >= picked + 0.5
    # Told which end is near, the veil is taken off: that must not do harm either.
    told = unveiled(frames, threads=2, near="first").picture
    assert psnr_db(told, truth.picture) >= picked
    assert (told != found).any()
    one = unveiled(frames, threads=1, near="first").picture
    assert (one == told).all()


def moving(seed: int, jitter_px: float) -> tuple[list[AlignedFrame], np.ndarray, float]:
    """A scene through a breathing, shaking, flickering camera; its truth, and the mean square that resampling the truth twice costs."""
    scene, rng = occlusion(seed), np.random.default_rng(5)
    frames, costs = [], []
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    truth = 0.85 * scene.truth[inner].astype(float)
    shape = truth.shape[:2]
    for index, frame in enumerate(scene.frames):
        matrix, gain = np.eye(3), np.ones(3)
        if index and jitter_px:
            shift = tuple(jitter_px * rng.standard_normal(2))
            matrix = similarity(shape, 1 / (1 + 0.002 * index), 0.1 * rng.standard_normal(), shift)
            gain = 1 + 0.1 * rng.uniform(-1, 1, 3)
        pixels, clean = (
            np.clip(np.rint(0.85 * gain * moved(light, matrix, MARGIN)), 0, 255).astype(np.uint8)
            for light in (frame, scene.truth)
        )
        frames.append(AlignedFrame(index, pixels, matrix[:2], (1 / gain).astype(np.float32)))
        back = AlignedFrame(index, clean, matrix[:2], (1 / gain).astype(np.float32)).warped
        costs.append(np.square(back - truth)[8:-8, 8:-8].mean())
    return frames, truth, float(np.mean(costs))


@pytest.mark.parametrize("seed", SEEDS)
def test_moved_frames_come_out_as_still_ones_but_for_resampling(seed):
    still, truth, _ = moving(seed, 0.0)
    frames, _, cost = moving(seed, 1.5)
    best = 255**2 / 10 ** (psnr_db(unveiled(still).picture, truth) / 10)
    limit_db = 10 * np.log10(255**2 / (best + cost))
    assert psnr_db(unveiled(frames).picture, truth) >= limit_db - 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stack_from_far_to_near_comes_out_as_one_from_near_to_far(seed):
    scene = occlusion(seed)
    forward = unveiled(scene.frames, near="first")
    back = unveiled(scene.frames[::-1], near="last")
    difference = np.abs(forward.picture.astype(int) - back.picture)
    # The noise of the two is measured beside another first frame, so few pixels lie otherwise.
    assert (difference > 1).mean() <= 0.03
    assert psnr_db(back.picture, scene.truth) == pytest.approx(psnr_db(forward.picture, scene.truth), abs=0.1)
    apart = np.abs(FRAMES - 1 - back.depth.frame_index - forward.depth.frame_index)
    assert np.nanpercentile(apart, 98) <= 0.05
    wrong = unveiled(scene.frames, near="last")
    assert psnr_db(wrong.picture, scene.truth) <= psnr_db(forward.picture, scene.truth) - 1.5


def test_where_the_near_end_is_in_doubt_nothing_is_taken_off():
    frames = tilt(2).frames
    assert (unveiled(frames).picture == unveiled(frames, unveil=False).picture).all()
    assert psnr_db(unveiled(frames).picture, tilt(2).truth) >= 42.0


def test_16_bits_are_as_8():
    scene = occlusion(1)
    wide = unveiled([frame.astype(np.uint16) * np.uint16(257) for frame in scene.frames])
    assert wide.picture.dtype == np.uint16
    difference = np.abs(wide.picture / 257 - result(1).picture)
    assert (difference > 1).mean() <= 0.005, "but where depth itself was on the brink"
    assert difference.mean() <= 0.3
    known = np.isfinite(wide.depth.frame_index) & np.isfinite(result(1).depth.frame_index)
    assert np.abs(wide.depth.frame_index - result(1).depth.frame_index)[known].max() <= 0.25
    assert (np.isfinite(wide.depth.frame_index) != np.isfinite(result(1).depth.frame_index)).mean() <= 0.01


def test_gray():
    scene = occlusion(3)
    frames = [frame[..., 1].copy() for frame in scene.frames]
    found, plain = (unveiled(frames, near=near, unveil=near == "first") for near in ("first", "auto"))
    assert found.picture.shape == (HEIGHT, WIDTH)
    truth = scene.truth[..., 1]
    assert psnr_db(found.picture, truth) >= max(33.0, psnr_db(plain.picture, truth) + 1.5)
    assert np.nanmedian(np.abs(found.depth.frame_index - scene.depth)) <= 0.05
    assert np.isfinite(found.depth.frame_index).mean() >= 0.8


@pytest.mark.parametrize("channels", [1, 3])
def test_threads_do_not_matter(channels):
    frames, _, _ = moving(1, 1.5)
    if channels == 1:
        frames = [AlignedFrame(f.index, f.pixels[..., 0].copy(), f.matrix, f.gain) for f in frames]
    one, *others = (unveiled(frames, threads=n, near="first") for n in (1, 2, 3))
    for other in others:
        assert (other.picture == one.picture).all()
        np.testing.assert_array_equal(other.depth.frame_index, one.depth.frame_index)
        np.testing.assert_array_equal(other.depth.confidence, one.depth.confidence)


def error_of(depth, truth, last):
    """Absolute error where the depth is known and lies inside the stack."""
    inside = np.isfinite(depth) & (truth >= 0) & (truth <= last)
    return np.abs(depth - truth)[inside]


@pytest.mark.parametrize("seed", SEEDS)
def test_depth_of_a_tilted_plane(seed):
    scene = tilt(seed)
    depth = unveiled(scene.frames).depth
    error = error_of(depth.frame_index, scene.depth, FRAMES - 1)
    assert error.size > 0.9 * scene.depth.size
    assert np.median(error) <= 0.05
    assert np.sqrt(np.square(error).mean()) <= 0.15


def test_depth_of_the_simulators_board_and_holes_where_it_is_plain():
    frames, truth = stack("tilt", f_number=5.6)
    depth = unveiled(frames, threads=2).depth
    error = error_of(depth.frame_index, (truth.depth_um - POSITIONS_UM[0]) / STEP_UM, FRAMES - 1)
    assert 0.4 < np.isfinite(depth.frame_index).mean() < 0.8, "where the board is printed there is texture"
    assert np.median(error) <= 0.05
    assert np.sqrt(np.square(error).mean()) <= 0.15
    assert depth.confidence.min() >= 0
    assert depth.confidence.max() <= 1


def test_depth_is_in_units_of_the_index_where_frames_are_missing():
    scene = tilt(1)
    kept = [0, 1, 4, 7, 8, 9, *range(12, FRAMES)]
    depth = unveiled([AlignedFrame(index, scene.frames[index]) for index in kept]).depth.frame_index
    inside = (scene.depth > 12) & (scene.depth < FRAMES - 2)
    assert np.nanmedian(np.abs(depth - scene.depth)[inside]) <= 0.05
    between = (scene.depth > 1) & (scene.depth < 9)
    assert np.nanmedian(np.abs(depth - scene.depth)[between]) <= 0.5
    assert np.nanmax(depth) <= FRAMES - 1
