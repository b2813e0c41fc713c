"""Input shapers against the reference figures, and shaped profiles against the plain sum of delayed copies."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from drivers.base import Shaping
from drivers.motion.oscillator import Oscillator, Response
from drivers.motion.profile import REST, braking, quintic, trapezoid
from drivers.motion.shaping import impulses, profile_for, residual, shaped

REFERENCE = yaml.safe_load((Path(__file__).parents[1] / "data" / "shapers.yaml").read_text())
F, ZETA = REFERENCE["frequency_hz"], REFERENCE["damping"]
MOVE = REFERENCE["move"]
SPEED, ACCELERATION = MOVE["speed_um_per_s"], MOVE["acceleration_um_per_s2"]
SHAPERS = ["zv", "zvd", "mzv", "ei"]
TIMES = np.linspace(0, 4, 400_001)


def stays_ms(place):
    """From the start of the move until the camera stays near its end."""
    outside = np.nonzero(np.abs(place - MOVE["distance_um"]) > MOVE["within_um"])[0][-1]
    return 1e3 * TIMES[outside + 1]


def camera(profile, oscillator):
    return profile.position_um(TIMES) + Response(oscillator, profile).displacement_um(TIMES)


def stepped(kind, oscillator):
    """The camera when the carriage jumps, once for each impulse."""
    place = np.zeros_like(TIMES)
    for delay, share in impulses(kind, F, ZETA):
        jump = share * MOVE["distance_um"]
        since = np.maximum(TIMES - delay, 0)
        after = jump + Response(oscillator, REST, -jump).displacement_um(since)
        place += np.where(delay <= TIMES, after, 0)
    return place


@pytest.mark.parametrize("kind", REFERENCE["residual_percent"])
def test_residuals_of_the_reference_table(kind):
    for error, expected in zip(
        REFERENCE["frequency_errors_percent"], REFERENCE["residual_percent"][kind], strict=True
    ):
        found = 100 * residual(kind, F, ZETA, F * (1 + error / 100))
        assert found == pytest.approx(expected, abs=REFERENCE["within_percent"]), error


@pytest.mark.parametrize("error", [-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15])
def test_ei_stays_below_5_percent_within_15_percent_of_its_frequency(error):
    assert residual("ei", F, ZETA, F * (1 + error)) < 0.05


@pytest.mark.parametrize("kind", MOVE["step"])
def test_settling_of_a_jump(kind):
    found = stays_ms(stepped(kind, Oscillator(F, ZETA)))
    assert found == pytest.approx(MOVE["step"][kind], abs=MOVE["within_ms"])


@pytest.mark.parametrize("kind", MOVE["trapezoid"])
def test_settling_of_a_trapezoid(kind):
    profile = shaped(trapezoid(MOVE["distance_um"], SPEED, ACCELERATION), impulses(kind, F, ZETA))
    found = stays_ms(camera(profile, Oscillator(F, ZETA)))
    assert found == pytest.approx(MOVE["trapezoid"][kind], abs=MOVE["within_ms"])


def test_settling_of_a_quintic_of_three_periods():
    profile = profile_for(Shaping("quintic", F), MOVE["distance_um"], SPEED, ACCELERATION)
    found = stays_ms(camera(profile, Oscillator(F, ZETA)))
    assert found == pytest.approx(MOVE["quintic_of_three_periods"], abs=MOVE["within_ms"])


def test_zvd_is_within_1_um_in_80_ms_where_an_unshaped_move_takes_more_than_1500():
    oscillator = Oscillator(F, ZETA)
    assert stays_ms(stepped("zvd", oscillator)) < 80
    assert stays_ms(stepped("trapezoid", oscillator)) > 1500
    real = profile_for(Shaping("zvd", F, ZETA), MOVE["distance_um"], SPEED, ACCELERATION)
    plain = profile_for(Shaping("trapezoid"), MOVE["distance_um"], SPEED, ACCELERATION)
    assert stays_ms(camera(real, oscillator)) - 1e3 * plain.duration_s < 80


@pytest.mark.parametrize("kind", SHAPERS)
@pytest.mark.parametrize(
    "profile",
    [
        trapezoid(1000.0, SPEED, ACCELERATION),
        trapezoid(-5.0, SPEED, ACCELERATION),
        quintic(300.0, SPEED, ACCELERATION),
    ],
    ids=["trapezoid", "triangle down", "quintic"],
)
def test_a_shaped_profile_is_the_sum_of_its_copies(kind, profile):
    shaper = impulses(kind, F, ZETA)
    found = shaped(profile, shaper)
    assert found.duration_s == pytest.approx(profile.duration_s + shaper[-1][0], abs=1e-12)
    t = np.linspace(0, found.duration_s * 1.1, 3001)
    copies = [(share, t - delay) for delay, share in shaper]
    for quantity, scale in (("position_um", 1.0), ("velocity_um_per_s", SPEED)):
        expected = sum(share * np.where(u > 0, getattr(profile, quantity)(u), 0) for share, u in copies)
        np.testing.assert_allclose(getattr(found, quantity)(t), expected, atol=1e-9 * scale * 1000)
    assert found.position_um(found.duration_s - 1e-12) == pytest.approx(profile.distance_um, abs=1e-6)
    assert np.abs(found.velocity_um_per_s(t)).max() <= np.abs(profile.velocity_um_per_s(t)).max() + 1e-6
    assert np.abs(found.acceleration_um_per_s2(t)).max() <= ACCELERATION * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["zv", "zvd", "mzv"])
@pytest.mark.parametrize("distance", [10.0, 350.0, -2000.0])
def test_a_shaper_of_the_right_frequency_leaves_nothing(kind, distance):
    profile = profile_for(Shaping(kind, F, ZETA), distance, SPEED, ACCELERATION)
    left = Response(Oscillator(F, ZETA), profile).amplitude_um(profile.duration_s)
    plain = profile_for(Shaping("trapezoid"), distance, SPEED, ACCELERATION)
    unshaped = Response(Oscillator(F, ZETA), plain).amplitude_um(plain.duration_s)
    assert left < 1e-6 * unshaped


@pytest.mark.parametrize("kind", SHAPERS)
@pytest.mark.parametrize("true_hz", [11.0, 15.0, 16.0])
def test_what_a_shaped_move_leaves_is_what_the_residual_says(kind, true_hz):
    """The residual is against the same kick given at the shaper's end; a jump shows it without the move's own effect."""
    oscillator = Oscillator(true_hz, ZETA)
    shaper = impulses(kind, F, ZETA)
    y = v = 0.0
    for at, (time, share) in enumerate(shaper):
        gap = 0.0 if at == 0 else time - shaper[at - 1][0]
        y, v = Response(oscillator, REST, y, v).state(gap)
        v -= share
    left = Response(oscillator, REST, y, v).amplitude_um(0.0)
    whole = Response(oscillator, REST, 0.0, -1.0).amplitude_um(0.0)
    assert left / whole == pytest.approx(residual(kind, F, ZETA, true_hz), abs=1e-9)


@pytest.mark.parametrize("kind", ["trapezoid", "quintic"])
def test_kinds_that_are_no_shapers_have_one_impulse(kind):
    assert impulses(kind, 0.0, 0.0) == ((0.0, 1.0),)
    assert residual(kind, 0.0, 0.0, 15.0) == 1.0


@pytest.mark.parametrize("kind", SHAPERS)
@pytest.mark.parametrize(("frequency", "damping"), [(0.0, 0.03), (-1.0, 0.03), (15.0, 1.0), (15.0, -0.1)])
def test_a_shaper_needs_a_frequency_and_a_damping(kind, frequency, damping):
    with pytest.raises(ValueError, match=kind):
        impulses(kind, frequency, damping)
    with pytest.raises(ValueError, match=kind):
        profile_for(Shaping(kind, frequency, damping), 100.0, SPEED, ACCELERATION)


def test_no_way_is_no_move_and_a_braking_cannot_be_shaped():
    shaper = impulses("zvd", F, ZETA)
    assert profile_for(Shaping("zvd", F, ZETA), 0.0, SPEED, ACCELERATION).duration_s == 0.0
    assert shaped(REST, shaper) is REST
    with pytest.raises(ValueError, match="at rest"):
        shaped(braking(1500.0, 30.0), shaper)


def test_a_quintic_without_a_frequency_is_as_quick_as_the_limits_allow():
    free = profile_for(Shaping("quintic"), 100.0, SPEED, ACCELERATION)
    assert free.duration_s == pytest.approx(1.875 * 100 / SPEED)
    assert profile_for(
        Shaping("quintic", 15.0, quintic_periods=4.0), 100.0, SPEED, ACCELERATION
    ).duration_s == (pytest.approx(4 / 15))
