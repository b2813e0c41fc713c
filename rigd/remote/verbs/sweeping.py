"""The command that looks for the ends of the subject."""

from __future__ import annotations

from dataclasses import asdict

from rigd.app import Refused
from rigd.machine.state import Mode
from rigd.messages import reports
from rigd.messages.base import ErrorCode
from rigd.messages.verbs import Sweep as SweepParams
from rigd.remote.actions import Action, Ending
from rigd.remote.verbs.room import Answer, Job, Refusal, Room, error_of
from rigd.sweep import NothingSharp, Range, Sweep, sweep


def limits(room: Room, params: SweepParams) -> None:
    """The way lies within the soft limits, and is one."""
    allowed = room.rig.config.limits
    for name, at_um in (("from_um", params.from_um), ("to_um", params.to_um)):
        if not allowed.min_um <= at_um <= allowed.max_um:
            message = f"{at_um:g} is outside the limits, {allowed.min_um:g} to {allowed.max_um:g}"
            raise Refusal(ErrorCode.OUT_OF_LIMITS, f"params.{name}: {message}", f"params.{name}")
    try:
        _range(params).positions_um()
    except ValueError as error:
        raise Refusal(ErrorCode.INVALID_PARAMS, str(error), "params") from error


async def begin(room: Room, job: Job, params: SweepParams) -> Answer:
    """Begin a sweep. Answered at once; what it found is told at its end."""
    state = room.rig.state
    if state.mode is not Mode.IDLE or any(one.verb == "sweep" for one in room.actions.under_way):
        busy = "a sweep" if state.mode is Mode.IDLE else str(state.mode)
        raise Refused(f"a sweep begins from idle, with home known; now: {busy}")
    room.reconfigure()
    # Its moves and pictures are many; no single event is its beginning or its end.
    action = room.action(job, lambda _: False)
    room.spawn(_sweep(room, action, _range(params)))
    return Answer(action=action)


def _range(params: SweepParams) -> Range:
    return Range(params.from_um, params.to_um, params.step_um)


async def _sweep(room: Room, action: Action, where: Range) -> None:
    stops = room.stops

    def go_on(_done: int, _of: int, _seen: Sweep) -> None:
        room.not_stopped_since(stops)

    try:
        seen = await sweep(room.rig, where, go_on, run=room.disk.run)
        found = await room.disk.run(seen.found)
    except (NothingSharp, ValueError) as error:
        told = Refusal(ErrorCode.NOT_POSSIBLE, str(error))
        room.actions.finish(action, Ending(error=error_of(told)))
    except Exception as error:  # noqa: BLE001  (told to whoever asked; an unexpected one is logged there)
        told_as = Refusal(ErrorCode.INTERRUPTED, str(error)) if isinstance(error, Refused) else error
        room.actions.finish(action, Ending(error=error_of(told_as)))
    else:
        report = reports.SweepFound(**asdict(found), positions_um=seen.positions_um, focus=seen.curve())
        room.actions.finish(action, Ending(report.model_dump(mode="json")))
