"""What is true of the rig, whatever the state machine believes: rail, camera and disk as a handful of facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Answer
from rigd.machine.state import RailFacts
from rigd.plan import RailModel

T = TypeVar("T")
RAIL = RailFacts(min=20, max=900, jog_max=40)
BACKLASH = 7
RAIL_MODEL = RailModel(microstep_um=1.0, min_um=RAIL.min, max_um=RAIL.max, backlash_um=BACKLASH)


class Choices(Protocol):
    """Where chance comes from: Hypothesis, or a seeded generator."""

    def pick(self, of: Sequence[T]) -> T: ...

    def between(self, low: int, high: int) -> int: ...


class Rig:
    """A rail with a place, a direction of slack and a controller that counts; a camera that numbers its pictures."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.now_s = 1000.0
        self.place = 333
        self.heading: int | None = None
        """Where it moves to; None while it stands."""
        self.travel = 0
        """Since the last reversal, signed."""
        self.position_kept = choices.pick([True, False])
        """Whether anybody may claim to know `place`."""
        self.halted = False
        """Since the last homing."""
        self.boastful = choices.pick([True, False])
        """Whether the controller goes on counting from a place that it has lost, and tells so with confidence."""
        self.ended_s = 0.0
        self.settled_s: float | None = None
        """End of the settle; None since something moved."""
        self.picture = 0

    def set_off(self, to: int) -> None:
        assert self.heading is None, "told to move while it moves"
        self.heading, self.settled_s = to, None

    def arrive(self) -> None:
        assert self.heading is not None
        self._go(self.heading)
        self.heading, self.ended_s = None, self.now_s

    def stand_still(self) -> None:
        """The rail stops somewhere on its way, if it was on its way."""
        if self.heading is not None:
            low, high = sorted((self.place, self.heading))
            self._go(self.choices.between(low, high))
            self.heading, self.ended_s = None, self.now_s

    def _go(self, to: int) -> None:
        travelled = to - self.place
        self.travel = self.travel + travelled if travelled * self.travel >= 0 else travelled
        self.place = to

    # ------------------------------------------------------------------------------------------------- good answers

    def carry_out(self, effect: fx.Effect, *, really: bool) -> Answer:
        """The answer of a rig that works. Not really: the effect was abandoned, and its answer is only late."""
        self.now_s += 0.25
        if really:
            self._do(effect)
        serial, known = effect.serial, self.place if self.position_kept or self._boasts(effect) else None
        match effect:
            case fx.OpenDrivers():
                return ev.Connected(serial, known)
            case fx.StartHoming():
                return ev.Homed(serial, self.place)
            case fx.MoveRail() | fx.JogRail():
                return ev.MotionEnded(serial, known, self.now_s)
            case fx.StopRail() | fx.HaltRail():
                return ev.Stopped(serial, known)
            case fx.Expose():
                return self._expose(effect)
            case _:
                return self._paperwork(effect)

    def _boasts(self, effect: fx.Effect) -> bool:
        """Not when it is switched on, though: what it kept then is all that anybody has."""
        return self.boastful and (self.halted or not isinstance(effect, fx.OpenDrivers))

    def _do(self, effect: fx.Effect) -> None:
        match effect:
            case fx.StartHoming():
                self.stand_still()
                self.place, self.travel = self.choices.between(0, 30), 0
                self.position_kept, self.halted = True, False
            case fx.MoveRail() | fx.JogRail():
                self.arrive()
            case fx.StopRail():
                self.stand_still()
            case fx.WaitSettled():
                self.settled_s = self.now_s
            case _:
                pass

    def _expose(self, effect: fx.Expose) -> ev.ShutterClosed:
        self.picture += 1
        start_s = max(self.now_s, effect.not_before_s)
        self.now_s = start_s + 0.1
        return ev.ShutterClosed(effect.serial, start_s, self.now_s, self.picture)

    def _paperwork(self, effect: fx.Effect) -> Answer:
        match effect:
            case fx.WaitSettled():
                return ev.Settled(effect.serial, self.now_s)
            case fx.ProcessFrame():
                return ev.Verdict(effect.serial, accepted=True)
            case fx.ReleaseRail():
                return ev.Released(effect.serial)
            case fx.BeginSession():
                return ev.SessionReady(effect.serial)
            case fx.TakeTestShot():
                return ev.TestTaken(effect.serial)
            case _:
                return ev.SessionClosed(effect.serial)

    # ------------------------------------------------------------------------------------------------- bad answers

    def spoil(self, effect: fx.Effect, answer: Answer, *, really: bool) -> Answer:
        """The same answer with bad news in it, where that kind of answer can have any."""
        pick, serial = self.choices.pick, answer.serial
        match answer:
            case ev.ShutterClosed(_, start_s, end_s, sequence):
                assert isinstance(effect, fx.Expose)
                early = ev.ShutterClosed(serial, effect.not_before_s - 0.001, end_s, sequence)
                backward = ev.ShutterClosed(serial, end_s, start_s, sequence)
                again = ev.ShutterClosed(serial, start_s, end_s, pick([sequence - 1, 0]))
                return pick([early, backward, again, ev.Failed(serial, "the camera hangs", frame_only=True)])
            case ev.Verdict():
                blurred = ev.Verdict(serial, accepted=False, reason=pick(["not sharp", ""]))
                full = ev.Verdict(serial, accepted=False, reason=pick(["disk full", ""]), retake=False)
                lost = ev.Failed(serial, "lost", frame_only=pick([True, False]))
                return pick([blurred, blurred, full, lost])
            case ev.MotionEnded(_, int(position), ended_s) if isinstance(effect, fx.MoveRail):
                return ev.MotionEnded(serial, position + pick([-1, 1, 100]), ended_s)
            case ev.TestTaken():
                return ev.Failed(serial, "no picture", frame_only=pick([True, True, False]))
            case ev.Stopped(_, int()):
                self.position_kept = self.position_kept and not really
                return ev.Stopped(serial, None)
            case _:
                return answer
