"""`weighted` against its slow twin: any exponent, any order of energies, no black pixels, nothing overflows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.focus_measures import MEASURES
from stackcore.methods._take_kernel import weigh_rows
from stackcore.methods.weighted import Weighted
from tests import naive_methods as naive
from tests.unit._methods import aligned, fused, moved, setting_for, textured_stack

KINDS = list(itertools.product([(20, 90), (100, 25, 3)], [np.uint8, np.uint16]))


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
@pytest.mark.parametrize("measure", MEASURES)
def test_the_picture_is_the_weighted_mean(measure, shape, dtype):
    frames = textured_stack(1, shape, 4, dtype)
    energies = np.stack([naive.energy(measure, naive.luma(frame), 2) for frame in frames])
    picture = fused(Weighted(setting_for(frames[0]), measure=measure), aligned(frames)).picture
    assert picture.dtype == dtype
    wanted = naive.weighted(np.stack(frames).astype(float), energies, 4.0)
    np.testing.assert_allclose(picture, wanted, atol=0.51 + 2e-4 * np.iinfo(dtype).max)


def weigh(energies: np.ndarray, values: np.ndarray, gamma: float) -> np.ndarray:
    """Through the kernel, one row."""
    _, width = energies.shape
    top, total, sums = np.full((1, width), -1, np.float32), np.zeros((1, width), np.float32), None
    sums = np.zeros((1, width), np.float32)
    for k, (energy, value) in enumerate(zip(energies, values, strict=True)):
        inside = np.ones((1, width), np.uint8)
        scratch = np.empty((3, width), np.float32)
        weigh_rows(value[None], energy[None], inside, k == 0, gamma, top, total, sums, scratch)
        assert np.isfinite(sums).all()
        assert (total >= 1).all()
        assert (total <= k + 1).all()
    return (sums / total)[0]


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 3, 4, 5, 6, 7, 2.5, 12, 64])
@pytest.mark.parametrize("spread", [0.5, 5, 30])
def test_any_exponent_and_any_size_of_energies(gamma, spread):
    rng = np.random.default_rng(7)
    energies = (10 ** rng.uniform(-spread / 2, spread / 2, (9, 200))).astype(np.float32)
    energies[rng.random(energies.shape) < 0.2] = 0
    energies[:, :20] = 0
    values = rng.uniform(0, 65535, energies.shape).astype(np.float32)
    wanted = naive.weighted(values.astype(float), energies.astype(float), gamma)
    np.testing.assert_allclose(weigh(energies, values, gamma), wanted, rtol=2e-4 * max(1, gamma / 8))


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_without_energy_the_mean_remains(shape, dtype):
    levels = (10, 20, 60)
    frames = [np.full(shape, level, dtype) for level in levels]
    for measure in MEASURES:
        result = fused(Weighted(setting_for(frames[0]), measure=measure), aligned(frames))
        assert (result.picture == 30).all()
        assert np.isnan(result.depth.frame_index).all()


def test_a_pixel_without_energy_beside_texture_is_not_black():
    rng = np.random.default_rng(0)
    frames = [np.full((60, 60, 3), level, np.uint8) for level in (100, 140)]
    for frame in frames:
        frame[:20] = rng.integers(0, 256, (20, 60, 3), dtype=np.uint8)
    picture = fused(Weighted(setting_for(frames[0])), aligned(frames)).picture
    assert (picture[30:] == 120).all()


def test_energy_that_comes_late_replaces_the_mean_of_what_had_none():
    texture = np.random.default_rng(1).integers(0, 256, (40, 40), dtype=np.uint8)
    frames = [
        np.full((40, 40), 9, np.uint8),
        np.full((40, 40), 77, np.uint8),
        texture,
        np.zeros((40, 40), np.uint8),
    ]
    picture = fused(Weighted(setting_for(texture)), aligned(frames)).picture
    assert (picture == texture).all()


def test_outside_a_frame_nothing_counts():
    frames = [
        moved(np.full((50, 60), 40, np.uint8), 0, (0, -20)),
        moved(np.full((50, 60), 80, np.uint8), 1, (0, -10)),
        AlignedFrame(2, np.full((50, 60), 120, np.uint8)),
    ]
    method = Weighted(setting_for(frames[0].pixels))
    method.add(frames[0])
    assert (method.preview() == 40).all(), "where nothing has been shown yet the first frame stands in"
    for frame in frames[1:]:
        method.add(frame)
    picture = method.finish().picture
    method.close()
    assert (picture[:10] == 120).all()
    assert (picture[12:20, 1:-1] == 100).all()
    assert (picture[22:-1, 1:-1] == 80).all()


def test_a_large_exponent_is_a_choice_and_a_small_one_the_mean():
    frames = textured_stack(3, (30, 120), 4)
    stack = np.stack(frames).astype(float)
    near_mean = fused(Weighted(setting_for(frames[0]), gamma=0.01), aligned(frames)).picture
    assert np.abs(near_mean - stack.mean(axis=0)).max() < 4
    energies = np.stack([naive.energy("sml", naive.luma(frame), 2) for frame in frames])
    choice = np.take_along_axis(stack, energies.argmax(axis=0)[None], axis=0)[0]
    sure = np.sort(energies, axis=0)
    sure = sure[-1] > 1.3 * sure[-2]
    picture = fused(Weighted(setting_for(frames[0]), gamma=64), aligned(frames)).picture
    assert sure.mean() > 0.3
    assert np.abs(picture - choice)[sure].max() <= 1


def test_threads_do_not_matter():
    frames = textured_stack(5, (300, 70, 3), 3)
    stack = [
        AlignedFrame(0, frames[0]),
        moved(frames[1], 1, (0.4, -1.3)),
        moved(frames[2], 2, (-2, 0.2), 1.1),
    ]
    one, two = (fused(Weighted(setting_for(frames[0], n)), stack) for n in (1, 2))
    assert (one.picture == two.picture).all()
    np.testing.assert_array_equal(one.depth.frame_index, two.depth.frame_index)


@pytest.mark.parametrize("gamma", [0, -1, 65, float("nan")])
def test_an_exponent_that_cannot_be_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma"):
        Weighted(setting_for(np.zeros((9, 9), np.uint8)), gamma=gamma)


def test_a_stack_without_frames_is_refused():
    with pytest.raises(ValueError, match="no frame"):
        Weighted(setting_for(np.zeros((9, 9), np.uint8))).finish()
