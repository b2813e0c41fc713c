"""From a rig's config to what is asked of a plan: ends, and steps that are given or follow from the optics."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers.base import CameraCapabilities
from rigd.calibration.records import Calibration
from rigd.config.model import RigConfig
from rigd.config.plan import PlanSection
from rigd.lens import Pupil, optics_of, pupil_of, refocused_optics
from rigd.optics import Setup
from rigd.plan import PlanError, PlanRequest, Zone, following


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the optics that it was made with."""

    request: PlanRequest
    setup: Setup | None
    """At near, where they change on the way."""
    depth_um: float | None
    """Depth of field where the longest step begins."""
    pupil: Pupil | None = None


def asked(config: RigConfig, camera: CameraCapabilities, calibration: Calibration | None) -> Asked:
    """What is asked of the plan. Raises `PlanError` where that is not enough, or the optics cannot be."""
    section = config.plan
    if section is None:
        raise PlanError("the config has no plan: section: add near_um and two of far_um, step_um, frames")
    if section.follows_depth:
        return _by_depth(config, section, camera)
    setup = optics_of(config, camera.width, calibration)
    depth_um = None if setup is None else setup.depth_of_field_um
    return Asked(_request(section, camera, setup), setup, depth_um, pupil_of(config, calibration))


def _by_depth(config: RigConfig, section: PlanSection, camera: CameraCapabilities) -> Asked:
    near_um, far_um = section.ends_um
    if near_um is None or far_um is None or section.frames is not None:
        raise PlanError("steps that follow the depth of field need near and far, and no number of frames")
    optics_at, most_um = refocused_optics(config, camera.width), section.step_um

    def longest_um(position_um: float) -> float:
        step_um = optics_at(position_um).step_um(section.dof_share)
        return step_um if most_um is None else min(step_um, most_um)

    zones = following(near_um, far_um, longest_um)
    setup = optics_at(near_um)
    request = replace(_request(section, camera, setup), far_um=far_um, step_um=zones[0].step_um, zones=zones)
    return Asked(request, setup, optics_at(zones[-1].from_um).depth_of_field_um)


def _request(section: PlanSection, camera: CameraCapabilities, setup: Setup | None) -> PlanRequest:
    near_um, far_um = section.ends_um
    if near_um is None:
        raise PlanError("where the stack begins is missing: give near_um, or centre_um and range_um")
    frames = section.frames
    if frames == "all":
        if camera.max_frames is None:
            raise PlanError(
                "plan.frames is 'all', and this camera has no fixed number of frames: give a number"
            )
        frames = camera.max_frames - 2 * section.margin_frames
    step_um = section.step_um
    if section.step_from_optics:
        if setup is None:
            raise PlanError(
                "a plan needs near and two of far, step and frames: give step_um or frames, or say under optics: what the lens is"
            )
        step_um = setup.step_um(section.dof_share)
    return PlanRequest(
        near_um=near_um,
        far_um=far_um,
        step_um=step_um,
        frames=frames,
        margin_frames=section.margin_frames,
        near_first=section.direction == "near_to_far",
        overshoot_um=section.overshoot_um,
        zones=_zones(section, near_um, far_um),
    )


def _zones(section: PlanSection, near_um: float, far_um: float | None) -> tuple[Zone, ...]:
    """The changes of step that lie within the stack; the last one before it holds from its begin."""
    if far_um is None:
        return tuple(Zone(change.from_um, change.step_um) for change in section.changes)
    before = [change for change in section.changes if change.from_um <= near_um]
    within = [change for change in section.changes if near_um < change.from_um < far_um]
    first = [Zone(near_um, before[-1].step_um)] if before else []
    return (*first, *(Zone(change.from_um, change.step_um) for change in within))
