"""The truth record of a simulated rail."""

import numpy as np
import pytest

from drivers.motion.profile import quintic, trapezoid
from drivers.sim.options import SimRailOptions
from drivers.sim.truth import ExposureLog, Lamps, StillWorld, TrueExposure
from drivers.sim.world import KEPT_LEGS, RailWorld


def make(**options):
    chosen = {"microstep_error": 0.0, "backlash_um": 0.0, **options}
    return RailWorld(SimRailOptions(**chosen), start_s=0.0, start_um=0.0, motor_phase=0.0)


def test_truth_of_past_present_and_planned_motion():
    world = make()
    world.begin(1.0, trapezoid(1000.0, 2000.0, 200_000.0))
    world.begin(2.0, trapezoid(-400.0, 2000.0, 200_000.0))
    assert world.truth_at(0.5).position_um == 0.0
    assert world.truth_at(1.255).screw_um == pytest.approx(500.0)
    assert not world.truth_at(1.9).moving
    assert world.truth_at(1.9).screw_um == 1000.0
    assert world.truth_at(2.05).moving
    assert world.truth_at(9.0).screw_um == 600.0


def test_a_track_over_several_motions_is_the_truth_at_each_instant():
    world = make(backlash_um=30.0, microstep_error=0.04, thermal_drift_um_per_hour=50.0)
    world.begin(1.0, quintic(300.0, 2000.0, 200_000.0))
    world.begin(1.4, trapezoid(-100.0, 2000.0, 200_000.0))
    world.halt(1.43)
    world.begin(1.6, trapezoid(20.0, 2000.0, 200_000.0))
    times = np.linspace(0.9, 2.0, 301)
    track = world.track(times)
    alone = [world.truth_at(float(t)) for t in times]
    np.testing.assert_allclose(track.position_um, [truth.position_um for truth in alone], atol=1e-9)
    np.testing.assert_allclose(track.ring_um, [truth.ring_um for truth in alone], atol=1e-9)
    assert track.moving
    assert not world.track(np.linspace(1.9, 2.0, 5)).moving
    assert np.abs(np.diff(track.position_um)).max() < 30.0  # it never jumps


def test_ringing_follows_a_move_and_dies_away():
    world = make(profile="trapezoid")
    world.begin(0.0, trapezoid(100.0, 2000.0, 200_000.0))
    amplitudes = [world.ring_amplitude_um(0.06 + wait) for wait in (0.0, 0.1, 0.5, 1.5)]
    assert amplitudes[0] > 10.0
    assert amplitudes == sorted(amplitudes, reverse=True)
    assert amplitudes[-1] < 1.0


def test_a_dead_stop_rings_more_than_braking():
    world, other = make(), make()
    profile = trapezoid(3000.0, 5000.0, 200_000.0)
    world.begin(0.0, profile)
    world.halt(0.3)
    other.begin(0.0, profile)
    # A speed lost at once becomes v/omega of ringing.
    assert world.ring_amplitude_um(0.3) == pytest.approx(5000.0 / (2 * np.pi * 15.0), rel=0.5)
    assert world.ring_amplitude_um(0.3) > other.ring_amplitude_um(profile.duration_s)
    assert not world.truth_at(0.31).moving


def test_what_was_planned_is_forgotten_by_a_halt():
    world = make()
    world.begin(0.0, trapezoid(100.0, 2000.0, 200_000.0))
    world.begin(1.0, trapezoid(100.0, 2000.0, 200_000.0))
    world.halt(0.02)
    assert world.truth_at(5.0).screw_um == world.truth_at(0.03).screw_um < 100.0


def test_nothing_grows_without_bound():
    world = make()
    for n in range(3 * KEPT_LEGS):
        world.begin(float(n), trapezoid((-1.0) ** n, 2000.0, 200_000.0))
    assert len(world._legs) == KEPT_LEGS
    log = ExposureLog(kept=10)
    for n in range(50):
        log.add(n, TrueExposure(0.0, 1.0, 0.0, 0.0, 0.0, moving=False))
    assert len(log) == 10
    assert 49 in log
    assert 39 not in log


def test_without_a_rail_the_camera_stands_where_it_is_told():
    world = StillWorld()
    world.position_um = 1234.0
    assert world.truth_at(5.0).position_um == 1234.0
    assert (world.track(np.arange(3.0)).position_um == 1234.0).all()


def test_light_is_remembered_over_time():
    lamps = Lamps()
    assert lamps.level_at(0.0) == Lamps.AMBIENT
    lamps.set(1, 1.0, 1.0)
    lamps.set(2, 0.5, 2.0)
    lamps.set(1, 0.0, 3.0)
    levels = [lamps.level_at(t) - Lamps.AMBIENT for t in (0.9, 1.0, 2.5, 9.0)]
    assert levels == pytest.approx([0.0, 1.0, 1.5, 0.5])
