"""A lamp on a pin."""

from __future__ import annotations

from drivers.base import NotOpen
from drivers.clock import Interrupt
from drivers.gpio.options import GpioLightOptions
from drivers.gpio.pins import Output
from drivers.registry import Context


class GpioLight:
    """A lamp. Off when opened, when closed, and, by gpiozero, when the process ends by an error that nobody caught.

    Args:
        options: its pin.
        context: its clock, for the warm-up.
    """

    def __init__(self, options: GpioLightOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._output = Output(options.pin, active_low=options.active_low, pwm_hz=options.pwm_hz)
        self._lit_s: float | None = None
        self._interrupt = Interrupt()

    def open(self) -> None:
        """Take the pin, off. Raises `DriverError`."""
        if not self._output.is_open:
            self._output.open()
            self._lit_s = None

    def close(self) -> None:
        """Off, and let go of the pin."""
        self._lit_s = None
        self._interrupt.set()
        self._output.close()

    def on(self) -> None:
        """Switch on; return when the light is steady. Raises `NotOpen` or `DriverError`."""
        self._interrupt.clear()
        self._output.set(self._options.level)
        if self._lit_s is None:
            self._lit_s = self._clock.now()
        if self._options.warm_up_s and not self._clock.wait_until(
            self._lit_s + self._options.warm_up_s, self._interrupt
        ):
            raise NotOpen(self._output.name)

    def off(self) -> None:
        """Switch off; nothing to do where it is closed."""
        self._lit_s = None
        if self._output.is_open:
            self._output.set(0)
