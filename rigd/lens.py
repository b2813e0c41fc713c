"""What a rig looks through: lens, sensor and light, as its config, its calibration and its rail tell them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from rigd.calibration.records import Calibration, CalibrationError, calibration_path, load
from rigd.config.model import RigConfig
from rigd.config.optics import refocused
from rigd.optics import OpticsError, Setup
from rigd.plan import PlanError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pupil:
    """Entrance pupil to the plane in focus."""

    distance_um: float | None
    """None: the picture keeps its size."""
    source: str
    """Who says so, in words."""


def calibration_of(config: RigConfig) -> Calibration:
    """What was measured of a rig; nothing, with a warning, where that cannot be read."""
    try:
        return load(calibration_path(config))
    except (CalibrationError, OSError) as error:
        log.warning("nothing of the calibration is used: %s", error)
        return Calibration()


def pupil_of(config: RigConfig, calibration: Calibration | None = None) -> Pupil | None:
    """As the config says, else as it was measured with this objective; None where neither knows."""
    given_um = config.optics.pupil_to_focus_um or config.preview.pupil_to_focus_um
    if given_um is not None:
        return Pupil(given_um, "as the config says")
    found = None if calibration is None else calibration.pupil_distance(config.optics.objective or "")
    if found is None:
        return None
    error = "" if found.pupil_to_focus_um is None else f" with an error of {found.error_um / 1000:.2g} mm"
    return Pupil(found.pupil_to_focus_um, f"measured {found.measured[:10]}{error}")


def optics_of(
    config: RigConfig, camera_width_px: int | None, calibration: Calibration | None = None
) -> Setup | None:
    """Lens, sensor and light of a rig; None where too little is known. Raises `PlanError` for what cannot be."""
    pupil = pupil_of(config, calibration)
    try:
        return config.optics.setup(camera_width_px, None if pupil is None else pupil.distance_um)
    except OpticsError as error:
        raise PlanError(f"the optics cannot be: {error}") from error


def refocused_optics(config: RigConfig, camera_width_px: int | None) -> Callable[[float], Setup]:
    """Lens, sensor and light of a lens that is focused instead of moved, by its position as a rail. Raises `PlanError` where it is not one.

    There is no entrance pupil that moves: a picture's change of size is that of the focus.
    """
    lens = refocused(config.optics, config.rail.options)
    if isinstance(lens, str):
        raise PlanError(f"plan.steps is dof: {lens}")
    try:
        nearest = config.optics.model_copy(update={"magnification": lens(0.0)})
        setup = nearest.setup(camera_width_px)
        assert setup is not None
        fixed = replace(setup, pupil_to_focus_um=None)
    except OpticsError as error:
        raise PlanError(f"the optics cannot be: {error}") from error
    return lambda position_um: replace(fixed, magnification=lens(position_um))
