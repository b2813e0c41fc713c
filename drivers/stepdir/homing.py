"""The search for the home switch: fast to it, off it, slowly back, pull off, zero.

Home is where the switch closes on the slow approach, by the kernel's time of the edge and the pulses that were out by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from drivers.base import Limit
from drivers.stepdir.legs import Legs
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.train import End, Ending, Look

REACH = 1.3
"""The search gives up after this many travels, and a centimetre."""
SPARE_UM = 10_000.0
LEAVE = 4.0
"""The switch must open again within so many pull-offs, beyond what the carriage ran over it."""


class HomingFailed(Exception):
    """Homing has come to nothing; in words. Nothing is known of the position."""


class Stopped(Exception):
    """Homing was asked to stop."""


class Homing:
    """One homing.

    Args:
        options: of the rail.
        legs: move it.
        token: of the motion.
    """

    def __init__(self, options: StepDirOptions, legs: Legs, token: int) -> None:
        self._options = options
        self._legs = legs
        self._token = token
        self._met = 0
        self._seen = False

    def run(self) -> int:
        """Find home; the count of pulses at which position 0 is. The rail stands there.

        Raises:
            HomingFailed: in words.
            Stopped: asked to stop.
            Cancelled: from another thread.
            DriverError: a pin or lgpio fails.
        """
        options, legs = self._options, self._legs
        if not legs.ready(self._token):
            raise Stopped
        fast, slow = (
            options.homing_speed_um_per_s,
            min(options.homing_slow_um_per_s, options.homing_speed_um_per_s),
        )
        overrun_um = fast**2 / (2 * options.acceleration_um_per_s2) + fast * 0.05
        if Limit.HOME not in legs.pins.pressed():
            found = self._go(-(REACH * options.travel_um + SPARE_UM), fast, self._until_home(pressed=True))
            if found.ending is not Ending.BRAKED:
                raise HomingFailed("home switch not found: check the switch, its cable, the motor and DIR")
        leave_um = LEAVE * options.pull_off_um + overrun_um
        left = self._go(leave_um, fast, self._until_home(pressed=False))
        if left.ending is not Ending.BRAKED or Limit.HOME in legs.pins.pressed():
            raise HomingFailed("home switch does not open: check it and its cable (is `invert` right?)")
        self._go(options.pull_off_um, fast, self._until_home(pressed=None))
        back_um = 2 * (options.pull_off_um + overrun_um) + leave_um
        if self._go(-back_um, slow, self._until_home(pressed=True)).ending is not Ending.BRAKED:
            raise HomingFailed("home switch not found again on the slow approach: check it")
        zero = self._met + math.ceil(options.pull_off_um / options.microstep_um)
        self._leg(zero - legs.train.net, fast, self._until_home(pressed=None))
        if Limit.HOME in legs.pins.pressed():
            raise HomingFailed("home switch is still pressed after pulling off: make pull_off_um larger")
        return zero

    def _until_home(self, *, pressed: bool | None) -> Callable[[frozenset[Limit]], Look]:
        """Go until the home switch is pressed, or not; None: all the way. The far switch ends it all, unless it was pressed before."""
        legs = self._legs
        before = legs.pins.pressed()

        def look(now: frozenset[Limit]) -> Look:
            if Limit.FAR in now - before:
                return Look.CUT
            if pressed is None or (Limit.HOME in now) != pressed:
                return Look.GO
            if pressed and Limit.HOME not in before and not self._seen:
                self._seen = True
                edge_s = legs.pins.home.pressed_s
                self._met = legs.train.position_then(legs.clock.now() if edge_s is None else edge_s)
            return Look.BRAKE

        self._seen = False
        return look

    def _go(self, distance_um: float, speed_um_per_s: float, look: Callable[[frozenset[Limit]], Look]) -> End:
        pulses = math.copysign(math.ceil(abs(distance_um) / self._options.microstep_um), distance_um)
        return self._leg(int(pulses), speed_um_per_s, look)

    def _leg(self, pulses: int, speed_um_per_s: float, look: Callable[[frozenset[Limit]], Look]) -> End:
        end = self._legs.go(self._token, pulses, speed_um_per_s, look=look)
        if end.ending is Ending.STOPPED:
            raise Stopped
        if end.ending is Ending.CUT:
            raise HomingFailed(
                "met the far switch while looking for home: check DIR (invert) and which switch is which"
            )
        if end.ending is Ending.LOST:
            raise HomingFailed(f"the pulses ran dry at {end.rate_hz:.0f} a second: this machine is too busy")
        return end
