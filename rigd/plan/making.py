"""From a request to positions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from rigd.plan.model import Plan, PlanError, PlanRequest, RailModel, exactly

OVERSHOOT_FACTOR = 1.5
"""Overshoot in backlashes. DIY rails have some 200 um of backlash and it varies along the screw."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the way from near to far with an even step of its own; both its ends are reached exactly."""

    start: Fraction
    end: Fraction
    intervals: int

    @property
    def step(self) -> Fraction:
        return (self.end - self.start) / self.intervals


def make_plan(request: PlanRequest, rail: RailModel) -> Plan:
    """Positions for a request. Raises `PlanError` with every reason why the rail cannot do it."""
    stretches = _stretches(request)
    near, far = stretches[0].start, stretches[-1].end
    microstep, step = exactly(rail.microstep_um), max(stretch.step for stretch in stretches)
    backlash = math.ceil(exactly(rail.backlash_um) / microstep)
    begins = (stretches[0] if request.near_first else stretches[-1]).step
    overshoot = _overshoot(request, rail, begins, backlash)
    direction = 1 if request.near_first else -1
    margin = request.margin_frames
    low, high = near - margin * stretches[0].step, far + margin * stretches[-1].step
    first, last = (_nearest(end / microstep) for end in ((low, high) if request.near_first else (high, low)))
    approach = first - direction * overshoot
    # Before any position is made: a request that is far off could ask for more of them than memory holds.
    reasons = (
        *(reason for stretch in stretches for reason in _step_reasons(request, rail, stretch)),
        *_overshoot_reasons(request, rail, begins, overshoot, backlash),
        *_limit_reasons(min(approach, last), max(approach, last), rail),
    )
    if reasons:
        raise PlanError(*reasons)
    upward = list(_places(stretches, margin))
    exact = upward if request.near_first else upward[::-1]
    return Plan(
        positions=tuple(_nearest(value / microstep) for value in exact),
        asked_um=tuple(float(value) for value in exact),
        microstep_um=rail.microstep_um,
        near=_nearest(near / microstep),
        far=_nearest(far / microstep),
        margin_frames=margin,
        step_um=float(step),
        approach=approach,
        overshoot=overshoot,
        backlash=backlash,
    )


def _places(stretches: tuple[_Stretch, ...], margin: int) -> Iterator[Fraction]:
    """Exact positions from the lowest to the highest, margins at the step of the stretch they continue."""
    first, last = stretches[0], stretches[-1]
    yield from (first.start - first.step * index for index in range(margin, 0, -1))
    for stretch in stretches:
        yield from (stretch.start + stretch.step * index for index in range(stretch.intervals))
    yield from (last.end + last.step * index for index in range(margin + 1))


def _nearest(microsteps: Fraction) -> int:
    """The nearest whole number, halves upward: even steps stay even, as they would not with halves to even."""
    return math.floor(microsteps + Fraction(1, 2))


def _stretches(request: PlanRequest) -> tuple[_Stretch, ...]:
    """The way from near to far, cut where the step changes."""
    if reasons := tuple(_request_reasons(request)):
        raise PlanError(*reasons)
    near = exactly(request.near_um)
    if request.frames is not None:
        intervals = request.frames - 1
        if request.far_um is None:
            assert request.step_um is not None
            return (_Stretch(near, near + exactly(request.step_um) * intervals, intervals),)
        return (_Stretch(near, exactly(request.far_um), intervals),)
    assert request.step_um is not None
    assert request.far_um is not None
    steps = {near: exactly(request.step_um)}
    steps |= {exactly(zone.from_um): exactly(zone.step_um) for zone in request.zones}
    ends = itertools.pairwise((*steps, exactly(request.far_um)))
    return tuple(_Stretch(start, end, math.ceil((end - start) / steps[start])) for start, end in ends)


def _request_reasons(request: PlanRequest) -> Iterator[str]:
    """What is wrong with a request on any rail."""
    lengths = {name: getattr(request, name) for name in ("near_um", "far_um", "step_um", "overshoot_um")}
    for name, value in lengths.items():
        if value is not None and not math.isfinite(value):
            yield f"{name} is {value}: it must be a finite number"
    if [request.far_um, request.step_um, request.frames].count(None) != 1:
        yield "a plan needs near and two of far, step and frames: leave out or add one"
    if request.step_um is not None and request.step_um <= 0:
        yield f"step_um is {request.step_um}: it must be above 0"
    if request.frames is not None and request.frames < 2:
        yield f"frames is {request.frames}: a stack has at least 2"
    if request.margin_frames < 0:
        yield f"margin_frames is {request.margin_frames}: it must be 0 or more"
    if request.far_um is not None and request.far_um <= request.near_um:
        yield f"far ({request.far_um:g} um) must be beyond near ({request.near_um:g} um): swap them?"
    yield from _zone_reasons(request)


def _zone_reasons(request: PlanRequest) -> Iterator[str]:
    """What is wrong with steps that change on the way."""
    if not request.zones:
        return
    if request.frames is not None or request.far_um is None:
        yield "steps that change on the way need far and no number of frames: leave out frames, give far"
        return
    for zone in request.zones:
        if not (math.isfinite(zone.from_um) and math.isfinite(zone.step_um)):
            yield f"a step of {zone.step_um} from {zone.from_um}: both must be finite numbers"
            return
        if zone.step_um <= 0:
            yield f"the step from {zone.from_um:g} um on is {zone.step_um:g}: it must be above 0"
        if not request.near_um <= zone.from_um < request.far_um:
            yield f"a step changes at {zone.from_um:g} um, which is not between near ({request.near_um:g}) and far ({request.far_um:g})"
    starts = [zone.from_um for zone in request.zones]
    if starts != sorted(set(starts)):
        yield "steps must be given from near to far, each place once: put them in order"


def _overshoot(request: PlanRequest, rail: RailModel, step: Fraction, backlash: int) -> int:
    """Microsteps to back off: as asked, else 1.5 backlashes and at least the first step; always more than the backlash."""
    microstep = exactly(rail.microstep_um)
    if request.overshoot_um is not None:
        return _nearest(exactly(request.overshoot_um) / microstep)
    least = max(exactly(OVERSHOOT_FACTOR) * exactly(rail.backlash_um), step)
    return max(math.ceil(least / microstep), backlash + 1)


def _overshoot_reasons(
    request: PlanRequest, rail: RailModel, step: Fraction, overshoot: int, backlash: int
) -> Iterator[str]:
    if overshoot <= backlash:
        usual = _overshoot(replace(request, overshoot_um=None), rail, step, backlash) * rail.microstep_um
        yield (
            f"overshoot_um ({request.overshoot_um:g}) must exceed the rail's backlash ({rail.backlash_um:g} um) "
            f"by a microstep: set it to {usual:g} or leave it out"
        )


def _step_reasons(request: PlanRequest, rail: RailModel, stretch: _Stretch) -> Iterator[str]:
    microstep, step, depth = exactly(rail.microstep_um), stretch.step, stretch.end - stretch.start
    if step >= microstep:
        return
    most = depth // microstep + 1
    if request.far_um is None:
        fix = f"take a step of at least {rail.microstep_um} um"
    elif most < 2:
        fix = "near and far must be at least one microstep apart"
    else:
        fix = f"take at most {most} frames between near and far"
    yield f"the step ({float(step):.3g} um) is below one microstep ({rail.microstep_um:.3g} um): {fix}"


def _limit_reasons(lowest: int, highest: int, rail: RailModel) -> Iterator[str]:
    microstep = exactly(rail.microstep_um)
    below = exactly(rail.min_um) - lowest * microstep
    above = highest * microstep - exactly(rail.max_um)
    if below > 0:
        yield (
            f"the plan goes down to {float(lowest * microstep):.1f} um (margins and approach included), below the limit "
            f"{rail.min_um:.1f} um: move near up by {_up(below):.1f} um, or take fewer margin frames"
        )
    if above > 0:
        yield (
            f"the plan goes up to {float(highest * microstep):.1f} um (margins and approach included), above the limit "
            f"{rail.max_um:.1f} um: move far down by {_up(above):.1f} um, or take fewer margin frames"
        )


def _up(length: Fraction) -> float:
    """Rounded up to a tenth of a micrometre: advice that is not short by its own rounding."""
    return math.ceil(length * 10) / 10
