"""The focus measures against their slow twins, and what all of them must have in common."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from stackcore.focus_measures import LUMA_MAX, MEASURES, luma_of, measure_named
from tests import naive_methods as naive

SHAPES = [(23, 31), (1, 1), (1, 9), (8, 2)]


def picture(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 13), (9, 13, 3)])
def test_luma_is_the_same_scale_for_8_and_16_bits(shape, dtype):
    frame = picture(shape, dtype)
    found = luma_of(frame, np.iinfo(dtype).max)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive.luma(frame), atol=1e-3)
    assert luma_of(np.full(shape, np.iinfo(dtype).max, dtype), np.iinfo(dtype).max).max() == pytest.approx(
        LUMA_MAX, abs=1e-3
    )


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_equals_its_slow_twin(name, shape, radius):
    for dtype in (np.uint8, np.uint16):
        luma = luma_of(picture(shape, dtype), np.iinfo(dtype).max)
        found = MEASURES[name].energy(luma, radius)
        assert found.dtype == np.float32
        assert found.shape == shape
        wanted = naive.energy(name, luma.astype(np.float64), radius)
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=1e-2)


@pytest.mark.parametrize("name", MEASURES)
def test_energy_falls_with_blur_and_does_not_cancel_within_the_window(name):
    energy = MEASURES[name].energy
    texture = luma_of(picture((60, 60), np.uint8), 255)
    levels = [
        energy(cv2.GaussianBlur(texture, (0, 0), s) if s else texture, 3)[10:-10, 10:-10]
        for s in (0, 1, 2, 4)
    ]
    for sharper, softer in itertools.pairwise(levels):
        assert (sharper > softer).mean() > 0.99


@pytest.mark.parametrize("name", MEASURES)
def test_energy_is_quadratic_in_contrast_and_blind_to_brightness(name):
    energy = MEASURES[name].energy
    texture = luma_of(picture((30, 30), np.uint8), 255) / 4
    np.testing.assert_allclose(energy(texture * 2, 2), 4 * energy(texture, 2), rtol=1e-3)
    np.testing.assert_allclose(energy(texture + 300, 2), energy(texture, 2), rtol=2e-3)


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_flat_has_no_energy_even_beside_a_glint(name):
    luma = np.full((80, 80), 403.7, np.float32)
    luma[20, 20] = LUMA_MAX
    energy = MEASURES[name].energy(luma, 3)
    assert energy[20, 20] > 0
    assert (energy >= 0).all()
    assert not energy[30:].any()
    assert not energy[:, 30:].any()


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_looks_no_farther_than_it_says(name):
    luma = luma_of(picture((41, 41), np.uint8), 255)
    changed = luma.copy()
    changed[20, 20] += 100
    there = np.argwhere(MEASURES[name].energy(luma, 2) != MEASURES[name].energy(changed, 2))
    assert np.abs(there - 20).max() == 2 + MEASURES[name].reach


def test_one_step_of_16_bits_counts():
    frame = np.full((20, 20), 30_000, np.uint16)
    frame[10, 10] += 1
    for name, measure in MEASURES.items():
        assert measure.energy(luma_of(frame, 65535), 2)[10, 10] > 0, name


def test_an_unknown_measure_is_refused_with_the_names_of_all():
    with pytest.raises(ValueError, match="no focus measure 'sobel'; there are: sml, laplacian2"):
        measure_named("sobel")
