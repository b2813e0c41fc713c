"""Every rail that comes with rigd keeps the contract."""

from contextlib import ExitStack

import pytest

from drivers.attended import attended
from drivers.registry import Context
from drivers.sim.options import SimRailOptions
from drivers.sim.rail import SimRail
from drivers.tmc2209.driver import Tmc2209
from drivers.tmc2209.options import Tmc2209Options
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.rails import RailContract, RailRig
from tests.emulators.grbl_rails import GRBL, emulated
from tests.emulators.stepdir import on_mock_pins
from tests.emulators.tmc2209 import Wire

SPEED = 4.0
SIMULATED = {
    "sim quintic": {},
    "sim trapezoid": {"profile": "trapezoid", "backlash_um": 200.0, "ring_hz": 5.0},
    "sim fast quintic, coarse": {"quintic_min_periods": 0.0, "microsteps": 1, "screw_pitch_um": 1000.0},
    "sim zv": {"profile": "zv", "ring_hz": 12.0},
    "sim zvd": {"profile": "zvd"},
    "sim mzv, guessed": {"profile": "mzv", "shaper_hz": 9.0, "shaper_damping": 0.0},
    "sim ei, slow": {"profile": "ei", "ring_hz": 3.0},
    "sim on its switch": {"start_um": -490.0},
    "sim drifting": {"thermal_drift_um_per_hour": 100.0, "microstep_error": 0.1},
}


@pytest.fixture(params=SIMULATED.values(), ids=SIMULATED.keys())
def rig(request):
    bench = VirtualBench()
    rail = SimRail(SimRailOptions(**request.param), Context(bench.clock, seed=5))
    return RailRig(bench, rail, true_microsteps=rail.true_microsteps)


class TestRails(RailContract):
    pass


@pytest.fixture(params=GRBL)
def grbl(request, tmp_path):
    """On the wire; the emulator's clock and ours run at the same multiple of the machine's."""
    bench = RealBench(SPEED)
    with ExitStack() as stack:
        emulator, rail = emulated(GRBL[request.param], tmp_path / "grbl", bench.clock, stack, speed=SPEED)
        yield RailRig(
            bench, rail, span_um=4000.0, true_microsteps=emulator.true_steps, tells_home_error=False
        )


class TestGrblRails(RailContract):
    @pytest.fixture
    def rig(self, grbl):
        return grbl


STEPDIR = {
    "trapezoid": {},
    "quintic, other polarities": {
        "profile": "quintic",
        "invert": True,
        "switch_closes_to": "supply",
        "normally_closed": False,
        "enable_active_low": False,
    },
    "shaped, no far switch, no enable": {
        "profile": "zvd",
        "ring_hz": 20.0,
        "far_pin": None,
        "enable_pin": None,
    },
    "on its switch, coarse": {"start": -30, "microsteps": 2, "jump_full_steps": 1.0},
}


@pytest.fixture(params=STEPDIR.values(), ids=STEPDIR.keys())
def stepdir(request):
    """On mock pins, with lgpio stood in for."""
    bench = VirtualBench()
    with on_mock_pins(bench.clock, **request.param) as (rail, _, _):
        yield RailRig(bench, rail, span_um=4000.0, true_microsteps=rail.true_microsteps)


class TestStepDirRails(RailContract):
    @pytest.fixture
    def rig(self, stepdir):
        return stepdir


class TestAttendedRails(RailContract):
    """A rail with the chip of its motor on a wire is a rail like any other."""

    @pytest.fixture
    def rig(self, tmp_path):
        bench = VirtualBench()
        context = Context(bench.clock, seed=5)
        with Wire(tmp_path / "uart") as wire:
            inner = SimRail(SimRailOptions(), context)
            motor = Tmc2209(
                Tmc2209Options(port=str(wire.link), run_ma=800, stall_threshold=50, idle_ma=300), context
            )
            yield RailRig(bench, attended(inner, motor, bench.clock), true_microsteps=inner.true_microsteps)
