"""The state machine on a simple rig, and a judge of everything it asks for.

`World.send` puts one event into the machine and checks every rule of `rigd.machine.table` against what is true of the rig,
which is kept apart from what the machine believes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rigd.machine import TABLE, refusal, step
from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Answer, Event
from rigd.machine.stack import DEPTH
from rigd.machine.state import Mode, Phase, Stack, State
from tests.property.machine_rig import BACKLASH, RAIL, Choices, Rig

MOVERS = (ev.Home, ev.Goto, ev.Jog, ev.TestShot, ev.StartStack, ev.Resume)
"""Commands after which something moves or is exposed."""
STOPPABLE = (fx.MoveRail, fx.JogRail, fx.StartHoming, fx.Expose, fx.TakeTestShot)
"""What must be given up when the rig is stopped, and is not begun again unasked."""
ALARMS = (ev.EStop, ev.LimitHit, ev.RailLost)
WAY_BACK: dict[Mode, Event] = {
    Mode.OFFLINE: ev.Connect(),
    Mode.UNHOMED: ev.Home(),
    Mode.FAULT: ev.ClearFault(),
    Mode.ESTOPPED: ev.ClearFault(),
}
"""What a helpful person does when nothing is under way. Any other mode must have something under way."""


@dataclass
class Job:
    """One stack, as somebody who only sees the effects would count it."""

    stack: Stack
    accepted: Counter[int] = field(default_factory=Counter)
    compared: bool = False
    refusals: Counter[int] = field(default_factory=Counter)
    """Pictures refused since the stack began or was resumed."""
    sequence: int = -1
    in_flight: dict[int, fx.ProcessFrame] = field(default_factory=dict)
    outcome: str | None = None


class World:
    """The truth about the rig, and the machine that should know it."""

    def __init__(self, choices: Choices) -> None:
        self.rig = Rig(choices)
        self.state = State(rail=RAIL)
        self.open: dict[int, fx.Effect] = {}
        """Effects without an answer yet; those in `abandoned` may still get a late one."""
        self.abandoned: set[int] = set()
        self.answers: list[Answer] = []
        self.top_serial = 0
        self.job: Job | None = None
        self.finished: list[Job] = []
        self.pressed = False
        """Whether the contact of the e-stop is."""
        self.quiet = True
        """Nobody has asked for motion or pictures since the rig was switched on or told to stop or pause."""
        self.seen: set[tuple[Mode, type[Event], Mode]] = set()
        self.moments: Counter[str] = Counter()

    # ------------------------------------------------------------------------------------------------- one event

    def send(self, event: Event) -> tuple[fx.Effect, ...]:
        """Put an event into the machine; every rule is checked against what comes out."""
        before = self.state
        live = not isinstance(event, Answer) or self._is_live(event)
        after, effects = step(before, event)
        if not live:
            self.moments["late answer"] += 1
            assert after is before, f"late {event} changed {before}"
            assert effects == (), f"late {event} led to {effects}"
            return effects
        if (reason := refusal(effects)) is not None:
            assert after is before
            assert len(effects) == 1
            assert reason.strip()
            assert not isinstance(event, (ev.Stop, *ALARMS, Answer)), f"{event} refused in {before.mode}"
            return effects
        assert (before.mode, type(event)) in TABLE
        assert after.mode in TABLE[before.mode, type(event)].goes
        self.seen.add((before.mode, type(event), after.mode))
        self.state = after
        if isinstance(event, Answer):
            assert (after, effects) != (before, ()), f"{event} was waited for and ignored"
            self.answers.append(event)
            self._judge_answer(event, self.open.pop(event.serial), before, effects)
        else:
            self._judge_command(event, before, effects)
        for effect in effects:
            self._judge_effect(effect, before)
        self._abandon(before, effects)
        if isinstance(event, (ev.Stop, *ALARMS)):
            assert not any(isinstance(effect, STOPPABLE) for effect in self.live()), f"{event} stops nothing"
        self._judge_state()
        return effects

    def _is_live(self, answer: Answer) -> bool:
        return answer.serial in self.open and answer.serial not in self.abandoned

    def _judge_command(self, event: Event, before: State, effects: tuple[fx.Effect, ...]) -> None:
        kinds = {type(effect) for effect in effects}
        if isinstance(event, MOVERS):
            assert self.rig.heading is None, "told to set off or to expose while it moves"
            self.quiet = False
        if isinstance(event, ev.EStop):
            self.pressed = self.pressed or event.held
        if isinstance(event, ev.EStopReleased):
            assert self.pressed
            assert effects == ()
            self.pressed = False
        if isinstance(event, ev.ClearFault):
            assert not self.pressed, "cleared while the contact is pressed"
        if isinstance(event, (ev.Stop, ev.Pause, ev.Abort, ev.Suspend, *ALARMS)):
            self.quiet = True
        if isinstance(event, (ev.Stop, *ALARMS)):
            assert kinds & {fx.StopRail, fx.HaltRail}
        if isinstance(event, ALARMS):
            assert fx.HaltRail in kinds
            assert self.state.position is None
            for_good = isinstance(event, ev.EStop) or before.mode is Mode.ESTOPPED
            assert self.state.mode is (Mode.ESTOPPED if for_good else Mode.FAULT)
        elif before.mode in {Mode.ESTOPPED, Mode.FAULT}:
            assert isinstance(event, (ev.ClearFault, ev.Stop, ev.EStopReleased))
        if isinstance(event, ev.Resume):
            assert self.job is not None
            self.job.refusals.clear()

    def _judge_answer(
        self, answer: Answer, effect: fx.Effect, before: State, effects: tuple[fx.Effect, ...]
    ) -> None:
        boast = not self.rig.position_kept and getattr(answer, "position", None) is not None
        self.moments["position boasted"] += boast
        if isinstance(effect, fx.ProcessFrame):
            assert isinstance(answer, (ev.Verdict, ev.Failed))
            self._judge_verdict(answer, before)
        elif isinstance(answer, ev.ShutterClosed):
            self._judge_picture(answer, before, {type(effect) for effect in effects})
        elif isinstance(answer, ev.Failed) and isinstance(effect, fx.Expose) and answer.frame_only:
            self._refused(effect.frame)
            assert self.state.mode is not Mode.FAULT
        elif isinstance(effect, fx.TakeTestShot) and (isinstance(answer, ev.TestTaken) or answer.frame_only):
            self.moments["test shot taken" if isinstance(answer, ev.TestTaken) else "test shot failed"] += 1
            assert effects == ()
            assert self.state.mode is (Mode.IDLE if before.homed else Mode.UNHOMED)
            assert self.state.position == before.position
        elif isinstance(answer, ev.Failed):
            assert self.state.mode is Mode.FAULT
            assert self.state.fault is not None
            assert answer.what in self.state.fault.message
        if isinstance(answer, ev.SessionClosed):
            assert self.job is not None
            self.finished.append(self.job)
            self.job = None

    def _judge_picture(self, event: ev.ShutterClosed, before: State, kinds: set[type[fx.Effect]]) -> None:
        """A picture goes on to the disk if, and only if, its evidence is whole."""
        assert self.job is not None
        assert before.stack is not None
        assert before.stack.frame is not None
        assert self.rig.settled_s is not None
        flaws = {
            "early": event.start_s < self.rig.settled_s or self.rig.settled_s < self.rig.ended_s,
            "backward": event.end_s < event.start_s,
            "again": event.sequence <= self.job.sequence,
        }
        self.moments.update(flaw for flaw, there in flaws.items() if there)
        proven = not any(flaws.values())
        assert (fx.ProcessFrame in kinds) == proven
        assert (fx.RejectFrame in kinds) != proven
        if proven:
            self.job.sequence = event.sequence
        else:
            self._refused(before.stack.frame)

    def _refused(self, frame: int) -> None:
        assert self.job is not None
        self.job.refusals[frame] += 1

    def _judge_verdict(self, answer: ev.Verdict | ev.Failed, before: State) -> None:
        assert self.job is not None
        assert before.stack is not None
        process = self.job.in_flight.pop(answer.serial)
        if isinstance(answer, ev.Verdict) and answer.accepted:
            if process.comparison:
                self.job.compared = True
            else:
                self.job.accepted[process.frame] += 1
            return
        self._refused(process.frame)
        self.moments["refused while the next is exposed"] += before.stack.phase is Phase.EXPOSING
        helps = answer.retake if isinstance(answer, ev.Verdict) else answer.frame_only
        if self.state.mode is Mode.CAPTURING and (process.comparison or not helps):
            assert self.state.stack is not None
            assert self.state.stack.pause_asked is not None, "taking it again would not help"

    # ------------------------------------------------------------------------------------------------- effects

    def _judge_effect(self, effect: fx.Effect, before: State) -> None:
        assert effect.serial > self.top_serial
        self.top_serial = effect.serial
        if effect.answer is not None or isinstance(effect, fx.HaltRail):
            self.open[effect.serial] = effect
        if isinstance(effect, STOPPABLE):
            assert not self.quiet, "nobody asked for this since the rig was stopped"
        judge = getattr(self, f"_judge_{type(effect).__name__.lower()}", None)
        if judge is not None:
            judge(effect, before)

    def _judge_moverail(self, effect: fx.MoveRail, before: State) -> None:
        assert self.rig.position_kept
        assert RAIL.min <= effect.target <= RAIL.max
        self.rig.set_off(effect.target)
        if self.state.stack is not None and self.state.stack.phase is Phase.APPROACHING:
            self.moments["backing off"] += 1

    def _judge_jograil(self, effect: fx.JogRail, before: State) -> None:
        assert 0 < abs(effect.distance) <= RAIL.jog_max
        if before.homed:
            assert RAIL.min <= self.rig.place + effect.distance <= RAIL.max
        self.rig.set_off(self.rig.place + effect.distance)

    def _judge_starthoming(self, effect: fx.StartHoming, before: State) -> None:
        self.rig.set_off(0)
        self.rig.position_kept = False

    def _judge_stoprail(self, effect: fx.StopRail, before: State) -> None:
        if self.state.awaiting != effect.serial:
            self.rig.stand_still()

    def _judge_haltrail(self, effect: fx.HaltRail, before: State) -> None:
        self.rig.stand_still()
        self.rig.position_kept, self.rig.halted = False, True

    def _judge_releaserail(self, effect: fx.ReleaseRail, before: State) -> None:
        assert self.rig.heading is None
        self.rig.position_kept, self.rig.settled_s = False, None

    def _judge_beginsession(self, effect: fx.BeginSession, before: State) -> None:
        assert self.job is None
        self.job = Job(effect.stack)

    def _judge_expose(self, effect: fx.Expose, before: State) -> None:
        assert self.job is not None
        plan = self.job.stack.plan
        assert self.rig.heading is None, "exposed while moving"
        assert effect.position == self.rig.place == plan.positions[effect.frame]
        assert self.rig.settled_s is not None, "exposed without a settle after the last motion"
        assert effect.not_before_s >= self.rig.settled_s >= self.rig.ended_s
        assert self.rig.travel * plan.direction > BACKLASH, "approached from the wrong side"
        self.moments["retake"] += self.job.refusals[effect.frame] > 0
        assert self.job.refusals[effect.frame] <= self.job.stack.max_retries
        assert len(self.job.in_flight) < DEPTH
        if self.job.stack.compare is not None and not self.job.compared:
            assert effect.frame == self.job.stack.compare
        else:
            assert effect.frame in self.job.stack.order
            assert not self.job.accepted[effect.frame]
            assert effect.frame not in [process.frame for process in self.job.in_flight.values()]

    def _judge_taketestshot(self, effect: fx.TakeTestShot, before: State) -> None:
        assert self.job is None, "a test shot while a stack is under way"
        assert self.rig.heading is None, "a test shot while moving"
        assert effect.position == before.position
        assert effect.position in {None, self.rig.place}

    def _judge_processframe(self, effect: fx.ProcessFrame, before: State) -> None:
        assert self.job is not None
        proof = effect.evidence
        assert proof.position == proof.asked == self.job.stack.plan.positions[effect.frame]
        assert proof.moved_s == self.rig.ended_s
        assert proof.moved_s <= proof.settled_s <= proof.start_s <= proof.end_s
        assert effect.comparison == (self.job.stack.compare is not None and not self.job.compared)
        self.job.in_flight[effect.serial] = effect
        assert len(self.job.in_flight) <= DEPTH
        self.moments["comparison"] += effect.comparison
        self.moments["two in flight"] += len(self.job.in_flight) == 2

    def _judge_closesession(self, effect: fx.CloseSession, before: State) -> None:
        assert self.job is not None
        self.job.outcome = effect.outcome
        if effect.outcome == "complete":
            assert self.job.accepted == Counter(self.job.stack.order)
            assert self.job.compared == (self.job.stack.compare is not None)

    def _judge_suspendsession(self, effect: fx.SuspendSession, before: State) -> None:
        assert self.job is not None
        assert effect.why
        self.job.outcome = "suspended"
        if self.state.stack is None:
            self.finished.append(self.job)
            self.job = None

    def _abandon(self, before: State, effects: tuple[fx.Effect, ...]) -> None:
        """Which effects nobody should wait for any more."""
        new = {effect.serial for effect in effects}
        old = {serial for serial in self.open if serial not in new}
        pictures = {serial for serial in old if isinstance(self.open[serial], fx.ProcessFrame)}
        kinds = {type(effect) for effect in effects}
        stopping = fx.StopRail in kinds and self.state.awaiting in new
        if any(isinstance(self.open[serial], fx.TakeTestShot) for serial in old - self.abandoned):
            given_up = fx.HaltRail in kinds or stopping
            assert given_up or self.state.mode is Mode.TESTING, "a test shot is forgotten"
            self.moments["test shot given up"] += given_up
        if fx.HaltRail in kinds or (before.stack is not None and self.state.stack is None):
            self.abandoned |= old
        elif stopping or (self.state.mode is Mode.PAUSED and before.mode is not Mode.PAUSED):
            self.abandoned |= old - pictures
        for effect in effects:
            unawaited = isinstance(effect, (fx.HaltRail, fx.StopRail, fx.ReleaseRail, fx.SuspendSession))
            if unawaited and self.state.awaiting != effect.serial:
                self.abandoned.add(effect.serial)

    def _judge_state(self) -> None:
        """What must be true of every reachable state."""
        state = self.state
        assert state.serial == self.top_serial
        if state.homed:
            assert self.rig.position_kept, "claims a position that nobody can know"
            standing = self.rig.heading is None and state.mode is not Mode.STOPPING
            assert not standing or state.position == self.rig.place
        if state.mode in {Mode.IDLE, Mode.UNHOMED, Mode.PAUSED}:
            assert self.rig.heading is None
            assert state.awaiting is None
            assert state.homed == (state.mode is not Mode.UNHOMED)
        assert state.estop_held == self.pressed
        assert not self.pressed or state.mode is Mode.ESTOPPED
        if state.mode is Mode.TESTING:
            assert self.rig.heading is None
            assert isinstance(self.open.get(state.awaiting or 0), fx.TakeTestShot)
        assert (state.fault is not None) == (state.mode in {Mode.FAULT, Mode.ESTOPPED})
        if state.fault is not None:
            assert state.fault.next_step
            assert state.fault.message
        has_stack = state.stack is not None
        assert has_stack == (self.job is not None)
        assert has_stack or state.mode not in {Mode.CAPTURING, Mode.PAUSED}
        assert not has_stack or state.mode in {Mode.CAPTURING, Mode.PAUSED, Mode.STOPPING}
        if state.mode is Mode.PAUSED:
            assert state.stack is not None
            assert state.stack.why
            self.moments["paused by failure"] += "failed" in state.stack.why
        if state.stack is not None and self.job is not None:
            assert state.stack.accepted == self.job.accepted.total()
            assert {entry.serial for entry in state.stack.in_flight} == set(self.job.in_flight)

    # ------------------------------------------------------------------------------------------------- answers

    def live(self) -> list[fx.Effect]:
        """Effects whose answer is waited for, oldest first."""
        return [effect for serial, effect in self.open.items() if serial not in self.abandoned]

    def succeed(self, effect: fx.Effect) -> tuple[fx.Effect, ...]:
        """Carry an effect out, as a rig that works would."""
        return self.send(self.rig.carry_out(effect, really=effect.serial not in self.abandoned))

    def spoil(self, effect: fx.Effect) -> tuple[fx.Effect, ...]:
        """Answer an effect with bad news."""
        really = effect.serial not in self.abandoned
        answer = self.rig.carry_out(effect, really=really)
        return self.send(self.rig.spoil(effect, answer, really=really))

    def confuse(self, effect: fx.Effect) -> None:
        """Answers of a kind that this effect cannot have change nothing."""
        for wrong in (ev.Settled(effect.serial, 0.0), ev.Homed(effect.serial, 0), ev.Released(effect.serial)):
            if type(wrong) is not effect.answer:
                after, effects = step(self.state, wrong)
                assert after is self.state
                assert not effects or refusal(effects)

    # ------------------------------------------------------------------------------------------------- ways home

    def rescue(self, *, resume: bool) -> None:
        """What a helpful person does until the rig is idle. Fails when there is no way, or an endless one."""
        for _ in range(300):
            live = self.live()
            if live:
                self.succeed(live[0])
            elif self.state.mode is Mode.IDLE:
                return
            elif self.pressed:
                assert refusal(self.send(ev.ClearFault())), "cleared while the contact is pressed"
                self.send(ev.EStopReleased())
            elif self.state.mode is Mode.PAUSED:
                self.send(ev.Resume() if resume else ev.Abort())
            else:
                assert self.state.mode in WAY_BACK, f"nothing is under way: {self.state}"
                assert refusal(self.send(WAY_BACK[self.state.mode])) is None
        raise AssertionError(f"no way back to idle from {self.state}")
