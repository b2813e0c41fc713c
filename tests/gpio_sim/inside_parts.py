"""Light, switch, release and panel on a real Linux gpiochip, by gpiozero and lgpio as on a Pi. Run by pytest inside the user-mode kernel."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from gpiozero import Device

from drivers.base import CameraTimeout, DriverError, NotOpen
from drivers.clock import SystemClock
from drivers.gpio.light import GpioLight
from drivers.gpio.options import GpioLightOptions, GpioSwitchOptions, ReleaseOptions
from drivers.gpio.release import Release
from drivers.gpio.switch import GpioSwitch
from drivers.registry import Context
from tests.gpio_sim.chip import Chip

WAIT_S = 5.0


@pytest.fixture(autouse=True)
def chip():
    """The header. Part by part the lines become inputs again; gpiozero lets go of them all at its end."""
    header = Chip()
    yield header
    ways = set(header.held().values())
    let_go()
    assert ways <= {"in"}, "a line is still driven"
    assert header.held() == {}


@pytest.fixture
def context():
    return Context(clock=SystemClock())


@contextmanager
def opened(part):
    part.open()
    try:
        yield part
    finally:
        part.close()


def let_go() -> None:
    """As at the end of the process."""
    # Edges that are on their way would reach a factory that is closed, and lgpio's thread does not ask.
    time.sleep(0.05)
    factory, Device.pin_factory = Device.pin_factory, None
    if factory is not None:
        factory.close()


def until(true, why: str) -> None:
    """Wait for something that the kernel does on its own time."""
    ends_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < ends_s, why
        time.sleep(0.001)


def test_it_is_lgpio_that_gpiozero_uses(chip, context):
    with opened(GpioLight(GpioLightOptions(pin=17), context)):
        assert type(Device.pin_factory).__module__ == "gpiozero.pins.lgpio"


# --------------------------------------------------------------------------------------------------------------- light


@pytest.mark.parametrize(("active_low", "on", "off"), [(False, 1, 0), (True, 0, 1)])
def test_a_light(chip, context, active_low, on, off):
    chip.drive(17, off)
    light = GpioLight(GpioLightOptions(pin=17, active_low=active_low), context)
    with opened(light):
        assert chip.held() == {17: "out"}
        levels = [chip.level(17)]
        for verb in (light.on, light.off, light.on):
            verb()
            levels.append(chip.level(17))
    assert levels == [off, on, off, on]
    assert chip.level(17) == off  # what hangs on it holds it there
    with pytest.raises(NotOpen):
        light.on()


def test_a_dimmed_light_is_on_and_off(chip, context):
    light = GpioLight(GpioLightOptions(pin=18, pwm_hz=100, level=0.5), context)
    with opened(light):
        assert chip.level(18) == 0
        light.on()
        for level in (1, 0, 1):
            until(lambda level=level: chip.level(18) == level, "it does not pulse")
        light.off()
        until(lambda: chip.level(18) == 0, "it stays on")


def test_a_line_that_another_program_holds_is_named(chip, context):
    holder = "import lgpio, sys; h = lgpio.gpiochip_open(0); lgpio.gpio_claim_output(h, 17); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline()
        with pytest.raises(DriverError, match=r"GPIO17: opening: .*busy"):
            GpioLight(GpioLightOptions(pin=17), context).open()
        other.stdin.close()
        other.wait(WAIT_S)
    with opened(GpioLight(GpioLightOptions(pin=17), context)) as light:
        light.on()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_whoever_is_killed_holds_no_line(chip, how):
    lit = (
        "import sys; from drivers.gpio.light import GpioLight; from drivers.gpio.options import GpioLightOptions;"
        "from drivers.registry import Context; from drivers.clock import SystemClock;"
        "light = GpioLight(GpioLightOptions(pin=17), Context(clock=SystemClock())); light.open(); light.on();"
        "print(flush=True); sys.stdin.read()"
    )
    chip.drive(17, 0)
    with subprocess.Popen(
        [sys.executable, "-c", lit], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline()
        assert chip.level(17) == 1
        other.send_signal(how)
        other.wait(WAIT_S)
    until(lambda: chip.held() == {}, "the line is still held")


# -------------------------------------------------------------------------------------------------------------- switch


@pytest.mark.parametrize("closes_to", ["ground", "supply"])
@pytest.mark.parametrize("normally_closed", [False, True])
def test_a_switch(chip, context, closes_to, normally_closed):
    closed = 0 if closes_to == "ground" else 1
    switch = GpioSwitch(
        GpioSwitchOptions(pin=5, closes_to=closes_to, normally_closed=normally_closed), context
    )
    with opened(switch):
        assert chip.held() == {5: "in"}
        assert chip.level(5) == 1 - closed, "the Pi's own resistor holds it open"
        assert switch.pressed() is normally_closed
        chip.drive(5, closed)
        assert switch.pressed() is not normally_closed
        chip.drive(5, 1 - closed)
        assert switch.pressed() is normally_closed


def test_a_bounce_is_no_press(chip, context):
    switch = GpioSwitch(GpioSwitchOptions(pin=5, debounce_s=0.2), context)
    with opened(switch):
        chip.drive(5, 0)
        back = threading.Timer(0.02, chip.drive, (5, 1))
        back.start()
        assert not switch.pressed()
        back.join()


# ------------------------------------------------------------------------------------------------------------- release


class Camera:
    """What hangs on the release: closes its sync contact when it is fired, and opens it again."""

    def __init__(self, chip: Chip, exposure_s: float) -> None:
        self._chip = chip
        self._exposure_s = exposure_s
        self._over = threading.Event()
        self.fired: list[float] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._over.wait(0.001):
            if self._chip.level(20):
                self.fired.append(time.monotonic())
                self._chip.drive(21, 0)
                self._over.wait(self._exposure_s)
                self._chip.drive(21, 1)
                while self._chip.level(20) and not self._over.wait(0.001):
                    pass


def test_a_release_and_its_proof(chip, context):
    release = Release(
        ReleaseOptions(release_pin=20, focus_pin=16, sync_pin=21, half_press_s=0.05, press_s=0.1), context
    )
    with opened(release), Camera(chip, 0.08) as camera:
        firing = release.fire(0.05)
        assert [chip.level(pin) for pin in (20, 16)] == [0, 0]
    assert firing.proven
    assert len(camera.fired) == 1
    assert firing.start_s <= camera.fired[0] + 0.05
    assert firing.end_s - firing.start_s >= 0.08


def test_edges_are_heard_after_the_second_opening_too(chip, context):
    release = Release(ReleaseOptions(release_pin=20, sync_pin=21, press_s=0.1), context)
    for _ in range(2):
        with opened(release), Camera(chip, 0.08):
            assert release.fire(0.05).proven


def test_no_edge_no_exposure(chip, context):
    release = Release(ReleaseOptions(release_pin=20, sync_pin=21, sync_timeout_s=0.2), context)
    with opened(release), pytest.raises(DriverError, match="GPIO21: no exposure"):
        release.fire(0.05)


def test_cancel_lets_go(chip, context):
    release = Release(ReleaseOptions(release_pin=20, bulb=True), context)
    with opened(release):
        failed: list[Exception] = []

        def fire() -> None:
            try:
                release.fire(30.0)
            except DriverError as error:
                failed.append(error)

        thread = threading.Thread(target=fire)
        thread.start()
        until(lambda: chip.level(20) == 1, "it is not pressed")
        release.cancel()
        thread.join(WAIT_S)
        assert isinstance(failed[0], CameraTimeout)
        assert chip.level(20) == 0
