"""The state machine, as a table: which events each mode takes, what they do, and where they may lead.

`step` is the only way to change a state. What the table does not list is refused with a reason and changes nothing; an answer
to an effect that nobody waits for any more is ignored. The diagram in `docs/states.md` is drawn from this table.

The rules that hold in every reachable state, each of them a property test:

1. no motion before home is known, except homing and a bounded, slow jog;
2. no target outside the soft limits;
3. no exposure while moving or before the settle is over, and no accepted frame without that evidence;
4. every frame of a stack is approached from the same side by more than the backlash;
5. stop, e-stop, limit switch and a lost controller are obeyed in every mode; after the last three the position is unknown;
6. an event that is not valid changes nothing and says why; a late answer is ignored;
7. from every state there is a way back to idle, or to a fault that names what to do next;
8. while the contact of the e-stop is pressed the rig stays stopped, whatever is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine import frames, motion, stack
from rigd.machine.kinds import Answer, Event
from rigd.machine.motion import Step
from rigd.machine.state import Mode, State

M = Mode


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table."""

    act: Callable[[State, Any], Step]
    goes: frozenset[Mode]
    """Every mode that may follow, when the event is not refused."""


def rule(act: Callable[[State, Any], Step], *goes: Mode) -> Rule:
    """A cell: what to do, and where it may lead."""
    return Rule(act, frozenset(goes))


RESTING = (M.UNHOMED, M.IDLE)
TABLE: dict[tuple[Mode, type[Event]], Rule] = {
    # Connecting and homing
    (M.OFFLINE, ev.Connect): rule(motion.connect, M.OFFLINE),
    (M.OFFLINE, ev.Connected): rule(motion.connected, *RESTING),
    (M.OFFLINE, ev.Failed): rule(motion.failed, M.FAULT),
    (M.UNHOMED, ev.Home): rule(motion.home, M.HOMING),
    (M.IDLE, ev.Home): rule(motion.home, M.HOMING),
    (M.HOMING, ev.Homed): rule(motion.homed, M.IDLE),
    (M.HOMING, ev.Failed): rule(motion.failed, M.FAULT),
    # Moving
    (M.IDLE, ev.Goto): rule(motion.goto, M.MOVING),
    (M.IDLE, ev.Jog): rule(motion.jog, M.MOVING),
    (M.UNHOMED, ev.Jog): rule(motion.jog, M.MOVING),
    (M.IDLE, ev.Release): rule(motion.release, M.UNHOMED),
    (M.UNHOMED, ev.Release): rule(motion.release, M.UNHOMED),
    (M.MOVING, ev.MotionEnded): rule(motion.motion_ended, M.IDLE, M.UNHOMED, M.FAULT),
    (M.MOVING, ev.Failed): rule(motion.failed, M.FAULT),
    # One picture outside of any stack
    (M.IDLE, ev.TestShot): rule(motion.take_test_shot, M.TESTING),
    (M.UNHOMED, ev.TestShot): rule(motion.take_test_shot, M.TESTING),
    (M.TESTING, ev.TestTaken): rule(motion.shot_taken, *RESTING),
    (M.TESTING, ev.Failed): rule(motion.shot_failed, *RESTING, M.FAULT),
    (M.TESTING, ev.Stop): rule(motion.stop_motion, M.STOPPING),
    # A stack
    (M.IDLE, ev.StartStack): rule(stack.start, M.CAPTURING),
    (M.CAPTURING, ev.SessionReady): rule(stack.session_ready, M.CAPTURING, M.PAUSED),
    (M.CAPTURING, ev.MotionEnded): rule(stack.motion_ended, M.CAPTURING, M.FAULT),
    (M.CAPTURING, ev.Settled): rule(stack.settled, M.CAPTURING),
    (M.CAPTURING, ev.ShutterClosed): rule(frames.shutter_closed, M.CAPTURING, M.PAUSED),
    (M.CAPTURING, ev.Verdict): rule(frames.verdict, M.CAPTURING, M.STOPPING, M.PAUSED),
    (M.CAPTURING, ev.Homed): rule(stack.homed_again, M.CAPTURING),
    (M.CAPTURING, ev.Released): rule(stack.released, M.CAPTURING),
    (M.CAPTURING, ev.SessionClosed): rule(stack.session_closed, *RESTING),
    (M.CAPTURING, ev.Failed): rule(frames.exposure_failed, M.CAPTURING, M.STOPPING, M.PAUSED, M.FAULT),
    (M.CAPTURING, ev.Pause): rule(stack.pause, M.CAPTURING, M.STOPPING, M.PAUSED),
    (M.CAPTURING, ev.Stop): rule(stack.stop, M.CAPTURING, M.STOPPING),
    (M.CAPTURING, ev.Abort): rule(stack.abort, M.STOPPING),
    (M.CAPTURING, ev.Suspend): rule(stack.suspend, M.STOPPING),
    # A paused stack
    (M.PAUSED, ev.Resume): rule(stack.resume, M.CAPTURING),
    (M.PAUSED, ev.Abort): rule(stack.abort, M.STOPPING),
    (M.PAUSED, ev.Suspend): rule(stack.suspend, M.STOPPING),
    (M.PAUSED, ev.Verdict): rule(frames.verdict, M.PAUSED),
    (M.PAUSED, ev.Failed): rule(frames.picture_lost, M.PAUSED),
    (M.PAUSED, ev.Stop): rule(motion.stop_again, M.PAUSED),
    # Stopping
    (M.MOVING, ev.Stop): rule(motion.stop_motion, M.STOPPING),
    (M.HOMING, ev.Stop): rule(motion.stop_motion, M.STOPPING),
    (M.STOPPING, ev.Stop): rule(motion.stop_again, M.STOPPING),
    (M.STOPPING, ev.Stopped): rule(
        lambda state, event: (stack if state.stack else motion).stopped(state, event),
        *(M.IDLE, M.UNHOMED, M.PAUSED, M.STOPPING, M.FAULT),
    ),
    (M.STOPPING, ev.Verdict): rule(frames.verdict, M.STOPPING),
    (M.STOPPING, ev.SessionClosed): rule(stack.session_closed, *RESTING),
    (M.STOPPING, ev.Abort): rule(stack.abort_while_stopping, M.STOPPING),
    (M.STOPPING, ev.Suspend): rule(stack.suspend_while_stopping, M.STOPPING),
    (M.STOPPING, ev.Failed): rule(frames.failed_while_stopping, M.STOPPING, M.FAULT),
    **{
        (mode, ev.Stop): rule(motion.stop_again, mode)
        for mode in (M.OFFLINE, M.UNHOMED, M.IDLE, M.FAULT, M.ESTOPPED)
    },
    # What is obeyed everywhere
    **{(mode, ev.EStop): rule(motion.estop, M.ESTOPPED) for mode in Mode},
    **{(mode, ev.LimitHit): rule(motion.limit_hit, M.FAULT) for mode in Mode if mode is not M.ESTOPPED},
    **{(mode, ev.RailLost): rule(motion.rail_lost, M.FAULT) for mode in Mode if mode is not M.ESTOPPED},
    (M.ESTOPPED, ev.LimitHit): rule(motion.note_alarm_estopped, M.ESTOPPED),
    (M.ESTOPPED, ev.RailLost): rule(motion.note_alarm_estopped, M.ESTOPPED),
    (M.ESTOPPED, ev.EStopReleased): rule(motion.estop_released, M.ESTOPPED),
    (M.ESTOPPED, ev.ClearFault): rule(motion.clear_fault, M.OFFLINE),
    (M.FAULT, ev.ClearFault): rule(motion.clear_fault, M.OFFLINE),
}


def step(state: State, event: Event) -> Step:
    """The next state and what to do, for one event. Pure.

    A refused event gives back the very same state and one `Refuse`; a late answer gives it back with nothing to do.
    """
    if isinstance(event, Answer):
        if not _awaited(state, event):
            return state, ()
        if event.serial == state.awaiting and type(event) not in {ev.Failed, state.answer}:
            return motion.refuse(state, f"{type(event).__name__} is not the answer to what was asked")
    found = TABLE.get((state.mode, type(event)))
    if found is None:
        return motion.refuse(state, _impossible(state, type(event)))
    return found.act(state, event)


def refusal(effects: tuple[fx.Effect, ...]) -> str | None:
    """Why the event was refused, or None when it was taken."""
    return next((effect.reason for effect in effects if isinstance(effect, fx.Refuse)), None)


def _awaited(state: State, answer: Answer) -> bool:
    if answer.serial == state.awaiting:
        return True
    return isinstance(answer, (ev.Verdict, ev.Failed)) and frames.waiting_for(state, answer) is not None


def words(event: type[Event]) -> str:
    """The name of an event as plain words: `start stack`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", event.__name__).lower()


def _impossible(state: State, event: type[Event]) -> str:
    """Why an event has no cell in this mode: where it has one, and how to get there."""
    modes = " or ".join(mode for mode in Mode if (mode, event) in TABLE)
    hint = f": {way_to_rest(state)}" if (M.IDLE, event) in TABLE else ""
    return f"{words(event)} is possible while {modes}, not while {state.mode}{hint}"


def way_to_rest(state: State) -> str:
    """What to do so that the rig is idle, in words. It must not be idle."""
    hints = {
        M.OFFLINE: "connect first",
        M.UNHOMED: "home first",
        M.HOMING: "wait or stop it",
        M.MOVING: "wait or stop it",
        M.TESTING: "wait for the picture or stop it",
        M.CAPTURING: "wait for the stack or abort it",
        M.PAUSED: "resume or abort the stack first",
        M.STOPPING: "wait until it stands",
    }
    return state.fault.next_step if state.fault else hints[state.mode]
