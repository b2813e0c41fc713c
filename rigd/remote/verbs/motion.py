"""Commands that move the rail, or stop it."""

from __future__ import annotations

from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode
from rigd.messages.base import ErrorCode
from rigd.messages.reports import JogHeld
from rigd.messages.verbs import Goto, Jog, JogRenew, NoParams
from rigd.remote.bus import in_words
from rigd.remote.verbs.room import Answer, Job, Refusal, Room


async def home(room: Room, job: Job, _: NoParams) -> Answer:
    """Find home."""
    return await begin(room, job, ev.Home())


async def goto(room: Room, job: Job, params: Goto) -> Answer:
    """Move to a position."""
    return await begin(room, job, ev.Goto(round(params.position_um / room.microstep_um)))


async def jog(room: Room, job: Job, params: Jog) -> Answer:
    """Move slowly by a distance, for as long as it is wanted."""
    remote = room.rig.config.remote
    hold_s = remote.jog_hold_s if params.hold_s is None else params.hold_s
    distance = round(_distance_um(room, params) / room.microstep_um)
    return await begin(room, job, ev.Jog(distance), hold_s=min(hold_s, remote.jog_hold_max_s))


async def stop(room: Room, job: Job, _: NoParams) -> Answer:
    """Stop the rail gently; a stack is paused."""
    room.stops += 1
    await room.rig.command(ev.Stop(f"stopped {in_words(job.source)}"))
    return Answer()


async def release(room: Room, _job: Job, _: NoParams) -> Answer:
    """Switch the motor off."""
    await room.rig.command(ev.Release())
    return Answer()


async def clear_fault(room: Room, _job: Job, _: NoParams) -> Answer:
    """It is safe again, somebody says."""
    await room.rig.command(ev.ClearFault())
    return Answer()


def renew(room: Room, _job: Job, params: JogRenew) -> Answer:
    """Let the jog go on."""
    _check_hold(room, params.hold_s)
    under_way = room.actions.jog
    if under_way is None or under_way.stopped is not None or (under_way.begun and under_way.stops_s is None):
        raise Refusal(ErrorCode.NOT_POSSIBLE, "no jog is under way")
    return Answer(JogHeld(stops_in_s=room.actions.renew(under_way, params.hold_s)))


async def begin(room: Room, job: Job, event: Event, *, hold_s: float | None = None) -> Answer:
    """Put a command to the machine, and have its end told. Raises `Refused`."""
    action = room.action(job, lambda happened: happened is event, hold_s=hold_s)
    try:
        await room.rig.command(event)
    except BaseException:
        room.actions.forget(action)
        raise
    return Answer(action=action)


# --------------------------------------------------------------------------------------------------------------- limits


def release_limits(room: Room, _: NoParams) -> None:
    """There is a motor to be switched off."""
    if not room.rig.parts.rail.capabilities.can_release:
        raise Refusal(ErrorCode.NOT_ALLOWED, "the motor of this rail cannot be switched off")


def goto_limits(room: Room, params: Goto) -> None:
    """The target is inside the soft limits."""
    _check_target(room, round(params.position_um / room.microstep_um), "params.position_um")


def jog_limits(room: Room, params: Jog) -> None:
    """The jog is neither too long nor leads beyond the soft limits, and is not held too long."""
    field = "params.distance_um" if params.nudge is None else "params.nudge"
    distance_um = _distance_um(room, params)
    distance, most = round(distance_um / room.microstep_um), room.rig.state.rail.jog_max
    if abs(distance) > most:
        message = f"{field}: a jog is at most {most * room.microstep_um:g} um, not {abs(distance_um):g}"
        raise Refusal(ErrorCode.OUT_OF_LIMITS, message, field)
    if distance == 0:
        message = f"{field}: {distance_um:g} um is less than a microstep"
        raise Refusal(ErrorCode.INVALID_PARAMS, message, field)
    _check_hold(room, params.hold_s)
    state = room.rig.state
    if state.position is not None and state.mode is Mode.IDLE:
        _check_target(room, state.position + distance, field)


def _check_target(room: Room, target: int, field: str) -> None:
    rail, microstep_um = room.rig.state.rail, room.microstep_um
    if not rail.min <= target <= rail.max:
        limits = f"{rail.min * microstep_um:g} to {rail.max * microstep_um:g} um"
        message = f"{field}: {target * microstep_um:g} um is outside the limits, {limits}"
        raise Refusal(ErrorCode.OUT_OF_LIMITS, message, field)


def _check_hold(room: Room, hold_s: float | None) -> None:
    most_s = room.rig.config.remote.jog_hold_max_s
    if hold_s is not None and hold_s > most_s:
        message = f"params.hold_s: a jog is held for at most {most_s:g} s at a time, not {hold_s:g}"
        raise Refusal(ErrorCode.INVALID_PARAMS, message, "params.hold_s")


def _distance_um(room: Room, params: Jog) -> float:
    if params.distance_um is not None:
        return params.distance_um
    return room.settings.jog_um if params.nudge == "toward" else -room.settings.jog_um
