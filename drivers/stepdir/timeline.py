"""What of a schedule was handed to lgpio, and what is known about when it goes out.

lgpio tells only how many waves are left in its queue. From when that number changes follow two bounds on when the time line began;
from them how many pulses are out at any moment, and whether the library is late. No clock and no I/O here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.stepdir.schedule import Schedule
from drivers.stepdir.transmitter import Wave

LEAD_US = (10, 6000)
"""Two waves without pulses open every time line: the first is there to be seen ending, the second is time to hand over the next."""
WAVE_US = 2000
"""Length of a wave. What is asked of the rail takes effect behind the waves that are queued."""
AHEAD_US = 14_000
"""So much is queued at most: a stop begins no later."""


class Timeline:
    """One stretch of pulses without a gap.

    Args:
        schedule: what is to be sent.
        pulse_us: how long STEP is high.
        jump: most pulses that may be queued.
    """

    def __init__(self, schedule: Schedule, pulse_us: int, jump: int) -> None:
        self.schedule = schedule
        self._pulse_us = pulse_us
        self._jump = jump
        self._ends_us = [0]
        """Of the second lead, and of each wave after it."""
        self._counts = [0]
        """Pulses until then."""
        self._done = -1
        """Index of the last of these that is over; -1: none."""
        self._begun = False
        self._looked_s = -math.inf
        self.earliest_s = math.inf
        """Time 0 was not before this, if the library was on time then."""
        self.latest_s = math.inf
        """Time 0 was not after this."""

    @property
    def leads(self) -> tuple[Wave, ...]:
        """What opens it."""
        return tuple(((0, lead_us),) for lead_us in LEAD_US)

    @property
    def begun(self) -> bool:
        """Whether it is known to have begun: the first lead is over."""
        return self._begun

    @property
    def committed_us(self) -> int:
        """Everything before is on its way."""
        return self._ends_us[-1]

    @property
    def committed(self) -> int:
        """Pulses that are on their way or out."""
        return self._counts[-1]

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to hand over."""
        return self.committed == len(self.schedule.times_us)

    @property
    def out(self) -> int:
        """Pulses that are surely out."""
        return self._counts[max(0, self._done)]

    @property
    def speed(self) -> float:
        """Microsteps a second at the end of what was handed over."""
        return 0.0 if self.exhausted else self.schedule.speed_at(self.committed_us)

    def wants_more(self) -> bool:
        """Whether another wave may be queued now."""
        if self.exhausted or not self._begun:
            return False
        ahead_us = self.committed_us - self._ends_us[max(0, self._done)]
        end_us, count = self._next()
        return ahead_us + (end_us - self.committed_us) <= AHEAD_US and count - self.out <= self._jump

    def next_wave(self) -> Wave:
        """The next wave, taken as handed over."""
        start_us, before = self.committed_us, self.committed
        end_us, count = self._next()
        rises: list[int] = self.schedule.times_us[before:count].tolist()
        wave: list[tuple[int, int]] = []
        low_from = start_us
        for rise in rises:
            if rise > low_from:
                wave.append((0, rise - low_from))
            wave.append((1, self._pulse_us))
            low_from = rise + self._pulse_us
        wave.append((0, end_us - low_from))
        self._ends_us.append(end_us)
        self._counts.append(count)
        return wave

    def _next(self) -> tuple[int, int]:
        """Where the next wave ends, and the pulses until then. It never ends in a pulse, and low after it."""
        times = self.schedule.times_us
        end_us = self.committed_us + WAVE_US
        count = max(self.committed, self.schedule.pulses_before(end_us))
        if count > self.committed:
            low_us = int(times[count - 1]) + 2 * self._pulse_us
            end_us = low_us if count == len(times) else max(end_us, low_us)
        return end_us, count

    def note(self, queued: int, before_s: float, after_s: float) -> None:
        """Take in how many waves the queue held at some moment between two times."""
        done = len(LEAD_US) + len(self._ends_us) - 1 - queued
        if not self._begun and done >= 1:
            self._begun = True
            lead_s = LEAD_US[1] * 1e-6
            self.earliest_s, self.latest_s = self._looked_s + lead_s, after_s + lead_s
        at = done - len(LEAD_US)
        self._done = max(self._done, at)
        if self._done >= 0:
            self.latest_s = min(self.latest_s, after_s - self._ends_us[self._done] * 1e-6)
        self._looked_s = before_s

    def broke(self, before_s: float) -> None:
        """The wave handed over last came too late, and a new time line begins with it, not before this time."""
        begin_us = self._ends_us[-2]
        self._done = len(self._ends_us) - 2
        self.earliest_s, self.latest_s = before_s - begin_us * 1e-6, math.inf

    def late_s(self, looked_s: float) -> float:
        """By how much the library is late at least, when at this time it was no further than last noted; below 0 when it is not."""
        at = self._done + 1
        if not self._begun or at >= len(self._ends_us):
            return -math.inf
        return looked_s - self.latest_s - self._ends_us[at] * 1e-6

    def count_at(self, time_s: float) -> int:
        """Pulses that were out at that time, between what is known to be out and what can be."""
        at = min(self._done + 1, len(self._counts) - 1)
        if not self._begun or not math.isfinite(self.latest_s):
            return self.out
        due = self.schedule.pulses_until(round((time_s - self.latest_s) * 1e6))
        return min(max(due, self.out), self._counts[at])

    def count_then(self, time_s: float) -> int:
        """Pulses that were out, most probably, at a time that may be past."""
        if not math.isfinite(self.latest_s):
            return self.out
        begun_s = (min(self.earliest_s, self.latest_s) + self.latest_s) / 2.0
        return min(self.schedule.pulses_until(round((time_s - begun_s) * 1e6)), self.committed)

    def rises_s(self) -> NDArray[np.float64]:
        """(pulses,) when each pulse that was handed over should have gone out."""
        return np.asarray(self.latest_s + self.schedule.times_us[: self.committed] * 1e-6, dtype=np.float64)
