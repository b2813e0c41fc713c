"""Rules for connecting, homing, moving and stopping. Each takes the state and an event and gives the next state and effects.

The rules kept here: no motion before home is known, except homing and a bounded jog; no target outside the soft limits;
stop, e-stop, limit switch and a lost controller are obeyed in every mode, and after the last three the position is unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Fault, Mode, State

E = TypeVar("E", bound=fx.Effect)
Step = tuple[State, tuple[fx.Effect, ...]]


def give(state: State, effect: type[E], **what: Any) -> tuple[State, E]:
    """Number an effect: the state that remembers the number, and the effect that carries it."""
    serial = state.serial + 1
    return replace(state, serial=serial), effect(serial=serial, **what)


def ask(state: State, effect: type[fx.Effect], **what: Any) -> Step:
    """Number an effect and wait for its answer."""
    state, made = give(state, effect, **what)
    return replace(state, awaiting=made.serial, answer=made.answer), (made,)


def refuse(state: State, reason: str) -> Step:
    """Change nothing and say why."""
    return state, (fx.Refuse(serial=0, reason=reason),)


def at_rest(state: State) -> State:
    """Idle, or unhomed when the position is not known; nothing is waited for."""
    mode = Mode.IDLE if state.homed else Mode.UNHOMED
    return replace(state, mode=mode, awaiting=None, target=None)


def with_position(state: State, position: int | None) -> State:
    """The rail stands here now; which way it came says on which side the backlash lies."""
    if position is None or state.position is None:
        return replace(state, position=position, run=0)
    travelled = position - state.position
    same_way = travelled * state.run >= 0
    return replace(state, position=position, run=state.run + travelled if same_way else travelled)


def at_place(state: State, position: int | None) -> State:
    """The rail stands here, its controller says. A position that was not known does not become known by that."""
    return with_position(state, position if state.homed else None)


def outside(state: State, target: int) -> str | None:
    """Why a target is refused, or None."""
    if state.rail.min <= target <= state.rail.max:
        return None
    return f"position {target} is outside the soft limits {state.rail.min} to {state.rail.max} (microsteps)"


# ----------------------------------------------------------------------------------------------------------- commands


def connect(state: State, _: ev.Connect) -> Step:
    """Open the drivers."""
    if state.awaiting is not None:
        return refuse(state, "already opening the drivers")
    return ask(state, fx.OpenDrivers)


def home(state: State, _: ev.Home) -> Step:
    """Find home; until it is found the position is not known."""
    return ask(replace(state, mode=Mode.HOMING, position=None, run=0), fx.StartHoming)


def goto(state: State, event: ev.Goto) -> Step:
    """Move to a position inside the soft limits."""
    if reason := outside(state, event.target):
        return refuse(state, reason)
    return ask(replace(state, mode=Mode.MOVING, target=event.target), fx.MoveRail, target=event.target)


def jog(state: State, event: ev.Jog) -> Step:
    """Move slowly by a bounded distance; where the position is known, only inside the soft limits."""
    if abs(event.distance) > state.rail.jog_max:
        return refuse(state, f"a jog is at most {state.rail.jog_max} microsteps, not {abs(event.distance)}")
    if event.distance == 0:
        return refuse(state, "a jog of 0 microsteps moves nothing")
    target = None if state.position is None else state.position + event.distance
    if target is not None and (reason := outside(state, target)):
        return refuse(state, reason)
    return ask(replace(state, mode=Mode.MOVING, target=target), fx.JogRail, distance=event.distance)


def release(state: State, _: ev.Release) -> Step:
    """Switch the motor off. The screw can turn by hand then, so home is lost."""
    state, effect = give(state, fx.ReleaseRail)
    return at_rest(with_position(state, None)), (effect,)


def take_test_shot(state: State, _: ev.TestShot) -> Step:
    """Take one picture where the rail stands; nothing moves until it is here."""
    return ask(replace(state, mode=Mode.TESTING), fx.TakeTestShot, position=state.position)


def stop_motion(state: State, _: ev.Stop) -> Step:
    """Decelerate now. An open exposure is given up."""
    return ask(replace(state, mode=Mode.STOPPING), fx.StopRail)


def stop_again(state: State, _: ev.Stop) -> Step:
    """Nothing moves as far as is known, or it is stopping already: tell the rail all the same."""
    state, effect = give(state, fx.StopRail)
    return state, (effect,)


def estop(state: State, event: ev.EStop) -> Step:
    """Stop at once; the position is unknown from here."""
    state = replace(state, estop_held=state.estop_held or event.held)
    return _drop_everything(
        state, Mode.ESTOPPED, Fault("estop", event.why, "release the e-stop, clear it, then home")
    )


def estop_released(state: State, _: ev.EStopReleased) -> Step:
    """The contact is open again: from now on the e-stop can be cleared."""
    if not state.estop_held:
        return refuse(state, "the e-stop is not pressed")
    return replace(state, estop_held=False), ()


def clear_fault(state: State, _: ev.ClearFault) -> Step:
    """It is safe again: open whatever is not open. The position stays unknown until home is found."""
    if state.estop_held:
        return refuse(state, "the e-stop is still pressed: release it, then clear it")
    return ask(replace(state, mode=Mode.OFFLINE, fault=None), fx.OpenDrivers)


# ------------------------------------------------------------------------------------------------------------- alarms


def limit_hit(state: State, event: ev.LimitHit) -> Step:
    """A limit switch or stall: whatever the counter says, it is wrong."""
    fault = Fault("limit", event.what, "look at the rail, clear the fault, home")
    return _drop_everything(state, Mode.FAULT, fault)


def rail_lost(state: State, event: ev.RailLost) -> Step:
    """The controller is gone or was reset: it may have lost its position without telling."""
    fault = Fault("rail_lost", event.what, "check cable and power, clear the fault, home")
    return _drop_everything(state, Mode.FAULT, fault)


def note_alarm_estopped(state: State, _: Event) -> Step:
    """Already stopped for good; only make sure of it."""
    state, effect = give(state, fx.HaltRail)
    return state, (effect,)


def failed(state: State, event: ev.Failed) -> Step:
    """The effect that was waited for could not be carried out."""
    again = event.code == "open"
    next_step = "mend the cause and start again" if again else "mend the cause, clear the fault, home"
    fault = Fault(event.code, event.what, next_step)
    return _drop_everything(state, Mode.FAULT, fault)


def _drop_everything(state: State, mode: Mode, fault: Fault) -> Step:
    """Halt the rail, leave the session for later, wait for nothing."""
    state, halt = give(state, fx.HaltRail)
    effects: tuple[fx.Effect, ...] = (halt,)
    if state.stack is not None:
        state, suspend = give(state, fx.SuspendSession, why=fault.message)
        effects = (*effects, suspend)
    if state.mode is Mode.FAULT and state.fault is not None and mode is Mode.FAULT:
        fault = state.fault  # what came first is the cause
    state = replace(state, mode=mode, fault=fault, stack=None, awaiting=None, target=None)
    return with_position(replace(state, must_home=True), None), effects


# ------------------------------------------------------------------------------------------------------------ answers


def connected(state: State, event: ev.Connected) -> Step:
    """The drivers are open. A position that the rail's controller kept is believed, but never after a halt."""
    return at_rest(with_position(state, None if state.must_home else event.position)), ()


def homed(state: State, event: ev.Homed) -> Step:
    """Home is known."""
    return at_rest(with_position(replace(state, position=None, must_home=False), event.position)), ()


def motion_ended(state: State, event: ev.MotionEnded) -> Step:
    """A goto or jog is over."""
    if state.target is not None and event.position != state.target:
        return failed(
            state,
            ev.Failed(event.serial, f"the rail stopped at {event.position}, not {state.target}", "rail"),
        )
    return at_rest(at_place(state, event.position)), ()


def shot_taken(state: State, _: ev.TestTaken) -> Step:
    """The picture is here."""
    return at_rest(state), ()


def shot_failed(state: State, event: ev.Failed) -> Step:
    """A picture that could not be taken is no fault of the rig; anything else is."""
    return (at_rest(state), ()) if event.frame_only else failed(state, event)


def stopped(state: State, event: ev.Stopped) -> Step:
    """The rail stands after a stop that no stack is waiting for."""
    return at_rest(at_place(state, event.position)), ()
