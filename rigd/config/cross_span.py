"""Where the stack begins and ends, and how fine it is: each said once, in one of the ways there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rigd.config import fields
from rigd.config.optics import Optics, refocused
from rigd.config.parts import Parts
from rigd.config.plan import PlanSection
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number

_SPAN = ("near_um", "far_um", "centre_um", "range_um", "depth_um")
_WAYS = (
    {"near_um", "far_um"},
    {"near_um", "depth_um"},
    {"far_um", "depth_um"},
    {"centre_um", "range_um"},
    {"near_um"},
)


def span_said_once(parts: Parts) -> Iterator[Problem]:
    """Begin and end are given in one of the ways there are."""
    plan = parts.plan
    if plan is None:
        return
    given = _said(plan)
    if given in _WAYS:
        return
    if more := [way - given for way in _WAYS if given < way]:
        yield from _incomplete(parts, given, more)
        return
    fix = "near_um and far_um, or centre_um and range_um, or near_um or far_um and depth_um"
    if not given & {"near_um", "far_um", "centre_um"}:
        yield parts.problem("plan", "where the stack begins is missing", fix)
        return
    names = " and ".join(sorted(given, key=_SPAN.index))
    yield parts.problem("plan", f"{names} together say it twice, or contradict each other", fix)


def _said(plan: PlanSection) -> set[str]:
    """The keys by which it says where it is."""
    return {name for name in _SPAN if getattr(plan, name) is not None}


def _incomplete(parts: Parts, given: set[str], more: list[set[str]]) -> Iterator[Problem]:
    """One of the ways, begun."""
    if not given or given == {"far_um"}:
        name = "near_um"
        field = PlanSection.model_fields[name]
        what = fields.describe(field).rstrip(".")
        fix = f"add '{name}: <{fields.allowed_with_unit(name, field)}>': {what[:1].lower()}{what[1:]}"
        yield parts.problem(f"plan.{name}", f"'{name}' is missing", fix)
        return
    name = next(iter(given))
    wanted = " or ".join(sorted({" and ".join(sorted(one)) for one in more}))
    yield parts.problem(f"plan.{name}", f"{name} alone does not say where the stack is", f"add {wanted}")


def near_before_far(parts: Parts) -> Iterator[Problem]:
    """Near comes before far, and not below home: positions grow toward the subject."""
    plan = parts.plan
    near_um, far_um = plan.ends_um if plan is not None else (None, None)
    if near_um is None or far_um is None:
        return
    if far_um == near_um:
        yield parts.problem(
            "plan.far_um", "near and far are the same", "a stack goes from near_um up to far_um"
        )
    elif far_um < near_um:
        near, far = number(near_um), number(far_um)
        message = f"near and far the wrong way round: near_um {near} is above far_um {far}"
        yield parts.problem("plan.near_um", message, "swap near_um and far_um")


def determined_once(parts: Parts) -> Iterator[Problem]:
    """Near and two of far, step and frames: less leaves the stack to the optics, or open; more contradicts."""
    plan = parts.plan
    near_um, far_um = plan.ends_um if plan is not None else (None, None)
    if plan is None or near_um is None or _said(plan) not in _WAYS:
        return
    values = {"far_um": far_um, "step_um": plan.step_um, "frames": plan.frames}
    given = [name for name, value in values.items() if value is not None]
    if len(given) > 2:
        message = "far_um, step_um and frames are all given; two of them determine the third"
        yield parts.problem("plan.frames", message, "leave one of far_um, step_um, frames away")
    elif len(given) < 2 and not (plan.step_from_optics and (plan.follows_depth or parts.setup is not None)):
        absent = [name for name, value in values.items() if value is None]
        message = f"near_um{' and ' + given[0] if given else ''} alone do not make a stack"
        fix = f"add {' or '.join(absent)}" if given else "add two of far_um, step_um, frames"
        if plan.step_from_optics:
            fix += ", or say under optics: what the lens is (magnification, and f_number or na)"
        yield parts.problem("plan", message, fix)


def steps_in_order(parts: Parts) -> Iterator[Problem]:
    """Steps that change on the way do so from near to far."""
    plan = parts.plan
    if plan is None or not plan.steps:
        return
    if plan.frames is not None or plan.ends_um[1] is None:
        message = "steps that change on the way determine the number of frames, between near and far"
        yield parts.problem("plan.steps", message, "give far_um, and leave frames away")
    places = [change.from_um for change in plan.changes]
    if places != sorted(set(places)):
        yield parts.problem(
            "plan.steps", "not from near to far, each place once", "put them in order of from_um"
        )


def steps_by_the_depth(parts: Parts) -> Iterator[Problem]:
    """Steps that follow the depth of field need a lens that is refocused, and is known."""
    rail = parts.device("rail")
    if rail is None:
        return
    plans = {"plan": parts.plan} | {f"profiles.{name}": one for name, one in parts.profiles.items()}
    for path, plan in plans.items():
        if plan is None or plan.steps != "dof":
            continue
        found = refocused(parts.optics or Optics(), rail.options)
        if isinstance(found, str):
            yield parts.problem(f"{path}.steps", f"dof: {found}", "docs/optics.md says what is needed")


def gaps_between_frames(parts: Parts) -> Iterator[Problem]:
    """More than the depth of field leaves gaps."""
    plan = parts.plan
    if plan is not None and plan.dof_share > 1:
        message = f"steps of {number(plan.dof_share)} times the depth of field leave depths that no frame shows sharp"
        yield parts.problem("plan.dof_share", message, "0.8 is usual, 1 the most without gaps")


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    span_said_once,
    near_before_far,
    determined_once,
    steps_in_order,
    steps_by_the_depth,
)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (gaps_between_frames,)
