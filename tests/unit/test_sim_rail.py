"""What a simulated rail adds to the contract: backlash, faults, switches, and a truth that can be compared."""

import numpy as np
import pytest

from drivers.base import DriverError, Limit, Unplugged
from drivers.registry import Context
from drivers.sim.options import SimRailOptions
from drivers.sim.rail import SimRail
from tests.contract.bench import VirtualBench, home, rest


def make(*, homed=True, seed=2, **options):
    bench = VirtualBench()
    rail = SimRail(SimRailOptions(**options), Context(bench.clock, seed=seed))
    rail.open()
    if homed:
        home(bench, rail)
    return bench, rail


def go(bench, rail, target):
    rail.start_move(target)
    return rest(bench, rail)


def still_um(bench, rail):
    """Where the carriage really is, after it has stopped ringing."""
    bench.pass_time(30.0)
    return rail.world.truth_at(bench.clock.now()).position_um


@pytest.mark.parametrize("profile", ["trapezoid", "quintic", "zv", "zvd", "mzv", "ei"])
def test_counter_is_true_after_1000_random_moves_and_stops(profile):
    bench, rail = make(profile=profile, quintic_min_periods=0.5)
    random = np.random.default_rng(11)
    stops = 0
    for _ in range(1000):
        near = int(random.integers(-20, 21))
        target = (
            int(random.integers(0, 20_000)) if random.random() < 0.7 else max(0, rail.poll().position + near)
        )
        rail.start_move(target, float(random.uniform(500, 10_000)) if random.random() < 0.5 else None)
        if random.random() < 0.6:
            bench.pass_time(rail.move_time_s(target - rail.poll().position) * random.random())
            stops += rail.poll().moving
            rail.stop()
            if random.random() < 0.3:
                bench.pass_time(float(random.uniform(0, 0.01)))
                rail.stop()
        status = rest(bench, rail)
        assert status.homed
        assert rail.true_microsteps() == pytest.approx(status.position, abs=1e-6)
    assert stops > 300
    assert home(bench, rail).home_error == 0


def test_a_stop_needs_no_longer_than_braking():
    bench, rail = make(profile="trapezoid", max_speed_um_per_s=10_000.0, acceleration_um_per_s2=100_000.0)
    rail.start_move(30_000)
    bench.pass_time(0.5)
    asked_s, before = bench.clock.now(), rail.poll().position
    rail.stop()
    status = rest(bench, rail)
    assert status.ended_s - asked_s == pytest.approx(0.1, rel=0.01)
    assert (status.position - before) * 0.625 == pytest.approx(10_000.0**2 / 2 / 100_000, abs=1.0)


def test_stop_just_after_the_start_is_quick():
    bench, rail = make()
    rail.start_move(30_000)
    bench.pass_time(0.0005)
    asked_s = bench.clock.now()
    rail.stop()
    assert rest(bench, rail).ended_s - asked_s < 0.01


def test_the_end_of_a_move_is_told_exactly():
    bench, rail = make()
    began_s = bench.clock.now()
    rail.start_move(5000)
    assert rest(bench, rail).ended_s == pytest.approx(began_s + rail.move_time_s(5000), abs=1e-9)


def test_backlash_is_lost_at_a_reversal():
    bench, rail = make(backlash_um=40.0, microstep_error=0.0)
    go(bench, rail, 8000)
    upward = still_um(bench, rail)
    go(bench, rail, 8000 + 16)
    assert still_um(bench, rail) - upward == pytest.approx(10.0, abs=1e-6)
    go(bench, rail, 8000)
    assert still_um(bench, rail) - upward == pytest.approx(10.0, abs=1e-6)  # the nut has not moved at all
    go(bench, rail, 8000 - 160)
    assert still_um(bench, rail) - upward == pytest.approx(-100.0 + 40.0, abs=1e-6)
    go(bench, rail, 8000)
    assert still_um(bench, rail) == pytest.approx(upward, abs=1e-6)


def test_approached_from_one_side_a_position_repeats():
    bench, rail = make(backlash_um=40.0)
    random = np.random.default_rng(4)
    found = {"one side": [], "any side": []}
    for _ in range(30):
        go(bench, rail, int(random.integers(0, 20_000)))
        go(bench, rail, 8000)
        found["any side"].append(still_um(bench, rail))
        go(bench, rail, 8000 - 80)
        go(bench, rail, 8000)
        found["one side"].append(still_um(bench, rail))
    assert np.ptp(found["one side"]) < 1e-6
    assert np.ptp(found["any side"]) == pytest.approx(40.0, abs=1e-6)


def test_microsteps_are_off_by_the_share_of_a_full_step():
    bench, rail = make(microstep_error=0.04, backlash_um=0.0)
    errors = []
    for target in range(1, 16 * 8):
        go(bench, rail, target)
        errors.append(still_um(bench, rail) - target * 0.625)
    full_step = 16 * 0.625
    assert 0.02 * full_step < np.ptp(errors) / 2 <= 0.04 * full_step
    np.testing.assert_allclose(errors[0], errors[16 * 4], atol=1e-6)


def test_homing_repeats_from_anywhere():
    bench, rail = make()
    for target in (0, 1, 300, 9999, 96_000):
        go(bench, rail, target)
        assert home(bench, rail).home_error == 0


@pytest.mark.parametrize("start_um", [-500.0, -480.0, 0.0, 1.0, 300.0, 59_999.0])
def test_homing_finds_the_same_place_from_every_start(start_um):
    bench, rail = make(start_um=start_um)
    assert abs(rail.world.screw_um(bench.clock.now())) <= 2 * 0.625
    assert rail.poll().home_error is None


def test_lost_steps_are_revealed_by_homing():
    bench, rail = make(faults={"lose_steps": 64, "lose_steps_at_move": 3})
    for target in (4000, 8000, 12_000, 2000):
        go(bench, rail, target)
    assert rail.poll().position == 2000
    assert rail.true_microsteps() == pytest.approx(2000 - 64, abs=1e-6)
    assert home(bench, rail).home_error == 64
    assert rail.last_home_error_microsteps == 64
    assert rail.true_microsteps() == 0


def test_a_stall_is_silent_until_homing():
    bench, rail = make(faults={"stall_after_moves": 1})
    go(bench, rail, 4000)
    status = go(bench, rail, 8000)
    assert (status.position, status.alarm) == (8000, None)
    lost = 8000 - rail.true_microsteps()
    assert lost == pytest.approx(2000, abs=2)
    assert home(bench, rail).home_error == pytest.approx(lost)


def test_a_rail_that_lost_many_steps_runs_into_its_switch():
    bench, rail = make(faults={"stall_after_moves": 0})
    go(bench, rail, 8000)
    rail.start_move(0)
    status = rest(bench, rail)
    assert (status.limit, status.homed, status.position) == (Limit.HOME, False, None)
    assert "home switch" in status.alarm
    seat = rail.world.truth_at(bench.clock.now())
    assert seat.position_um - seat.ring_um == pytest.approx(rail.world.home_switch_um, abs=1.0)
    with pytest.raises(DriverError, match="home"):
        rail.start_move(0)
    assert home(bench, rail).limit is Limit.NONE


def test_a_jog_before_homing_ends_at_the_switch():
    bench, rail = make(homed=False, start_um=59_000.0)
    rail.start_jog(100_000, 5000.0)
    status = rest(bench, rail)
    assert status.limit is Limit.FAR
    assert "far switch" in status.alarm
    rail.start_jog(100, 500.0)
    assert rest(bench, rail).limit is Limit.FAR
    rail.start_jog(-1000, 500.0)
    status = rest(bench, rail)
    assert (status.limit, status.alarm) == (Limit.NONE, None)


def test_a_broken_home_switch_is_an_alarm():
    bench, rail = make(homed=False, faults={"home_switch_broken": True})
    rail.start_home()
    status = rest(bench, rail)
    assert (status.homed, status.position) == (False, None)
    assert "home switch not found" in status.alarm


def test_an_unplugged_controller_is_gone_until_opened_again():
    bench, rail = make(faults={"unplug_after_moves": 1})
    go(bench, rail, 4000)
    rail.start_move(8000)
    with pytest.raises(Unplugged):
        rest(bench, rail)
    with pytest.raises(Unplugged):
        rail.start_home()
    bench.pass_time(1.0)
    assert not rail.world.truth_at(bench.clock.now()).moving
    rail.close()
    rail.open()
    assert rail.poll().position is None
    home(bench, rail)


def test_thermal_drift_moves_the_carriage_and_shows_at_the_next_homing():
    bench, rail = make(thermal_drift_um_per_hour=100.0, thermal_time_constant_s=3600.0, microstep_error=0.0)
    before = rail.world.truth_at(bench.clock.now()).drift_um
    bench.pass_time(3600.0)
    drift = rail.world.truth_at(bench.clock.now()).drift_um
    assert drift - before == pytest.approx(100.0 * (1 - np.exp(-1)), rel=0.01)
    assert home(bench, rail).home_error * 0.625 == pytest.approx(-(drift - before), abs=1.3)


def test_the_same_seed_gives_the_same_rail():
    places = [make(homed=False, seed=seed)[1].true_microsteps() for seed in (1, 1, 2)]
    assert places[0] == places[1] != places[2]


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="pull_off_um"):
        SimRailOptions(backlash_um=600.0)
    with pytest.raises(ValueError, match="start_um"):
        SimRailOptions(start_um=-1000.0)
