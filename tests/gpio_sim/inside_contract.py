"""The contracts of lights, switches and releases on a real Linux gpiochip. Run by pytest inside the user-mode kernel."""

from __future__ import annotations

import pytest

from drivers.gpio.light import GpioLight
from drivers.gpio.options import GpioLightOptions, GpioSwitchOptions, ReleaseOptions
from drivers.gpio.release import Release
from drivers.gpio.switch import GpioSwitch
from drivers.registry import Context
from tests.contract.bench import RealBench
from tests.contract.parts import LightContract, PartRig, ShutterContract, SwitchContract
from tests.contract.test_parts import CONTACTS, LIGHTS, OTHER, PIN, RELEASES, SYNC
from tests.gpio_sim.chip import Chip
from tests.gpio_sim.inside_parts import let_go

STEADY = {name: options for name, options in LIGHTS.items() if "pwm_hz" not in options}
WITHOUT_PROOF = {name: options for name, options in RELEASES.items() if "sync_pin" not in options}
assert (PIN, OTHER, SYNC) == (17, 27, 22)


@pytest.fixture(autouse=True)
def undriven():
    """Whatever became of a part, nothing is driven afterwards."""
    yield
    ways = set(Chip().held().values())
    let_go()
    assert ways <= {"in"}


class TestLights(LightContract):
    @pytest.fixture(params=STEADY)
    def rig(self, request):
        bench, chip, options = RealBench(), Chip(), STEADY[request.param]
        dark = int(options.get("active_low", False))
        chip.drive(PIN, dark)
        light = GpioLight(GpioLightOptions(pin=PIN, **options), Context(bench.clock))
        return PartRig(bench, light, active=lambda: chip.level(PIN) != dark)


class TestSwitches(SwitchContract):
    @pytest.fixture(params=CONTACTS)
    def rig(self, request):
        bench, chip, options = RealBench(), Chip(), CONTACTS[request.param]
        closed = 0 if options.get("closes_to", "ground") == "ground" else 1
        rests = closed if options.get("normally_closed") else 1 - closed
        switch = GpioSwitch(GpioSwitchOptions(pin=PIN, **options), Context(bench.clock))
        opens = switch.open

        def open_beside_the_contact() -> None:
            opens()  # sets the Pi's own resistor; the contact is stronger, and a simulated line knows one of the two
            chip.drive(PIN, rests)

        switch.open = open_beside_the_contact
        return PartRig(
            bench,
            switch,
            press=lambda: chip.drive(PIN, 1 - rests),
            let_go=lambda: chip.drive(PIN, rests),
        )


class TestReleases(ShutterContract):
    @pytest.fixture(params=WITHOUT_PROOF)
    def rig(self, request):
        bench, chip, options = RealBench(), Chip(), WITHOUT_PROOF[request.param]
        dark = int(options.get("active_low", False))
        chip.drive(PIN, dark)
        release = Release(ReleaseOptions(release_pin=PIN, **options), Context(bench.clock))
        return PartRig(bench, release, active=lambda: chip.level(PIN) != dark)

    @pytest.mark.parametrize("ahead_s", [0.0, 0.2])
    def test_exposes_when_asked_or_later(self, opened, ahead_s):
        """Linux is late by as much as it likes, and never early."""
        not_before_s = opened.bench.clock.now() + ahead_s
        firing = opened.part.fire(0.2, not_before_s)
        assert firing.start_s >= not_before_s
