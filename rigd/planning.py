"""From a rig's config to a plan that its rail, camera and disk can do, with what it will take."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.base import CameraCapabilities, RailCapabilities
from rigd.asked import asked
from rigd.calibration.records import Calibration
from rigd.config.cross_plan import MICROSTEP_ERROR
from rigd.config.model import Finish, RigConfig
from rigd.lens import optics_of as optics_of  # noqa: PLC0414  (asked for from here as well)
from rigd.machine.state import EndAction, RailFacts, Stack
from rigd.optics import Setup
from rigd.plan import (
    Advice,
    Costs,
    Facts,
    Plan,
    PlanError,
    Prediction,
    RailModel,
    Reason,
    Wish,
    advise,
    check_resources,
    explain,
    make_plan,
    predict,
)
from rigd.vibration.forecast import Forecast
from rigd.vibration.model import Vibration

BYTES_A_PREVIEW_PIXEL = 5
"""Of preview JPEG, depth map and confidence together, roughly."""
JOURNAL_BYTES_A_FRAME = 900
BYTES_A_FUSED_PIXEL = {"tif": 3.0, "png": 2.5, "jpg": 0.5}
"""Of eight bits a colour, roughly; camera RAW is fused into sixteen."""
EIGHT_BIT = frozenset({".jpg", ".jpeg", ".png"})
BYTES_A_DEPTH_PIXEL = 8
"""Of depth map and confidence at full size."""
BYTES_A_COLOURED_PIXEL = 0.4
"""Of the depth map in colours."""


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
    """A plan, what it takes, what there is, why it is so, and what to know before it is taken."""

    plan: Plan
    prediction: Prediction
    free_bytes: int
    setup: Setup | None = None
    """The optics, where enough is known of them; at near, where they change on the way."""
    depth_um: float | None = None
    """Depth of field where the longest step begins."""
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Advice, ...] = ()


def rail_facts(config: RigConfig, microstep_um: float) -> RailFacts:
    """What the machine must know of this rail, in microsteps. Limits are rounded inward."""
    # A limit that is a whole number of microsteps but for the last bit of a float stays that number.
    return RailFacts(
        min=-int(-config.limits.min_um / microstep_um + 1e-6) if config.limits.min_um else 0,
        max=int(config.limits.max_um / microstep_um + 1e-6),
        jog_max=int(config.jog.max_distance_um / microstep_um + 1e-6),
    )


def plan_stack(
    config: RigConfig,
    rail: RailForecast,
    camera: CameraCapabilities,
    start: int | None = None,
    *,
    vibration: Vibration | None = None,
    calibration: Calibration | None = None,
) -> Planned:
    """The configured plan, checked against rail, camera and disk. Raises `PlanError` with every reason against it.

    Where the ringing is known by `vibration`, moves are taken as they will be shaped and settles as they will be; else the settle
    is the fixed one. Of the `calibration`, the distance of the entrance pupil is used where the config does not give it.
    """
    wanted = asked(config, camera, calibration)
    request, setup = wanted.request, wanted.setup
    assert config.plan is not None
    capabilities = rail.capabilities
    plan = make_plan(
        request,
        RailModel(
            capabilities.microstep_um, config.limits.min_um, config.limits.max_um, capabilities.backlash_um
        ),
    )
    timing = None if vibration is None else Forecast(vibration, config.settle, rail, plan.step_um)
    prediction = predict(plan, _costs(config, rail, camera, timing, plan.frames), start)
    _check_folder(config.storage.sessions)
    free = free_bytes(config.storage.sessions) - int(config.storage.keep_free_mb * 1e6)
    check_resources(plan, prediction, free_bytes=free, max_frames=camera.max_frames)
    wish = Wish(
        share=config.plan.dof_share,
        step_from_optics=config.plan.step_from_optics,
        step_um=request.step_um,
        frames=request.frames,
        overshoot_given=request.overshoot_um is not None,
        backlash_um=capabilities.backlash_um,
        depth_um=wanted.depth_um,
        follows_depth=config.plan.follows_depth,
        pupil_source="" if wanted.pupil is None else wanted.pupil.source,
    )
    facts = Facts(
        plan=plan,
        prediction=prediction,
        setup=setup,
        depth_um=wanted.depth_um,
        microstep_error_um=microstep_error_um(config, capabilities),
        backlash_um=capabilities.backlash_um,
        transfer_s=camera.transfer_s,
        recycle_s=camera.recycle_s,
        overhead_s=camera.overhead_s,
        pause_s=prediction.longest_pause_s,
        registered=config.finish.enabled and config.finish.align,
        by_rail=config.preview.align != "off",
        free_bytes=free,
    )
    reasons = explain(plan, prediction, setup, wish)
    warnings = advise(facts)
    if timing is not None:
        still = (Reason("motion", timing.motion_text), Reason("settle", timing.settle_text))
        at = next((n for n, reason in enumerate(reasons) if reason.about == "time"), len(reasons))
        reasons = (*reasons[:at], *still, *reasons[at:])
        warnings = (*warnings, *(Advice("settle_unknown", one.message, one.fix) for one in timing.warnings))
    return Planned(plan, prediction, free, setup, wanted.depth_um, reasons, warnings)


def microstep_error_um(config: RigConfig, rail: RailCapabilities) -> float | None:
    """How far a microstep may be from its place: a share of a full step, whatever the microsteps. None where full steps are not known."""
    microsteps = getattr(config.rail.options, "microsteps", None)
    share = getattr(config.rail.options, "microstep_error", MICROSTEP_ERROR)
    if not isinstance(microsteps, int) or not isinstance(share, float):
        return None
    return share * microsteps * rail.microstep_um


def _costs(
    config: RigConfig, rail: RailForecast, camera: CameraCapabilities, timing: Forecast | None, frames: int
) -> Costs:
    """What a frame of this rig takes."""
    pixels = camera.width * camera.height
    preview_pixels = min(pixels, config.preview.max_megapixels * 1e6)
    return Costs(
        move_time_s=rail.move_time_s if timing is None else timing.move_time_s,
        settle_s=(lambda _: config.settle.fixed_s) if timing is None else timing.settle_s,
        exposure_s=camera.exposure_s,
        camera_overhead_s=camera.overhead_s,
        transfer_s=camera.transfer_s,
        recycle_s=camera.recycle_s,
        frame_bytes=camera.frame_bytes + JOURNAL_BYTES_A_FRAME,
        fixed_bytes=int(preview_pixels * BYTES_A_PREVIEW_PIXEL),
        once_s=0.0
        if timing is None
        else timing.audits_s(frames, camera.exposure_s + max(camera.overhead_s, camera.recycle_s)),
        results_bytes=_results_bytes(config.finish, camera),
    )


def _results_bytes(finish: Finish, camera: CameraCapabilities) -> int:
    """What is made of a complete stack, without meshes and points, whose size depends on the subject."""
    if not finish.enabled:
        return 0
    each = BYTES_A_FUSED_PIXEL[finish.picture]
    if camera.suffix.lower() not in EIGHT_BIT and finish.picture != "jpg":
        each *= 2
    if finish.depth:
        each += BYTES_A_DEPTH_PIXEL
    if finish.depth_picture:
        each += BYTES_A_COLOURED_PIXEL
    return int(camera.width * camera.height * each)


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
