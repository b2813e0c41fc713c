"""Commands that change what the next stack is taken with."""

from __future__ import annotations

from rigd.messages.base import ErrorCode
from rigd.messages.verbs import Mark, SettingsParams
from rigd.remote.verbs.room import Answer, Job, Refusal, Room, resting_position_um


def settings(room: Room, _job: Job, params: SettingsParams) -> Answer:
    """Change some, and say what all are now. Also for `set/<setting>`."""
    if params.model_fields_set:
        room.settings.change(params.model_dump(include=params.model_fields_set))
        room.reconfigure()
    return Answer(room.settings.report())


def mark_near(room: Room, _job: Job, params: Mark) -> Answer:
    """The nearest plane is here."""
    return _mark(room, "near_um", params)


def mark_far(room: Room, _job: Job, params: Mark) -> Answer:
    """The farthest plane is here."""
    return _mark(room, "far_um", params)


def mark_limits(room: Room, params: Mark) -> None:
    """A plane that is given is one that the rail may go to."""
    limits, at_um = room.rig.config.limits, params.position_um
    if at_um is not None and not limits.min_um <= at_um <= limits.max_um:
        message = (
            f"params.position_um: {at_um:g} is outside the limits, {limits.min_um:g} to {limits.max_um:g} um"
        )
        raise Refusal(ErrorCode.OUT_OF_LIMITS, message, "params.position_um")


def _mark(room: Room, name: str, params: Mark) -> Answer:
    at_um = resting_position_um(room, "a mark") if params.position_um is None else params.position_um
    room.settings.change({name: at_um})
    room.reconfigure()
    return Answer(room.settings.report())
