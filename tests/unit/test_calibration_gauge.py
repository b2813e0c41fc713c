"""Planes of best focus, and backlash from readings: the arithmetic by itself."""

from __future__ import annotations

import numpy as np
import pytest

from rigd.calibration.gauge import Plane, plane_in, scale_of, two_planes
from rigd.calibration.stand import CalibrationRefused
from rigd.calibration.sweeps import judged
from stackcore.along import Sweep, best_focus, sharpness

WHEN = "2026-01-01T00:00:00Z"


def blocks(seed: int = 1):
    """(12, 16): a level plane at 1000 on the left, one at 2000 on the right; scatter of 5, some blocks without focus."""
    random = np.random.default_rng(seed)
    focus = np.where(np.arange(16)[None, :] < 8, 1000.0, 2000.0) + random.normal(0, 5, (12, 16))
    focus[random.random((12, 16)) < 0.1] = np.nan
    return focus, np.full((12, 16), 3.0)


def test_two_level_planes_are_found_by_themselves() -> None:
    near, far = two_planes(*blocks())
    assert near.at_um == pytest.approx(1000, abs=4 * near.error_um)
    assert far.at_um == pytest.approx(2000, abs=4 * far.error_um)
    assert near.error_um < 2


def test_one_plane_is_not_two() -> None:
    focus, clear = blocks()
    with pytest.raises(CalibrationRefused, match="--from"):
        two_planes(np.where(focus > 1500, focus - 1000, focus), clear)
    with pytest.raises(CalibrationRefused, match="come into focus"):
        two_planes(focus, np.ones_like(clear))


def test_a_tilted_plane_counts_at_the_middle_of_its_region() -> None:
    random = np.random.default_rng(2)
    x, y = np.meshgrid((np.arange(16) + 0.5) / 16, (np.arange(12) + 0.5) / 12)
    focus = 500 + 300 * x - 200 * y + random.normal(0, 2, x.shape)
    focus[3, 3] += 400
    found = plane_in(focus, np.full(x.shape, 3.0), (0.2, 0.1, 0.8, 0.9))
    assert found.at_um == pytest.approx(500 + 150 - 100, abs=3)


def test_the_scale_is_the_known_height_over_the_counted_one() -> None:
    counted, factor, error = scale_of(Plane(1000, 1.0, 20), Plane(2000, 1.0, 20), 1010.0)
    assert (counted, factor) == (1000, pytest.approx(1.01))
    assert error == pytest.approx(1.01 * 2**0.5 / 1000)
    with pytest.raises(CalibrationRefused, match="apart"):
        scale_of(Plane(1000, 1.0, 20), Plane(1003, 1.0, 20), 3.0)


# ---------------------------------------------------------------------------------------------------------------- readings


def test_readings_that_agree_make_one_backlash() -> None:
    found = judged([200.2, 199.8, 200.1], [0.3, 0.3, 0.3], measured=WHEN, position_um=9000)
    assert found.backlash_um == pytest.approx(200, abs=0.1)
    assert found.error_um >= 0.1
    assert found.readings_um == (200.2, 199.8, 200.1)


def test_a_steady_drift_cancels() -> None:
    """Up-down and down-up by turns: a drift adds to the one and takes from the other."""
    found = judged([200 + 0.6, 200 - 0.6, 200 + 0.6], [0.3, 0.3, 0.3], measured=WHEN, position_um=9000)
    assert found.backlash_um == pytest.approx(200)


@pytest.mark.parametrize("readings", [[200, 190, 210], [200, 200, 174], [25, 0, 25]])
def test_readings_that_disagree_are_refused(readings: list[float]) -> None:
    with pytest.raises(CalibrationRefused, match="not the same each time"):
        judged(readings, [0.3, 0.3, 0.3], measured=WHEN, position_um=9000)


def test_a_negative_backlash_is_refused_and_a_little_below_zero_is_none() -> None:
    with pytest.raises(CalibrationRefused, match="too far"):
        judged([-8, -8.1, -7.9], [0.3, 0.3, 0.3], measured=WHEN, position_um=9000)
    assert judged([-0.1, 0, -0.1], [0.3, 0.3, 0.3], measured=WHEN, position_um=9000).backlash_um == 0


# ------------------------------------------------------------------------------------------------------------------- along


def seen(position_um: float, depth_um: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """A texture whose contrast in each column falls off with the distance of its depth from the focus."""
    contrast = 1 / (1 + ((depth_um - position_um) / 100) ** 2)
    return (128 + 100 * contrast[None, :] * texture).astype(np.float32)


@pytest.fixture
def subject():
    random = np.random.default_rng(3)
    return np.linspace(0, 1000, 320), random.uniform(-1, 1, (240, 320))


def test_a_picture_is_placed_by_what_is_sharp_in_it(subject) -> None:
    at = np.arange(0, 1001, 50.0)
    sweep = Sweep(at, [seen(position, *subject) for position in at])
    for true in (130.0, 333.0, 475.0, 700.0):
        place = sweep.place(seen(true, *subject))
        assert place.sharpness_um == pytest.approx(true, abs=2)
        # Light that has changed raises all blocks alike and says nothing of the place.
        brighter = sweep.place(0.8 * seen(true, *subject))
        assert brighter.sharpness_um == pytest.approx(true, abs=2)


def test_what_lies_beyond_a_sweep_is_not_placed(subject) -> None:
    at = np.arange(300, 601, 50.0)
    sweep = Sweep(at, [seen(position, *subject) for position in at])
    place = sweep.place(seen(900.0, *subject))
    assert not np.isfinite(place.sharpness_um) or place.sharpness_um > 590


def test_the_best_focus_of_each_block(subject) -> None:
    depth, texture = subject
    at = np.arange(-200, 1201, 40.0)
    focus, clear = best_focus(at, np.stack([sharpness(seen(position, depth, texture)) for position in at]))
    wanted = depth[: 16 * focus.shape[1]].reshape(-1, 16).mean(axis=1)
    assert np.nanmean(np.abs(focus - wanted[None, :])) < 5
    assert (clear > 2).all()


def test_a_sweep_that_is_none_is_refused(subject) -> None:
    picture = seen(0.0, *subject)
    with pytest.raises(ValueError, match="4 pictures"):
        Sweep([0, 1, 2], [picture] * 3)
    with pytest.raises(ValueError, match="ascend"):
        Sweep([0, 1, 1, 2], [picture] * 4)
    with pytest.raises(ValueError, match="one shape"):
        Sweep([0, 1, 2, 3], [picture, picture, picture, picture[:-1]])
