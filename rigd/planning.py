"""From a rig's config to a plan that its rail, camera and disk can do, with what it will take."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.base import CameraCapabilities, RailCapabilities
from rigd.config.model import PlanSection, RigConfig
from rigd.machine.state import EndAction, RailFacts, Stack
from rigd.plan import (
    Costs,
    Plan,
    PlanError,
    PlanRequest,
    Prediction,
    RailModel,
    check_resources,
    make_plan,
    predict,
)

BYTES_A_PREVIEW_PIXEL = 5
"""Of preview JPEG, depth map and confidence together, roughly."""
JOURNAL_BYTES_A_FRAME = 900


class RailForecast(Protocol):
    """What a plan asks of a rail. Every `drivers.base.Rail` can tell, also before it is opened."""

    @property
    def capabilities(self) -> RailCapabilities:
        """What it can do."""

    def move_time_s(self, distance: int) -> float:
        """How long a move over so many microsteps takes."""


@dataclass(frozen=True, slots=True)
class DeclaredRail:
    """A rail known by its options alone; its moves are taken for trapezoids at full speed and acceleration."""

    capabilities: RailCapabilities

    def move_time_s(self, distance: int) -> float:
        """Speed up, go, slow down; a short move never reaches full speed."""
        rail = self.capabilities
        way_um = abs(distance) * rail.microstep_um
        ramps_um = rail.max_speed_um_per_s**2 / rail.acceleration_um_per_s2
        if way_um <= ramps_um:
            return 2 * math.sqrt(way_um / rail.acceleration_um_per_s2)
        return way_um / rail.max_speed_um_per_s + rail.max_speed_um_per_s / rail.acceleration_um_per_s2


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what it takes, and what there is."""

    plan: Plan
    prediction: Prediction
    free_bytes: int


def rail_facts(config: RigConfig, microstep_um: float) -> RailFacts:
    """What the machine must know of this rail, in microsteps. Limits are rounded inward."""
    # A limit that is a whole number of microsteps but for the last bit of a float stays that number.
    return RailFacts(
        min=-int(-config.limits.min_um / microstep_um + 1e-6) if config.limits.min_um else 0,
        max=int(config.limits.max_um / microstep_um + 1e-6),
        jog_max=int(config.jog.max_distance_um / microstep_um + 1e-6),
    )


def plan_stack(
    config: RigConfig, rail: RailForecast, camera: CameraCapabilities, start: int | None = None
) -> Planned:
    """The configured plan, checked against rail, camera and disk. Raises `PlanError` with every reason against it."""
    if config.plan is None:
        raise PlanError("the config has no plan: section: add near_um and two of far_um, step_um, frames")
    capabilities = rail.capabilities
    plan = make_plan(
        _request(config.plan, camera),
        RailModel(
            capabilities.microstep_um, config.limits.min_um, config.limits.max_um, capabilities.backlash_um
        ),
    )
    pixels = camera.width * camera.height
    preview_pixels = min(pixels, config.preview.max_megapixels * 1e6)
    costs = Costs(
        move_time_s=rail.move_time_s,
        settle_s=lambda _: config.settle.fixed_s,
        exposure_s=camera.exposure_s,
        camera_overhead_s=camera.overhead_s,
        transfer_s=camera.transfer_s,
        frame_bytes=camera.frame_bytes + JOURNAL_BYTES_A_FRAME,
        fixed_bytes=int(preview_pixels * BYTES_A_PREVIEW_PIXEL),
    )
    prediction = predict(plan, costs, start)
    _check_folder(config.storage.sessions)
    free = free_bytes(config.storage.sessions) - int(config.storage.keep_free_mb * 1e6)
    check_resources(plan, prediction, free_bytes=free, max_frames=camera.max_frames)
    return Planned(plan, prediction, free)


def stack_of(
    config: RigConfig, plan: Plan, done: frozenset[int] = frozenset(), compare: int | None = None
) -> Stack:
    """The stack for the machine: all of the plan, or what an interrupted session lacks."""
    capture = config.capture
    return Stack(
        plan=plan,
        order=tuple(frame for frame in range(plan.frames) if frame not in done),
        end=EndAction(capture.end),
        park=round(capture.park_um / plan.microstep_um),
        max_retries=capture.checks.max_retries,
        prove=capture.checks.evidence,
        rehome=capture.rehome_at_end,
        compare=compare,
        accepted=len(done),
    )


def free_bytes(folder: Path) -> int:
    """Free space where a folder is or will be."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return there


def _check_folder(folder: Path) -> None:
    """Raise `PlanError` when sessions cannot be written there."""
    there = _existing(folder)
    if not there.is_dir():
        raise PlanError(f"storage.sessions is {folder}, and {there} is a file: name a folder")
    if not os.access(there, os.W_OK | os.X_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        raise PlanError(
            f"storage.sessions is {folder}, and {there} cannot be written: give the right, or name another folder"
        )


def _request(section: PlanSection, camera: CameraCapabilities) -> PlanRequest:
    frames = section.frames
    if frames == "all":
        if camera.max_frames is None:
            raise PlanError(
                "plan.frames is 'all', and this camera has no fixed number of frames: give a number"
            )
        frames = camera.max_frames - 2 * section.margin_frames
    return PlanRequest(
        near_um=section.near_um,
        far_um=section.far_um,
        step_um=section.step_um,
        frames=frames,
        margin_frames=section.margin_frames,
        near_first=section.direction == "near_to_far",
        overshoot_um=section.overshoot_um,
    )
