"""Every shutter, light and switch that comes with rigd keeps the contract."""

import pytest

from drivers.registry import Context
from drivers.sim.options import SimLightOptions, SimShutterOptions, SimSwitchOptions
from drivers.sim.parts import SimLight, SimShutter, SimSwitch
from drivers.sim.truth import LAMPS
from tests.contract.bench import VirtualBench
from tests.contract.parts import LightContract, PartRig, ShutterContract, SwitchContract


class TestShutters(ShutterContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        shutter = SimShutter(SimShutterOptions(), Context(bench.clock))
        return PartRig(bench, shutter, active=lambda: shutter.held)


class TestLights(LightContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        context = Context(bench.clock)
        light = SimLight(SimLightOptions(), context)
        return PartRig(bench, light, active=lambda: context.shared[LAMPS].level_at(bench.clock.now()) > 0.5)


class TestSwitches(SwitchContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        switch = SimSwitch(SimSwitchOptions(), Context(bench.clock))
        return PartRig(bench, switch, press=switch.press, let_go=switch.let_go)
