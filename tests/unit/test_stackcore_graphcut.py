"""Minimum cuts and expansion moves against all choices tried."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stackcore import graphcut
from stackcore.graphcut import Grid, MissingSolver, energy, expand, minimum_cut, optimise
from tests import naive_labels


def random_grid(seed: int, frames: int, height: int, width: int, **options: object) -> Grid:
    rng = np.random.default_rng(seed)
    return Grid(
        data=rng.integers(0, 256, (frames, height, width), dtype=np.uint8),
        colours=rng.integers(100, 130, (frames, height, width, 3), dtype=np.uint8),
        **{"colour_weight": 2, "seam": 5, "data_weight": 1, **options},
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_is_the_cheapest_of_all_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = 9
    stay, change = rng.integers(0, 40, (2, nodes))
    first, second = np.array([(p, q) for p in range(nodes) for q in range(p) if rng.random() < 0.4]).T
    only_second, only_first = rng.integers(0, 30, (2, first.size))
    neither = np.minimum(rng.integers(0, 60, first.size), only_second + only_first)
    costs = (neither, only_second, only_first)
    changes = minimum_cut(stay, change, first, second, costs)
    total = np.where(changes, change, stay).sum()
    pair = np.where(changes[second], only_second, neither)
    pair = np.where(changes[first], np.where(changes[second], 0, only_first), pair)
    assert total + pair.sum() == naive_labels.cheapest_cut(stay, change, first, second, costs)


def test_pairs_without_a_graph_are_truncated() -> None:
    one = np.array([1])
    assert not minimum_cut(one, one * 2, one[:0], one[:0], (one[:0],) * 3).any()
    changes = minimum_cut(
        np.array([0, 0]),
        np.array([1, 1]),
        np.array([0]),
        np.array([1]),
        (np.array([1000]), np.array([2]), np.array([3])),
    )
    assert changes.tolist() in ([True, True], [True, False], [False, True])


@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_a_cut_with_only_one_side(sign: int) -> None:
    none = np.zeros(0, np.int64)
    stay = np.array([5, 5, 5])
    changes = minimum_cut(stay, stay - sign, none, none, (none, none, none))
    assert changes.all() if sign > 0 else not changes.any()


@pytest.mark.parametrize("seed", range(6))
def test_a_move_is_the_best_of_all_expansions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forbidden = rng.random((4, 4, 5)) < 0.1
    grid = random_grid(seed, 4, 4, 5, forbidden=forbidden & ~forbidden.all(axis=0))
    labels = rng.integers(0, 4, (4, 5)).astype(np.uint16)
    assert energy(grid, labels) == naive_labels.energy(grid, labels)
    for label in range(4):
        candidates = rng.random((4, 5)) < 0.5
        candidates.flat[np.flatnonzero(candidates)[11:]] = False
        best = naive_labels.best_expansion(grid, labels, label, candidates)
        before = labels.copy()
        changed = expand(grid, labels, label, candidates)
        assert energy(grid, labels) == best
        assert (labels != before).sum() == changed
        assert not ((labels != before) & ~candidates).any()


def test_seam_costs_are_a_metric() -> None:
    grid = random_grid(1, 5, 2, 2)
    for a, b, c in np.ndindex(5, 5, 5):
        direct = naive_labels.seam_cost(grid, a, b, (0, 0), (0, 1))
        around = naive_labels.seam_cost(grid, a, c, (0, 0), (0, 1)) + naive_labels.seam_cost(
            grid, c, b, (0, 0), (0, 1)
        )
        assert direct <= around


@pytest.mark.parametrize("seed", range(4))
def test_energy_never_rises_and_noise_goes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.repeat([1, 4], 20)[None].repeat(30, axis=0)
    data = np.full((6, 30, 40), 60, np.uint8)
    np.put_along_axis(data, truth[None], 0, axis=0)
    noisy = np.clip(data + rng.integers(-50, 51, data.shape), 0, 255).astype(np.uint8)
    grid = Grid(noisy, np.full((6, 30, 40, 1), 9, np.uint8), colour_weight=1, seam=15)
    start = noisy.argmin(axis=0).astype(np.uint16)
    found = optimise(grid, start, sweeps=3, near_labels=5, slack=255, near_seam=3)
    assert energy(grid, found) < energy(grid, start)
    assert (start != truth).mean() > 0.05
    assert (found != truth).mean() < 0.01
    assert energy(grid, optimise(grid, start)) <= energy(grid, start)


def test_what_is_not_shown_is_not_taken() -> None:
    data = np.zeros((2, 6, 6), np.uint8)
    data[1] = 200
    forbidden = np.zeros(data.shape, np.bool_)
    forbidden[0, :, :3] = True
    grid = Grid(data, np.zeros((*data.shape, 1), np.uint8), colour_weight=1, seam=100, forbidden=forbidden)
    found = optimise(grid, np.ones((6, 6), np.uint16), sweeps=3, slack=255)
    assert (found[:, :3] == 1).all()


def test_without_the_solver_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.graph.python.max_flow", None)
    with pytest.raises(MissingSolver, match=r"pip install rigd\[labels\]"):
        graphcut.solver_class()
