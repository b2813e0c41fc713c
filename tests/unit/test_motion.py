"""Profiles and ringing against their slow twins, and against the reference figures."""

import itertools
import math

import numpy as np
import pytest

from drivers.motion.oscillator import Oscillator, Response
from drivers.motion.profile import REST, Profile, braking, quintic, trapezoid

SPEED, ACCELERATION = 2000.0, 200_000.0
PROFILES = {
    "trapezoid": trapezoid(1000.0, SPEED, ACCELERATION),
    "triangle": trapezoid(10.0, SPEED, ACCELERATION),
    "downward": trapezoid(-350.0, SPEED, ACCELERATION),
    "quintic": quintic(1000.0, SPEED, ACCELERATION),
    "slow quintic": quintic(-7.5, SPEED, ACCELERATION, min_duration_s=0.2),
    "braking": braking(1500.0, 30.0),
}
all_profiles = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


def settled_s(profile, oscillator, *, target_um, within_um, displacement_um=0.0):
    """From the start of the move until the camera stays within a distance of the target."""
    t = np.linspace(0, 4, 80_001)
    place = profile.position_um(t) + Response(oscillator, profile, displacement_um).displacement_um(t)
    return t[np.nonzero(np.abs(place - target_um) > within_um)[0][-1] + 1]


def integrated(oscillator, profile, y, v, until_s, steps_per_s=20_000):
    """The slow twin of `Response`: Runge-Kutta over many small steps, broken at the profile's corners."""
    ends = np.cumsum([duration for duration, _ in profile.pieces])
    corners = [0.0, *(end for end in ends if end < until_s), until_s]

    def slope(t, state):
        a = profile.acceleration_um_per_s2(t)
        return np.array(
            [
                state[1],
                -a - 2 * oscillator.damping * oscillator.omega * state[1] - oscillator.omega**2 * state[0],
            ]
        )

    state = np.array([y, v])
    for first, last in itertools.pairwise(corners):
        steps = max(1, math.ceil((last - first) * steps_per_s))
        h = (last - first) / steps
        inside = 1e-12  # a step that ends on a corner belongs to the piece before it
        for n in range(steps):
            t = first + n * h
            k1 = slope(t + inside, state)
            k2 = slope(t + h / 2, state + h / 2 * k1)
            k3 = slope(t + h / 2, state + h / 2 * k2)
            k4 = slope(t + h - inside, state + h * k3)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


@all_profiles
def test_profile_ends_where_it_should_and_at_rest(profile):
    end = profile.duration_s
    assert profile.position_um(end - 1e-9) == pytest.approx(profile.distance_um, abs=1e-4)
    assert profile.position_um(end) == profile.position_um(end + 9) == profile.distance_um
    assert profile.velocity_um_per_s(end - 1e-9) == pytest.approx(0.0, abs=1e-3)
    assert profile.velocity_um_per_s(end) == profile.acceleration_um_per_s2(end) == 0.0


@all_profiles
def test_velocity_and_acceleration_are_derivatives(profile):
    t = np.linspace(0, profile.duration_s, 20_001)
    speed = np.gradient(profile.position_um(t), t)
    peak = np.abs(profile.velocity_um_per_s(t)).max()
    np.testing.assert_allclose(profile.velocity_um_per_s(t)[1:-1], speed[1:-1], atol=2e-3 * peak)
    gained = np.diff(profile.velocity_um_per_s(t[:-1]))
    mean = (profile.acceleration_um_per_s2(t[:-2]) + profile.acceleration_um_per_s2(t[1:-1])) / 2
    np.testing.assert_allclose(gained.sum(), (mean * np.diff(t[:-1])).sum(), atol=2e-3 * peak)


@all_profiles
def test_scalars_and_arrays_agree(profile):
    t = np.linspace(-0.1, profile.duration_s + 0.1, 57)
    for function in (profile.position_um, profile.velocity_um_per_s, profile.acceleration_um_per_s2):
        np.testing.assert_allclose(function(t), [function(float(one)) for one in t], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", [trapezoid, quintic])
@pytest.mark.parametrize("distance", [1.0, -40.0, 500.0, 20_000.0])
def test_limits_are_kept_and_used(shape, distance):
    profile = shape(distance, SPEED, ACCELERATION)
    t = np.linspace(0, profile.duration_s, 10_001)
    speed = np.abs(profile.velocity_um_per_s(t)).max() / SPEED
    acceleration = np.abs(profile.acceleration_um_per_s2(t)).max() / ACCELERATION
    assert speed <= 1 + 1e-9
    assert acceleration <= 1 + 1e-9
    assert max(speed, acceleration) == pytest.approx(1.0, abs=1e-3)


def test_durations_by_hand():
    # 1000 um at 2 mm/s and 200 mm/s²: 10 ms up, 10 ms down, 980 um between at 2 mm/s.
    assert trapezoid(1000.0, SPEED, ACCELERATION).duration_s == pytest.approx(0.51)
    assert trapezoid(20.0, 1e9, ACCELERATION).duration_s == pytest.approx(2 * math.sqrt(20 / ACCELERATION))
    assert quintic(1000.0, SPEED, 1e12).duration_s == pytest.approx(1.875 * 1000 / 2000)
    assert (
        trapezoid(0.0, SPEED, ACCELERATION).duration_s == quintic(0.0, SPEED, ACCELERATION).duration_s == 0.0
    )


@all_profiles
@pytest.mark.parametrize("start", [(0.0, 0.0), (12.0, -900.0)])
def test_response_agrees_with_integration(profile, start):
    oscillator = Oscillator(15.0, 0.03)
    response = Response(oscillator, profile, *start)
    largest = np.abs(response.displacement_um(np.linspace(0, profile.duration_s + 0.2, 500))).max()
    for until_s in (profile.duration_s * 0.37, profile.duration_s, profile.duration_s + 0.11):
        y, v = integrated(oscillator, profile, *start, until_s)
        assert response.state(until_s)[0] == pytest.approx(y, abs=1e-5 * largest)
        assert response.state(until_s)[1] == pytest.approx(v, abs=1e-5 * largest * oscillator.omega)
        assert response.displacement_um(np.array([until_s]))[0] == pytest.approx(y, abs=1e-5 * largest)


def test_response_handed_over_in_the_middle_goes_on_the_same():
    oscillator, profile = Oscillator(15.0, 0.03), quintic(300.0, SPEED, ACCELERATION)
    response = Response(oscillator, profile)
    middle = profile.duration_s + 0.05
    again = Response(oscillator, REST, *response.state(middle))
    t = np.linspace(0, 0.5, 100)
    np.testing.assert_allclose(again.displacement_um(t), response.displacement_um(middle + t), atol=1e-9)


def test_ringing_decays_as_its_damping_says():
    oscillator = Oscillator(15.0, 0.03)
    profile = trapezoid(100.0, SPEED, ACCELERATION)
    response = Response(oscillator, profile)
    first = response.amplitude_um(profile.duration_s)
    for periods in (1, 5, 20):
        ratio = response.amplitude_um(profile.duration_s + periods / 15.0) / first
        assert ratio == pytest.approx(math.exp(-0.03 * 2 * math.pi * periods))
    t = profile.duration_s + np.linspace(0, 2, 20_001)
    envelope = np.array([response.amplitude_um(one) for one in t])
    assert (np.abs(response.displacement_um(t)) <= envelope + 1e-9).all()
    assert np.abs(response.displacement_um(t)).max() == pytest.approx(first, rel=0.05)


@pytest.mark.parametrize(
    ("profile", "displacement_um", "expected_s"),
    [
        (Profile([], distance_um=100.0), -100.0, 1.604),
        (trapezoid(100.0, 2000.0, 200_000.0), 0.0, 1.201),
        (quintic(100.0, 2000.0, 200_000.0, min_duration_s=3 / 15), 0.0, 0.171),
    ],
    ids=["step", "trapezoid", "quintic of three periods"],
)
def test_settling_of_a_100_um_move_at_15_hz(profile, displacement_um, expected_s):
    """Reference figures: damping 0.03, settled to 1 um."""
    found = settled_s(
        profile, Oscillator(15.0, 0.03), target_um=100.0, within_um=1.0, displacement_um=displacement_um
    )
    assert found == pytest.approx(expected_s, abs=0.0015)
