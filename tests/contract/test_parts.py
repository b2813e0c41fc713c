"""Every shutter, light and switch that comes with rigd keeps the contract."""

import pytest

from drivers.gpio.light import GpioLight
from drivers.gpio.options import GpioLightOptions, GpioSwitchOptions, ReleaseOptions
from drivers.gpio.release import Release
from drivers.gpio.switch import GpioSwitch
from drivers.registry import Context
from drivers.sim.options import SimLightOptions, SimShutterOptions, SimSwitchOptions
from drivers.sim.parts import SimLight, SimShutter, SimSwitch
from drivers.sim.truth import LAMPS
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.parts import LightContract, PartRig, ShutterContract, SwitchContract
from tests.pins import mock_pins

PIN, OTHER, SYNC = 17, 27, 22
RELEASES = {
    "bulb": {"bulb": True, "lag_s": 0.0},
    "half press, mirror": {"bulb": True, "focus_pin": OTHER, "half_press_s": 0.05, "mirror_up_s": 0.12},
    "opto-coupler to supply": {"bulb": True, "active_low": True},
    "sync contact": {"bulb": True, "sync_pin": SYNC},
}
LIGHTS = {"on or off": {}, "active low": {"active_low": True}, "dimmed": {"pwm_hz": 5000, "level": 0.3}}
CONTACTS = {
    "button": {},
    "to supply": {"closes_to": "supply"},
    "e-stop": {"normally_closed": True},
}


class TestShutters(ShutterContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        shutter = SimShutter(SimShutterOptions(), Context(bench.clock))
        return PartRig(bench, shutter, active=lambda: shutter.held)


class TestReleases(ShutterContract):
    @pytest.fixture(params=RELEASES)
    def rig(self, request):
        bench, options = VirtualBench(), RELEASES[request.param]
        with mock_pins(bench.clock) as pins:
            pressed = 0.0 if options.get("active_low") else 1.0
            if "sync_pin" in options:
                sync = pins[SYNC]
                pins[PIN].wired = lambda level: (sync.drive_low if level else sync.drive_high)()
            release = Release(ReleaseOptions(release_pin=PIN, **options), Context(bench.clock))
            yield PartRig(
                bench,
                release,
                # Closed, the pin is an input, and what hangs on it is let go of by its own resistors.
                active=lambda: pins[PIN].function == "output" and pins[PIN].levels[-1][1] == pressed,
            )


class TestLights(LightContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        context = Context(bench.clock)
        light = SimLight(SimLightOptions(), context)
        return PartRig(bench, light, active=lambda: context.shared[LAMPS].level_at(bench.clock.now()) > 0.5)


class TestGpioLights(LightContract):
    @pytest.fixture(params=LIGHTS)
    def rig(self, request):
        bench, options = VirtualBench(), LIGHTS[request.param]
        with mock_pins(bench.clock) as pins:
            dark = float(options.get("active_low", False))
            light = GpioLight(GpioLightOptions(pin=PIN, **options), Context(bench.clock))
            yield PartRig(
                bench,
                light,
                active=lambda: pins[PIN].function == "output" and pins[PIN].levels[-1][1] != dark,
            )


class TestSwitches(SwitchContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        switch = SimSwitch(SimSwitchOptions(), Context(bench.clock))
        return PartRig(bench, switch, press=switch.press, let_go=switch.let_go)


class TestGpioSwitches(SwitchContract):
    @pytest.fixture(params=CONTACTS)
    def rig(self, request):
        bench, options = RealBench(), CONTACTS[request.param]
        with mock_pins(bench.clock) as pins:
            pin = pins[PIN]
            low = options.get("closes_to", "ground") == "ground"
            rests_low = low if options.get("normally_closed") else not low
            # A contact is stronger than a pull resistor, which moves a mock pin when it is set.
            pin._set_pull = lambda value: setattr(pin, "_pull", value)
            (pin.drive_low if rests_low else pin.drive_high)()
            switch = GpioSwitch(GpioSwitchOptions(pin=PIN, **options), Context(bench.clock))
            yield PartRig(
                bench,
                switch,
                press=pin.drive_high if rests_low else pin.drive_low,
                let_go=pin.drive_low if rests_low else pin.drive_high,
            )
