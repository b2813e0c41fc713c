"""The panel on gpiozero's mock pins: what a finger and an eye would find on the header."""

from __future__ import annotations

from contextlib import contextmanager

from drivers.clock import VirtualClock
from rigd.machine.state import Mode
from tests.pins import mock_pins
from tests.rigs import SMALL, passes
from tests.unit._panel import Desk, at_panel

PINS = {"stop": 5, "start": 22, "home": 4, "jog_far": 24}
LED = 25
TEXT = (
    SMALL
    + "remote: {local: false}\npanel:\n  buttons:\n"
    + "".join(f"    {role}: {{driver: gpio, pin: {pin}}}\n" for role, pin in PINS.items())
    + f"  led: {{driver: gpio, pin: {LED}}}\n"
)


class Fingers:
    """On the mock pins."""

    def __init__(self, pins, desk: Desk) -> None:
        self.pins = pins
        self.desk = desk

    async def press(self, role: str, held_s: float = 0.2) -> None:
        pin = self.pins[PINS[role]]
        for level in (pin.drive_low, pin.drive_high, pin.drive_low):  # contacts bounce
            level()
            await passes(0.001)
        await passes(held_s)
        pin.drive_high()
        await passes(0.1)


@contextmanager
def on_pins():
    clock = VirtualClock()
    with mock_pins(clock) as pins:
        yield clock, pins


def test_buttons_and_led_on_pins(tmp_path):
    with on_pins() as (clock, pins):

        async def body(desk: Desk):
            finger = Fingers(pins, desk)
            await finger.press("home")
            await desk.reached(Mode.IDLE)
            await passes(0.5)
            assert pins[LED].state
            await finger.press("start")
            await desk.reached(Mode.CAPTURING)
            await finger.press("stop")
            await desk.reached(Mode.PAUSED)
            await finger.press("start")
            await desk.reached(Mode.IDLE)
            await finger.press("jog_far", 2.0)
            await desk.reached(Mode.IDLE)
            return desk.refusals(), desk.finished("session.start")[0]["data"]["outcome"], desk.finished("jog")

        refusals, outcome, jogs = at_panel(tmp_path, body, text=TEXT, clock=clock)
        assert refusals == []
        assert outcome == "complete"
        assert [jog["error"]["code"] for jog in jogs] == ["interrupted"]
        assert pins.driven() == []


def test_a_press_shorter_than_the_debounce_time_is_none(tmp_path):
    with on_pins() as (clock, pins):

        async def body(desk: Desk):
            pin = pins[PINS["home"]]
            for _ in range(5):
                pin.drive_low()
                await passes(0.004)
                pin.drive_high()
                await passes(0.2)
            return desk.rig.state.mode

        assert at_panel(tmp_path, body, text=TEXT, clock=clock) is Mode.UNHOMED
