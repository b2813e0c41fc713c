"""A bench from a rig's config: RIGD_BENCH names the file, by default the simulated rig.

A bench of simulated parts runs on a virtual clock, any other on the machine's own.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.rails", "tests.contract.cameras", "tests.contract.parts")

from drivers import registry  # noqa: E402
from drivers.clock import SystemClock  # noqa: E402
from rigd.config import load  # noqa: E402
from tests.contract.bench import RealBench, VirtualBench  # noqa: E402
from tests.contract.cameras import CameraRig  # noqa: E402
from tests.contract.parts import PartRig  # noqa: E402
from tests.contract.rails import RailRig  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SIMULATED = {"sim", "replay"}


class BenchRig:
    """The parts of a bench, made one at a time."""

    def __init__(self, path: Path) -> None:
        self.config = load(path)
        parts = [self.config.rail, self.config.camera, self.config.light, *self.config.switches.values()]
        self.simulated = {part.driver for part in parts if part is not None} <= SIMULATED
        self.bench = VirtualBench() if self.simulated else RealBench()
        assert self.simulated == (not isinstance(self.bench.clock, SystemClock))
        self.context = registry.Context(self.bench.clock, seed=self.config.rig.seed)

    def make(self, part):
        """A part's driver, closed."""
        return registry.create(registry.find(part.kind, part.driver), part.options, self.context)

    @property
    def span_um(self) -> float:
        """How far from home the suite may go."""
        return min(5000.0, self.config.limits.max_um)

    @property
    def position_um(self) -> float:
        """A position that the camera has a picture of."""
        plan = self.config.plan
        return plan.near_um if plan is not None else 0.0


def bench_path() -> Path:
    return Path(os.environ.get("RIGD_BENCH", ROOT / "config" / "simulated.yaml"))


@pytest.fixture
def bench_rig():
    path = bench_path()
    if not path.is_file():
        pytest.fail(f"RIGD_BENCH: there is no file {path}")
    return BenchRig(path)


@pytest.fixture
def rail_rig(bench_rig):
    rail = bench_rig.make(bench_rig.config.rail)
    truth = getattr(rail, "true_microsteps", None)
    return RailRig(bench_rig.bench, rail, span_um=bench_rig.span_um, true_microsteps=truth)


@pytest.fixture
def camera_rig(bench_rig):
    camera = bench_rig.make(bench_rig.config.camera)
    fresh = getattr(bench_rig.config.camera.options, "mode", "fresh") == "fresh"
    return CameraRig(bench_rig.bench, camera, position_um=bench_rig.position_um, proves_freshness=fresh)


@pytest.fixture
def light_rig(bench_rig):
    if bench_rig.config.light is None:
        pytest.skip("this bench has no light")
    return PartRig(bench_rig.bench, bench_rig.make(bench_rig.config.light))


@pytest.fixture
def switch_rigs(bench_rig):
    if not bench_rig.config.switches:
        pytest.skip("this bench has no switches")
    return {
        name: PartRig(bench_rig.bench, bench_rig.make(part))
        for name, part in bench_rig.config.switches.items()
    }
