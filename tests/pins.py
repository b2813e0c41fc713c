"""gpiozero's mock pins, with the clock of a test: every level that a pin takes is recorded with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drivers.clock import Clock

if TYPE_CHECKING:
    from gpiozero.pins.mock import MockFactory


class RecordedPin:
    """What is added to a mock pin of gpiozero's. `levels` lists (seconds on the clock, level), from when it was made."""

    clock: Clock

    def __init__(self, factory, info):
        super().__init__(factory, info)
        self.levels: list[tuple[float, float]] = [(self.clock.now(), float(self._state))]
        self.wired: Callable[[float], None] | None = None
        """What hangs on it: told of every level."""

    def _change_state(self, value):
        changed = super()._change_state(value)
        if changed and hasattr(self, "levels"):
            self.levels.append((self.clock.now(), float(value)))
            if self.wired is not None:
                self.wired(float(value))
        return changed


class Pins:
    """The pins of one mock Pi."""

    def __init__(self, factory: MockFactory) -> None:
        self.factory = factory

    def __getitem__(self, number: int) -> RecordedPin:
        return self.factory.pin(number)

    def driven(self) -> list[int]:
        """Numbers of the pins that are outputs now."""
        return [number for number in range(28) if self[number].function == "output"]


@contextmanager
def mock_pins(clock: Clock) -> Iterator[Pins]:
    """A mock Pi. At the end every part must have let go of its pins. Skips where there is no gpiozero."""
    pytest.importorskip("gpiozero", reason="gpiozero, which has the mock pins, is not installed")
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    before, Device.pin_factory = Device.pin_factory, None
    kind = type("PinOnThisClock", (RecordedPin, MockPWMPin), {"clock": clock})
    factory = Device.pin_factory = MockFactory(pin_class=kind)
    try:
        yield Pins(factory)
        taken = {pin: who for pin, who in factory._reservations.items() if who}
        assert not taken, f"still in use: {taken}"
    finally:
        factory.reset()
        Device.pin_factory = before
