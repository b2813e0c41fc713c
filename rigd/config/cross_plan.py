"""What the plan must agree on with itself, the limits, the rail and the camera, as far as a config can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rigd.config.model import Limits, PlanSection
from rigd.config.parts import Parts
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
    first_um: float
    """Lowest position of a frame, margin included."""
    last_um: float
    """Highest position of a frame, margin included."""
    overshoot_um: float
    """How far the rail backs off before it approaches the first frame."""
    backs_off_to_um: float
    """Where it then is."""


def extent(parts: Parts) -> Extent | None:
    """The plan's reach; None while it is not determined (see `determined_once`), or the camera's number of frames is not known."""
    plan = parts.plan
    if plan is None or len(_given(plan)) != 2:
        return None
    frames = plan.frames
    if frames == "all":
        frames = parts.camera_is.max_frames if parts.camera_is is not None else None
        if frames is None or frames < 2:
            return None
    if plan.far_um is not None and plan.far_um < plan.near_um:
        return None
    if frames is None:
        assert plan.far_um is not None
        assert plan.step_um is not None
        frames = math.ceil(_spans(plan.far_um - plan.near_um, plan.step_um) - 1e-9) + 1
    far_um = plan.far_um if plan.far_um is not None else plan.near_um + (plan.step_um or 0.0) * (frames - 1)
    step_um = (far_um - plan.near_um) / (frames - 1) if frames > 1 else plan.step_um or 0.0
    first_um, last_um = plan.near_um - plan.margin_frames * step_um, far_um + plan.margin_frames * step_um
    backlash_um = parts.rail_is.backlash_um if parts.rail_is is not None else 0.0
    overshoot_um = plan.overshoot_um
    if overshoot_um is None:
        overshoot_um = max(OVERSHOOT_PER_BACKLASH * backlash_um, step_um)
    forward = plan.direction == "near_to_far"
    backs_off_to_um = first_um - overshoot_um if forward else last_um + overshoot_um
    return Extent(step_um, frames, first_um, last_um, overshoot_um, backs_off_to_um)


def _spans(length_um: float, step_um: float) -> float:
    """How often a step fits into a length; absurdly small steps count as a thousand million."""
    return min(length_um / step_um, 1e9)


def _given(plan: PlanSection) -> list[str]:
    return [name for name in ("far_um", "step_um", "frames") if getattr(plan, name) is not None]


def near_before_far(parts: Parts) -> Iterator[Problem]:
    """Near comes before far: positions grow toward the subject."""
    plan = parts.plan
    if plan is not None and plan.far_um is not None and plan.far_um < plan.near_um:
        message = f"near and far the wrong way round: near_um {number(plan.near_um)} is above far_um {number(plan.far_um)}"
        yield parts.problem("plan.near_um", message, "swap near_um and far_um")


def determined_once(parts: Parts) -> Iterator[Problem]:
    """Near and two of far, step and frames: less leaves the stack open, more contradicts."""
    plan = parts.plan
    if plan is None:
        return
    given = _given(plan)
    if len(given) > 2:
        message = "far_um, step_um and frames are all given; two of them determine the third"
        yield parts.problem("plan.frames", message, "leave one of far_um, step_um, frames away")
    if len(given) < 2:
        absent = [name for name in ("far_um", "step_um", "frames") if name not in given]
        message = f"near_um{' and ' + given[0] if given else ''} alone do not make a stack"
        fix = f"add {' or '.join(absent)}" if given else "add two of far_um, step_um, frames"
        yield parts.problem("plan", message, fix)


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
        most = int(_spans(reach.step_um * (reach.frames - 1) + ROUNDING_UM, rail.microstep_um)) + 1
        message = f"{reach.frames} frames make a step of {reach.step_um:.4g} µm, below one microstep of the rail, {smallest} µm"
        yield parts.problem(
            "plan.frames", message, f"at most {most} frames" if most > 1 else "move far_um away from near_um"
        )


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
    ends = {"near_um": plan.near_um, "far_um": plan.far_um}
    outside = [name for name, at in ends.items() if at is not None and not _inside(at, limits)]
    for name in outside:
        message = f"{number(ends[name] or 0.0)} is outside the limits"
        yield parts.problem(
            f"plan.{name}", message, f"{name}: {number(limits.min_um)} to {number(limits.max_um)}"
        )
    if outside or reach is None:
        return
    if plan.far_um is None and not _inside(reach.last_um - plan.margin_frames * reach.step_um, limits):
        far_um = reach.last_um - plan.margin_frames * reach.step_um
        message = (
            f"{reach.frames} frames of {number(reach.step_um)} µm end at {number(far_um)}, outside the limits"
        )
        most = int(_spans(limits.max_um - plan.near_um, reach.step_um) + 1e-9) + 1
        yield parts.problem("plan.frames", message, f"at most {most} frames with this step")
        return
    yield from _margins_and_run_up(parts, plan, limits, reach)


def _margins_and_run_up(parts: Parts, plan: PlanSection, limits: Limits, reach: Extent) -> Iterator[Problem]:
    margin_um = plan.margin_frames * reach.step_um
    outside = [at for at in (reach.first_um, reach.last_um) if not _inside(at, limits)]
    for at in outside:
        message = f"with {plan.margin_frames} margin frames the stack reaches {number(round(at, 3))}, outside the limits"
        yield parts.problem("plan.margin_frames", message, "fewer margin frames, or wider limits")
    if not outside and not _inside(reach.backs_off_to_um, limits):
        forward = plan.direction == "near_to_far"
        nearest = (
            limits.min_um + reach.overshoot_um + margin_um
            if forward
            else limits.max_um - reach.overshoot_um - margin_um
        )
        end = "near_um" if forward or plan.far_um is None else "far_um"
        message = (
            f"the run-up of {number(round(reach.overshoot_um, 3))} µm before the first frame begins at"
            f" {number(round(reach.backs_off_to_um, 3))}, outside the limits"
        )
        if forward:
            fix = f"near_um: {number(round(nearest, 3))} or more"
        else:
            fix = f"end the stack, margins included, at {number(round(nearest + margin_um, 3))} or less"
        yield parts.problem(f"plan.{end}", message, f"{fix}, a smaller overshoot_um, or wider limits")


def _inside(at_um: float, limits: Limits) -> bool:
    return limits.min_um - ROUNDING_UM <= at_um <= limits.max_um + ROUNDING_UM


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
    near_before_far,
    determined_once,
    all_frames_of_what,
    enough_frames,
    step_of_a_microstep,
    overshoot_beats_backlash,
    plan_within_limits,
)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    step_beside_microstep_error,
    overshoot_with_reserve,
)
