"""The rail's side of the controller: starts motions, watches them, stops them from another thread.

Verbs are short and run on the rail's own worker; waiting is done here, on the loop, so that a stop is obeyed at once.
"""

from __future__ import annotations

import asyncio
import logging

from drivers.base import AlarmResponse, DriverError, Limit, NoResponse, Rail, RailStatus
from drivers.clock import Clock
from rigd.workers import Worker

log = logging.getLogger(__name__)

WATCH_S = 0.05
"""How often a moving rail is looked at, for limits and alarms."""
ARRIVAL_S = 0.002
"""How often it is looked at once it should have arrived."""
LATE_FACTOR, LATE_S = 1.5, 5.0
"""A move that takes longer than this many times its prediction and seconds more counts as lost."""
HOMING_LIMIT_S = 180.0
"""Homing a long rail at a slow speed takes a minute or two; longer means that the switch was missed."""


class RailAlarm(Exception):
    """The rail stopped by itself."""


class RailControl:
    """Moves one rail.

    Args:
        rail: the driver; opened and closed by the one who made it.
        clock: of all evidence.
    """

    def __init__(self, rail: Rail, clock: Clock) -> None:
        self.rail = rail
        self._clock = clock
        self._worker = Worker("rail", clock)
        # A stop must not queue behind a verb that a slow port holds up.
        self._urgent = Worker("rail-stop", clock)
        self.home_error: int | None = None
        """Microsteps between where home was expected and where the last homing found it."""

    async def open(self) -> RailStatus:
        """Open the driver where it does not answer already; the status it has then."""
        try:
            return await self._worker.run(self.rail.poll)
        except DriverError:
            await self._worker.run(self.rail.close)
        await self._worker.run(self.rail.open)
        return await self._worker.run(self.rail.poll)

    async def home(self) -> int:
        """Home, and wait for it; the position then. Raises `DriverError` or `RailAlarm`."""
        await self._worker.run(self.rail.start_home)
        status = await self._watch("homing", self._clock.now() + HOMING_LIMIT_S)
        if status.position is None:
            raise RailAlarm("homing ended and the position is not known")
        self.home_error = status.home_error
        return status.position

    async def move(self, target: int) -> tuple[int | None, float]:
        """Move, and wait for the end of motion: position and time. Raises `DriverError` or `RailAlarm`."""
        before = await self._worker.run(self.rail.poll)
        distance = target - (before.position or 0)
        expected_s = await self._worker.run(self.rail.move_time_s, distance)
        started_s = self._clock.now()
        await self._worker.run(self.rail.start_move, target)
        return await self._arrive(f"move to {target}", started_s, expected_s)

    async def jog(self, distance: int, speed_um_per_s: float) -> tuple[int | None, float]:
        """Jog, and wait for the end of motion: position (None before homing) and time."""
        expected_s = abs(distance) * self.rail.capabilities.microstep_um / speed_um_per_s
        started_s = self._clock.now()
        await self._worker.run(self.rail.start_jog, distance, speed_um_per_s)
        return await self._arrive(f"jog by {distance}", started_s, expected_s)

    async def stop(self) -> int | None:
        """Decelerate to a stop, and wait for it: the position."""
        await self._urgent.run(self.rail.stop)
        status = await self._watch("stop", self._clock.now() + LATE_S)
        return status.position

    async def halt(self) -> None:
        """Stop at once."""
        await self._urgent.run(self.rail.halt)

    async def release(self) -> None:
        """Switch the motor off."""
        await self._worker.run(self.rail.release)

    async def poll(self) -> RailStatus:
        """Where it is."""
        return await self._worker.run(self.rail.poll)

    async def close(self) -> None:
        """Close the driver and end both threads."""
        await self._worker.run(self.rail.close)
        self._worker.close()
        self._urgent.close()

    async def _arrive(self, what: str, started_s: float, expected_s: float) -> tuple[int | None, float]:
        status = await self._watch(
            what, started_s + LATE_FACTOR * expected_s + LATE_S, started_s + expected_s
        )
        return status.position, self._clock.now() if status.ended_s is None else status.ended_s

    async def _watch(self, what: str, deadline_s: float, expected_s: float | None = None) -> RailStatus:
        """Look at the rail until it stands. Rarely while it should be moving, often when it should be there."""
        while True:
            status = await self._worker.run(self.rail.poll)
            if status.alarm is not None:
                raise RailAlarm(status.alarm)
            if not status.moving:
                return status
            now = self._clock.now()
            if now > deadline_s:
                raise NoResponse("rail", what)
            left_s = WATCH_S if expected_s is None else expected_s - now
            await asyncio.sleep(min(max(left_s, ARRIVAL_S), WATCH_S))


def alarm_text(status: RailStatus) -> str | None:
    """What is wrong with a rail that should be in order, or None."""
    if status.alarm is not None:
        return status.alarm
    return None if status.limit is Limit.NONE else f"the {status.limit.value} limit switch is pressed"


__all__ = ["AlarmResponse", "RailAlarm", "RailControl", "alarm_text"]
