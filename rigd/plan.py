"""A capture plan: where the rail stops, in which order, and what that will take. Pure: no clock, no I/O, no drivers.

Edge rules, all of them:

- near and far are reached exactly (each to its nearest microstep), whatever the step;
- a step is the *longest* distance allowed between two frames: `ceil((far - near) / step) + 1` frames are spread evenly;
- each position is rounded to microsteps once, from its exact value, so rounding never adds up; `Plan.rounding_um` shows it;
- margin frames go on beyond both ends at the same even step;
- every frame is approached in the direction of capture by more than the backlash; the first from `approach`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

OVERSHOOT_FACTOR = 1.5
"""Overshoot in backlashes. DIY rails have some 200 um of backlash and it varies along the screw."""


class PlanError(ValueError):
    """A plan that the rail, the disk or the camera cannot do. `reasons` has every one of them, each with its fix."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What was asked for, in micrometres. Two of near, far and one of step, frames, or near, step and frames."""

    near_um: float
    far_um: float | None = None
    step_um: float | None = None
    frames: int | None = None
    margin_frames: int = 0
    near_first: bool = True
    overshoot_um: float | None = None


@dataclass(frozen=True, slots=True)
class RailModel:
    """What a plan must know of the rail."""

    microstep_um: float
    min_um: float
    max_um: float
    backlash_um: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Positions in the order of capture, in whole microsteps from home."""

    positions: tuple[int, ...]
    asked_um: tuple[float, ...]
    """The exact positions before rounding."""
    microstep_um: float
    near: int
    far: int
    margin_frames: int
    step_um: float
    """The even step, before rounding."""
    approach: int
    """Where the rail goes before the first frame, and the side from which each frame is approached."""
    overshoot: int
    """Microsteps the rail backs off before an approach."""
    backlash: int
    """Microsteps that an approach must exceed."""

    @property
    def frames(self) -> int:
        """How many frames, margins included."""
        return len(self.positions)

    @property
    def near_first(self) -> bool:
        """Whether capture goes toward the subject."""
        return self.approach < self.positions[0]

    @property
    def direction(self) -> int:
        """+1 toward the subject, -1 away."""
        return 1 if self.near_first else -1

    @property
    def rounding_um(self) -> float:
        """The largest difference between an asked position and its microstep."""
        pairs = zip(self.positions, self.asked_um, strict=True)
        return max(abs(position * self.microstep_um - asked) for position, asked in pairs)

    def um(self, position: int) -> float:
        """A position in micrometres from home."""
        return position * self.microstep_um

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data, from which `from_dict` makes an equal plan."""
        return {
            "positions": list(self.positions),
            "asked_um": list(self.asked_um),
            "microstep_um": self.microstep_um,
            "near": self.near,
            "far": self.far,
            "margin_frames": self.margin_frames,
            "step_um": self.step_um,
            "approach": self.approach,
            "overshoot": self.overshoot,
            "backlash": self.backlash,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        """The plan that `to_dict` wrote. Raises KeyError or TypeError when it is not one."""
        return cls(**{**data, "positions": tuple(data["positions"]), "asked_um": tuple(data["asked_um"])})


@dataclass(frozen=True, slots=True)
class Costs:
    """What one frame costs, for the prediction."""

    move_time_s: Callable[[int], float]
    """Duration of a move over so many microsteps."""
    settle_s: float
    exposure_s: float
    camera_overhead_s: float = 0.0
    transfer_s: float = 0.0
    frame_bytes: int = 0
    fixed_bytes: int = 0
    """Preview, depth map and journal."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Time and bytes of a plan, and what they are made of."""

    seconds: float
    motion_s: float
    settle_s: float
    exposure_s: float
    waiting_s: float
    """For the camera: overhead, and transfers longer than the next move and settle."""
    bytes: int


def make_plan(request: PlanRequest, rail: RailModel) -> Plan:
    """Positions for a request. Raises `PlanError` with every reason why the rail cannot do it."""
    near, far, intervals = _ends(request)
    microstep, step = exactly(rail.microstep_um), (far - near) / intervals
    backlash = math.ceil(exactly(rail.backlash_um) / microstep)
    overshoot = _overshoot(request, rail, step, backlash)
    direction = 1 if request.near_first else -1
    low, high = near - request.margin_frames * step, far + request.margin_frames * step
    first, last = (_nearest(end / microstep) for end in ((low, high) if request.near_first else (high, low)))
    approach = first - direction * overshoot
    # Before any position is made: a request that is far off could ask for more of them than memory holds.
    reasons = (
        *_step_reasons(request, rail, far - near, step),
        *_overshoot_reasons(request, rail, step, overshoot, backlash),
        *_limit_reasons(min(approach, last), max(approach, last), rail),
    )
    if reasons:
        raise PlanError(*reasons)
    exact = [near + step * index for index in _indices(request, intervals)]
    return Plan(
        positions=tuple(_nearest(value / microstep) for value in exact),
        asked_um=tuple(float(value) for value in exact),
        microstep_um=rail.microstep_um,
        near=_nearest(near / microstep),
        far=_nearest(far / microstep),
        margin_frames=request.margin_frames,
        step_um=float(step),
        approach=approach,
        overshoot=overshoot,
        backlash=backlash,
    )


def predict(plan: Plan, costs: Costs, start: int | None = None) -> Prediction:
    """How long a plan takes and how much it stores.

    The next move starts when the shutter has closed, so a transfer costs time only where it is longer than the move and
    settle that follow. `start` is where the rail stands now (default: at the approach).
    """
    stops = (plan.approach, *plan.positions)
    moves = [costs.move_time_s(b - a) for a, b in itertools.pairwise(stops)]
    lead_in = 0.0 if start is None or start == plan.approach else costs.move_time_s(plan.approach - start)
    stalls = sum(max(0.0, costs.transfer_s - move - costs.settle_s) for move in moves[1:]) + costs.transfer_s
    motion_s = lead_in + sum(moves)
    settle_s = plan.frames * costs.settle_s
    exposure_s = plan.frames * costs.exposure_s
    waiting_s = plan.frames * costs.camera_overhead_s + stalls
    return Prediction(
        seconds=motion_s + settle_s + exposure_s + waiting_s,
        motion_s=motion_s,
        settle_s=settle_s,
        exposure_s=exposure_s,
        waiting_s=waiting_s,
        bytes=plan.frames * costs.frame_bytes + costs.fixed_bytes,
    )


def check_resources(
    plan: Plan, prediction: Prediction, *, free_bytes: int | None, max_frames: int | None
) -> None:
    """Raise `PlanError` when the disk or the camera cannot hold the plan."""
    reasons = []
    if max_frames is not None and plan.frames > max_frames:
        reasons.append(
            f"the camera has {max_frames} frames left and the plan takes {plan.frames}: "
            f"take a longer step, fewer margin frames, or make room on the card"
        )
    if free_bytes is not None and prediction.bytes > free_bytes:
        reasons.append(
            f"the plan stores about {prediction.bytes / 1e6:.1f} MB and the disk has {max(0, free_bytes) / 1e6:.1f} MB to give: "
            f"delete old sessions or set storage.sessions to a larger disk"
        )
    if reasons:
        raise PlanError(*reasons)


def exactly(value: float) -> Fraction:
    """The decimal number that was written: 0.3 is three tenths, not the float just below, so 3 um in 0.3 um steps is 10."""
    return Fraction(repr(float(value)))


def _nearest(microsteps: Fraction) -> int:
    """The nearest whole number, halves upward: even steps stay even, as they would not with halves to even."""
    return math.floor(microsteps + Fraction(1, 2))


def _ends(request: PlanRequest) -> tuple[Fraction, Fraction, int]:
    """Near, far and the number of intervals between them, exactly."""
    if reasons := tuple(_request_reasons(request)):
        raise PlanError(*reasons)
    near = exactly(request.near_um)
    if request.far_um is None:
        assert request.step_um is not None
        assert request.frames is not None
        return near, near + exactly(request.step_um) * (request.frames - 1), request.frames - 1
    far = exactly(request.far_um)
    if request.frames is not None:
        return near, far, request.frames - 1
    assert request.step_um is not None
    return near, far, math.ceil((far - near) / exactly(request.step_um))


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


def _indices(request: PlanRequest, intervals: int) -> range:
    """Frames in the order of capture, counted from near."""
    upward = range(-request.margin_frames, intervals + request.margin_frames + 1)
    return upward if request.near_first else upward[::-1]


def _overshoot(request: PlanRequest, rail: RailModel, step: Fraction, backlash: int) -> int:
    """Microsteps to back off: as asked, else 1.5 backlashes and at least one step; always more than the backlash."""
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


def _step_reasons(request: PlanRequest, rail: RailModel, depth: Fraction, step: Fraction) -> Iterator[str]:
    microstep = exactly(rail.microstep_um)
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
