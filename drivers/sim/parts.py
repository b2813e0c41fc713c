"""The small simulated parts: lamp, contact, wired release."""

from __future__ import annotations

from collections import deque

from drivers.base import CameraTimeout, DriverError, Firing, NotOpen, ShutterCapabilities
from drivers.clock import Interrupt
from drivers.registry import Context
from drivers.sim.options import SimLightOptions, SimShutterOptions, SimSwitchOptions
from drivers.sim.truth import LAMPS, Lamps

KEPT_PRESSES = 1000


class SimLight:
    """A lamp. As soon as a rig has one, the simulated camera needs it on."""

    def __init__(self, options: SimLightOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._lamps: Lamps = context.shared.setdefault(LAMPS, Lamps())
        self._open = False
        self.lit = False
        """Whether it is switched on."""

    def open(self) -> None:
        """Take the lamp into use, off."""
        self._open = True
        self._set(lit=False)

    def close(self) -> None:
        """Off."""
        self._set(lit=False)
        self._open = False

    def on(self) -> None:
        """Switch on."""
        if not self._open:
            raise NotOpen("sim light")
        self._set(lit=True)

    def off(self) -> None:
        """Switch off; works when closed too."""
        self._set(lit=False)

    def _set(self, *, lit: bool) -> None:
        self.lit = lit
        shines = lit and not self._options.broken
        self._lamps.set(id(self), self._options.brightness if shines else 0.0, self._clock.now())


class SimSwitch:
    """A contact that `press()` and `let_go()`, or its options, press."""

    def __init__(self, options: SimSwitchOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._opened_s: float | None = None
        self._by_hand: bool | None = None

    def open(self) -> None:
        """Take the contact into use."""
        if self._opened_s is None:
            self._opened_s = self._clock.now()

    def close(self) -> None:
        """Let go of it."""
        self._opened_s = None

    def press(self) -> None:
        """Press it, until `let_go`."""
        self._by_hand = True

    def let_go(self) -> None:
        """Open the contact."""
        self._by_hand = False

    def pressed(self) -> bool:
        """Whether it is pressed: by hand if a hand ever was on it, otherwise as its options say."""
        if self._opened_s is None:
            raise NotOpen("sim switch")
        if self._by_hand is not None:
            return self._by_hand
        after, lasts = self._options.press_after_s, self._options.press_for_s
        if after is None:
            return self._options.pressed
        since = self._clock.now() - self._opened_s - after
        return since >= 0 and (lasts is None or since < lasts)


class SimShutter:
    """A wired release. `presses` lists when it was held down: (start, end) on the clock."""

    def __init__(self, options: SimShutterOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._open = False
        self._interrupt = Interrupt()
        self.presses: deque[tuple[float, float]] = deque(maxlen=KEPT_PRESSES)
        self.held = False
        """Whether the release is pressed."""

    @property
    def capabilities(self) -> ShutterCapabilities:
        """A release without delay."""
        return self._options.declared()

    def open(self) -> None:
        """Take the release into use, not pressed."""
        self._open = True
        self.held = False

    def close(self) -> None:
        """Let go."""
        self._open = False
        self._interrupt.set()
        self.held = False

    def cancel(self) -> None:
        """Let go early."""
        self._interrupt.set()

    def fire(self, exposure_s: float, not_before_s: float = 0.0) -> Firing:
        """Hold the release down for `exposure_s`."""
        if not self._open:
            raise NotOpen("sim shutter")
        if not 0 < exposure_s <= self._options.max_exposure_s:
            limit = self._options.max_exposure_s
            raise DriverError(
                "sim shutter", f"cannot expose for {exposure_s} s: more than 0, at most {limit} s"
            )
        self._interrupt.clear()
        asked_s = self._clock.now()
        self._wait(not_before_s, asked_s)
        start_s = self._clock.now()
        self.held = True
        try:
            self._wait(start_s + exposure_s, asked_s)
        finally:
            self.held = False
            self.presses.append((start_s, self._clock.now()))
        return Firing(start_s, start_s + exposure_s)

    def _wait(self, until_s: float, asked_s: float) -> None:
        if not self._clock.wait_until(until_s, self._interrupt):
            raise CameraTimeout("sim shutter", self._clock.now() - asked_s)
