"""The section about the stack to take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.base import NonNegative, Positive
from rigd.config.section import Section
from rigd.plan import exactly

Frames = Annotated[int, Field(ge=2)]


class StepChange(Section):
    """From here on another step."""

    from_um: NonNegative
    """Rail position."""
    step_um: Positive
    """Largest distance between two frames from there on."""


class PlanSection(Section):
    """The stack to take: where it begins and ends, and how fine. `rigd plan` shows what comes of it.

    Begin and end are `near_um` and `far_um`, or `centre_um` and `range_um`, or one end and `depth_um`. Without `step_um` and `frames` the step is made from
    the optics. `near_um`, `step_um` and `frames` together need no end.
    """

    near_um: NonNegative | None = None
    """Rail position at which the nearest plane of the subject is in focus."""
    far_um: NonNegative | None = None
    """Rail position at which the farthest plane is in focus. Follows from step and frames when not given."""
    centre_um: NonNegative | None = None
    """Rail position at which the middle of the subject is in focus, instead of near and far."""
    range_um: Positive | None = None
    """How much of the rail the stack covers around `centre_um`, half of it on either side."""
    depth_um: Positive | None = None
    """How deep the subject is, beside `near_um` or `far_um`."""
    step_um: Positive | None = None
    """Largest distance between two frames. Between near and far the real step is evened out, never made longer. Default: `dof_share` of the depth of field."""
    frames: Frames | Literal["all"] | None = None
    """How many frames from near to far, both included; `all`: as many as the camera has (a replay)."""
    dof_share: Annotated[float, Field(gt=0, le=2)] = 0.8
    """Where neither step nor frames are given: how much of the depth of field a step may be. The rest is overlap; above 1 there are gaps."""
    steps: tuple[StepChange, ...] | Literal["dof"] = ()
    """Other steps from certain positions on: `[{from_um: 12000, step_um: 20}]`. Up to the first of them `step_um` holds. `dof`, where the rail refocuses a
    lens: each step is `dof_share` of the depth of field there, and no longer than `step_um` where that is given."""
    margin_frames: Annotated[int, Field(ge=0, le=50)] = 0
    """Extra frames beyond each end, at the same step."""
    direction: Literal["near_to_far", "far_to_near"] = "near_to_far"
    """Which end is photographed first. Every frame is approached in this direction."""
    overshoot_um: NonNegative | None = None
    """How far the rail backs off before it approaches. Default: 1.5 times the rail's backlash, at least one step."""

    @property
    def ends_um(self) -> tuple[float | None, float | None]:
        """Near and far, in whichever way they are given; None for what is not."""
        if self.centre_um is not None:
            if self.range_um is None:
                return None, None
            half, centre = exactly(self.range_um) / 2, exactly(self.centre_um)
            return float(centre - half), float(centre + half)
        near_um, far_um = self.near_um, self.far_um
        if self.depth_um is not None:
            depth = exactly(self.depth_um)
            if near_um is None and far_um is not None:
                near_um = float(exactly(far_um) - depth)
            elif far_um is None and near_um is not None:
                far_um = float(exactly(near_um) + depth)
        return near_um, far_um

    @property
    def changes(self) -> tuple[StepChange, ...]:
        """Where the step changes to one that is given."""
        return () if self.steps == "dof" else self.steps

    @property
    def follows_depth(self) -> bool:
        """Whether each step goes by the depth of field where it is."""
        return self.steps == "dof"

    @property
    def step_from_optics(self) -> bool:
        """Whether nobody says how fine the stack is: then the optics do."""
        return self.step_um is None and self.frames is None and self.ends_um[1] is not None
