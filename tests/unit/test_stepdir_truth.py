"""Position truth: what the driver counts is what went out on STEP, after any mixture of moves, stops and halts, on a machine that stalls."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.base import DriverError
from tests.contract.bench import VirtualBench, home
from tests.emulators.stepdir import on_mock_pins

MOVES = 2500
QUICK = {
    "acceleration_um_per_s2": 200_000.0,
    "homing_speed_um_per_s": 500.0,
    "homing_slow_um_per_s": 400.0,
    "travel_um": 1000.0,
    "pull_off_um": 100.0,
    "enable_wait_s": 0.0,
    "start_stop_rate_hz": 900.0,
}


class Busy:
    """A machine whose threads are late, and now and then do not run at all."""

    def __init__(self, seed: int, clock, stall_every_s: float) -> None:
        chance = np.random.default_rng(seed)
        self.late_s = lambda: float(chance.exponential(60e-6))
        self.stalls = []
        if stall_every_s:
            begins_s = clock.now() + np.cumsum(chance.exponential(stall_every_s, 4000))
            self.stalls = [
                (at, at + length) for at, length in zip(begins_s, chance.exponential(0.01, 4000), strict=True)
            ]


@pytest.mark.parametrize(
    ("seed", "stall_every_s", "shape"),
    [
        (1, 0, {}),
        (2, 1.0, {}),
        (3, 0.3, {"profile": "quintic"}),
        (4, 0.5, {"profile": "zv", "ring_hz": 50.0}),
    ],
)
def test_the_count_is_what_went_out_or_is_unknown(seed, stall_every_s, shape):
    bench, chance = VirtualBench(), np.random.default_rng(seed)
    known = lost = 0
    with on_mock_pins(bench.clock, start=400, **(QUICK | shape)) as (rail, carriage, _):
        rail.open()
        home(bench, rail)
        busy = Busy(seed, bench.clock, stall_every_s)
        carriage.lgpio.faults.late_s, carriage.lgpio.faults.stalls = busy.late_s, busy.stalls
        for _ in range(MOVES):
            one_motion(bench, rail, chance)
            status = rail.poll()
            if status.position is None:
                lost += 1
                home(bench, rail)
            else:
                known += 1
                assert rail.true_microsteps() == status.position
            assert carriage.motor.slips == 0
        assert carriage.motor.worst <= rail._options.jump_full_steps + 0.1
        assert known > 0.8 * MOVES
        assert (carriage.motor.worst > 0.2) == (stall_every_s > 0)


def one_motion(bench, rail, chance):
    """To anywhere near, and mostly not left alone on the way."""
    here = rail.poll().position
    target = int(np.clip(here + chance.integers(-40, 41), 0, 1600))
    rail.start_move(target, float(chance.uniform(200.0, 900.0)))
    kind = chance.random()
    if kind < 0.5:
        for _ in range(chance.integers(0, 4)):
            bench.pass_time(float(chance.uniform(0.0, 0.03)))
        if kind < 0.02:
            rail.halt()
        else:
            rail.stop()
    elif kind < 0.52 and target != here:
        with pytest.raises(DriverError):
            rail.start_move(0)
    while rail.poll().moving:
        bench.pass_time(0.01)
    if kind >= 0.5 and rail.poll().homed:
        assert rail.poll().position == target
