"""Motions of the rail from rest to rest, one after the other, on the thread of a motion."""

from __future__ import annotations

import threading
from collections.abc import Callable

from drivers.base import Limit, Shaping
from drivers.clock import Clock
from drivers.motion.shaping import profile_for
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.schedule import Schedule, planned
from drivers.stepdir.slow import SlowPins
from drivers.stepdir.train import End, Ending, Limits, Look, Train

PLAIN = Shaping("trapezoid")


def limits_of(options: StepDirOptions) -> Limits:
    """What motor and driver take, by the options."""
    return Limits(
        gap_us=int(1e6 / options.step_rate_hz),
        pulse_us=options.pulse_us,
        jump=options.jump_pulses,
        safe_rate_hz=options.safe_rate_hz,
        deceleration=options.acceleration_um_per_s2 / options.microstep_um,
    )


class Legs:
    """Moves the motor of one rail.

    Args:
        options: of the rail.
        train: sends the pulses.
        pins: DIR, ENABLE, switches.
        clock: of the waits.
        lock: the train's.
    """

    def __init__(
        self, options: StepDirOptions, train: Train, pins: SlowPins, clock: Clock, lock: threading.RLock
    ) -> None:
        self.train = train
        self.pins = pins
        self.clock = clock
        self.met: frozenset[Limit] = frozenset()
        """Switches that were pressed on the way and ended the last leg."""
        self._options = options
        self._limits = limits_of(options)
        self._lock = lock

    def ready(self, token: int) -> bool:
        """Switch the motor on and let its current build up; False when asked to stop meanwhile. Raises `Cancelled`."""
        if not self.pins.enabled:
            with self._lock:
                self.train.check(token)
                self.pins.enable(on=True)
            ready_s = self.clock.now() + self._options.enable_wait_s
            while not self.train.stopping and self.clock.now() < ready_s:
                self.train.wait(token, ready_s - self.clock.now())
        return not self.train.stopping

    def go(
        self,
        token: int,
        distance: int,
        speed_um_per_s: float,
        *,
        shaping: Shaping = PLAIN,
        look: Callable[[frozenset[Limit]], Look] | None = None,
    ) -> End:
        """Move over this many microsteps.

        Args:
            token: of the motion.
            distance: signed.
            speed_um_per_s: at most.
            shaping: of the whole leg.
            look: given the switches that are pressed. Without it, a switch that was not pressed at the start cuts the leg.

        Raises:
            Cancelled: from another thread.
            DriverError: a pin or lgpio fails.
        """
        if distance == 0:
            return End(Ending.DONE, self.clock.now())
        sign = 1 if distance > 0 else -1
        rate = min(speed_um_per_s / self._options.microstep_um, self._options.step_rate_hz)

        def plan(pulses: int) -> Schedule:
            profile = profile_for(shaping, float(pulses), rate, self._limits.deceleration)
            return planned(sign, profile, self._limits.gap_us)

        with self._lock:
            self.train.check(token)
            self.pins.point(sign)
        self.pins.arm()
        seen = self._watching(look or self._any_new(self.pins.pressed()))
        return self.train.run(token, plan(abs(distance)), plan, seen)

    def _watching(self, look: Callable[[frozenset[Limit]], Look]) -> Callable[[], Look]:
        def seen() -> Look:
            pressed = self.pins.pressed()
            for switch in (self.pins.home, self.pins.far):
                if switch is not None and switch.pressed_s is not None and not switch.pressed():
                    self.train.statistics.glitches += 1
                    switch.arm()
            return look(pressed)

        return seen

    def _any_new(self, before: frozenset[Limit]) -> Callable[[frozenset[Limit]], Look]:
        self.met = frozenset()

        def look(pressed: frozenset[Limit]) -> Look:
            if pressed <= before:
                return Look.GO
            self.met = pressed - before
            return Look.CUT

        return look
