"""A rail on the Pi's pins without a Pi: lgpio stood in for, gpiozero on mock pins, and a carriage that counts for itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drivers.clock import Clock
from drivers.registry import Context
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.rail import StepDirRail
from tests.emulators.lgpio_waves import Lgpio
from tests.pins import Pins, RecordedPin, mock_pins

OPTIONS: dict[str, Any] = {
    "step_pin": 20,
    "dir_pin": 21,
    "enable_pin": 16,
    "home_pin": 26,
    "far_pin": 19,
    "screw_pitch_um": 2000.0,
    "travel_um": 8000.0,
    "acceleration_um_per_s2": 20_000.0,
    "homing_speed_um_per_s": 900.0,
    "homing_slow_um_per_s": 200.0,
    "pull_off_um": 200.0,
    "enable_wait_s": 0.01,
}


class Motor:
    """A stepper motor that follows its field as fast as it can, and falls out of step when the field is two full steps ahead.

    Args:
        microsteps: of a full step.
        follows_hz: full steps a second that it turns at when it is behind.
    """

    def __init__(self, microsteps: int, follows_hz: float = 400.0) -> None:
        self.shaft = 0
        """Where it stands, in microsteps: the field's count, less what was lost."""
        self.worst = 0.0
        """Farthest that the field was ahead, in full steps."""
        self.slips = 0
        self._microsteps = microsteps
        self._follows = follows_hz * microsteps
        self._ahead = 0.0
        self._at_s = 0.0
        self._sign = 1

    def step(self, sign: int, at_s: float) -> None:
        caught_up = max(0.0, self._ahead - (at_s - self._at_s) * self._follows)
        self._ahead = (caught_up if sign == self._sign else 0.0) + 1.0
        self._at_s, self._sign = at_s, sign
        self.shaft += sign
        self.worst = max(self.worst, self._ahead / self._microsteps)
        if self._ahead > 2 * self._microsteps:
            # The next stable place of the field is four full steps back.
            self.slips += 1
            self.shaft -= sign * 4 * self._microsteps
            self._ahead -= 4 * self._microsteps


class Carriage:
    """STEP, DIR, ENABLE on one side, two switches on the other.

    Args:
        pins: mock pins.
        options: of the rail, for the wiring.
        clock: of the test.
        start: microsteps from where the home switch closes.
    """

    def __init__(self, pins: Pins, options: StepDirOptions, clock: Clock, start: int) -> None:
        self.lgpio = Lgpio(clock, self._level)
        self.motor = Motor(options.microsteps)
        self.edges = 0
        """Rising edges of STEP."""
        self.unpowered = 0
        """Edges that came while the motor was off."""
        self.last_edge_s = 0.0
        self.shortest_s = 1e9
        self.broken: set[int] = set()
        """Pins of switches that are not pressed any more by anything."""
        self.cut: set[int] = set()
        """Pins of switches whose wire is broken."""
        self.by_hand: set[int] = set()
        """Pins of switches that a hand presses; `show()` lets the rail see it."""
        self._options = options
        self._pins = pins
        self._clock = clock
        self._start = start
        self._edge_s: float | None = None
        self._sign = 1 if options.invert else -1
        self._on = options.enable_pin is None
        self._far = int((options.travel_um + options.pull_off_um + 500) / options.microstep_um)
        pins.factory.ticks = clock.now
        pins[options.dir_pin].wired = self._direction
        if options.enable_pin is not None:
            pins[options.enable_pin].wired = self._enable
        for number in (options.home_pin, options.far_pin):
            if number is not None:
                # A wire to ground is stronger than the Pi's own resistor.
                pins[number]._set_pull = lambda value, pin=pins[number]: setattr(pin, "_pull", value)
                pins[number].wired = lambda level, pin=pins[number]: self._stamp(pin)
        self.show()

    @property
    def place(self) -> int:
        """Where the carriage is, in microsteps from where the home switch closes."""
        self.lgpio.catch_up()
        return self._start + self.motor.shaft

    def show(self) -> None:
        """Set the switches as the carriage stands."""
        place = self._start + self.motor.shaft
        self._switch(self._options.home_pin, place <= 0)
        if self._options.far_pin is not None:
            self._switch(self._options.far_pin, place >= self._far)

    def _switch(self, number: int, pressed: bool) -> None:
        pressed = (pressed or number in self.by_hand) and number not in self.broken
        closed = pressed != self._options.normally_closed and number not in self.cut
        high = closed == (self._options.switch_closes_to == "supply")
        pin = self._pins[number]
        if pin.state != high:
            (pin.drive_high if high else pin.drive_low)()

    def _level(self, line: int, level: int, at_s: float) -> None:
        if line != self._options.step_pin or not level:
            return
        self.edges += 1
        self.shortest_s = min(self.shortest_s, at_s - self.last_edge_s)
        self.last_edge_s = at_s
        if not self._on:
            self.unpowered += 1
            return
        self.motor.step(self._sign, at_s)
        self._edge_s = at_s
        self.show()
        self._edge_s = None

    def _direction(self, level: float) -> None:
        self.lgpio.catch_up()
        self._sign = 1 if bool(level) != self._options.invert else -1

    def _enable(self, level: float) -> None:
        self.lgpio.catch_up()
        self._on = bool(level) != self._options.enable_active_low

    def _stamp(self, pin: RecordedPin) -> None:
        """An edge of a switch carries the time of the pulse that made it, as the kernel would have it."""
        pin._last_change = self._clock.now() if self._edge_s is None else self._edge_s


class WatchedRail(StepDirRail):
    """Notes where the carriage really is when homing says that it stands at 0."""

    carriage: Carriage
    zero = 0
    _noted = False

    def start_home(self):
        super().start_home()
        self._noted = False

    def poll(self):
        status = super().poll()
        if status.homed and not status.moving and not self._noted:
            self._noted = True
            self.zero = self.carriage.place - status.position
        return status

    def true_microsteps(self) -> float:
        return self.carriage.place - self.zero


@contextmanager
def on_mock_pins(
    clock: Clock, *, start: int = 2000, **changes: Any
) -> Iterator[tuple[WatchedRail, Carriage, Pins]]:
    """A closed rail, its carriage and its pins. `import lgpio` finds the stand-in meanwhile."""
    with carriage_on_pins(clock, start=start, **changes) as (options, carriage, pins):
        rail = WatchedRail(options, Context(clock))
        rail.carriage = carriage
        try:
            yield rail, carriage, pins
        finally:
            rail.close()


@contextmanager
def carriage_on_pins(
    clock: Clock, *, start: int = 2000, **changes: Any
) -> Iterator[tuple[StepDirOptions, Carriage, Pins]]:
    """The same without a driver, for rigs that open their own."""
    options = StepDirOptions(**(OPTIONS | changes))
    before = sys.modules.get("lgpio")
    with mock_pins(clock) as pins:
        carriage = Carriage(pins, options, clock, start)
        sys.modules["lgpio"] = carriage.lgpio  # type: ignore[assignment]
        try:
            yield options, carriage, pins
        finally:
            if before is None:
                del sys.modules["lgpio"]
            else:
                sys.modules["lgpio"] = before
