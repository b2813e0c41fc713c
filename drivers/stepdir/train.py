"""Keeps lgpio's queue fed with the pulses of one motion, counts them, and lets them end early.

What is queued is always sent: it is short (`timeline.AHEAD_US`), and a stop adds its deceleration behind it, so the count stays exact. It
is also few: when lgpio's thread was kept from running, it sends what is due all at once, and never more pulses are queued than
the motor follows in one jump. What is left of the danger is that the queue runs dry: the motor then stops dead, which it
survives below a certain speed.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass

from drivers.clock import Clock, Interrupt
from drivers.stepdir.schedule import Schedule, stopped
from drivers.stepdir.statistics import Statistics, Trace
from drivers.stepdir.timeline import Timeline
from drivers.stepdir.transmitter import LEAK_BYTES, QUEUE, Transmitter

LOOK_S = 0.002
"""Between two looks at the queue."""
START_LOOK_S = 0.001
"""Between two looks for the beginning of a time line: so exactly it is known until the first wave is over."""
LATE_S = 0.004
"""A library that is so late gets no more pulses, which it would send in a bunch: it begins anew from rest."""


class Look(enum.Enum):
    """What whoever watches wants of the train."""

    GO = "go on"
    BRAKE = "slow down and stop"
    CUT = "stop dead"


class Ending(enum.Enum):
    """How a train ended."""

    DONE = "all sent"
    STOPPED = "asked to stop"
    BRAKED = "stopped by whoever watched"
    CUT = "cut: the count is not known"
    LOST = "ran dry at speed: the motor may have lost steps"


@dataclass(frozen=True, slots=True)
class End:
    """How a train ended, and when: not before the last pulse."""

    ending: Ending
    ended_s: float
    rate_hz: float = 0.0
    """Pulse rate at which it ran dry."""


class Cancelled(Exception):
    """The motion was cancelled from another thread, and what it was doing is over."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What motor and driver take."""

    gap_us: int
    """Least time between pulses."""
    pulse_us: int
    jump: int
    """Most pulses that may come in a bunch."""
    safe_rate_hz: float
    """Pulse rate of starting and stopping from rest."""
    deceleration: float
    """Pulses/s²."""


class Train:
    """Pulse trains on one line, one at a time.

    Args:
        line: where they go.
        clock: of all times.
        limits: of the motor.
        lock: guards everything here, and is held for no longer than a word with lgpio.
    """

    def __init__(self, line: Transmitter, clock: Clock, limits: Limits, lock: threading.RLock) -> None:
        self.net = 0
        """Pulses sent so far, those toward home counted down; what is known of them at rest."""
        self.statistics = Statistics()
        self.trace: Trace | None = None
        """Of the last stretch of pulses."""
        self.wake = Interrupt()
        """Set it to have the queue and whoever watches looked at now."""
        self._line = line
        self._clock = clock
        self._limits = limits
        self._lock = lock
        self._timeline: Timeline | None = None
        self._stop = False
        self._serial = 0
        self._looked_s: float | None = None
        self._late_s = 0.0

    # ------------------------------------------------------------------------------------------------- from any thread

    @property
    def position(self) -> int:
        """`net`, with what of the running train is out by now."""
        with self._lock:
            line = self._timeline
            return (
                self.net if line is None else self.net + line.schedule.sign * line.count_at(self._clock.now())
            )

    def position_then(self, time_s: float) -> int:
        """`position` at a time in the running train."""
        with self._lock:
            line = self._timeline
            return self.net if line is None else self.net + line.schedule.sign * line.count_then(time_s)

    def stop(self) -> None:
        """End the motion with a deceleration."""
        with self._lock:
            self._stop = True
        self.wake.set()

    def cancel(self) -> None:
        """Send nothing more. The count is wrong afterwards. Raises `DriverError`."""
        with self._lock:
            self._serial += 1
            self._timeline = None
            try:
                if self._line.is_open:
                    self._line.cancel()
            finally:
                self.wake.set()

    def begin(self) -> int:
        """A new motion; its token for `run`."""
        with self._lock:
            self._stop = False
            self._serial += 1
            return self._serial

    def check(self, token: int) -> None:
        """Raises `Cancelled` when the motion of this token is over."""
        if token != self._serial:
            raise Cancelled

    @property
    def stopping(self) -> bool:
        """Whether the motion was asked to stop."""
        return self._stop

    # --------------------------------------------------------------------------------------------- the motion's thread

    def wait(self, token: int, seconds: float) -> None:
        """Let time pass, or less when something happened. Raises `Cancelled`."""
        self._clock.wait_until(self._clock.now() + seconds, self.wake)
        self.wake.clear()
        self.check(token)

    def run(
        self, token: int, schedule: Schedule, replan: Callable[[int], Schedule], look: Callable[[], Look]
    ) -> End:
        """Send a schedule, from rest to rest.

        Args:
            token: from `begin`.
            schedule: the pulses, at least one.
            replan: the pulses of what is left, from rest, when the queue ran dry on the way.
            look: asked at every look at the queue; what it wants first holds.

        Raises:
            Cancelled: by `cancel`.
            DriverError: lgpio fails; how much was sent is not known.
        """
        left = len(schedule.times_us)
        while True:
            line = self._open_line(token, schedule, look)
            end = line if isinstance(line, End) else self._send(token, line, look)
            if end is not None:
                return end
            assert isinstance(line, Timeline)
            left -= line.committed
            schedule = replan(left)

    def _open_line(self, token: int, schedule: Schedule, look: Callable[[], Look]) -> Timeline | End:
        """Begin a time line, with no pulse in it yet. The leads of one that was given up may still be in the queue."""
        line: Timeline | None = None
        asked_s = self._clock.now()
        while True:
            with self._lock:
                self.check(token)
                if line is None and self._line.room() == QUEUE:
                    line = self._timeline = Timeline(schedule, self._limits.pulse_us, self._limits.jump)
                    self._looked_s = self._clock.now()
                    for lead in line.leads:
                        self._line.send(lead)
                if line is not None:
                    self._look(line)
                    if line.begun:
                        waited_s = self._clock.now() - asked_s
                        self.statistics.worst_start_s = max(self.statistics.worst_start_s, waited_s)
                        return line
            wanted = self._wanted(look)
            if wanted is not None:
                with self._lock:
                    self.check(token)
                    self._timeline = None
                    return End(wanted, self._clock.now())
            self.wait(token, START_LOOK_S)

    def _send(self, token: int, line: Timeline, look: Callable[[], Look]) -> End | None:
        """Send what a time line has; None when the queue ran dry at a speed that the motor survives."""
        braking: Ending | None = None
        lost_hz: float | None = None
        while True:
            wanted = self._wanted(look)
            with self._lock:
                self.check(token)
                if wanted is Ending.CUT:
                    return self._cut()
                if wanted is not None and braking is None:
                    braking = wanted
                    line.schedule = stopped(
                        line.schedule, line.committed_us, self._limits.deceleration, self._limits.gap_us
                    )
                if lost_hz is None:
                    lost_hz = self._feed(line)
            self.wait(token, LOOK_S)
            with self._lock:
                self.check(token)
                if self._look(line):
                    return self._over(line, braking, lost_hz)

    def _wanted(self, look: Callable[[], Look]) -> Ending | None:
        seen = look()
        if seen is Look.CUT:
            return Ending.CUT
        if self._stop:
            return Ending.STOPPED
        return Ending.BRAKED if seen is Look.BRAKE else None

    def _look(self, line: Timeline) -> bool:
        """See how far it has got; whether nothing is queued any more."""
        before_s = self._clock.now()
        room = self._line.room()
        after_s = self._clock.now()
        line.note(QUEUE - room, before_s, after_s)
        self._late_s = line.late_s(before_s)
        statistics = self.statistics
        statistics.worst_late_s = max(statistics.worst_late_s, self._late_s)
        if self._looked_s is not None:
            statistics.worst_feed_s = max(statistics.worst_feed_s, after_s - self._looked_s)
        self._looked_s = after_s
        return room == QUEUE

    def _feed(self, line: Timeline) -> float | None:
        """Queue what may be queued; a pulse rate when pulses at that rate came too late to follow those before without a gap."""
        while self._late_s <= LATE_S and line.wants_more():
            rate_hz, first = line.speed, line.committed_us == 0
            asked_s = self._clock.now()
            follows = self._line.send(line.next_wave())
            self.statistics.waves += 1
            if not follows:
                line.broke(asked_s)
                if not first:
                    self.statistics.underruns += 1
                if rate_hz > self._limits.safe_rate_hz:
                    return rate_hz
        return None

    def _over(self, line: Timeline, braking: Ending | None, lost_hz: float | None) -> End | None:
        """What follows from an empty queue."""
        rate_hz = line.speed
        self._count(line)
        if lost_hz is None and not line.exhausted and line.committed_us:
            self.statistics.underruns += 1
            if rate_hz > self._limits.safe_rate_hz:
                lost_hz = rate_hz
        assert self._looked_s is not None
        if lost_hz is not None:
            return End(Ending.LOST, self._looked_s, lost_hz)
        if line.exhausted or braking is not None:
            return End(braking or Ending.DONE, self._looked_s)
        return None

    def _count(self, line: Timeline) -> None:
        self.net += line.schedule.sign * line.committed
        self.statistics.pulses += line.committed
        self.statistics.kept_bytes += LEAK_BYTES * line.committed
        if line.committed:
            self.trace = Trace(line.rises_s(), line.latest_s - line.earliest_s)
        self._timeline = None

    def _cut(self) -> End:
        self._timeline = None
        self._line.cancel()
        return End(Ending.CUT, self._clock.now())
