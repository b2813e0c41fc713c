"""The rail's side of the controller: starts motions, watches them, stops them from another thread.

Verbs are short and run on the rail's own worker; waiting is done here, on the loop, so that a stop is obeyed at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec

from drivers.base import DriverError, NoResponse, Rail, RailStatus, Shaping, ShapingRail
from drivers.clock import Clock
from rigd.workers import Worker

log = logging.getLogger(__name__)

P = ParamSpec("P")

WATCH_S = 0.05
"""How often a moving rail is looked at, for limits and alarms."""
ARRIVAL_S = 0.002
"""How often it is looked at once it should have arrived."""
LATE_FACTOR, LATE_S = 1.5, 5.0
"""A move that takes longer than this many times its prediction and seconds more counts as lost."""
HOMING_LIMIT_S = 180.0
"""Homing a long rail at a slow speed takes a minute or two; longer means that the switch was missed."""


CLOSE_LIMIT_S = 5.0
"""A rail that does not let itself be closed within this is left behind."""


class RailAlarm(Exception):
    """The rail stopped by itself."""


class MotionFailed(Exception):
    """A motion ended, and not as it should have."""


class GivenUp(Exception):
    """A motion that a stop or halt has overtaken: nobody waits for it any more."""


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
        self._ticket = 0
        self._halting = False
        self._motions = self._halts = 0
        self._overtaking = 0
        self._clear = asyncio.Event()
        self._clear.set()
        self.now: RailStatus | None = None
        """The newest that was heard of it, also while it moves; None before the first word."""
        self.home_error: int | None = None
        """Microsteps between where home was expected and where the last homing found it."""
        self.travelled = 0
        """Microsteps of the last move that was begun, signed."""

    async def open(self) -> RailStatus:
        """Open the driver where it does not answer already; the status it has then."""
        try:
            return await self.poll()
        except DriverError:
            await self._worker.run(self.rail.close)
        await self._worker.run(self.rail.open)
        return await self.poll()

    @property
    def ticket(self) -> int:
        """What a motion needs to start and to go on; taken when it is asked for, worthless after the next `give_up`."""
        return self._ticket

    def give_up(self, *, halting: bool) -> None:
        """Make every ticket worthless: whatever motion was asked for before this does not start any more. On the loop."""
        self._ticket += 1
        self._halting = halting

    async def home(self, ticket: int) -> int:
        """Home, and wait for it; the position then. Raises `DriverError`, `RailAlarm`, `MotionFailed` or `GivenUp`."""
        await self._begin(ticket, self.rail.start_home)
        status = await self._watch(
            "homing", lambda: ticket != self._ticket, self._clock.now() + HOMING_LIMIT_S
        )
        if status.position is None:
            raise MotionFailed("homing ended and the position is not known")
        self.home_error = status.home_error
        return status.position

    async def move(self, target: int, ticket: int) -> tuple[int | None, float]:
        """Move, and wait for the end of motion: position and time. Raises `DriverError`, `RailAlarm` or `GivenUp`."""
        before = await self.poll()
        self.travelled = distance = target - (before.position or 0)
        expected_s = await self._worker.run(self.rail.move_time_s, distance)
        started_s = self._clock.now()
        await self._begin(ticket, self.rail.start_move, target)
        return await self._arrive(f"move to {target}", ticket, started_s, expected_s)

    async def jog(self, distance: int, speed_um_per_s: float, ticket: int) -> tuple[int | None, float]:
        """Jog, and wait for the end of motion: position (None before homing) and time. Raises as `move` does."""
        expected_s = abs(distance) * self.rail.capabilities.microstep_um / speed_um_per_s
        started_s = self._clock.now()
        await self._begin(ticket, self.rail.start_jog, distance, speed_um_per_s)
        return await self._arrive(f"jog by {distance}", ticket, started_s, expected_s)

    async def stop(self) -> int | None:
        """Decelerate to a stop, and wait for it: the position. After `give_up`. Raises as `move` does.

        Another stop meanwhile changes nothing; nobody waits for this one any more after a halt or once something moves again.
        """
        before = (self._motions, self._halts)
        await self._overtake(self.rail.stop)
        status = await self._watch(
            "stop", lambda: before != (self._motions, self._halts), self._clock.now() + LATE_S
        )
        return status.position

    async def halt(self) -> None:
        """Stop at once. After `give_up`."""
        self._halts += 1
        await self._overtake(self.rail.halt)

    async def shape(self, shaping: Shaping) -> None:
        """Shape moves from the next one on. Raises `DriverError`, also where the rail cannot."""
        rail = self.rail
        if not isinstance(rail, ShapingRail):
            raise DriverError(rail.capabilities.name, "this rail cannot shape its moves")
        await self._worker.run(rail.shape_moves, shaping)

    async def release(self) -> None:
        """Switch the motor off."""
        await self._worker.run(self.rail.release)
        await self.poll()

    async def poll(self) -> RailStatus:
        """Where it is."""
        self.now = await self._worker.run(self.rail.poll)
        return self.now

    async def close(self) -> None:
        """Close the driver and end both threads; a rail that hangs is left behind. Raises `DriverError`."""
        try:
            await asyncio.wait_for(self._worker.run(self.rail.close), CLOSE_LIMIT_S)
        except TimeoutError:
            log.warning("the rail does not close; leaving its thread behind")
        else:
            self._worker.close()
        finally:
            self._urgent.close(0.1)

    async def _overtake(self, verb: Callable[[], None]) -> None:
        """On the thread that queues behind nothing. A motion that is asked for later does not begin before this is done."""
        self._overtaking += 1
        self._clear.clear()
        try:
            await self._urgent.run(verb)
        finally:
            self._overtaking -= 1
            if not self._overtaking:
                self._clear.set()

    async def _begin(self, ticket: int, verb: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Start a motion, behind every stop that was asked for before it."""
        await self._clear.wait()
        if ticket != self._ticket:
            raise GivenUp
        self._motions += 1
        await self._worker.run(lambda: self._start(ticket, verb, *args, **kwargs))

    def _start(self, ticket: int, verb: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """On the worker. A stop comes over another thread and may be quicker than the motion that it was meant for."""
        if ticket != self._ticket:
            raise GivenUp
        verb(*args, **kwargs)
        if ticket != self._ticket:
            (self.rail.halt if self._halting else self.rail.stop)()
            raise GivenUp

    async def _arrive(
        self, what: str, ticket: int, started_s: float, expected_s: float
    ) -> tuple[int | None, float]:
        deadline_s = started_s + LATE_FACTOR * expected_s + LATE_S
        status = await self._watch(what, lambda: ticket != self._ticket, deadline_s, started_s + expected_s)
        return status.position, self._clock.now() if status.ended_s is None else status.ended_s

    async def _watch(
        self,
        what: str,
        given_up: Callable[[], bool],
        deadline_s: float,
        expected_s: float | None = None,
    ) -> RailStatus:
        """Look at the rail until it stands. Rarely while it should be moving, often when it should be there."""
        while True:
            status = await self.poll()
            if given_up():
                raise GivenUp
            if status.alarm is not None:
                raise RailAlarm(status.alarm)
            if not status.moving:
                return status
            now = self._clock.now()
            if now > deadline_s:
                raise NoResponse("rail", what)
            left_s = WATCH_S if expected_s is None else expected_s - now
            await asyncio.sleep(min(max(left_s, ARRIVAL_S), WATCH_S))
