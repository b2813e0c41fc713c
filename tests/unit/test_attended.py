"""A rail and its motor driver as one: what happens to the chip happens to the position."""

from __future__ import annotations

import pytest

from drivers.attended import LOOK_S, AttendedRail, attended
from drivers.base import AlarmResponse, DriverError, Rail, Shaping, ShapingRail, Unplugged
from drivers.registry import Context
from drivers.sim.options import SimRailOptions
from drivers.sim.rail import SimRail
from drivers.tmc2209.driver import Tmc2209
from drivers.tmc2209.options import Tmc2209Options
from tests.contract.bench import VirtualBench, rest
from tests.emulators.tmc2209 import Wire

OT, OTPW, T120 = 1 << 1, 1 << 0, 1 << 8


class Bench:
    """A simulated rail with an emulated chip."""

    def __init__(self, wire, **options):
        self.bench = VirtualBench()
        self.wire = wire
        self.chip = wire.chip
        context = Context(self.bench.clock, seed=5)
        motor = Tmc2209(Tmc2209Options(port=str(wire.link), run_ma=800, **options), context)
        self.inner = SimRail(SimRailOptions(), context)
        self.rail = attended(self.inner, motor, self.bench.clock)

    def home(self):
        self.rail.start_home()
        assert rest(self.bench, self.rail).homed

    def look(self):
        """A status with what the chip says now."""
        self.bench.pass_time(LOOK_S)
        return self.rail.poll()


@pytest.fixture
def bench(tmp_path):
    with Wire(tmp_path / "uart") as wire:
        made = Bench(wire)
        made.rail.open()
        made.home()
        yield made
        made.rail.close()


def test_is_a_rail(bench):
    assert isinstance(bench.rail, Rail)


def test_it_shapes_its_moves_where_the_rail_can(bench):
    assert isinstance(bench.rail, ShapingRail)
    bench.rail.shape_moves(Shaping("zvd", 12.0, 0.02))
    assert bench.inner.shaping == bench.rail.shaping == Shaping("zvd", 12.0, 0.02)
    assert not isinstance(AttendedRail(bench.inner, bench.rail.motor, bench.bench.clock), ShapingRail)


def test_it_is_asked_now_and_then_and_not_at_every_poll(bench):
    bench.look()
    before = bench.wire.requests
    for _ in range(100):
        bench.rail.poll()
    assert bench.wire.requests == before
    bench.look()
    assert bench.wire.requests == before + 3


def test_power_lost_in_a_move_halts_it_and_the_position_is_unknown(bench):
    bench.rail.start_move(60_000)
    bench.bench.pass_time(0.2)
    bench.chip.power_on()
    status = bench.look()
    assert (status.moving, status.homed, status.position) == (False, False, None)
    assert "lost its power" in status.alarm
    assert "home the rail" in status.alarm
    with pytest.raises(DriverError):
        bench.rail.start_move(0)
    assert bench.rail.poll().alarm == status.alarm
    bench.home()
    assert bench.rail.poll().alarm is None
    assert 750 < bench.chip.coil_ma(moving=True) <= 800, "set anew before the first step"


def test_a_chip_that_is_too_hot_is_not_homed_with(bench):
    bench.chip.shut_down(OT)
    assert "too hot" in bench.look().alarm
    with pytest.raises(AlarmResponse, match="too hot"):
        bench.rail.start_home()
    bench.chip.flags = 0
    bench.home()
    assert bench.look().position is not None


def test_a_jog_is_possible_after_a_fault(bench):
    bench.chip.power_on()
    assert bench.look().alarm
    bench.rail.start_jog(160, 500.0)
    status = rest(bench.bench, bench.rail)
    assert (status.alarm, status.position) == (None, None)


def test_a_warning_stops_nothing_and_is_said_once(bench, caplog):
    bench.chip.flags = OTPW | T120
    status = bench.look()
    assert status.alarm is None
    assert status.position is not None
    assert "hot, over 120" in status.warnings[0]
    bench.look()
    assert sum("hot, over 120" in record.message for record in caplog.records) == 1
    bench.chip.flags = 0
    assert bench.look().warnings == ()


def test_an_enable_pin_that_goes_off(bench):
    bench.chip.enn = True
    status = bench.look()
    assert status.position is None
    assert "enable pin" in status.alarm


def test_a_released_motor_is_no_fault(bench):
    bench.rail.release()
    bench.chip.enn = True
    assert bench.look().alarm is None
    bench.chip.enn = False
    bench.home()
    assert bench.look().alarm is None


def test_a_chip_that_cannot_be_asked_any_more(bench):
    bench.rail.start_move(60_000)
    bench.bench.pass_time(0.2)
    bench.wire.unplug()
    with pytest.raises(Unplugged, match="reading GSTAT"):
        bench.look()
    assert not bench.inner.poll().moving
    for verb in (bench.rail.poll, bench.rail.start_home, lambda: bench.rail.start_jog(1, 1.0)):
        with pytest.raises(Unplugged):
            verb()
    bench.rail.close()
    bench.wire.plug_in()
    bench.rail.open()
    bench.home()
    assert bench.look().alarm is None


def test_currents_are_right_before_the_first_step_and_as_long_as_it_is_open(bench):
    held_ma = bench.chip.coil_ma(moving=False)
    for target in (1000, 2000, 0):
        bench.rail.start_move(target)
        rest(bench.bench, bench.rail)
        assert bench.chip.coil_ma(moving=False) == bench.chip.coil_ma(moving=True) == held_ma


def test_a_rail_that_does_not_open_leaves_the_port_free(tmp_path):
    with Wire(tmp_path / "uart") as wire:
        bench = Bench(wire)
        bench.inner.open = lambda: (_ for _ in ()).throw(DriverError("sim", "no"))
        with pytest.raises(DriverError, match="no"):
            bench.rail.open()
        assert not bench.rail.motor.wire.is_open


def test_homing_by_stall_is_told_to_the_chip(tmp_path):
    with Wire(tmp_path / "uart") as wire:
        bench = Bench(wire, stall_threshold=70)
        bench.rail.open()
        bench.rail.start_home()
        assert wire.chip.registers[0x40] == 70
        bench.rail.stop()
        rest(bench.bench, bench.rail)
        assert wire.chip.registers[0x40] == 0
        bench.home()
        assert wire.chip.registers[0x40] == 0
        bench.rail.close()
