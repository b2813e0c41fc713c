"""A rail and the stepper driver chip of its motor, as one rail: what happens to the chip happens to the position.

The chip is opened before the rail and asked now and then while the rail is polled. A chip that lost its power, switched itself
off, or cannot be asked any more ends in a halt, and the position is unknown until the next homing, before which the chip
is set anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from drivers.base import (
    AlarmResponse,
    DriverError,
    Motor,
    MotorStatus,
    Rail,
    RailCapabilities,
    RailStatus,
    Shaping,
    ShapingRail,
)
from drivers.clock import Clock

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two questions to the chip: 4 ms each time."""
DISABLED = "the motor driver's enable pin is off (e-stop, loose wire): home the rail"


class AttendedRail:
    """A rail whose motor driver can be asked.

    Args:
        rail: makes the steps.
        motor: the chip.
        clock: when to ask again.
    """

    def __init__(self, rail: Rail, motor: Motor, clock: Clock) -> None:
        self.rail = rail
        self.motor = motor
        self._clock = clock
        self._looked_s: float | None = None
        self._status = MotorStatus()
        self._alarm: str | None = None
        self._lost: DriverError | None = None
        self._homing = False

    @property
    def capabilities(self) -> RailCapabilities:
        """The rail's."""
        return self.rail.capabilities

    def open(self) -> None:
        """The motor first: currents are right before the first step. Raises `DriverError`."""
        self.motor.open()
        try:
            self.rail.open()
        except Exception:
            self.motor.close()
            raise

    def close(self) -> None:
        """The rail first: it stands before the current changes."""
        try:
            self.rail.close()
        finally:
            self.motor.close()
            self._looked_s = self._alarm = self._lost = None
            self._homing = False
            self._status = MotorStatus()

    def start_home(self) -> None:
        """Begin homing; after a fault of the chip, set it anew first. Raises `AlarmResponse` when the fault persists."""
        self._make_ready()
        self.motor.home_begins()
        self._homing = True
        self._begin(self.rail.start_home)

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """As the rail does. Raises `AlarmResponse` after a fault of the chip too."""
        if self._alarm is not None:
            raise AlarmResponse(self.rail.capabilities.name, "motor", self._alarm)
        self._begin(lambda: self.rail.start_move(target, speed_um_per_s))

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """As the rail does; after a fault of the chip, set it anew first."""
        self._make_ready()
        self._begin(lambda: self.rail.start_jog(distance, speed_um_per_s))

    def move_time_s(self, distance: int) -> float:
        """As the rail says."""
        return self.rail.move_time_s(distance)

    def poll(self) -> RailStatus:
        """The rail's status, with what the chip says.

        Raises:
            DriverError: one of them is gone. The rail has been halted, and both have to be opened again.
        """
        self._check_there()
        status = self.rail.poll()
        if self._homing and not status.moving:
            self._homing = False
            self._asked(self.motor.home_ends)
        now_s = self._clock.now()
        if self._alarm is None and (self._looked_s is None or now_s - self._looked_s >= LOOK_S):
            self._looked_s = now_s
            self._take_in(status)
        if self._alarm is not None:
            # What the rail counts since then is about a motor that may not have followed.
            status = replace(self.rail.poll(), homed=False, position=None, alarm=self._alarm)
        return replace(status, warnings=(*status.warnings, *self._status.warnings))

    def stop(self) -> None:
        """As the rail does. Any thread."""
        self.rail.stop()

    def halt(self) -> None:
        """As the rail does. Any thread."""
        self.rail.halt()

    def release(self) -> None:
        """As the rail does. It is not homed then, and an enable pin that is off is as it should be."""
        self.rail.release()

    def _take_in(self, status: RailStatus) -> None:
        before, self._status = self._status, self._asked(self.motor.look)
        for warning in self._status.warnings:
            if warning not in before.warnings:
                log.warning("%s", warning)
        fault = self._status.fault
        if fault is not None:
            fault = f"{fault}: home the rail"
        elif status.homed and not self._status.enabled:
            fault = DISABLED
        if fault is not None:
            log.error("%s", fault)
            self._alarm = fault
            self.rail.halt()

    def _asked(self, verb: Callable[[], MotorStatus | None]) -> MotorStatus:
        """A word with the chip. One that does not answer may have lost its settings, and nobody would know."""
        try:
            return verb() or self._status
        except DriverError as error:
            self._lost = error
            self.rail.halt()
            raise

    def _check_there(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _make_ready(self) -> None:
        self._check_there()
        if self._alarm is not None:
            self.motor.restore()
            self._alarm = None
            self._looked_s = None

    def _begin(self, start: Callable[[], None]) -> None:
        self._check_there()
        start()


class AttendedShapingRail(AttendedRail):
    """A rail whose motor driver can be asked, and whose moves can be given another shape."""

    def __init__(self, rail: ShapingRail, motor: Motor, clock: Clock) -> None:
        super().__init__(rail, motor, clock)
        self._shaping_rail = rail

    @property
    def shaping(self) -> Shaping:
        """The rail's."""
        return self._shaping_rail.shaping

    def shape_moves(self, shaping: Shaping) -> None:
        """As the rail does."""
        self._shaping_rail.shape_moves(shaping)


def attended(rail: Rail, motor: Motor, clock: Clock) -> AttendedRail:
    """A rail and the chip of its motor; it can what the rail can."""
    if isinstance(rail, ShapingRail):
        return AttendedShapingRail(rail, motor, clock)
    return AttendedRail(rail, motor, clock)
