"""Every rail that comes with rigd keeps the contract."""

import pytest

from drivers.registry import Context
from drivers.sim.options import SimRailOptions
from drivers.sim.rail import SimRail
from tests.contract.bench import VirtualBench
from tests.contract.rails import RailContract, RailRig

SIMULATED = {
    "sim quintic": {},
    "sim trapezoid": {"profile": "trapezoid", "backlash_um": 200.0, "ring_hz": 5.0},
    "sim fast quintic, coarse": {"quintic_min_periods": 0.0, "microsteps": 1, "screw_pitch_um": 1000.0},
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
