"""A bench for examples: it answers the machine as a good rig would, one thing at a time, and notes what was asked."""

from __future__ import annotations

from typing import TypeVar

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine import refusal, step
from rigd.machine.kinds import Event
from rigd.machine.state import EndAction, Mode, Phase, RailFacts, Stack, State
from rigd.plan import Plan, PlanRequest, RailModel, make_plan

E = TypeVar("E", bound=fx.Effect)
RAIL = RailFacts(min=0, max=1000, jog_max=50)
RAIL_MODEL = RailModel(microstep_um=1.0, min_um=0.0, max_um=1000.0, backlash_um=10.0)


def a_plan(*, near_first: bool = True) -> Plan:
    """Frames at 100, 120, 140 and 160 microsteps, or the other way round; overshoot 20, backlash 10."""
    return make_plan(PlanRequest(100, 160, frames=4, near_first=near_first), RAIL_MODEL)


def a_stack(plan: Plan | None = None, **changes) -> Stack:
    """All of a plan's frames, two retakes a frame, staying where the last one was taken."""
    plan = plan or a_plan()
    usual = {"order": tuple(range(plan.frames)), "end": EndAction.STAY, "park": 500, "max_retries": 2}
    return Stack(plan=plan, **{**usual, **changes})


class Bench:
    """A machine with its history of effects, and the verbs of a rig."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State(rail=RAIL)
        self.history: list[fx.Effect] = []
        self.asked: list[str] = []
        """What the last event led to, by name."""
        self.now_s = 100.0
        self.picture = 0

    # ------------------------------------------------------------------------------------------------- what is seen

    @property
    def mode(self) -> Mode:
        return self.state.mode

    @property
    def phase(self) -> Phase | None:
        return self.state.stack.phase if self.state.stack else None

    def last(self, kind: type[E]) -> E:
        """The effect of this kind that was asked for last."""
        return next(effect for effect in reversed(self.history) if isinstance(effect, kind))

    def frames_exposed(self) -> list[int]:
        return [effect.frame for effect in self.history if isinstance(effect, fx.Expose)]

    # ------------------------------------------------------------------------------------------------- what happens

    def tell(self, event: Event) -> list[str]:
        """Put an event to the machine; the names of the effects."""
        self.state, effects = step(self.state, event)
        self.history += effects
        self.asked = [type(effect).__name__ for effect in effects]
        self.refusal = refusal(effects)
        return self.asked

    def arrive(self, position: int | None = None) -> list[str]:
        self.now_s += 1.0
        move = self.last(fx.MoveRail)
        return self.tell(
            ev.MotionEnded(move.serial, move.target if position is None else position, self.now_s)
        )

    def settle(self) -> list[str]:
        self.now_s += 1.0
        return self.tell(ev.Settled(self.last(fx.WaitSettled).serial, self.now_s))

    def close_shutter(self, *, early_s: float = 0.0, again: bool = False) -> list[str]:
        self.now_s += 1.0
        self.picture += 0 if again else 1
        asked = self.last(fx.Expose)
        start_s = asked.not_before_s - early_s
        return self.tell(ev.ShutterClosed(asked.serial, start_s, self.now_s, self.picture))

    def accept(self, frame: int) -> list[str]:
        return self.tell(ev.Verdict(self.in_flight(frame), accepted=True))

    def refuse(self, frame: int, reason: str = "blurred", *, retake: bool = True) -> list[str]:
        return self.tell(ev.Verdict(self.in_flight(frame), accepted=False, reason=reason, retake=retake))

    def stopped(self, position: int | None) -> list[str]:
        return self.tell(ev.Stopped(self.last(fx.StopRail).serial, position))

    def in_flight(self, frame: int) -> int:
        """The serial number of a picture that waits for its verdict."""
        processed = [effect for effect in self.history if isinstance(effect, fx.ProcessFrame)]
        return next(effect.serial for effect in reversed(processed) if effect.frame == frame)

    # ------------------------------------------------------------------------------------------------- longer ways

    def home(self, position: int = 0) -> Bench:
        self.tell(ev.Connect())
        self.tell(ev.Connected(self.last(fx.OpenDrivers).serial))
        self.tell(ev.Home())
        self.tell(ev.Homed(self.last(fx.StartHoming).serial, position))
        return self

    def start(self, stack: Stack | None = None) -> Bench:
        """Homed, and the session of a stack on disk: the rail sets off."""
        self.home()
        self.tell(ev.StartStack(stack or a_stack()))
        self.tell(ev.SessionReady(self.last(fx.BeginSession).serial))
        return self

    def run_to(self, phase: Phase) -> Bench:
        """Onward with the frame under way."""
        moves = {Phase.APPROACHING: self.arrive, Phase.MOVING: self.arrive, Phase.SETTLING: self.settle}
        while self.phase is not phase:
            moves[self.phase]()
        return self

    def expose(self) -> list[str]:
        """Onward to the closing of the next shutter."""
        return self.run_to(Phase.EXPOSING).close_shutter()

    def take(self, *frames: int) -> Bench:
        """Take these frames and accept each at once."""
        for frame in frames:
            self.expose()
            self.accept(frame)
        return self
