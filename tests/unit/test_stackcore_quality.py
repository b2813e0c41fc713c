"""Figures of single frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stackcore.quality import frame_metrics
from tests import naive
from tests.unit._scenes import photograph, texture


@pytest.mark.parametrize("shape", [(6, 6), (40, 31, 3), (97, 64), (300, 500, 3)])
def test_equal_to_the_slow_twin_where_everything_is_sampled(shape: tuple[int, ...]) -> None:
    frame = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    strip = min(8, shape[0] // 2 * 2)
    strips = shape[0] // strip
    starts = np.linspace(0, shape[0] - strip, strips).astype(int)
    expected = naive.frame_figures([frame[start : start + strip] for start in starts])
    found = frame_metrics(frame)
    assert found.mean == pytest.approx(expected["mean"], abs=1e-3)
    assert found.p99 == pytest.approx(expected["p99"], abs=1)
    assert found.sharpness == pytest.approx(expected["sharpness"], rel=1e-4)
    assert found.clipped_share == pytest.approx(expected["clipped_share"])


def test_a_sample_of_a_large_frame_is_about_the_whole() -> None:
    rng = np.random.default_rng(2)
    frame = photograph(rng, np.tile(texture(rng, 480, 640), (4, 4, 1)))
    frame[:, :64] = 255
    found = frame_metrics(frame)
    whole = naive.frame_figures([frame])
    assert found.mean == pytest.approx(whole["mean"], rel=0.02)
    assert found.p99 == pytest.approx(whole["p99"], abs=2)
    assert found.sharpness == pytest.approx(whole["sharpness"], rel=0.05)
    assert found.clipped_share == pytest.approx(whole["clipped_share"], abs=0.005)


def test_blur_lowers_sharpness_far_more_than_noise_raises_it() -> None:
    rng = np.random.default_rng(3)
    light = texture(rng, 200, 300)
    sharp = frame_metrics(photograph(rng, light, 0)).sharpness
    noisy = frame_metrics(photograph(rng, light, 3)).sharpness
    blurred = frame_metrics(photograph(rng, cv2.blur(light, (5, 5)), 3)).sharpness
    assert noisy < 1.2 * sharp
    assert blurred < 0.25 * noisy


def test_black_and_white() -> None:
    black, white = (frame_metrics(np.full((50, 60, 3), level, np.uint8)) for level in (0, 255))
    assert (black.mean, black.p99, black.clipped_share, black.sharpness) == (0, 0, 0, 0)
    assert (white.mean, white.p99, white.clipped_share) == (255, 255, 1)


@pytest.mark.parametrize(
    "frame", [np.zeros((5, 90), np.uint8), np.zeros((9, 9), np.uint16), np.zeros((9, 9, 4), np.uint8)]
)
def test_what_is_no_frame_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError):
        frame_metrics(frame)
