"""STEP pulses by lgpio on a real Linux gpiochip, counted by the kernel itself. Run by pytest inside the user-mode kernel."""

from __future__ import annotations

import threading

import pytest

from drivers.clock import SystemClock
from drivers.registry import Context
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.rail import StepDirRail
from tests.contract.bench import RealBench, rest
from tests.gpio_sim.chip import Chip
from tests.gpio_sim.inside_parts import let_go

STEP, DIR, ENABLE, HOME = 20, 21, 16, 26
OPTIONS = {
    "step_pin": STEP,
    "dir_pin": DIR,
    "enable_pin": ENABLE,
    "home_pin": HOME,
    "screw_pitch_um": 2000.0,
    "travel_um": 8000.0,
    "max_step_rate_hz": 1000.0,
    "enable_wait_s": 0.01,
    "homing_speed_um_per_s": 400.0,
    "homing_slow_um_per_s": 100.0,
    "pull_off_um": 50.0,
    "backlash_um": 0.0,
}


@pytest.fixture
def chip():
    yield Chip()
    let_go()
    assert Chip().held() == {}


@pytest.fixture
def rail(chip):
    found = StepDirRail(StepDirOptions(**OPTIONS), Context(SystemClock()))
    found.open()
    chip.drive(HOME, 0)  # normally closed to ground: not pressed
    yield found
    found.close()


def pulses(levels) -> int:
    return sum(level for _, level in levels)


@pytest.mark.parametrize("distance", [200, -200])
def test_a_jog_is_as_many_pulses_as_asked(chip, rail, distance):
    chip_directions = []
    with chip.written_down(STEP) as levels:
        rail.start_jog(distance, 500.0)
        chip_directions.append(chip.level(DIR))
        status = rest(RealBench(), rail)
    assert status.alarm is None
    assert pulses(levels) == abs(distance)
    assert chip.level(STEP) == 0


def test_home_and_position_agree_with_the_kernel_s_count(chip, rail):
    bench = RealBench()
    with Carriage(chip):
        rail.start_home()
        status = rest(bench, rail)
    assert status.homed, status.alarm
    assert status.position == 0
    with chip.written_down(STEP) as levels:
        rail.start_move(900)
        bench.pass_time(0.4)
        rail.stop()
        status = rest(bench, rail)
    assert 0 < status.position < 900
    assert pulses(levels) == status.position


class Carriage:
    """On its home switch half a second after it has begun to go there, and off it a moment after it has turned round."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _serve(self) -> None:
        self._over.wait(0.5)
        toward = self._chip.level(DIR)
        self._chip.drive(HOME, 1)
        before = toward
        while not self._over.wait(0.002):
            now = self._chip.level(DIR)
            if now != before:
                before = now
                self._over.wait(0.03)
                self._chip.drive(HOME, int(now == toward))
