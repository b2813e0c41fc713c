"""Rules for a picture from shutter to verdict, and for taking it again.

A frame counts as exposed when the shutter has closed; the rail moves on then, and the verdict on the picture comes later,
while the next frame is under way. A picture refused on its evidence is taken again at once, where the rail stands; one
refused later is taken again at the next moment the shutter is closed, approached from the usual side. After `max_retries`
the stack pauses and says why.
"""

from __future__ import annotations

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Answer
from rigd.machine.motion import Step, failed, give
from rigd.machine.stack import expose, go_on, pause, paused, the_stack, with_stack
from rigd.machine.state import Evidence, InFlight, Mode, Phase, State


def shutter_closed(state: State, event: ev.ShutterClosed) -> Step:
    """The picture is taken. Refuse it on its evidence, or hand it on and move to the next."""
    stack = the_stack(state)
    assert stack.frame is not None
    assert state.position is not None
    evidence = Evidence(
        position=state.position,
        asked=stack.plan.positions[stack.frame],
        moved_s=stack.moved_s,
        settled_s=stack.settled_s,
        start_s=event.start_s,
        end_s=event.end_s,
        sequence=event.sequence,
        wait=stack.wait,
    )
    if stack.prove and (reason := evidence_problem(evidence, stack.last_sequence)):
        state, reject = give(
            state, fx.RejectFrame, exposure=event.serial, frame=stack.frame, evidence=evidence, reason=reason
        )
        state, effects = _retake_here(state, reason)
        return state, (reject, *effects)
    return _hand_on(state, event.serial, evidence)


def evidence_problem(evidence: Evidence, last_sequence: int) -> str | None:
    """Why the times of an exposure do not prove a still, new picture; None when they do."""
    if evidence.position != evidence.asked:
        return f"exposed at {evidence.position}, asked for {evidence.asked}"
    if not evidence.moved_s <= evidence.settled_s:
        return f"the settle ended at {evidence.settled_s:.3f} s, before the motion did at {evidence.moved_s:.3f} s"
    if not evidence.settled_s <= evidence.start_s:
        early_ms = 1e3 * (evidence.settled_s - evidence.start_s)
        return f"exposure began {early_ms:.1f} ms before the rig had settled: a stale or early frame"
    if not evidence.start_s <= evidence.end_s:
        return f"the exposure ended before it began, at {evidence.end_s:.3f} s: the camera's clock cannot be trusted"
    if evidence.sequence <= last_sequence:
        return f"the camera gave picture {evidence.sequence} again"
    return None


def _hand_on(state: State, exposure: int, evidence: Evidence) -> Step:
    stack = the_stack(state)
    assert stack.frame is not None
    comparison = stack.compare is not None
    state, process = give(
        state,
        fx.ProcessFrame,
        exposure=exposure,
        frame=stack.frame,
        evidence=evidence,
        retry=stack.tries_of(stack.frame),
        comparison=comparison,
    )
    waiting = InFlight(process.serial, stack.frame, evidence, comparison)
    state = with_stack(state, in_flight=(*stack.in_flight, waiting), last_sequence=evidence.sequence)
    state, effects = go_on(_taken(state))
    return state, (process, *effects)


def _taken(state: State) -> State:
    """The frame needs no more exposure, unless its verdict says so later.

    Another frame may have been put in line for a retake while this one was exposed: only its own entry goes.
    """
    stack = the_stack(state)
    if stack.compare is not None:
        return with_stack(state, compare=None)
    if stack.frame in stack.retakes:
        return with_stack(state, retakes=tuple(frame for frame in stack.retakes if frame != stack.frame))
    return with_stack(state, cursor=stack.cursor + 1)


def exposure_failed(state: State, event: ev.Failed) -> Step:
    """A hung or failing exposure costs this picture only; anything else is a fault."""
    if waiting_for(state, event) is not None:
        return picture_lost(state, event)
    if event.frame_only and the_stack(state).phase is Phase.EXPOSING:
        return _retake_here(state, event.what)
    return failed(state, event)


def failed_while_stopping(state: State, event: ev.Failed) -> Step:
    """A picture is lost, or the rail does not obey."""
    if waiting_for(state, event) is not None:
        return picture_lost(state, event)
    return failed(state, event)


def picture_lost(state: State, event: ev.Failed) -> Step:
    """A picture that could not be fetched, checked or stored counts as refused: the rig itself is well."""
    refused = ev.Verdict(event.serial, accepted=False, reason=event.what, retake=event.frame_only)
    return verdict(state, refused)


def _retake_here(state: State, reason: str) -> Step:
    """Expose again where the rail stands, or pause after too many."""
    stack = the_stack(state)
    assert stack.frame is not None
    state, exhausted = _count_retry(state, stack.frame, reason)
    if exhausted or stack.pause_asked is not None:
        return paused(state, exhausted or stack.pause_asked or "")
    return expose(state)


def _count_retry(state: State, frame: int, reason: str) -> tuple[State, str]:
    """One retake more; the reason to pause when that is one too many, else an empty text."""
    stack = the_stack(state)
    tries = stack.tries_of(frame) + 1
    if tries > stack.max_retries:
        others = tuple(pair for pair in stack.tries if pair[0] != frame)
        return with_stack(state, tries=others), f"frame {frame + 1} failed {tries} times, last: {reason}"
    changed = tuple(sorted({**dict(stack.tries), frame: tries}.items()))
    return with_stack(state, tries=changed), ""


def waiting_for(state: State, answer: Answer) -> InFlight | None:
    """The picture in flight that this answer is about."""
    in_flight = state.stack.in_flight if state.stack else ()
    return next((entry for entry in in_flight if entry.serial == answer.serial), None)


def verdict(state: State, event: ev.Verdict) -> Step:
    """A picture was accepted and stored, or refused."""
    stack = the_stack(state)
    waiting = waiting_for(state, event)
    assert waiting is not None
    state = with_stack(state, in_flight=tuple(entry for entry in stack.in_flight if entry is not waiting))
    if event.accepted:
        state = state if waiting.comparison else with_stack(state, accepted=stack.accepted + 1)
        return _after_verdict(state)
    state = _back_in_line(state, waiting)
    reason = event.reason or "the picture was refused"
    exhausted = reason
    if event.retake and not waiting.comparison:
        state, exhausted = _count_retry(state, waiting.frame, reason)
    if exhausted and state.mode is Mode.CAPTURING:
        return pause(state, ev.Pause(exhausted))
    return _after_verdict(state)


def _back_in_line(state: State, waiting: InFlight) -> State:
    stack = the_stack(state)
    if waiting.comparison:
        return with_stack(state, compare=waiting.frame)
    return with_stack(state, retakes=(*stack.retakes, waiting.frame))


def _after_verdict(state: State) -> Step:
    """Go on when this verdict was what held the stack up."""
    stack = the_stack(state)
    if state.mode is not Mode.CAPTURING or stack.phase is not Phase.CHECKING:
        return state, ()
    return go_on(state) if stack.frame is None else expose(state)
