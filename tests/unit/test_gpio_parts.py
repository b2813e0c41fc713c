"""Lamp and contact on mock pins: levels, warm-up, debounce, broken wires, and that what is left behind is safe."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drivers.base import DriverError, DriverNotAvailable, NotOpen
from drivers.clock import VirtualClock
from drivers.gpio.light import GpioLight
from drivers.gpio.options import GpioLightOptions, GpioSwitchOptions
from drivers.gpio.switch import UNSETTLED, GpioSwitch
from drivers.registry import Context
from tests.contract.bench import VirtualBench
from tests.pins import mock_pins

PIN = 12


@pytest.fixture
def bench():
    return VirtualBench()


@pytest.fixture
def pins(bench):
    with mock_pins(bench.clock) as made:
        yield made


# -------------------------------------------------------------------------------------------------------------- lamp


@pytest.fixture
def lamp(bench, pins):
    made = []

    def make(**options):
        made.append(GpioLight(GpioLightOptions(pin=PIN, **options), Context(bench.clock)))
        made[-1].open()
        return made[-1]

    yield make
    for light in made:
        light.close()


@pytest.mark.parametrize(("active_low", "lit"), [(False, 1.0), (True, 0.0)])
def test_levels(pins, lamp, active_low, lit):
    light = lamp(active_low=active_low)
    assert pins[PIN].levels[-1][1] == 1.0 - lit
    light.on()
    assert pins[PIN].levels[-1][1] == lit
    light.off()
    assert pins[PIN].levels[-1][1] == 1.0 - lit


def test_it_is_steady_when_on_returns(bench, pins, lamp):
    light = lamp(warm_up_s=2.0)
    began_s = bench.clock.now()
    bench.run(light.on)
    assert bench.clock.now() == began_s + 2.0
    assert pins[PIN].levels[-1] == (began_s, 1.0)
    bench.run(light.on)
    assert bench.clock.now() == began_s + 2.0, "warm already"
    light.off()
    bench.run(light.on)
    assert bench.clock.now() == began_s + 4.0, "cold again"


def test_closed_while_it_warms_up(bench, pins, lamp):
    light = lamp(warm_up_s=100.0)
    running = bench.start(light.on)
    bench.pass_time(1.0)
    light.close()
    with pytest.raises(NotOpen):
        running.result()
    assert pins[PIN].function == "input"


@pytest.mark.parametrize(("active_low", "share"), [(False, 0.4), (True, 0.6)])
def test_dimmed(pins, lamp, active_low, share):
    light = lamp(level=0.4, pwm_hz=5000, active_low=active_low)
    assert pins[PIN].state == active_low
    light.on()
    assert pins[PIN].frequency == 5000
    assert pins[PIN].state == pytest.approx(share)
    light.off()
    assert pins[PIN].state == active_low
    light.on()
    light.close()
    assert pins[PIN].frequency is None
    assert pins[PIN].function == "input"


@pytest.mark.parametrize(("active_low", "dark"), [(False, 0.0), (True, 1.0)])
def test_off_before_it_is_let_go(pins, lamp, active_low, dark):
    light = lamp(active_low=active_low)
    light.on()
    seen = []
    pins[PIN].wired = lambda level: seen.append((pins[PIN].function, level))
    light.close()
    assert seen[0] == ("output", dark)
    assert pins[PIN].function == "input"
    light.off()
    with pytest.raises(NotOpen):
        light.on()


def test_a_relay_cannot_be_dimmed():
    with pytest.raises(ValueError, match="needs pwm_hz"):
        GpioLightOptions(pin=PIN, level=0.5)


def test_a_pin_in_use(bench, lamp):
    lamp()
    other = GpioLight(GpioLightOptions(pin=PIN), Context(bench.clock))
    with pytest.raises(DriverError, match=r"GPIO12: opening: .*in use"):
        other.open()
    other.close()


def test_without_gpiozero_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    light = GpioLight(GpioLightOptions(pin=PIN), Context(VirtualClock()))
    with pytest.raises(DriverNotAvailable, match="install gpiozero"):
        light.open()
    light.close()


def test_off_when_the_process_dies_of_an_error():
    pytest.importorskip("gpiozero")
    script = (
        "import atexit\n"
        "from gpiozero import Device\n"
        "from gpiozero.pins.mock import MockFactory\n"
        "from drivers.clock import SystemClock\n"
        "from drivers.gpio.light import GpioLight\n"
        "from drivers.gpio.options import GpioLightOptions\n"
        "from drivers.registry import Context\n"
        "factory = Device.pin_factory = MockFactory()\n"
        "pin = factory.pin(12)\n"
        "class Watched(type(pin)):\n"
        "    def _set_function(self, value):\n"
        "        print('function', value, int(self._state))\n"
        "        super()._set_function(value)\n"
        "pin.__class__ = Watched\n"
        "light = GpioLight(GpioLightOptions(pin=12), Context(SystemClock()))\n"
        "light.open()\n"
        "light.on()\n"
        "raise RuntimeError('a bug')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "a bug" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("function input"), "let go of, and off by its resistors"


# ------------------------------------------------------------------------------------------------------------ contact


class Contact:
    """A contact on a pin, closed and opened by hand."""

    def __init__(self, bench, pins, **options):
        self.bench = bench
        self.pin = pins[PIN]
        self.to_ground = options.get("closes_to", "ground") == "ground"
        self.switch = GpioSwitch(GpioSwitchOptions(pin=PIN, **options), Context(bench.clock))

    def set(self, closed):
        (self.pin.drive_low if closed == self.to_ground else self.pin.drive_high)()

    def pressed(self):
        return self.bench.run(self.switch.pressed)


@pytest.fixture
def contact(bench, pins):
    made = []

    def make(*, closed=False, **options):
        one = Contact(bench, pins, **options)
        made.append(one)
        # A pull resistor moves a mock pin when it is set; the contact is stronger.
        one.pin._set_pull = lambda value: setattr(one.pin, "_pull", value)
        one.set(closed)
        one.switch.open()
        return one

    yield make
    for one in made:
        one.switch.close()


@pytest.mark.parametrize("closes_to", ["ground", "supply"])
@pytest.mark.parametrize("normally_closed", [False, True])
def test_pressed_or_not(contact, closes_to, normally_closed):
    one = contact(closed=normally_closed, closes_to=closes_to, normally_closed=normally_closed)
    assert one.pin.pull == ("up" if closes_to == "ground" else "down")
    assert one.pressed() is False
    one.set(not normally_closed)
    assert one.pressed() is True
    one.set(normally_closed)
    assert one.pressed() is False


def test_a_broken_wire_of_an_estop_is_a_press(contact, bench, pins):
    one = contact(closed=True, normally_closed=True)
    assert one.pressed() is False
    one.pin.drive_high()  # what the pull resistor does with a wire that leads nowhere
    assert one.pressed() is True


def test_an_estop_that_is_not_wired_at_all_is_pressed_from_the_start(bench, pins):
    switch = GpioSwitch(GpioSwitchOptions(pin=PIN, normally_closed=True), Context(bench.clock))
    switch.open()
    assert bench.run(switch.pressed) is True
    switch.close()
    with pytest.raises(NotOpen):
        switch.pressed()


def test_a_change_is_believed_after_the_debounce_time(contact, bench):
    one = contact(debounce_s=0.05)
    one.set(True)
    began_s = bench.clock.now()
    assert one.pressed() is True
    assert bench.clock.now() - began_s == pytest.approx(0.05)
    began_s = bench.clock.now()
    assert one.pressed() is True
    assert bench.clock.now() == began_s, "nothing changes: nothing to wait for"


def test_a_spike_is_not_a_press(contact, bench):
    one = contact(debounce_s=0.05)
    one.set(True)
    running = bench.start(one.switch.pressed)
    bench.pass_time(0.015)
    one.set(False)
    assert bench.finish(running) is False


def test_without_debounce(contact, bench):
    one = contact(debounce_s=0.0)
    one.set(True)
    assert one.switch.pressed() is True


@pytest.mark.parametrize("normally_closed", [False, True])
def test_a_contact_that_never_rests_counts_as_pressed_where_it_is_an_estop(contact, bench, normally_closed):
    one = contact(closed=normally_closed, normally_closed=normally_closed, debounce_s=0.05)
    found = []
    for _ in range(UNSETTLED):
        one.set(not normally_closed)
        running = bench.start(one.switch.pressed)
        bench.pass_time(0.015)
        one.set(normally_closed)
        found.append(bench.finish(running))
    assert found == [False] * (UNSETTLED - 1) + [normally_closed]
    assert one.pressed() is False, "it rests again"
