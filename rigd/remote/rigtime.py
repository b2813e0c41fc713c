"""The rig's time: UTC that is never set back by a little, so that a time limit that is over stays over.

The wall clock may be set forward at any moment: a board without a battery learns the time from the network. That is believed at once.
Set back, it would make a command in time again that was too late, so the rig's time goes on by the monotonic clock, from the latest that
it was, a tenth slower until the wall clock has come up with it. That is what `state` and answers say, and what `not_after` is held
against: who goes by it notices nothing, and a limit that was given lasts at most a ninth longer than it should.

A clock that is set back by more than `MOST` was wrong altogether, and is believed: limits of before lie too far ahead by it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from drivers.clock import Clock, Interrupt

log = logging.getLogger(__name__)

MOST = timedelta(hours=2)
"""`not_after` lies an hour ahead at most: what was given before a longer step back would have to be on its way for more than an hour."""
SLOWER = 0.9
"""Of its true pace, while it is ahead of the wall clock."""
TELLING = timedelta(seconds=1)
"""A smaller step is the network's daily business."""


class RigTime:
    """A clock like the one that it goes by, but for `utc`. On the loop's thread.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._utc, self._at_s = clock.utc(), clock.now()
        self._ahead = timedelta()

    @property
    def ahead_s(self) -> float:
        """How far it is ahead of the wall clock, after that was set back; 0 mostly."""
        return self._ahead.total_seconds()

    def utc(self) -> datetime:
        """The rig's time."""
        wall, now_s = self._clock.utc(), self._clock.now()
        passed = timedelta(seconds=now_s - self._at_s)
        back = self._utc + passed - wall
        time = max(wall, self._utc + SLOWER * passed) if timedelta() < back <= MOST else wall
        self._note(back - self._ahead, time - wall)
        self._utc, self._at_s = time, now_s
        return time

    def _note(self, step: timedelta, ahead: timedelta) -> None:
        """Tell of a step back, once."""
        if step > MOST:
            log.warning("the clock was set back by %s: that is the rig's time from now on", step)
        elif step > TELLING:
            log.warning(
                "the clock was set back by %.0f s: the rig's time, which `state` tells, goes on and comes down to it slowly",
                step.total_seconds(),
            )
        self._ahead = ahead

    # ------------------------------------------------------------------------------------------------------- as it was

    def now(self) -> float:
        """As the machine's."""
        return self._clock.now()

    def wait_until(self, when_s: float, interrupt: Interrupt | None = None) -> bool:
        """As the machine's."""
        return self._clock.wait_until(when_s, interrupt)

    def work_begins(self) -> None:
        """As the machine's."""
        self._clock.work_begins()

    def work_ends(self) -> None:
        """As the machine's."""
        self._clock.work_ends()
