"""The emulator's carriage counts for itself. The driver agrees with it exactly, or says that it does not know."""

import random

import pytest

from drivers.base import DriverError
from tests.emulators.grbl_rails import GRBL, Kit
from tests.fault._grbl import Bench

MOTIONS = {
    "grbl, finer than its reports": 10_000,
    "grbl": 2000,
    "grbl, work positions in inches, home at the other end": 2000,
}
QUICK = {25: 30_000.0, 24: 3000.0, 110: 24_000.0, 120: 8000.0}


def quick(kit: Kit) -> Kit:
    return Kit(QUICK | kit.settings, {**kit.options}, kit.firmware, kit.wire)


@pytest.fixture(params=MOTIONS)
def bench(request, tmp_path):
    bench = Bench(tmp_path, quick(GRBL[request.param]), speed=30.0)
    bench.motions = MOTIONS[request.param]
    yield bench
    bench.close()


def test_after_random_motions_stops_and_cancels_the_counts_agree(bench):
    """Also the last step of each, however the report rounds it."""
    bench.ready()
    rail, emulator, chance = bench.rail, bench.emulator, random.Random(20261122)
    able = rail.capabilities
    last = int(8000 / able.microstep_um)
    stopped = 0
    for number in range(bench.motions):
        position = rail.poll().position
        far = chance.random() < 0.1
        target = chance.randrange(last) if far else max(0, min(last, position + chance.randrange(-300, 300)))
        speed = None if chance.random() < 0.5 else chance.uniform(0.05, 1.0) * able.max_speed_um_per_s
        if chance.random() < 0.2:
            rail.start_jog(target - position, speed or able.max_speed_um_per_s)
        else:
            rail.start_move(target, speed)
        stop = chance.random() < 0.4
        if stop:
            for _ in range(chance.randrange(4)):
                rail.poll()
            rail.stop()
            stopped += 1
        status = bench.rest()
        assert status.alarm is None
        assert status.position == emulator.true_steps(), f"motion {number}"
        assert stop or status.position == target
    assert stopped > bench.motions // 4


def test_halts_and_releases_leave_nothing_known(bench):
    bench.ready()
    rail, emulator, chance = bench.rail, bench.emulator, random.Random(4)
    last = int(8000 / rail.capabilities.microstep_um)
    for _ in range(30):
        rail.start_move(chance.randrange(1, last))
        if chance.random() < 0.7:
            rail.halt()
        else:
            rail.release()
        status = rail.poll()
        assert (status.moving, status.homed, status.position) == (False, False, None)
        pulses = emulator.pulses()
        with pytest.raises(DriverError):
            rail.start_move(0)
        assert rail.poll().alarm is None
        assert emulator.pulses() == pulses
        bench.home()
        assert rail.poll().position == emulator.true_steps() == 0
