"""The bench keeps the same contracts as every driver in the tests."""

import pytest

from drivers.base import DriverError
from tests.contract.cameras import CameraContract
from tests.contract.parts import LightContract
from tests.contract.rails import RailContract


@pytest.mark.needs("rail", "home_switch")
class TestRail(RailContract):
    @pytest.fixture
    def rig(self, rail_rig):
        return rail_rig


@pytest.mark.needs("camera")
class TestCamera(CameraContract):
    @pytest.fixture
    def rig(self, camera_rig, lit):
        # Without light a camera would only show that it is dark.
        return camera_rig


@pytest.mark.needs("light")
class TestLight(LightContract):
    @pytest.fixture
    def rig(self, bench_rig):
        return bench_rig.part_rig(bench_rig.parts.light)


@pytest.mark.needs("switches")
class TestSwitches:
    def test_every_switch_is_open_at_rest(self, bench_rig):
        for name, part in bench_rig.parts.switches.items():
            part.open()
            try:
                assert not part.pressed(), f"{name} is pressed: let go of it, or check its wiring"
            finally:
                part.close()
                part.close()
            with pytest.raises(DriverError):
                part.pressed()
