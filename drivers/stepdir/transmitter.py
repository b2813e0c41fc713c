"""The STEP line by lgpio: what the library does with waves, and what it is asked.

Read from the source of lgpio 0.2.2 (`lgPthTx.c`, `lgGpio.c`) and run. One thread of normal priority serves all waves and PWM of the
process. Nothing else being sent, it wakes every 20 ms and only then sees a new wave; the delays of a wave, and of those queued behind
it, then add up on one time line, without drift. When the thread is late it sends everything that is due at once. A line's queue
holds ten waves, the one that is being sent among them; a wave that comes after the last delay has passed starts a new time line. There is
no word for stopping a wave but to free its line, and no word for how far it has got. Waves that were followed by another are
never freed: 48 bytes for each pulse.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from drivers.base import DriverError, DriverNotAvailable, NotOpen
from drivers.gpio.pins import pin_name

QUEUE = 10
"""Waves that a line's queue takes."""
WAKE_S = 0.02
"""lgpio looks for new waves at least so often."""
HEADER_CHIPS = (0, 4)
"""Where the header's pins are: the second on a Pi 5 with a kernel before 6.6.47."""
HEADER_LABEL = "pinctrl-"
LEAK_BYTES = 48
"""What lgpio keeps of a pulse that it has sent: two entries of a wave."""

Wave = Sequence[tuple[int, int]]
"""Levels of STEP (0 or 1) and for how many microseconds each is held."""


class Transmitter:
    """The STEP line, low at rest.

    Args:
        step_pin: line of the chip.
        gpiochip: number of the chip; None: the one of the header's pins.
    """

    def __init__(self, step_pin: int, gpiochip: int | None) -> None:
        self.name = pin_name(step_pin)
        self._pin = step_pin
        self._chip = gpiochip
        self._lgpio: Any = None
        self._handle: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the line is taken."""
        return self._handle is not None

    def open(self) -> None:
        """Take the line, low.

        Raises:
            DriverNotAvailable: lgpio is not installed.
            DriverError: no such chip, no right to use it, or the line is in use.
        """
        if self._handle is not None:
            return
        self._lgpio = library()
        handle = self._open_chip()
        try:
            with self._named("taking the line"):
                self._lgpio.group_claim_output(handle, [self._pin], [0])
        except DriverError:
            self._close_chip(handle)
            raise
        self._handle = handle

    def close(self) -> None:
        """Let go of the line; what is still queued is not sent. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(DriverError), self._named("freeing the line"):
                self._lgpio.group_free(handle, self._pin)
            self._close_chip(handle)

    def room(self) -> int:
        """How many more waves fit; `QUEUE` when nothing is being sent. Raises `DriverError`."""
        handle = self._opened()
        with self._named("asking for room"):
            return int(self._lgpio.tx_room(handle, self._pin, self._lgpio.TX_WAVE))

    def send(self, wave: Wave) -> bool:
        """Queue a wave; whether it follows the one before it without a gap. Raises `DriverError`: the queue is full, the line is gone."""
        handle, lgpio = self._opened(), self._lgpio
        pulses = [lgpio.pulse(level, 1, micros) for level, micros in wave]
        with self._named("sending"):
            return int(lgpio.tx_wave(handle, self._pin, pulses)) < QUEUE - 1

    def cancel(self) -> None:
        """Send nothing more; how much was sent is not known. STEP is low afterwards. Raises `DriverError`."""
        handle = self._opened()
        with self._named("cancelling"):
            # Freed, the line has no level of its own: taken again at once, and the stepper driver's input is not left to noise.
            self._lgpio.group_free(handle, self._pin)
            self._lgpio.group_claim_output(handle, [self._pin], [0])

    def _open_chip(self) -> int:
        if self._chip is not None:
            with self._named(f"opening /dev/gpiochip{self._chip}"):
                return int(self._lgpio.gpiochip_open(self._chip))
        refused: DriverError | None = None
        for number in HEADER_CHIPS:
            try:
                with self._named(f"opening /dev/gpiochip{number}"):
                    handle = int(self._lgpio.gpiochip_open(number))
            except DriverError as error:
                refused = refused or error
                continue
            with self._named("asking for the chip's name"):
                label = self._lgpio.gpio_get_chip_info(handle)[3]
            if label.startswith(HEADER_LABEL):
                return handle
            self._close_chip(handle)
        raise refused or DriverError(
            self.name, "no gpiochip here is that of a Raspberry Pi's header: set gpiochip"
        )

    def _close_chip(self, handle: int) -> None:
        with contextlib.suppress(DriverError), self._named("closing the chip"):
            self._lgpio.gpiochip_close(handle)

    def _opened(self) -> int:
        if self._handle is None:
            raise NotOpen(self.name)
        return self._handle

    @contextlib.contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, self._lgpio.error) as error:
            raise DriverError(self.name, f"{what}: {error}") from error


def library() -> Any:
    """The module lgpio. Raises `DriverNotAvailable` where it is not installed or its working directory cannot be written."""
    try:
        lgpio = importlib.import_module("lgpio")  # a config can be checked where it is not installed
    except (ImportError, OSError) as error:
        why = (
            f"{error} (install lgpio 0.2 or later: sudo apt install python3-lgpio, or python -m pip install 'rigd[pi]'; it writes to "
            "the working directory, or to LG_WD)"
        )
        raise DriverNotAvailable("rail", "stepdir", why) from error
    if not hasattr(lgpio, "tx_wave"):
        raise DriverNotAvailable("rail", "stepdir", "this lgpio cannot send waves: install 0.2 or later")
    return lgpio
