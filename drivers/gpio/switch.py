"""A contact on a pin: e-stop, button, limit."""

from __future__ import annotations

from drivers.gpio.options import GpioSwitchOptions
from drivers.gpio.pins import Input
from drivers.registry import Context

LOOKS = 5
"""A contact that may be changing is looked at this often within its debounce time."""
UNSETTLED = 5
"""A closed contact that does not settle this often in a row has a loose wire."""


class GpioSwitch:
    """A contact. A change is believed when it has lasted for the debounce time, and is looked for when somebody asks.

    Normally closed, it counts as pressed when its wire is broken, and also when it never comes to rest.

    Args:
        options: its pin.
        context: its clock.
    """

    def __init__(self, options: GpioSwitchOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._input = Input(options.pin, options.closes_to)
        self._pressed = False
        self._unsettled = 0

    def open(self) -> None:
        """Take the pin, and take the contact for what it is now. Raises `DriverError`."""
        if not self._input.is_open:
            self._input.open()
            self._pressed = self._now()
            self._unsettled = 0

    def close(self) -> None:
        """Let go of the pin."""
        self._input.close()

    def pressed(self) -> bool:
        """Whether it is pressed; takes up to the debounce time while it changes. Raises `NotOpen` or `DriverError`."""
        if self._now() == self._pressed:
            self._unsettled = 0
        elif self._lasts():
            self._pressed = not self._pressed
            self._unsettled = 0
        else:
            self._unsettled += 1
        return self._pressed or (self._options.normally_closed and self._unsettled >= UNSETTLED)

    def _now(self) -> bool:
        return self._input.closed() != self._options.normally_closed

    def _lasts(self) -> bool:
        """Whether a change that was just seen is there for the whole debounce time."""
        begun_s, step_s = self._clock.now(), self._options.debounce_s / LOOKS
        for look in range(1, LOOKS + 1):
            if step_s:
                self._clock.wait_until(begun_s + look * step_s)
            if self._now() == self._pressed:
                return False
        return True
