"""The TMC2209 driver against emulated chips: what is set, what is noticed, what a bad wire does."""

from __future__ import annotations

import contextlib
import math
from contextlib import contextmanager

import pytest

from drivers.base import AlarmResponse, DriverError, Motor, NoResponse, NotOpen, Unplugged
from drivers.clock import VirtualClock
from drivers.registry import Context, create, find
from drivers.tmc2209.driver import Tmc2209
from drivers.tmc2209.options import Tmc2209Options
from tests.emulators.tmc2209 import DRV_ERR, Chip, Faults, Wire

OT, S2GA = 1 << 1, 1 << 2


@contextmanager
def on_the_wire(tmp_path, *chips, faults=None, **options):
    with Wire(tmp_path / "uart", list(chips) or [Chip()], faults or Faults()) as wire:
        driver = Tmc2209(
            Tmc2209Options(**{"port": str(wire.link), "run_ma": 800, **options}), Context(VirtualClock())
        )
        try:
            yield wire, driver
        finally:
            driver.close()


def test_it_is_a_motor_in_the_catalogue(tmp_path):
    pytest.importorskip("serial")
    entry = find("motor", "tmc2209")
    motor = create(entry, Tmc2209Options(port=str(tmp_path / "none"), run_ma=500), Context(VirtualClock()))
    assert isinstance(motor, Motor)
    motor.close()
    with pytest.raises(Unplugged, match="opening"):
        motor.open()
    motor.close()


def test_what_is_set(tmp_path):
    with on_the_wire(tmp_path, microsteps=32, invert=True) as (wire, driver):
        driver.open()
        chip = wire.chip
        assert chip.coil_ma(moving=True) == pytest.approx(800, abs=31)
        assert chip.coil_ma(moving=False) == chip.coil_ma(moving=True) <= 800
        assert chip.field(0x6C, 24, 4) == 3
        assert chip.field(0x6C, 28) == 1
        assert chip.field(0x6C, 0, 4) >= 1, "the motor has current"
        assert chip.field(0x00, 0) == 0, "the trimmer has no say"
        assert chip.field(0x00, 2) == 0
        assert chip.field(0x00, 3) == 1
        assert chip.field(0x00, 6) == 1
        assert chip.field(0x00, 7) == 1
        assert chip.registers[0x11] >= 2, "StealthChop tunes itself"
        assert chip.registers[0x14] == chip.registers[0x40] == 0, "DIAG reports no stalls"
        assert chip.gstat == 0
        assert not driver.look().fault


def test_spreadcycle_and_the_change_to_it(tmp_path):
    with on_the_wire(tmp_path, chopper="spreadcycle", interpolate=False) as (wire, driver):
        driver.open()
        assert wire.chip.field(0x00, 2) == 1
        assert wire.chip.field(0x6C, 28) == 0
    with on_the_wire(tmp_path, spreadcycle_above_steps_per_s=400) as (wire, driver):
        driver.open()
        assert wire.chip.registers[0x13] == round(12e6 / 256 / 400)


def test_hold_and_idle_currents(tmp_path):
    with on_the_wire(tmp_path, run_ma=900, hold_ma=600, idle_ma=200) as (wire, driver):
        driver.open()
        assert 550 < wire.chip.coil_ma(moving=False) <= 600
        assert wire.chip.field(0x10, 16, 4) > 0, "the change makes no jerk"
        driver.close()
        assert 150 < wire.chip.coil_ma(moving=False) <= 200
        assert 850 < wire.chip.coil_ma(moving=True) <= 900


def test_closing_leaves_the_motor_held(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        held_ma = wire.chip.coil_ma(moving=False)
        driver.close()
        driver.close()
        assert wire.chip.coil_ma(moving=False) == held_ma
        for verb in (driver.look, driver.restore, driver.home_begins, driver.home_ends):
            with pytest.raises(NotOpen):
                verb()
        driver.open()
        driver.open()
        assert driver.look().fault is None


def test_the_chip_with_its_address(tmp_path):
    chips = [Chip(node) for node in range(4)]
    with on_the_wire(tmp_path, *chips, address=2) as (_wire, driver):
        driver.open()
        assert [bool(chip.written) for chip in chips] == [False, False, True, False]
        assert chips[2].registers[0x03] >> 8 >= 2, "with several on a wire they must wait before they answer"


def test_no_chip_at_this_address(tmp_path):
    with (
        on_the_wire(tmp_path, Chip(1)) as (_, driver),
        pytest.raises(NoResponse, match=r"IOIN of node 0 .*motor supply"),
    ):
        driver.open()


def test_another_chip(tmp_path):
    with (
        on_the_wire(tmp_path, Chip(version=0x20)) as (_, driver),
        pytest.raises(DriverError, match="no TMC2209: its version is 0x20"),
    ):
        driver.open()


def test_a_port_is_used_by_one_program(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        other = Tmc2209(Tmc2209Options(port=str(wire.link), run_ma=500), Context(VirtualClock()))
        with pytest.raises(DriverError, match="in use"):
            other.open()


# ------------------------------------------------------------------------------------------------- what the chip says


def test_power_loss_is_noticed_and_mended(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        wire.chip.power_on()
        assert "lost its power" in driver.look().fault
        assert "lost its power" in driver.look().fault, "until it is set again"
        driver.restore()
        assert driver.look().fault is None
        assert 750 < wire.chip.coil_ma(moving=True) <= 800


def test_heat_that_is_over_and_heat_that_is_not(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        wire.chip.shut_down(OT)
        assert "too hot" in driver.look().fault
        with pytest.raises(AlarmResponse, match="too hot"):
            driver.restore()
        wire.chip.flags = 0
        wire.chip.gstat |= DRV_ERR
        assert "switched the motor off" in driver.look().fault
        driver.restore()
        assert driver.look().fault is None


def test_a_short_keeps_it_closed(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        wire.chip.shut_down(S2GA)
        with pytest.raises(AlarmResponse, match="coil A is shorted to ground"):
            driver.open()
        assert not driver.wire.is_open


def test_the_enable_pin(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        assert driver.look().enabled
        wire.chip.enn = True
        assert not driver.look().enabled


# ------------------------------------------------------------------------------------------------------------- homing


def test_stalls_are_reported_while_homing_only(tmp_path):
    with on_the_wire(tmp_path, stall_threshold=60, stall_above_steps_per_s=100, chopper="spreadcycle") as (
        wire,
        driver,
    ):
        driver.open()
        chip = wire.chip
        fast, slow = math.floor(12e6 / 256 / 200), math.ceil(12e6 / 256 / 50)
        chip.load = 100
        assert not chip.stall_reported(fast)
        driver.home_begins()
        assert chip.stall_reported(fast)
        assert not chip.stall_reported(slow)
        chip.load = 130
        assert not chip.stall_reported(fast)
        driver.home_ends()
        chip.load = 0
        assert not chip.stall_reported(fast)
        assert chip.field(0x00, 2) == 1, "the chosen chopper is back"


def test_homing_by_a_switch_writes_nothing(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        before = len(wire.chip.written)
        driver.home_begins()
        driver.home_ends()
        assert len(wire.chip.written) == before


def test_closing_in_the_middle_of_homing_ends_it(tmp_path):
    with on_the_wire(tmp_path, stall_threshold=60) as (wire, driver):
        driver.open()
        driver.home_begins()
        driver.close()
        assert wire.chip.registers[0x40] == 0


# ------------------------------------------------------------------------------------------------------- a bad wire

NOISE = {
    "lost bytes": Faults(lose=0.004),
    "wrong bits": Faults(garble=0.004),
    "lost commands": Faults(lose_commands=0.004),
    "split": Faults(split=1),
    "wrong CRCs": Faults(wrong_crc=3),
    "silence now and then": Faults(mute=3),
    "all of it": Faults(lose=0.0015, garble=0.0015, lose_commands=0.0015, split=5),
}


@pytest.mark.parametrize("faults", NOISE.values(), ids=NOISE.keys())
def test_noise_is_survived_and_nothing_wrong_is_set(tmp_path, faults):
    with on_the_wire(tmp_path, faults=faults) as (wire, driver):
        driver.open()
        for _ in range(10):
            status = driver.look()
            assert (status.fault, status.enabled, status.warnings) == (None, True, ())
        for register, value in driver.settings():
            assert wire.chip.registers[register] == value
        assert {register for register, _ in wire.chip.written} <= {r for r, _ in driver.settings()} | {1}


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        (Faults(echo=False), "an echo of"),
        (Faults(garbage=b"\x00"), "wrong CRC"),
        (Faults(garbage_before=b"\xff"), "an echo of ff 05"),
        (Faults(wrong_crc=10_000), "wrong CRC"),
        (Faults(mute=-1), "nothing but the echo"),
        (Faults(mute=-1, echo=False), "RX must be joined to TX"),
    ],
)
def test_a_wire_that_is_never_right_says_what_is_wrong(tmp_path, faults, why):
    with (
        on_the_wire(tmp_path, faults=faults) as (_, driver),
        pytest.raises(NoResponse, match=why) as caught,
    ):
        driver.open()
    assert caught.value.port == str(tmp_path / "uart")
    assert "IOIN" in caught.value.command


def test_a_write_that_the_chip_never_takes(tmp_path):
    chip = Chip()
    chip.write = lambda _register, _value: None
    with (
        on_the_wire(tmp_path, chip) as (_, driver),
        pytest.raises(NoResponse, match="writing GSTAT: the chip did not count it"),
    ):
        driver.open()


def test_the_counter_of_writes_wraps(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        driver.open()
        wire.chip.count = 254
        driver.restore()
        assert wire.chip.count < 254


@pytest.mark.parametrize("register", [0x06, 0x02, 0x6C, 0x01])
def test_pulled_while_it_is_opened(tmp_path, register):
    with on_the_wire(tmp_path, faults=Faults(unplug_at=register)) as (wire, driver):
        with pytest.raises(DriverError) as caught:
            driver.open()
        assert isinstance(caught.value, Unplugged | NoResponse)
        assert str(wire.link) in str(caught.value)
        driver.close()
        wire.plug_in()
        driver.open()
        assert driver.look().fault is None


def test_pulled_and_put_back_many_times(tmp_path):
    with on_the_wire(tmp_path) as (wire, driver):
        for _ in range(20):
            driver.open()
            assert driver.look().fault is None
            wire.unplug()
            with pytest.raises(Unplugged, match="reading GSTAT"):
                driver.look()
            driver.close()
            wire.plug_in()


@pytest.mark.parametrize("register", [0x00, 0x01, 0x02, 0x03, 0x10, 0x70, 0x6C, 0x6F])
def test_power_lost_while_it_is_set_is_never_missed(tmp_path, register):
    with on_the_wire(tmp_path, faults=Faults(power_loss_at=register)) as (wire, driver):
        with contextlib.suppress(AlarmResponse):
            driver.open()
        driver.open()
        wrong = [name for name, value in driver.settings() if wire.chip.registers.get(name) != value]
        assert driver.look().fault is not None or not wrong
