"""Guided filter, semi-global matching and holes against their slow twins, and what they do for depth."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.refine import (
    agreement,
    fill_holes,
    focus_cost,
    guided_filter,
    jump_costs,
    semi_global,
    semi_global_in_slabs,
)
from tests import naive_labels


@pytest.mark.parametrize(("radius", "epsilon"), [(1, 4.0), (3, 100.0)])
def test_the_guided_filter_is_a_weighted_fit_in_every_window(radius: int, epsilon: float) -> None:
    rng = np.random.default_rng(0)
    guide = rng.uniform(0, 255, (14, 17)).astype(np.float32)
    value = (rng.normal(0, 1, guide.shape) + guide / 40 + 150).astype(np.float32)
    weight = rng.uniform(0.1, 1, guide.shape).astype(np.float32)
    found = guided_filter(guide, value, weight, radius_px=radius, epsilon=epsilon)
    expected = naive_labels.guided_filter(guide, value, weight, radius, epsilon)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_what_has_no_weight_is_not_seen() -> None:
    guide = np.full((20, 20), 100, np.float32)
    value = np.full((20, 20), 7, np.float32)
    weight = np.ones((20, 20), np.float32)
    value[5:9, 5:9], weight[5:9, 5:9] = 1000, 0
    np.testing.assert_allclose(guided_filter(guide, value, weight, radius_px=4, epsilon=1.0), 7, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (11, 13)])
@pytest.mark.parametrize(("step", "jump"), [(0, 0), (4, 20), (20, 150)])
def test_paths_are_those_of_the_twin(size: tuple[int, int], step: int, jump: int) -> None:
    rng = np.random.default_rng(3)
    cost = rng.integers(0, 256, (*size, 6), dtype=np.uint8)
    guide = rng.integers(0, 256, size, dtype=np.uint8)
    total = naive_labels.semi_global(cost, guide, step, jump_costs(step, jump))
    np.testing.assert_array_equal(
        semi_global(cost, guide, step=step, jump=jump), total.argmin(axis=2).astype(np.uint16)
    )


def test_penalties_out_of_range_are_refused() -> None:
    cost, guide = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)
    for step, jump in ((-1, 3), (5, 4), (1, 4000)):
        with pytest.raises(ValueError, match="penalties"):
            semi_global(cost, guide, step=step, jump=jump)


def noisy_costs(rng: np.random.Generator, truth: np.ndarray, depths: int, noise: float) -> np.ndarray:
    """Of a focus curve 1.5 frames wide, blurred by noise."""
    distance = np.arange(depths) - truth[..., None]
    clean = 200 * (1 - np.exp(-(distance**2) / (2 * 1.5**2)))
    return np.clip(clean + noise * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)


def test_paths_join_what_noise_tore_apart() -> None:
    rng = np.random.default_rng(4)
    truth = np.where(np.arange(60) < 30, 3, 12)[None, :] + np.arange(50)[:, None] // 25
    cost = noisy_costs(rng, truth, 16, 110)
    guide = np.full(truth.shape, 90, np.uint8)
    alone = np.abs(cost.argmin(axis=2) - truth)
    found = np.abs(semi_global(cost, guide).astype(int) - truth)
    assert (alone > 1).mean() > 0.15
    assert (found > 1).mean() < 0.2 * (alone > 1).mean()


def test_slabs_make_no_difference_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    truth = 4 + np.arange(200)[:, None] // 20 + np.zeros((1, 40), int)
    cost = noisy_costs(rng, truth, 16, 90)
    guide = rng.integers(60, 180, truth.shape, dtype=np.uint8)
    whole = semi_global_in_slabs(lambda first, end: cost[first:end], guide, 16)
    np.testing.assert_array_equal(whole, semi_global(cost, guide))
    monkeypatch.setattr("stackcore.refine._SLAB_VALUES", 40 * 16 * 50)
    slabs = semi_global_in_slabs(lambda first, end: cost[first:end], guide, 16)
    assert (slabs != whole).mean() < 0.005


def test_the_cost_is_the_logarithm_of_what_is_missing() -> None:
    energies = np.array([1000.0, 1000 / np.e, 10.0, 0.0], np.float32)[:, None]
    cost = focus_cost(energies, np.zeros(1, np.float32))[:, 0]
    assert cost[0] == 0
    assert abs(int(cost[1]) - 80) <= 1
    assert cost[2] == cost[3] == 255
    noise = focus_cost(np.array([[9.0], [11.0]], np.float32), np.full(1, 10, np.float32))
    assert noise.max() <= 3, "below the noise no frame is better"


def test_agreement_tells_a_field_from_patches() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 24, (60, 60)).astype(np.uint16)
    labels[:, 30:] = 7
    agrees = agreement(labels)
    assert (agrees[:, 40:] == 1).all()
    assert (agrees[:, :20] == 0).all()


def test_holes_follow_the_picture() -> None:
    """Left of an edge in the picture the near thing, right of it the far one; depth is known only away from the edge."""
    columns = np.arange(80)[None, :].repeat(50, axis=0)
    guide = np.where(columns < 33, 60, 160).astype(np.float32)
    truth = np.where(columns < 33, 3.0, 11.0).astype(np.float32)
    value = np.where((columns > 25) & (columns < 45), np.float32(np.nan), truth)
    filled = fill_holes(value, np.full(value.shape, 0.9, np.float32), guide)
    np.testing.assert_allclose(filled, truth, atol=0.25)
    np.testing.assert_array_equal(filled[np.isfinite(value)], value[np.isfinite(value)])


def test_a_hole_far_from_anything_is_filled() -> None:
    value = np.full((100, 150), np.nan, np.float32)
    value[:3, :3] = 5
    weight = np.ones_like(value)
    filled = fill_holes(value, weight, np.full(value.shape, 80, np.float32))
    np.testing.assert_allclose(filled, 5, atol=1e-3)
    assert (fill_holes(np.full((4, 4), np.nan, np.float32), weight[:4, :4], weight[:4, :4]) == 0).all()
    whole = np.full((4, 4), 2, np.float32)
    np.testing.assert_array_equal(fill_holes(whole, weight[:4, :4], weight[:4, :4]), whole)
