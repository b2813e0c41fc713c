"""Pins by way of gpiozero, with errors that name the pin. gpiozero chooses the library below (lgpio on a Pi)."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from drivers.base import DriverError, DriverNotAvailable, NotOpen

log = logging.getLogger(__name__)


def pin_name(number: int) -> str:
    """How errors name a pin."""
    return f"GPIO{number}"


class Output:
    """A pin that is driven, and off from the moment it is opened.

    Args:
        number: of the pin, as the SoC counts.
        active_low: on at low level.
        pwm_hz: pulses a second; None: on or off.
    """

    def __init__(self, number: int, *, active_low: bool, pwm_hz: float | None = None) -> None:
        self.name = pin_name(number)
        self._number = number
        self._active_high = not active_low
        self._pwm_hz = pwm_hz
        self._device: Any = None

    @property
    def is_open(self) -> bool:
        """Whether the pin is taken."""
        return self._device is not None

    def open(self) -> None:
        """Take the pin, off. Raises `DriverError`: in use, no such pin, no GPIO here."""
        gpiozero = library(self.name)
        if self._device is not None:
            return
        with named(self.name, "opening"):
            choose_library(self.name)
            if self._pwm_hz is None:
                self._device = gpiozero.OutputDevice(
                    self._number, active_high=self._active_high, initial_value=False
                )
            else:
                self._device = gpiozero.PWMOutputDevice(
                    self._number, active_high=self._active_high, initial_value=0, frequency=self._pwm_hz
                )

    def set(self, value: float) -> None:
        """0 is off, 1 is on, between them the share of the time. Raises `NotOpen` or `DriverError`."""
        device = self._device
        if device is None:
            raise NotOpen(self.name)
        with named(self.name, "switching"):
            device.value = value if self._pwm_hz is not None else bool(value)

    def close(self) -> None:
        """Off, then let go: the pin is an input, and what hangs on it is off by its own resistors. Idempotent."""
        device, self._device = self._device, None
        if device is None:
            return
        with named(self.name, "closing"):
            try:
                device.off()
            finally:
                device.close()

    def let_go(self) -> None:
        """Let go as it is: what hangs on it decides what becomes of it. Idempotent."""
        device, self._device = self._device, None
        if device is not None:
            with named(self.name, "closing"):
                device.close()


class Input:
    """A contact on a pin, held at the other level by the Pi's own resistor.

    Args:
        number: of the pin, as the SoC counts.
        closes_to: `ground` or `supply`.
        on_edge: called with (closed, seconds ago), on a thread of the library. None: nobody listens.
    """

    def __init__(
        self, number: int, closes_to: str, on_edge: Callable[[bool, float], None] | None = None
    ) -> None:
        self.name = pin_name(number)
        self._number = number
        self._to_ground = closes_to == "ground"
        self._on_edge = on_edge
        self._device: Any = None

    @property
    def is_open(self) -> bool:
        """Whether the pin is taken."""
        return self._device is not None

    def open(self) -> None:
        """Take the pin. Raises `DriverError`: in use, no such pin, no GPIO here."""
        gpiozero = library(self.name)
        if self._device is not None:
            return
        kind = gpiozero.InputDevice if self._on_edge is None else gpiozero.DigitalInputDevice
        with named(self.name, "opening"):
            choose_library(self.name)
            self._device = kind(self._number, pull_up=self._to_ground)
            if self._on_edge is not None:
                # The pin's own event and not the device's: it carries the kernel's time of the edge.
                self._device.pin.when_changed = self._changed

    def closed(self) -> bool:
        """Whether the contact is closed now. Raises `NotOpen` or `DriverError`."""
        device = self._device
        if device is None:
            raise NotOpen(self.name)
        with named(self.name, "reading"):
            return bool(device.is_active)

    def close(self) -> None:
        """Let go of the pin. Idempotent."""
        device, self._device = self._device, None
        if device is None:
            return
        with named(self.name, "closing"):
            try:
                # gpiozero keeps the pin, and what listens to it: it would listen no more when the pin is taken again.
                if self._on_edge is not None:
                    device.pin.when_changed = None
            finally:
                device.close()

    def _changed(self, ticks: float, level: int) -> None:
        device, on_edge = self._device, self._on_edge
        if device is not None and on_edge is not None:
            factory = device.pin_factory
            ago_s = factory.ticks_diff(factory.ticks(), ticks)
            on_edge(bool(level) != self._to_ground, max(0.0, ago_s))


INSTALL = (
    "install gpiozero: python -m pip install 'rigd[pi]', or sudo apt install python3-gpiozero python3-lgpio"
)


def library(port: str) -> Any:
    """The module gpiozero. Raises `DriverNotAvailable` where it is not installed."""
    try:
        import gpiozero  # noqa: PLC0415  (a config can be checked where it is not installed)
    except ImportError as error:
        raise DriverNotAvailable(port, "gpio", f"{error} ({INSTALL})") from error
    return gpiozero


def choose_library(port: str) -> None:
    """Let gpiozero choose the library below it, where it has not yet; which it passed over, and why, is logged.

    Raises:
        DriverError: none of them works here.
    """
    gpiozero = library(port)
    if gpiozero.Device.pin_factory is not None:
        return
    with warnings.catch_warnings(record=True) as passed:
        warnings.simplefilter("always", gpiozero.PinFactoryFallback)
        try:
            gpiozero.Device.ensure_pin_factory()
        except gpiozero.BadPinFactory as error:
            why = str(passed[0].message if passed else error).removeprefix("Falling back from ")
            raise DriverError(port, f"there are no GPIO pins here that gpiozero can use ({why})") from error
    for one in passed:
        log.warning("gpiozero: %s", one.message)


@contextlib.contextmanager
def named(port: str, what: str) -> Iterator[None]:
    """Whatever gpiozero and the libraries below it throw becomes `DriverError`, with the pin's name."""
    failures: tuple[type[Exception], ...] = (OSError, library(port).GPIOZeroError)
    if "lgpio" in sys.modules:
        failures = (*failures, sys.modules["lgpio"].error)
    try:
        yield
    except failures as error:
        raise DriverError(port, f"{what}: {error}") from error
