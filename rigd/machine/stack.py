"""Rules for a stack: begin, approach, move, settle, and on to the next; pause, end, and close it.

Every frame is approached in the direction of capture by more than the backlash. What happens to a picture once its shutter
has closed is in `frames`.
"""

from __future__ import annotations

from dataclasses import replace

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.motion import Step, ask, at_place, at_rest, failed, give, outside, refuse, with_position
from rigd.machine.state import EndAction, Mode, Phase, Stack, State

DEPTH = 2
"""Pictures between shutter and verdict. Two keep the rail busy; each holds one picture in memory."""


def the_stack(state: State) -> Stack:
    """The stack under way. Modes that have one call this."""
    assert state.stack is not None
    return state.stack


def with_stack(state: State, **changes: object) -> State:
    """The state with its stack changed."""
    return replace(state, stack=replace(the_stack(state), **changes))  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------- commands


def start(state: State, event: ev.StartStack) -> Step:
    """Begin a stack, when every one of its positions may be reached."""
    stack, plan = event.stack, event.stack.plan
    taken = (*stack.order, *(() if stack.compare is None else (stack.compare,)))
    if not set(taken) <= set(range(plan.frames)) or len(set(stack.order)) < len(stack.order):
        return refuse(state, "the order names a frame twice, or one that the plan does not have")
    approaches = (position - plan.direction * plan.overshoot for position in plan.positions)
    targets = [*plan.positions, *approaches, *([stack.park] if stack.end is EndAction.PARK else [])]
    if reason := next((why for target in targets if (why := outside(state, target))), None):
        return refuse(state, reason)
    if plan.overshoot <= plan.backlash:
        return refuse(state, "the plan's overshoot does not exceed the backlash")
    if stack.next_frame is None:
        return refuse(state, "the stack has no frame left to take")
    return ask(replace(state, mode=Mode.CAPTURING, stack=stack), fx.BeginSession, stack=stack)


def pause(state: State, event: ev.Pause) -> Step:
    """Pause as soon as no shutter is open."""
    phase = the_stack(state).phase
    if phase in {Phase.ENDING, Phase.CLOSING}:
        return refuse(state, "the stack is complete and being closed")
    if phase in {Phase.STARTING, Phase.EXPOSING}:
        return with_stack(state, pause_asked=event.why), ()
    if phase in {Phase.APPROACHING, Phase.MOVING}:
        return ask(with_stack(replace(state, mode=Mode.STOPPING), why=event.why), fx.StopRail)
    return paused(state, event.why)


def stop(state: State, event: ev.Stop) -> Step:
    """Stop the rail now, drop the open exposure, and pause. A stack that only lacks its end action is closed without it."""
    phase = the_stack(state).phase
    if phase in {Phase.STARTING, Phase.CLOSING}:
        state, effect = give(state, fx.StopRail)
        state = state if phase is Phase.CLOSING else with_stack(state, pause_asked=event.why)
        return state, (effect,)
    if phase is Phase.ENDING:
        state = with_stack(state, closing="complete")
    return ask(with_stack(replace(state, mode=Mode.STOPPING), why=event.why), fx.StopRail)


def abort(state: State, _: ev.Abort) -> Step:
    """End for good."""
    return _end_early(state, "aborted", "aborted by the operator")


def suspend(state: State, event: ev.Suspend) -> Step:
    """Let go, to be resumed from disk."""
    return _end_early(state, "suspended", event.why)


def abort_while_stopping(state: State, _: ev.Abort) -> Step:
    """The rail is being stopped already: only change where that leads."""
    return _redirect(state, "aborted", "aborted by the operator")


def suspend_while_stopping(state: State, event: ev.Suspend) -> Step:
    """The rail is being stopped already: only change where that leads."""
    return _redirect(state, "suspended", event.why)


def resume(state: State, _: ev.Resume) -> Step:
    """Go on with a paused stack: the frame that comes next is approached anew."""
    state = with_stack(replace(state, mode=Mode.CAPTURING), pause_asked=None, why="", frame=None)
    state, note = give(state, fx.NoteSession, kind="resumed", why="")
    state, effects = go_on(state)
    return state, (note, *effects)


def _redirect(state: State, outcome: str, why: str) -> Step:
    if state.stack is None or state.stack.closing is not None:
        return refuse(state, "it is stopping already")
    return with_stack(state, closing=outcome, why=why, pause_asked=None), ()


def _end_early(state: State, outcome: str, why: str) -> Step:
    if the_stack(state).phase is Phase.CLOSING:
        return refuse(state, "the stack is being closed already")
    state = with_stack(replace(state, mode=Mode.STOPPING), closing=outcome, why=why, pause_asked=None)
    return ask(state, fx.StopRail)


# ------------------------------------------------------------------------------------------------------ moving along


def go_on(state: State) -> Step:
    """The shutter is closed: what comes next?"""
    stack = the_stack(state)
    if stack.pause_asked is not None:
        return paused(state, stack.pause_asked)
    frame = stack.next_frame
    if frame is None or any(waiting.comparison for waiting in stack.in_flight):
        if stack.in_flight:
            return with_stack(
                replace(state, awaiting=None, target=None), phase=Phase.CHECKING, frame=None
            ), ()
        return _end(state)
    return _toward(with_stack(state, frame=frame))


def _toward(state: State) -> Step:
    """Move to the frame, backing off first when its side would be wrong."""
    stack = the_stack(state)
    plan, position = stack.plan, state.position
    assert position is not None
    assert stack.frame is not None
    target = plan.positions[stack.frame]
    arriving = with_position(state, target)
    if arriving.run * plan.direction > plan.backlash:
        if position == target and stack.settled_s > 0:
            return expose(state)
        return _move(state, Phase.MOVING, target)
    return _move(state, Phase.APPROACHING, target - plan.direction * plan.overshoot)


def _move(state: State, phase: Phase, target: int) -> Step:
    state = with_stack(replace(state, target=target), phase=phase, settled_s=0.0)
    return ask(state, fx.MoveRail, target=target)


def expose(state: State) -> Step:
    """Open the shutter, or wait while too many pictures wait for their verdict."""
    stack = the_stack(state)
    if len(stack.in_flight) >= DEPTH:
        return with_stack(replace(state, awaiting=None), phase=Phase.CHECKING), ()
    state = with_stack(state, phase=Phase.EXPOSING)
    assert stack.frame is not None
    retry = stack.tries_of(stack.frame)
    return ask(
        state,
        fx.Expose,
        frame=stack.frame,
        position=state.position,
        not_before_s=stack.settled_s,
        retry=retry,
    )


def paused(state: State, why: str) -> Step:
    """Stand still with the stack kept. A frame that was under way is approached anew when it goes on."""
    state = replace(state, mode=Mode.PAUSED, awaiting=None, target=None)
    state = with_stack(state, phase=Phase.CHECKING, pause_asked=None, why=why, frame=None, settled_s=0.0)
    state, note = give(state, fx.NoteSession, kind="paused", why=why)
    return state, (note,)


def _end(state: State) -> Step:
    """Every frame is accepted: home again if asked, carry out the end action, close the session."""
    stack = the_stack(state)
    if stack.rehome:
        state = with_stack(replace(state, position=None, run=0), phase=Phase.ENDING, rehome=False)
        return ask(state, fx.StartHoming)
    end = stack.end
    state = with_stack(state, phase=Phase.ENDING, end=EndAction.STAY)
    if end is EndAction.RELEASE:
        return ask(with_position(state, None), fx.ReleaseRail)
    if end in {EndAction.PARK, EndAction.RETURN}:
        target = stack.park if end is EndAction.PARK else stack.plan.positions[0]
        if target != state.position:
            return ask(replace(state, target=target), fx.MoveRail, target=target)
    return ask(with_stack(state, phase=Phase.CLOSING), fx.CloseSession, outcome="complete")


# ------------------------------------------------------------------------------------------------------------ answers


def session_ready(state: State, _: ev.SessionReady) -> Step:
    """The session is on disk; go."""
    return go_on(state)


def motion_ended(state: State, event: ev.MotionEnded) -> Step:
    """The rail has arrived: at the approach, at a frame, or at its end position."""
    if event.position != state.target:
        return failed(
            state,
            ev.Failed(event.serial, f"the rail stopped at {event.position}, not {state.target}", "rail"),
        )
    travelled = 0 if state.position is None or event.position is None else event.position - state.position
    state = replace(with_position(state, event.position), target=None)
    phase = the_stack(state).phase
    if phase is Phase.ENDING:
        return _end(state)
    if phase is Phase.APPROACHING:
        return _toward(state)
    state = with_stack(state, phase=Phase.SETTLING, moved_s=event.ended_s)
    frame = the_stack(state).frame
    assert frame is not None
    return ask(state, fx.WaitSettled, moved_s=event.ended_s, travelled=travelled, frame=frame)


def homed_again(state: State, event: ev.Homed) -> Step:
    """Home was checked at the end."""
    return _end(with_position(replace(state, position=None), event.position))


def released(state: State, _: ev.Released) -> Step:
    """The motor is off at the end."""
    return _end(state)


def settled(state: State, event: ev.Settled) -> Step:
    """The rig is still."""
    return expose(with_stack(state, settled_s=event.at_s, wait=event.wait))


def stopped(state: State, event: ev.Stopped) -> Step:
    """The rail stands: pause, or close the session early."""
    state = at_place(replace(state, target=None), event.position)
    stack = the_stack(state)
    if stack.closing == "suspended":
        return ask(with_stack(state, phase=Phase.CLOSING), fx.SuspendSession, why=stack.why)
    if stack.closing is not None:
        return ask(
            with_stack(state, phase=Phase.CLOSING), fx.CloseSession, outcome=stack.closing, why=stack.why
        )
    if event.position is None:
        return failed(
            state, ev.Failed(event.serial, "the rail does not know its position after the stop", "rail")
        )
    return paused(state, stack.why)


def session_closed(state: State, _: ev.SessionClosed) -> Step:
    """The stack is over."""
    return at_rest(replace(state, stack=None)), ()
