"""What the plan must agree on with itself, the limits, the rail and the camera, as far as a config can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.base import RailCapabilities
from rigd.config.model import Limits
from rigd.config.parts import Parts
from rigd.config.plan import PlanSection
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number

ROUNDING_UM = 1e-6
"""Lengths closer than this are equal."""
OVERSHOOT_PER_BACKLASH = 1.5
"""What a rail backs off by default; a home-made rail's backlash varies by about as much."""
MICROSTEP_ERROR = 0.04
"""Error of a microstep as a share of a full step, where the rail does not declare its own."""


@dataclass(frozen=True, slots=True)
class Extent:
    """From where to where the rail will go."""

    step_um: float
    """Between two frames, evened out."""
    frames: int
    """From near to far, both included, without margins."""
    far_um: float
    """Highest position without margin."""
    first_um: float
    """Lowest position of a frame, margin included."""
    last_um: float
    """Highest position of a frame, margin included."""
    overshoot_um: float
    """How far the rail backs off before it approaches the first frame."""
    backs_off_to_um: float
    """Where it then is."""


def extent(parts: Parts) -> Extent | None:
    """The plan's reach; None while it is not determined (see `cross_span`), or the camera's number of frames is not known."""
    plan = parts.plan
    if plan is None:
        return None
    near_um, far_um = plan.ends_um
    step_um = step_of(parts, plan)
    if near_um is None or [far_um, step_um, plan.frames].count(None) != 1:
        return None
    frames = _frames(parts, plan, step_um)
    if frames is None or (far_um is not None and far_um <= near_um):
        return None
    far_um = far_um if far_um is not None else near_um + (step_um or 0.0) * (frames - 1)
    step_um = (far_um - near_um) / (frames - 1)
    first_um, last_um = near_um - plan.margin_frames * step_um, far_um + plan.margin_frames * step_um
    overshoot_um = plan.overshoot_um
    if overshoot_um is None:
        backlash_um = parts.rail_is.backlash_um if parts.rail_is is not None else 0.0
        overshoot_um = max(OVERSHOOT_PER_BACKLASH * backlash_um, step_um)
    forward = plan.direction == "near_to_far"
    backs_off_to_um = first_um - overshoot_um if forward else last_um + overshoot_um
    return Extent(step_um, frames, far_um, first_um, last_um, overshoot_um, backs_off_to_um)


def step_of(parts: Parts, plan: PlanSection) -> float | None:
    """The step as given, or as the optics make it where nothing else says how fine the stack is; None where steps differ all the way."""
    if plan.follows_depth:
        return None
    if plan.step_um is not None or not plan.step_from_optics or parts.setup is None:
        return plan.step_um
    return parts.setup.step_um(plan.dof_share)


def _frames(parts: Parts, plan: PlanSection, step_um: float | None) -> int | None:
    """How many frames from near to far; None where only the camera knows."""
    if isinstance(plan.frames, int):
        return plan.frames
    if plan.frames == "all":
        most = parts.camera_is.max_frames if parts.camera_is is not None else None
        return most if most is not None and most >= 2 else None
    near_um, far_um = plan.ends_um
    if near_um is None or far_um is None or step_um is None or far_um <= near_um:
        return None
    return max(2, math.ceil(_spans(far_um - near_um, step_um) - 1e-9) + 1)


def _spans(length_um: float, step_um: float) -> float:
    """How often a step fits into a length; absurdly small steps count as a thousand million."""
    return min(length_um / step_um, 1e9)


def all_frames_of_what(parts: Parts) -> Iterator[Problem]:
    """`frames: all` needs a camera that knows how many it has."""
    plan, camera, capabilities = parts.plan, parts.device("camera"), parts.camera_is
    if plan is None or camera is None or plan.frames != "all" or not capabilities:
        return
    if capabilities.max_frames is None:
        message = f"frames: all needs a camera with a known number of frames; '{camera.driver}' has no end"
        yield parts.problem("plan.frames", message, "frames: <whole number from 2>, or the camera 'replay'")
    elif capabilities.max_frames < 2:
        message = f"frames: all, but the camera has only {capabilities.max_frames}"
        yield parts.problem("plan.frames", message, "a stack has two frames or more")


def all_frames_where_they_are(parts: Parts) -> Iterator[Problem]:
    """`frames: all` goes where the photographs of a replay lie."""
    plan = parts.plan
    if plan is not None and plan.frames == "all":
        yield from _beside_the_photographs(parts, plan)


def some_frames_where_they_are(parts: Parts) -> Iterator[Problem]:
    """Other plans may pick from the photographs of a replay, and had better know it."""
    plan = parts.plan
    if plan is not None and plan.frames != "all":
        yield from _beside_the_photographs(parts, plan)


def _beside_the_photographs(parts: Parts, plan: PlanSection) -> Iterator[Problem]:
    """Where a camera lays out its pictures along the rail, and the plan goes elsewhere."""
    camera, reach = parts.device("camera"), extent(parts)
    pairs = (
        ("near_um", plan.ends_um[0], "first_um"),
        ("step_um", reach.step_um if reach else plan.step_um, "step_um"),
    )
    for key, planned, laid_out in pairs:
        is_at = getattr(camera.options, laid_out, None) if camera is not None else None
        if planned is not None and isinstance(is_at, float) and abs(planned - is_at) > ROUNDING_UM:
            message = f"{_rounded(planned)} differs from camera.{laid_out}, {_rounded(is_at)}: pictures are taken twice or left out"
            yield parts.problem(
                f"plan.{key}", message, f"{key}: {_rounded(is_at)}, or change camera.{laid_out}"
            )


def enough_frames(parts: Parts) -> Iterator[Problem]:
    """The camera has as many frames as the plan asks for."""
    reach, plan = extent(parts), parts.plan
    most = parts.camera_is.max_frames if parts.camera_is is not None else None
    if reach is None or plan is None or most is None:
        return
    asked = reach.frames + 2 * plan.margin_frames
    if asked > most:
        message = f"the plan takes {asked} frames, margins included, and the camera has {most}"
        fix = (
            "margin_frames: 0"
            if plan.frames == "all"
            else f"at most {most} frames, or frames: all with margin_frames: 0"
        )
        yield parts.problem("plan.margin_frames" if plan.frames == "all" else "plan.frames", message, fix)


def step_of_a_microstep(parts: Parts) -> Iterator[Problem]:
    """The rail can make steps this small."""
    reach, plan, rail = extent(parts), parts.plan, parts.rail_is
    if plan is None or rail is None:
        return
    smallest = number(rail.microstep_um)
    asked = plan.step_um is not None and plan.step_um < rail.microstep_um - ROUNDING_UM
    if asked:
        message = f"{number(plan.step_um or 0.0)} is below one microstep of the rail, {smallest} µm"
        yield parts.problem("plan.step_um", message, f"step_um: {smallest} or more")
    elif reach is not None and reach.frames > 1 and reach.step_um < rail.microstep_um - ROUNDING_UM:
        if plan.step_from_optics:
            yield _too_fine_for_the_rail(parts, plan, rail)
            return
        most = int(_spans(reach.step_um * (reach.frames - 1) + ROUNDING_UM, rail.microstep_um)) + 1
        message = f"{reach.frames} frames make a step of {reach.step_um:.4g} µm, below one microstep of the rail, {smallest} µm"
        yield parts.problem(
            "plan.frames", message, f"at most {most} frames" if most > 1 else "move far_um away from near_um"
        )


def _too_fine_for_the_rail(parts: Parts, plan: PlanSection, rail: RailCapabilities) -> Problem:
    """The optics ask for a step that the rail cannot make."""
    step_um, smallest = step_of(parts, plan) or 0.0, number(rail.microstep_um)
    message = f"{number(plan.dof_share)} of the depth of field is a step of {step_um:.3g} µm, below one microstep of the rail, {smallest} µm"
    fix = f"a rail with a finer screw or more microsteps, or step_um: {smallest} and less overlap"
    return parts.problem("plan", message, fix)


def overshoot_beats_backlash(parts: Parts) -> Iterator[Problem]:
    """The approach takes up all of the backlash."""
    plan, rail = parts.plan, parts.rail_is
    if plan is None or rail is None or plan.overshoot_um is None or plan.overshoot_um > rail.backlash_um:
        return
    message = (
        f"overshoot_um {number(plan.overshoot_um)} is not more than the rail's backlash of {number(rail.backlash_um)} µm:"
        " every frame must be approached by more than the backlash"
    )
    least = OVERSHOOT_PER_BACKLASH * rail.backlash_um or rail.microstep_um
    yield parts.problem(
        "plan.overshoot_um", message, f"overshoot_um: {number(least)} or more, or leave it away"
    )


def plan_within_limits(parts: Parts) -> Iterator[Problem]:
    """Near, far, margins and the run-up all lie within the soft limits."""
    plan, limits, reach = parts.plan, parts.limits, extent(parts)
    if plan is None or limits is None or limits.min_um >= limits.max_um:
        return
    right = f"{number(limits.min_um)} to {number(limits.max_um)}"
    ends = dict(zip(("near_um", "far_um"), plan.ends_um, strict=True))
    outside = {
        name: at for name, at in ends.items() if at is not None and not limits.min_um <= at <= limits.max_um
    }
    for name, at in outside.items():
        yield parts.problem(f"plan.{name}", f"{number(at)} is outside the limits", f"{name}: {right}")
    if outside or reach is None:
        return
    slack_um = parts.rail_is.microstep_um / 2 if parts.rail_is is not None else ROUNDING_UM
    room = (limits.min_um - slack_um, limits.max_um + slack_um)
    if not room[0] <= reach.far_um <= room[1]:
        steps = f"{reach.frames} frames of {number(reach.step_um)} µm"
        most = int(_spans(limits.max_um - (ends["near_um"] or 0.0), reach.step_um) + 1e-9) + 1
        message = f"{steps} end at {_rounded(reach.far_um)}, outside the limits"
        yield parts.problem("plan.frames", message, f"at most {most} frames with this step")
        return
    beyond = [at for at in (reach.first_um, reach.last_um) if not room[0] <= at <= room[1]]
    for at in beyond:
        message = (
            f"with {plan.margin_frames} margin frames the stack reaches {_rounded(at)}, outside the limits"
        )
        yield parts.problem("plan.margin_frames", message, "fewer margin frames, or wider limits")
    if not beyond and not room[0] <= reach.backs_off_to_um <= room[1]:
        yield _no_room_to_run_up(parts, plan, limits, reach)


def _no_room_to_run_up(parts: Parts, plan: PlanSection, limits: Limits, reach: Extent) -> Problem:
    message = (
        f"the run-up of {_rounded(reach.overshoot_um)} µm before the first frame begins at"
        f" {_rounded(reach.backs_off_to_um)}, outside the limits"
    )
    needed_um = reach.overshoot_um + plan.margin_frames * reach.step_um
    if plan.direction == "near_to_far":
        path, fix = "plan.near_um", f"near_um: {_rounded(limits.min_um + needed_um)} or more"
    else:
        path = "plan.far_um" if plan.ends_um[1] is not None else "plan.frames"
        fix = f"a farthest plane at {_rounded(limits.max_um - needed_um)} or less"
    return parts.problem(path, message, f"{fix}, a smaller overshoot_um, or wider limits")


def _rounded(length_um: float) -> str:
    return number(round(length_um, 3))


def step_beside_microstep_error(parts: Parts) -> Iterator[Problem]:
    """Steps that a microstep's error makes visibly uneven."""
    reach, rail = extent(parts), parts.device("rail")
    if reach is None or rail is None or parts.rail_is is None:
        return
    microsteps = getattr(rail.options, "microsteps", None)
    share = getattr(rail.options, "microstep_error", MICROSTEP_ERROR)
    if not isinstance(microsteps, int) or not isinstance(share, float):
        return
    error_um = share * microsteps * parts.rail_is.microstep_um
    if parts.rail_is.microstep_um - ROUNDING_UM <= reach.step_um < 5 * error_um:
        message = f"a step of {reach.step_um:.4g} µm is near the error of a microstep, ±{error_um:.2g} µm: steps will be uneven"
        yield parts.problem("plan.step_um", message, "a finer screw or a gear helps, more microsteps do not")


def overshoot_with_reserve(parts: Parts) -> Iterator[Problem]:
    """An overshoot that only just exceeds the backlash."""
    plan, rail = parts.plan, parts.rail_is
    if plan is None or rail is None or plan.overshoot_um is None:
        return
    usual = OVERSHOOT_PER_BACKLASH * rail.backlash_um
    if rail.backlash_um < plan.overshoot_um < usual:
        message = f"overshoot_um {number(plan.overshoot_um)} is barely more than the backlash of {number(rail.backlash_um)} µm"
        yield parts.problem("plan.overshoot_um", message, f"{number(usual)} is safer")


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    all_frames_of_what,
    all_frames_where_they_are,
    enough_frames,
    step_of_a_microstep,
    overshoot_beats_backlash,
    plan_within_limits,
)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    some_frames_where_they_are,
    step_beside_microstep_error,
    overshoot_with_reserve,
)
