"""The screened Poisson equation against a dense solve."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stackcore import poisson
from stackcore.poisson import MissingTransform, screened_poisson
from tests import naive_labels


@pytest.mark.parametrize("screening", [0.0, 0.01, 0.15, 3.0])
@pytest.mark.parametrize("shape", [(1, 6), (7, 1), (9, 12)])
def test_equal_to_a_dense_solve(shape: tuple[int, int], screening: float) -> None:
    rng = np.random.default_rng(0)
    colours = rng.uniform(0, 255, shape).astype(np.float32)
    across = rng.normal(0, 20, (shape[0], shape[1] - 1)).astype(np.float32)
    down = rng.normal(0, 20, (shape[0] - 1, shape[1])).astype(np.float32)
    found = screened_poisson(colours, across, down, screening)
    assert found.dtype == np.float32
    expected = naive_labels.screened_poisson(colours, across, down, screening)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("screening", [0.0, 0.15])
def test_a_picture_with_its_own_gradients_stays(screening: float) -> None:
    rng = np.random.default_rng(1)
    colours = rng.uniform(0, 65535, (40, 56)).astype(np.float32)
    found = screened_poisson(
        colours, np.diff(colours, axis=1), np.diff(colours, axis=0), screening, workers=2
    )
    np.testing.assert_array_equal(found, colours)


def test_strong_screening_keeps_colours_and_none_keeps_gradients() -> None:
    rng = np.random.default_rng(2)
    colours = rng.uniform(0, 255, (24, 24)).astype(np.float32)
    across, down = np.zeros((24, 23), np.float32), np.zeros((23, 24), np.float32)
    np.testing.assert_allclose(screened_poisson(colours, across, down, 1e4), colours, atol=0.1)
    flat = screened_poisson(colours, across, down, 0.0)
    np.testing.assert_allclose(flat, colours.mean(), atol=1e-3)


def test_what_cannot_be_is_refused() -> None:
    colours = np.zeros((4, 5), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        screened_poisson(colours, colours, colours, 0.1)
    with pytest.raises(ValueError, match="negative"):
        screened_poisson(colours, colours[:, 1:], colours[1:], -0.1)


def test_without_the_transform_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingTransform, match=r"pip install rigd\[labels\]"):
        poisson.transforms()
