"""A wired remote release: half press, mirror, full press, and the camera's sync contact as proof.

Without a sync contact the times of an exposure follow from the press: not earlier than it, not later than lag and exposure
time after it. With one they come from its edges, stamped by the kernel, widened by the travel of a curtain; an edge that does
not come is an exposure that has failed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from drivers.base import CameraTimeout, DriverError, Firing, NotOpen, ShutterCapabilities
from drivers.clock import Clock, Interrupt
from drivers.gpio.options import ReleaseOptions
from drivers.gpio.pins import Input, Output
from drivers.registry import Context


class SyncContact:
    """When a camera's sync contact closed and opened.

    Args:
        number, closes_to: its pin.
        clock: of the times.
        wake: set at every edge.
    """

    def __init__(self, number: int, closes_to: str, clock: Clock, wake: Interrupt) -> None:
        self.input = Input(number, closes_to, self._edge)
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        self._armed = False
        self.closed_s: float | None = None
        """When it closed first since it was armed."""
        self.opened_s: float | None = None
        """When it opened after that; None while it is closed, and contacts bounce."""

    def arm(self) -> None:
        """Forget what was, and listen. Raises `DriverError` when it is closed already: the wire, or a hot shoe that sticks."""
        with self._lock:
            self.closed_s = self.opened_s = None
            self._armed = True
        if self.input.closed():
            self.disarm()
            raise DriverError(self.input.name, "the sync contact is closed before anything was exposed")

    def disarm(self) -> None:
        """Listen no more."""
        with self._lock:
            self._armed = False

    def _edge(self, closed: bool, ago_s: float) -> None:
        at_s = self._clock.now() - ago_s
        with self._lock:
            if not self._armed:
                return
            if closed:
                self.closed_s = at_s if self.closed_s is None else self.closed_s
                self.opened_s = None
            elif self.closed_s is not None:
                self.opened_s = at_s
        self._wake.set()


class Release:
    """A wired release on pins.

    Args:
        options: pins and times.
        context: its clock.
    """

    def __init__(self, options: ReleaseOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._wake = Interrupt()
        self._cancelled = False
        self._ready_s = 0.0
        self._full = Output(options.release_pin, active_low=options.active_low)
        self._half = (
            None if options.focus_pin is None else Output(options.focus_pin, active_low=options.active_low)
        )
        self._sync = (
            None
            if options.sync_pin is None
            else SyncContact(options.sync_pin, options.sync_closes_to, context.clock, self._wake)
        )

    @property
    def capabilities(self) -> ShutterCapabilities:
        """As the options say."""
        return self._options.declared()

    def open(self) -> None:
        """Take the pins, nothing pressed. Raises `DriverError`, and then none is taken."""
        try:
            for part in self._pins():
                part.open()
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the release, then of the pins, each whatever becomes of the others."""
        self.cancel()
        with contextlib.ExitStack() as stack:
            for part in self._pins():
                stack.callback(part.close)

    def cancel(self) -> None:
        """End the running `fire`. Any thread."""
        self._cancelled = True
        self._wake.set()

    def fire(self, exposure_s: float, not_before_s: float = 0.0) -> Firing:
        """Expose. Half press and mirror come ahead, so that the full press is at `not_before_s` if there is time for that.

        Raises:
            CameraTimeout: after `cancel()`.
            DriverError: no positive exposure time; the sync contact did not close, or did not open again.
            NotOpen: not open.
        """
        if not self._full.is_open:
            raise NotOpen(self._full.name)
        if not exposure_s > 0:
            raise DriverError(self._full.name, f"cannot expose for {exposure_s} s")
        self._cancelled = False
        options = self._options
        asked_s = self._clock.now()
        press_s = max(not_before_s, self._ready_s, asked_s + options.lead_s)
        mirror_s = press_s - options.mirror_up_s
        try:
            if self._half is not None:
                self._until(mirror_s - options.half_press_s, asked_s)
                self._half.set(1)
            if options.mirror_up_s:
                self._until(mirror_s, asked_s)
                self._full.set(1)
                self._until(mirror_s + options.press_s, asked_s)
                self._full.set(0)
            self._until(press_s, asked_s)
            return self._press(exposure_s, asked_s)
        finally:
            if self._sync is not None:
                self._sync.disarm()
            self._let_go()
            self._ready_s = self._clock.now() + options.recycle_s

    def _press(self, exposure_s: float, asked_s: float) -> Firing:
        options, sync = self._options, self._sync
        if sync is not None:
            sync.arm()
        pressed_s = self._clock.now()
        self._full.set(1)
        let_go_s = pressed_s + (exposure_s if options.bulb else options.press_s)
        if sync is None:
            self._until(let_go_s, asked_s)
            self._let_go()
            end_s = pressed_s + options.lag_s + exposure_s
            self._until(max(end_s, let_go_s), asked_s)
            return Firing(pressed_s, end_s)
        return self._proven(sync, pressed_s, let_go_s, exposure_s, asked_s)

    def _proven(
        self, sync: SyncContact, pressed_s: float, let_go_s: float, exposure_s: float, asked_s: float
    ) -> Firing:
        options = self._options
        late_s = pressed_s + options.lag_s + options.sync_timeout_s
        if let_go_s < late_s:
            self._until(let_go_s, asked_s)
            self._let_go()
        if not self._until(late_s, asked_s, lambda: sync.closed_s is not None):
            raise DriverError(sync.input.name, "no exposure: the sync contact did not close")
        self._until(let_go_s, asked_s)
        self._let_go()
        assert sync.closed_s is not None
        end_s = self._opened_again(sync, sync.closed_s + exposure_s, asked_s)
        # The contact cannot close before the press; the two were read from clocks of their own.
        return Firing(max(pressed_s, sync.closed_s - options.curtain_s), end_s, proven=True)

    def _opened_again(self, sync: SyncContact, expected_s: float, asked_s: float) -> float:
        """Wait until the contact has opened for good, and the shutter is closed; when that was."""
        options = self._options
        while True:
            if not self._until(
                expected_s + options.sync_timeout_s, asked_s, lambda: sync.opened_s is not None
            ):
                raise DriverError(sync.input.name, "the exposure did not end: the sync contact stays closed")
            end_s = max(expected_s, sync.opened_s or 0.0) + options.curtain_s
            if not self._until(end_s, asked_s, lambda: sync.opened_s is None):
                return end_s

    def _until(self, when_s: float, asked_s: float, happened: Callable[[], bool] = lambda: False) -> bool:
        """Wait for a moment, or for something that an edge tells; whether it happened. Raises `CameraTimeout`."""
        while True:
            self._wake.clear()
            if self._cancelled:
                raise CameraTimeout(self._full.name, self._clock.now() - asked_s)
            if happened():
                return True
            if self._clock.wait_until(when_s, self._wake):
                return happened()

    def _let_go(self) -> None:
        """Nothing pressed; what is closed already is let go of."""
        with contextlib.ExitStack() as stack:
            for output in (self._half, self._full):
                if output is not None and output.is_open:
                    stack.callback(output.set, 0)

    def _pins(self) -> tuple[Output | Input, ...]:
        sync = None if self._sync is None else self._sync.input
        return tuple(pin for pin in (self._full, self._half, sync) if pin is not None)
