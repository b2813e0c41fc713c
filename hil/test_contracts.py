"""The bench keeps the same contracts as every driver in the tests."""

import pytest

from drivers.base import DriverError
from tests.contract.cameras import CameraContract
from tests.contract.parts import LightContract
from tests.contract.rails import RailContract


class TestRail(RailContract):
    @pytest.fixture
    def rig(self, rail_rig):
        return rail_rig


class TestCamera(CameraContract):
    @pytest.fixture
    def rig(self, camera_rig, bench_rig):
        # A lit bench: without it a camera that needs the light would only show that it is dark.
        if bench_rig.config.light is None:
            yield camera_rig
            return
        light = bench_rig.make(bench_rig.config.light)
        light.open()
        light.on()
        yield camera_rig
        light.close()


class TestLight(LightContract):
    @pytest.fixture
    def rig(self, light_rig):
        return light_rig


class TestSwitches:
    def test_every_switch_is_open_at_rest(self, switch_rigs):
        for name, rig in switch_rigs.items():
            rig.part.open()
            try:
                assert not rig.part.pressed(), f"{name} is pressed: let go of it, or check its wiring"
            finally:
                rig.part.close()
                rig.part.close()
            with pytest.raises(DriverError):
                rig.part.pressed()
