"""The slow pins of the rail, through gpiozero: DIR, ENABLE, and the two switches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from drivers.base import Limit
from drivers.clock import Clock
from drivers.gpio.pins import Input, Output
from drivers.stepdir.options import StepDirOptions


class LimitSwitch:
    """A switch at an end of the travel.

    Args:
        number: its pin.
        options: how it is wired.
        clock: of its edges.
        woken: called at every edge that presses it, on a thread of the library.
    """

    def __init__(self, number: int, options: StepDirOptions, clock: Clock, woken: Callable[[], None]) -> None:
        self.input = Input(number, options.switch_closes_to, self._edge)
        self._normally_closed = options.normally_closed
        self._clock = clock
        self._woken = woken
        self._pressed_s: float | None = None

    def pressed(self) -> bool:
        """Whether it is pressed now. Raises `DriverError`."""
        return self.input.closed() != self._normally_closed

    def arm(self) -> None:
        """Forget when it was pressed."""
        self._pressed_s = None

    @property
    def pressed_s(self) -> float | None:
        """When it was first pressed since `arm`, if an edge told; noise of a motor makes edges too."""
        return self._pressed_s

    def _edge(self, closed: bool, ago_s: float) -> None:
        if closed != self._normally_closed:
            if self._pressed_s is None:
                self._pressed_s = self._clock.now() - ago_s
            self._woken()


class SlowPins:
    """All of them, taken and let go of together.

    Args:
        options: which, and how they are wired.
        clock: of the switches' edges.
        woken: called, on a thread of the library, when a switch is pressed.
    """

    def __init__(self, options: StepDirOptions, clock: Clock, woken: Callable[[], None]) -> None:
        self._options = options
        self._direction = Output(options.dir_pin, active_low=False)
        self._enable = (
            None
            if options.enable_pin is None
            else Output(options.enable_pin, active_low=options.enable_active_low)
        )
        self.home = LimitSwitch(options.home_pin, options, clock, woken)
        self.far = None if options.far_pin is None else LimitSwitch(options.far_pin, options, clock, woken)
        self.enabled = False

    def open(self) -> None:
        """Take them, the motor off. Raises `DriverError`, and then some may be taken."""
        for pin in self._pins():
            pin.open()
        self.enabled = self._enable is None

    def close(self) -> None:
        """Let go of them, each whatever becomes of the others."""
        held = self._options.when_closed == "hold" and self.enabled
        with contextlib.ExitStack() as stack:
            for pin in self._pins():
                if pin is self._enable and held:
                    stack.callback(pin.let_go)
                else:
                    stack.callback(pin.close)
        self.enabled = False

    def point(self, sign: int) -> None:
        """Set DIR. Raises `DriverError`."""
        self._direction.set(int((sign > 0) != self._options.invert))

    def enable(self, *, on: bool) -> None:
        """Motor current on or off, where ENABLE is wired. Raises `DriverError`."""
        if self._enable is not None:
            self._enable.set(int(on))
            self.enabled = on

    def pressed(self) -> frozenset[Limit]:
        """The switches that are pressed now. Raises `DriverError`."""
        both = ((Limit.HOME, self.home), (Limit.FAR, self.far))
        return frozenset(limit for limit, switch in both if switch is not None and switch.pressed())

    def arm(self) -> None:
        """Forget when the switches were pressed."""
        for switch in (self.home, self.far):
            if switch is not None:
                switch.arm()

    def _pins(self) -> list[Output | Input]:
        switches = [switch.input for switch in (self.home, self.far) if switch is not None]
        return [pin for pin in (self._direction, self._enable) if pin is not None] + switches
