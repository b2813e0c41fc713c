"""A capture plan and what it is asked by, as frozen data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


class PlanError(ValueError):
    """A plan that the rail, the disk or the camera cannot do. `reasons` has every one of them, each with its fix."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Zone:
    """From this position on, up to the next zone or far, no step is longer than this."""

    from_um: float
    step_um: float


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
    zones: tuple[Zone, ...] = ()
    """Where the step changes, from near to far; only with `far_um` and `step_um`, which holds up to the first of them."""


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
    """The even step, before rounding; where it changes on the way, the longest."""
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
    def shortest_step_um(self) -> float:
        """The shortest step, before rounding; `step_um` unless steps change on the way."""
        return min(abs(b - a) for a, b in itertools.pairwise(self.asked_um))

    @property
    def even(self) -> bool:
        """Whether all steps are alike."""
        return self.step_um - self.shortest_step_um < 1e-6 * self.step_um

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


def exactly(value: float) -> Fraction:
    """The decimal number that was written: 0.3 is three tenths, not the float just below, so 3 um in 0.3 um steps is 10."""
    return Fraction(repr(float(value)))
