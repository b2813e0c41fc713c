"""The rail on the Pi's pins in trouble: stops in every state, limits, machines that are too busy, libraries that fail."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from drivers.base import AlarmResponse, DriverError, DriverNotAvailable, Limit, Shaping, ShapingRail
from drivers.clock import VirtualClock
from drivers.registry import Context
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.rail import StepDirRail
from drivers.stepdir.transmitter import Transmitter
from tests.contract.bench import VirtualBench, home, rest
from tests.emulators.lgpio_waves import Lgpio
from tests.emulators.stepdir import OPTIONS, on_mock_pins

REACTION_S = 0.02


@pytest.fixture
def bench():
    return VirtualBench()


def homed(bench, rail):
    rail.open()
    home(bench, rail)


class TestStops:
    @pytest.mark.parametrize(
        "after_s", [0.0, 0.0005, 0.012, 0.021, 0.027, 0.031, 0.04, 0.1, 0.5, 1.0, 1.8, 1.95]
    )
    def test_a_move_slows_down_within_20_ms(self, bench, after_s):
        """Whatever it is doing: waiting for the library, speeding up, at speed, slowing down."""
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            carriage.lgpio.writes = []
            rail.start_move(3000)
            bench.pass_time(after_s)
            asked_s = bench.clock.now()
            rail.stop()
            status = rest(bench, rail)
            rises = np.array([at for at, _, level in carriage.lgpio.writes if level])
            assert len(rises) == status.position == rail.true_microsteps()
            speed = np.sum((rises > asked_s - 0.02) & (rises <= asked_s)) / 0.02
            acceleration = rail.capabilities.acceleration_um_per_s2 / rail.capabilities.microstep_um
            slowing_s = (speed + acceleration * REACTION_S) / acceleration
            late = rises[rises > asked_s + REACTION_S]
            assert len(late) < 2 or np.all(np.diff(np.diff(late)) > -1.5e-6), "it does not slow down"
            assert not len(rises) or rises[-1] <= asked_s + REACTION_S + slowing_s + 0.01
            if after_s < 0.02:
                assert not len(rises)

    @pytest.mark.parametrize("after_s", [0.0, 0.005, 0.02, 0.1, 0.8, 1.5, 1.7, 1.9, 2.1, 2.5, 3.0])
    def test_homing_is_stopped_in_every_part_of_it(self, bench, after_s):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            rail.open()
            rail.start_home()
            bench.pass_time(after_s)
            assert rail.poll().moving
            asked_s = bench.clock.now()
            rail.stop()
            status = rest(bench, rail)
            assert (status.homed, status.position, status.alarm) == (False, None, None)
            assert status.ended_s <= asked_s + REACTION_S + 0.09
            assert carriage.last_edge_s <= status.ended_s
            home(bench, rail)

    def test_a_halt_ends_it_at_once_and_switches_the_motor_off(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, pins):
            homed(bench, rail)
            rail.start_move(3000)
            bench.pass_time(0.5)
            assert not pins[16].state
            rail.halt()
            before = carriage.lgpio.catch_up() or carriage.edges
            assert pins[16].state
            bench.pass_time(0.5)
            carriage.lgpio.catch_up()
            assert carriage.edges == before
            assert not pins[20].state
            home(bench, rail)
            assert not pins[16].state
            rail.start_move(100)
            assert rest(bench, rail).position == rail.true_microsteps() == 100

    def test_it_never_says_more_than_is_out(self, bench):
        with on_mock_pins(bench.clock) as (rail, _, _):
            homed(bench, rail)
            rail.start_move(1500)
            seen = []
            while (status := rail.poll()).moving:
                seen.append(rail.true_microsteps() - status.position)
                bench.pass_time(0.0033)
            assert min(seen) >= 0
            assert max(seen) <= 6


class TestLimits:
    @pytest.mark.parametrize("normally_closed", [True, False])
    def test_a_switch_on_the_way_cuts_the_move(self, bench, normally_closed):
        with on_mock_pins(bench.clock, normally_closed=normally_closed) as (rail, carriage, _):
            homed(bench, rail)
            carriage.motor.shaft += 6000
            rail.start_move(9000)
            status = rest(bench, rail)
            assert "ran into the far switch" in status.alarm
            assert (status.homed, status.position, status.limit) == (False, None, Limit.FAR)
            assert carriage.place - carriage._far < 8
            with pytest.raises(AlarmResponse, match="far switch is pressed"):
                rail.start_jog(10, 500.0)
            rail.start_jog(-100, 500.0)
            assert rest(bench, rail).limit is Limit.NONE
            home(bench, rail)

    def test_a_switch_with_a_broken_wire_is_pressed(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            rail.start_move(3000)
            bench.pass_time(0.3)
            carriage.cut = {26}
            assert "home switch" in rest(bench, rail).alarm

    def test_noise_on_a_switch_is_counted_and_no_limit(self, bench):
        with on_mock_pins(bench.clock) as (rail, _, pins):
            homed(bench, rail)
            rail.start_move(3000)
            bench.pass_time(0.3)
            pins[19].drive_high()
            pins[19].drive_low()
            assert rest(bench, rail).position == 3000
            assert rail.statistics.glitches == 1


class TestHoming:
    def test_zero_is_a_pull_off_from_where_the_switch_closes(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            for _ in range(4):
                rail.open()
                home(bench, rail)
                assert abs(carriage.place - 320) <= 1
                rail.start_jog(int(700 + 400 * (bench.clock.now() % 1)), 900.0)
                rest(bench, rail)

    def test_lost_steps_are_told(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            rail.start_move(1000)
            rest(bench, rail)
            carriage.motor.shaft += 64
            status = home(bench, rail)
            assert abs(status.home_error + 64) <= 2

    @pytest.mark.parametrize(
        ("change", "pin", "words"),
        [
            ({"start": 2000}, 26, "home switch not found"),
            ({"start": -2000}, None, "does not open"),
            ({"start": 12_000, "travel_um": 8000.0}, None, None),
        ],
    )
    def test_what_goes_wrong_is_said(self, bench, change, pin, words):
        with on_mock_pins(bench.clock, **change) as (rail, carriage, _):
            carriage.broken = {pin}
            carriage.show()
            rail.open()
            rail.start_home()
            status = rest(bench, rail)
            assert status.homed == (words is None)
            assert words is None or words in status.alarm

    def test_a_motor_that_turns_the_wrong_way_meets_the_far_switch(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            carriage.motor.shaft = 9000
            carriage._direction = lambda level: setattr(carriage, "_sign", 1 if not level else -1)
            carriage._sign = 1
            rail.open()
            rail.start_home()
            assert "far switch" in rest(bench, rail).alarm


class TestBusyMachines:
    def test_a_stalled_library_throws_the_motor_no_farther_than_it_follows(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            begins_s = bench.clock.now() + 1.0
            carriage.lgpio.faults.stalls.append((begins_s, begins_s + 0.5))
            rail.start_move(3000)
            status = rest(bench, rail)
            assert status.position == rail.true_microsteps() == 3000
            assert 0.5 < carriage.motor.worst <= 1.6
            assert rail.statistics.underruns >= 1
            assert rail.statistics.worst_late_s > 0.4

    def test_running_dry_above_the_start_stop_rate_makes_the_position_unknown(self, bench):
        with on_mock_pins(bench.clock, start_stop_rate_hz=1000.0, homing_speed_um_per_s=500.0) as (
            rail,
            carriage,
            _,
        ):
            homed(bench, rail)
            begins_s = bench.clock.now() + 1.0
            carriage.lgpio.faults.stalls.append((begins_s, begins_s + 0.5))
            rail.start_move(3000)
            status = rest(bench, rail)
            assert "ran dry at 1" in status.alarm
            assert (status.homed, status.position) == (False, None)
            home(bench, rail)

    def test_a_feeder_that_comes_late_is_noticed(self, bench):
        """The library goes on and runs out; the motion begins again from rest and loses nothing."""
        with on_mock_pins(bench.clock) as (rail, _, _):
            homed(bench, rail)
            waits, wait = iter(range(10_000)), rail._train.wait
            rail._train.wait = lambda token, seconds: wait(token, 0.05 if next(waits) == 300 else seconds)
            rail.start_move(3000)
            assert rest(bench, rail).position == rail.true_microsteps() == 3000
            assert rail.statistics.underruns >= 1
            assert rail.statistics.worst_feed_s > 0.049

    @pytest.mark.parametrize("function", ["tx_wave", "tx_room"])
    def test_a_library_that_fails_is_an_alarm(self, bench, function):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            rail.start_move(3000)
            bench.pass_time(0.2)
            carriage.lgpio.faults.fails.add(function)
            status = rest(bench, rail)
            assert "GPIO20" in status.alarm
            assert status.position is None
            carriage.lgpio.faults.fails.clear()
            home(bench, rail)

    def test_memory_that_the_library_keeps_is_told(self, bench):
        with on_mock_pins(bench.clock) as (rail, _, _):
            homed(bench, rail)
            assert rail.poll().warnings == ()
            rail._train.statistics.kept_bytes = 300_000_000
            assert "300 MB" in rail.poll().warnings[0]


class TestOpening:
    def test_every_pin_is_let_go_of_when_one_cannot_be_had(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, pins):
            carriage.lgpio.faults.busy = {20}
            with pytest.raises(DriverError, match=r"GPIO20.*busy"):
                rail.open()
            assert pins.driven() == []
            carriage.lgpio.faults.busy = set()
            rail.open()

    @pytest.mark.parametrize(
        ("chip", "label", "asked", "opens"),
        [
            (0, "pinctrl-bcm2711", None, True),
            (0, "pinctrl-rp1", None, True),
            (4, "pinctrl-rp1", None, True),
            (0, "gpio-sim.0", None, False),
            (7, "gpio-sim.0", 7, True),
            (0, "pinctrl-rp1", 7, False),
        ],
    )
    def test_finds_the_chip(self, monkeypatch, chip, label, asked, opens):
        monkeypatch.setitem(sys.modules, "lgpio", Lgpio(VirtualClock(), chip=chip, label=label))
        line = Transmitter(20, asked)
        if opens:
            line.open()
            assert line.room() == 10
            line.close()
        else:
            with pytest.raises(DriverError):
                line.open()
        assert not line.is_open

    def test_without_the_library_it_says_so(self, bench):
        # what is patched is undone before the stand-in goes, or the undoing would bring it back for every later test
        with on_mock_pins(bench.clock) as (rail, _, _), pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "lgpio", None)
            with pytest.raises(DriverNotAvailable, match="install lgpio"):
                rail.open()
            patch.setitem(sys.modules, "lgpio", types.ModuleType("lgpio"))
            with pytest.raises(DriverNotAvailable, match=r"0\.2 or later"):
                rail.open()

    @pytest.mark.parametrize(("when_closed", "off"), [("release", True), ("hold", False)])
    def test_the_motor_is_left_as_asked(self, bench, when_closed, off):
        with on_mock_pins(bench.clock, when_closed=when_closed) as (rail, _, pins):
            homed(bench, rail)
            before = len(pins[16].levels)
            rail.close()
            assert (1.0 in [level for _, level in pins[16].levels[before:]]) == off
            assert pins.driven() == []


class TestShaping:
    def test_moves_take_the_shape_that_they_are_given(self, bench):
        with on_mock_pins(bench.clock) as (rail, _, _):
            assert isinstance(rail, ShapingRail)
            homed(bench, rail)
            plain_s = rail.move_time_s(400)
            rail.shape_moves(Shaping("zvd", 10.0, 0.02))
            assert rail.shaping.kind == "zvd"
            assert rail.move_time_s(400) == pytest.approx(plain_s + 0.1, abs=0.002)
            began_s = bench.clock.now()
            rail.start_move(400)
            assert rest(bench, rail).position == 400
            assert bench.clock.now() - began_s == pytest.approx(rail.move_time_s(400), abs=0.03)

    def test_a_shape_that_cannot_be_is_refused_and_the_old_one_stays(self, bench):
        with on_mock_pins(bench.clock) as (rail, _, _):
            with pytest.raises(DriverError, match="frequency"):
                rail.shape_moves(Shaping("zv"))
            assert rail.shaping == Shaping("trapezoid")


class TestOptions:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"profile": "zv"}, "needs ring_hz"),
            ({"far_pin": 20}, "different pins"),
            ({"pulse_us": 500}, "pulse_us"),
            ({"enable_pin": None, "when_closed": "hold"}, "hold"),
        ],
    )
    def test_what_does_not_fit_together(self, change, words):
        with pytest.raises(ValueError, match=words):
            StepDirOptions(**(OPTIONS | change))

    def test_coarse_steps_are_slow_steps(self):
        """So few pulses may be queued then that they would run dry at full rate."""
        fine = StepDirOptions(**(OPTIONS | {"max_step_rate_hz": 1500.0}))
        coarse = StepDirOptions(**(OPTIONS | {"max_step_rate_hz": 1500.0, "microsteps": 2}))
        assert fine.step_rate_hz == 1500.0
        assert coarse.step_rate_hz == 500.0
        assert coarse.declared().max_speed_um_per_s == pytest.approx(500.0 * coarse.microstep_um)

    def test_reports_when_its_pulses_should_have_gone_out(self, bench):
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            homed(bench, rail)
            carriage.lgpio.writes = []
            rail.start_move(500)
            rest(bench, rail)
            rises = np.array([at for at, _, level in carriage.lgpio.writes if level])
            trace = rail.trace
            early_s = trace.rises_s - rises
            assert np.all((early_s >= -1e-6) & (early_s <= trace.uncertain_s + 1e-6))
            assert trace.uncertain_s < 0.0021
            assert rail.statistics.pulses > 500


def test_a_rail_that_was_never_opened_is_closed(bench):
    rail = StepDirRail(StepDirOptions(**OPTIONS), Context(bench.clock))
    rail.close()
    rail.stop()
    rail.halt()
