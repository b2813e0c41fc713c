"""A bench of emulators: the `stepdir` driver on a stand-in for lgpio, gpiozero on mock pins, and a carriage that the pulses move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drivers.clock import Clock
from drivers.sim.truth import WORLD
from drivers.stepdir.options import StepDirOptions
from hil.benchfile import Features
from hil.carriage import CarriageWorld, NotedMotor
from hil.pins import Edge
from hil.simulated import SimulatedPins
from rigd.config import RigConfig
from rigd.parts import Parts
from tests.emulators.stepdir import Carriage, carriage_on_pins
from tests.pins import Pins as MockPins

START_UM = 2500.0
"""Where the carriage stands at first, from the home switch."""


class EmulatedPins(SimulatedPins):
    """As on a simulated bench, but for what is on pins: those are mock pins.

    Args:
        features: what is wired to which pin.
        parts: of the rig on the bench.
        config: of the rig, for its pins.
        carriage: on the rail.
        pins: of the mock Pi.
    """

    def __init__(
        self, features: Features, parts: Parts, *, config: RigConfig, carriage: Carriage, pins: MockPins
    ) -> None:
        super().__init__(features, parts)
        self._config = config
        self._carriage = carriage
        self._mock = pins

    def _press_estop(self, *, pressed: bool) -> None:
        options = self._config.switches["estop"].options
        closed = pressed != options.normally_closed
        high = closed == (options.closes_to == "supply")
        pin = self._mock[options.pin]
        (pin.drive_high if high else pin.drive_low)()

    def _press_limit(self, *, pressed: bool) -> None:
        number = self._config.rail.options.far_pin
        (self._carriage.by_hand.add if pressed else self._carriage.by_hand.discard)(number)
        self._carriage.show()

    def _steps(self, first_s: float, last_s: float) -> list[Edge]:
        self._carriage.lgpio.catch_up()
        line, found, before = self._config.rail.options.step_pin, [], 0
        for at_s, written, level in self._carriage.lgpio.writes or ():
            if written == line and level != before:
                before = level
                found.append(Edge(at_s, level))
        return [edge for edge in found if first_s <= edge.at_s <= last_s]


@contextmanager
def emulated(
    features: Features, config: RigConfig, clock: Clock
) -> Iterator[Callable[[Parts], EmulatedPins]]:
    """A mock Pi with a carriage on it, for as long as the block lasts."""
    options = config.rail.options
    assert isinstance(options, StepDirOptions), "pins: emulated is for a stepdir rail"
    start = round(START_UM / options.microstep_um)
    with carriage_on_pins(clock, start=start, **options.model_dump()) as (_, carriage, pins):
        motor = carriage.motor = NotedMotor(options.microsteps)
        carriage.lgpio.writes = []
        for switch in config.switches.values():
            _rest(pins, switch.options)

        def pins_of(parts: Parts) -> EmulatedPins:
            assert parts.context is not None
            zero_um = options.pull_off_um - start * options.microstep_um
            parts.context.shared[WORLD] = CarriageWorld(carriage, motor, options.microstep_um, zero_um)
            return EmulatedPins(features, parts, config=config, carriage=carriage, pins=pins)

        yield pins_of


def _rest(pins: MockPins, options) -> None:
    """A contact as it is while nobody presses it; it is stronger than a pull resistor, which moves a mock pin when it is set."""
    pin = pins[options.pin]
    pin._set_pull = lambda value: setattr(pin, "_pull", value)  # noqa: SLF001  (there is no public way)
    high = options.normally_closed == (options.closes_to == "supply")
    (pin.drive_high if high else pin.drive_low)()
