"""Where the rail is, from what the controller says. No threads and no port: messages in, status and wishes out.

Rules: a position is known only since a homing, and stays known only as long as every report at rest agrees with it. What was not
asked for (a reset, an alarm, a motion, a stop short of the target) makes it unknown.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from drivers.base import Limit, RailStatus
from drivers.grbl import codes
from drivers.grbl.counting import Scale
from drivers.grbl.protocol import Mode, Report

UNDER_WAY = frozenset({Mode.RUN, Mode.JOG, Mode.HOME})
CANCEL_AGAIN_S = 0.05
"""A cancel that comes before its jog is not heard; it is said again while the jog goes on."""
AGREEING = 2
"""So many equal reports at rest are believed. A byte lost on the way can make a wrong one."""
CONTRADICTING = 3
"""So many reports at rest that contradict the count are believed."""


class Kind(enum.Enum):
    """What a motion is for."""

    MOVE = "move"
    FREE = "jog before homing"
    HOME = "homing"
    SETTLE = "settling on a step"


class Wish(enum.Enum):
    """What the controller should be sent."""

    CANCEL = "cancel the jog"
    SETTLE = "go to the step `Tracker.settle_at`"


@dataclass(slots=True)
class Motion:
    """A motion that was asked for."""

    kind: Kind
    start_s: float
    target: int | None = None
    """Rail position, None where none is known."""
    acknowledged: bool = False
    stopping: bool = False
    cancelled_s: float = -1.0


class Tracker:
    """The rail's status. Whoever owns it guards it with a lock.

    Args:
        scale: between rail and wire.
        travel: length of the rail in microsteps: no position lies beyond.
        axis: number of the axis in reports.
        axis_letter: its letter.
        inches: reports are in inches.
        zeros: steps at which the controller may stand after homing, as its settings say.
    """

    def __init__(
        self,
        scale: Scale,
        *,
        travel: int,
        axis: int = 0,
        axis_letter: str = "X",
        inches: bool = False,
        zeros: tuple[int, ...] = (),
    ) -> None:
        self.scale = scale
        self.travel = travel
        self.status = RailStatus(moving=False, homed=False, position=None)
        self.motion: Motion | None = None
        self.settle_at: int | None = None
        """Machine step of a wish to settle."""
        self._axis = axis
        self._letter = axis_letter
        self._inches = inches
        self._zeros = zeros
        self._zero: int | None = None
        """Machine step of rail position 0."""
        self._previous: tuple[float, ...] | None = None
        self._equal = 0
        self._wrong = 0
        self._idle_s: float | None = None

    # ------------------------------------------------------------------------------------------------- what is asked for

    def begin(self, motion: Motion) -> None:
        """A motion is about to be sent."""
        self.motion = motion
        self._forget_reports()
        self.status = replace(
            self.status, moving=True, target=motion.target, ended_s=None, alarm=None, limit=Limit.NONE
        )
        if motion.kind is Kind.HOME:
            self._zero = None
            self.status = replace(self.status, homed=False, position=None, home_error=None)

    def acknowledged(self) -> Wish | None:
        """The controller has taken the motion: what it reports from here on is of this motion."""
        if self.motion is None:
            return None
        self.motion.acknowledged = True
        self._forget_reports()
        return Wish.CANCEL if self.motion.stopping else None

    def stand(self, now_s: float) -> None:
        """The motion that was begun is not to be, or has no way to go."""
        self.motion = None
        self.status = replace(self.status, moving=False, target=None, ended_s=now_s)

    def refused(self, now_s: float, alarm: str | None = None) -> None:
        """The controller did not take the motion. A position that was known still is."""
        self.stand(now_s)
        self.status = replace(self.status, alarm=alarm)

    def stop(self) -> Motion | None:
        """A stop is wanted; the motion that it is for."""
        if self.motion is not None:
            self.motion.stopping = True
        return self.motion

    def forget(self, now_s: float | None, alarm: str | None = None) -> None:
        """Nothing moves any more, and the position is unknown. Of several alarms the first is kept: the others follow from it."""
        ended_s = now_s if self.motion is not None else self.status.ended_s
        self.motion = self._zero = None
        self._forget_reports()
        self.status = RailStatus(
            moving=False,
            homed=False,
            position=None,
            ended_s=ended_s,
            limit=self.status.limit,
            alarm=alarm and (self.status.alarm or alarm),
        )

    def machine_step(self, position: int) -> int:
        """The controller's step of a rail position. Only while homed."""
        assert self._zero is not None
        return self._zero + self.scale.direction * position

    # ---------------------------------------------------------------------------------------------------- what is reported

    def report(self, report: Report, now_s: float) -> Wish | None:
        """A report has come; what should be done about it."""
        self._note_limit(report)
        if report.mode is Mode.ALARM:
            self._alarmed(report, now_s)
            return None
        if self.motion is None:
            self._at_rest(report, now_s)
            return None
        return self._of_motion(report, now_s) if self.motion.acknowledged else None

    def _of_motion(self, report: Report, now_s: float) -> Wish | None:
        if report.mode in UNDER_WAY or (report.mode is Mode.HOLD and report.detail == 1):
            return self._moving(report, now_s)
        if report.mode in {Mode.IDLE, Mode.HOLD}:
            return self._arriving(report, now_s)
        self.forget(now_s, f"the controller is in the state {report.mode.value}: home the rail")
        return None

    def _note_limit(self, report: Report) -> None:
        limit = Limit.NONE
        if self._letter in report.pins:
            position = self.status.position
            limit = Limit.FAR if position is not None and position > self.travel // 2 else Limit.HOME
        if limit is not self.status.limit:
            self.status = replace(self.status, limit=limit)

    def _alarmed(self, report: Report, now_s: float) -> None:
        """The state Alarm is also how Grbl waits to be homed: then it is no news."""
        standing = report.detail in {10, 17}
        if self._zero is not None or standing or (self.motion is not None and self.motion.acknowledged):
            what = codes.alarm_words(report.detail) if report.detail else "the controller is in alarm"
            self.forget(now_s, f"{what}: home the rail")

    def _at_rest(self, report: Report, now_s: float) -> None:
        if report.mode in UNDER_WAY:
            # A report may be on its way when a halt is; a motion that goes on is told again.
            if self._contradicted():
                self.forget(now_s, "the rail moves and was not asked to: home it")
        elif report.mode in {Mode.SLEEP, Mode.CHECK}:
            if self._zero is not None:
                self.forget(now_s, f"the controller is in the state {report.mode.value}: home the rail")
        elif (position := self.status.position) is not None:
            if self.machine_step(position) in self._steps(report):
                self._wrong = 0
            elif report.machine is not None and self._contradicted():
                self.forget(now_s, "the controller's count is not what it was: home the rail")

    def _contradicted(self) -> bool:
        self._wrong += 1
        return self._wrong >= CONTRADICTING

    def _steps(self, report: Report) -> range:
        """The machine steps that a report can mean; none when it tells no position."""
        if report.machine is None or len(report.machine) <= self._axis:
            return range(0)
        place = report.machine[self._axis]
        decimals = report.decimals[self._axis]
        return self.scale.candidates(place, decimals, inches=self._inches, summed=report.summed)

    def _moving(self, report: Report, now_s: float) -> Wish | None:
        assert self.motion is not None
        self._idle_s, self._equal, self._wrong = None, 0, 0
        steps = self._steps(report)
        if self.status.homed and steps:
            self.status = replace(self.status, position=self._between(steps))
        if self.motion.stopping and now_s - self.motion.cancelled_s >= CANCEL_AGAIN_S:
            return Wish.CANCEL
        return None

    def _between(self, steps: range) -> int | None:
        """Where a moving rail is, never behind where it was, never beyond where it goes."""
        assert self._zero is not None
        here, target = self.status.position, self.status.target
        now = self.scale.direction * (steps[len(steps) // 2] - self._zero)
        if here is None or target is None:
            return now
        low, high = sorted((here, target))
        return max(low, min(high, now))

    def _arriving(self, report: Report, now_s: float) -> Wish | None:
        """At rest, at last. Whether at the target is another question."""
        motion = self.motion
        assert motion is not None
        self._idle_s = now_s if self._idle_s is None else self._idle_s
        if motion.kind is Kind.FREE:
            self._end(None)
        if report.machine is None or motion.kind is Kind.FREE:
            return None
        self._equal = self._equal + 1 if report.machine == self._previous else 1
        self._previous = report.machine
        steps = self._steps(report)
        if motion.kind is Kind.HOME:
            return self._homed(steps) if self._equal >= AGREEING else None
        return self._counted(motion, steps)

    def _counted(self, motion: Motion, steps: range) -> Wish | None:
        assert motion.target is not None
        goal = self.machine_step(motion.target)
        if goal in steps and (len(steps) == 1 or not motion.stopping):
            self._end(motion.target)
        elif motion.stopping:
            return self._stopped(steps, goal) if self._equal >= AGREEING else None
        elif self._contradicted():
            self.forget(
                self._idle_s, "the rail stopped before its target, and nobody here stopped it: home it"
            )
        return None

    def _stopped(self, steps: range, goal: int) -> Wish | None:
        """A cancelled jog stands on the step that is reported, or on one of a few: then it goes on to the last of them."""
        if len(steps) == 1:
            self._end(self._position(steps[0]))
            return None
        return self._settle(max(steps[0], min(steps[-1], goal)))

    def _homed(self, steps: range) -> Wish | None:
        named = {zero for zero in self._zeros if zero in steps}
        if len(steps) == 1 or len(named) == 1:
            self._zero = steps[0] if len(steps) == 1 else named.pop()
            self.status = replace(self.status, homed=True)
            self._end(0)
            return None
        self._zero = steps[-1] if self.scale.direction > 0 else steps[0]
        return self._settle(self._zero)

    def _position(self, step: int) -> int:
        assert self._zero is not None
        return self.scale.direction * (step - self._zero)

    def _settle(self, step: int) -> Wish:
        """Ask for the last fraction of a micrometre, so that the step is known."""
        assert self.motion is not None
        self.motion = Motion(Kind.SETTLE, self.motion.start_s, self._position(step))
        self.settle_at = step
        self._forget_reports(keep_idle=True)
        self.status = replace(self.status, moving=True)
        return Wish.SETTLE

    def _end(self, position: int | None) -> None:
        known = self._zero is not None
        self.motion = None
        self._wrong = 0
        self.status = replace(
            self.status,
            moving=False,
            homed=known,
            position=position if known else None,
            target=None,
            ended_s=self._idle_s,
        )

    def _forget_reports(self, *, keep_idle: bool = False) -> None:
        self._previous, self._equal, self._wrong = None, 0, 0
        if not keep_idle:
            self._idle_s = None
