"""The plug is pulled in the middle of moves, and put back."""

import random

import pytest

from drivers.base import DriverError, Unplugged
from tests.emulators.grbl_rails import GRBL, Kit
from tests.fault._grbl import Bench

TIMES = 100


@pytest.fixture(params=[False, True], ids=["fed by USB", "with a supply of its own"])
def bench(request, tmp_path):
    kit = Kit({**GRBL["grbl"].settings, 25: 30_000.0, 24: 3000.0}, wire={"survives_unplug": request.param})
    bench = Bench(tmp_path, kit, speed=20.0)
    yield bench
    bench.close()


def test_a_pulled_plug_is_named_and_homing_recovers(bench):
    rail, emulator, chance = bench.rail, bench.emulator, random.Random(11)
    bench.ready()
    last = int(20_000 / rail.capabilities.microstep_um)
    for _ in range(TIMES // 2):
        target = chance.randrange(last // 2, last)
        rail.start_move(target)
        for _ in range(chance.randrange(5)):
            if not rail.poll().moving:
                # A busy machine looked so late that it has arrived: it is pulled on the way back.
                rail.start_move(chance.randrange(last // 4))
                break
        emulator.unplug()
        error = bench.trouble(rail.poll)
        assert isinstance(error, Unplugged)
        assert error.port == emulator.port
        assert "$J=" in error.command
        with pytest.raises(DriverError):
            rail.start_move(0)
        with pytest.raises(DriverError):
            rail.open()
        emulator.plug()
        rail.close()
        rail.open()
        status = rail.poll()
        assert (status.moving, status.homed, status.position) == (False, False, None)
        pulses = emulator.pulses()
        with pytest.raises(DriverError):
            rail.start_move(0)
        assert rail.poll().position is None
        assert emulator.pulses() == pulses
        bench.home()
        assert rail.poll().position == emulator.true_steps() == 0


@pytest.mark.parametrize("line", ["$J=", "$H", "$$"])
def test_pulled_in_mid_command(bench, line):
    """The line is on its way and never answered."""
    rail, emulator = bench.rail, bench.emulator
    acts = {
        "$J=": lambda: rail.start_move(5000),
        "$H": rail.start_home,
        "$$": lambda: (rail.close(), rail.open()),
    }
    bench.ready()
    emulator.faults.unplug_at = line.encode()
    error = bench.trouble(acts[line])
    assert isinstance(error, Unplugged)
    assert emulator.port in str(error)
    assert line in error.command
    emulator.plug()
    rail.close()
    bench.ready()
