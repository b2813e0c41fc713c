"""What settle and motion must agree on with the rest of the rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rigd.config.parts import Parts
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number

CALIBRATION = "calibration.json"
SHAPERS = ("zv", "zvd", "mzv", "ei")


def settle_bounds_ordered(parts: Parts) -> Iterator[Problem]:
    """The shortest wait is not longer than the longest."""
    settle = parts.settle
    if settle is not None and settle.min_s > settle.max_s:
        message = f"min_s {number(settle.min_s)} is more than max_s {number(settle.max_s)}"
        yield parts.problem("settle.min_s", message, "swap min_s and max_s")


def model_knows_the_rig(parts: Parts) -> Iterator[Problem]:
    """A model needs a frequency and the size of a pixel."""
    settle = parts.settle
    if settle is None or settle.mode != "model":
        return
    if settle.frequency_hz is None and not _calibrated(parts):
        message = "mode model needs the frequency at which camera and mount ring"
        yield parts.problem(
            "settle.mode",
            message,
            "add frequency_hz: <Hz>, or run `rigd calibrate settle` and use mode: measured",
        )
    if not _pixel_known(parts):
        message = "mode model needs to know how much of the subject a pixel sees"
        yield parts.problem(
            "settle.mode", message, "add optics: with magnification and sensor_width_mm, or finish.um_per_px"
        )


def measured_is_measured(parts: Parts) -> Iterator[Problem]:
    """What is to be measured has been."""
    settle = parts.settle
    if settle is not None and settle.mode == "measured" and not _calibrated(parts):
        message = "nothing has been measured yet: frames settle for fixed_s until then"
        yield parts.problem("settle.mode", message, "run `rigd calibrate settle`")


def shaper_has_a_frequency(parts: Parts) -> Iterator[Problem]:
    """A shaper is made for a frequency."""
    motion, settle = parts.motion, parts.settle
    if motion is None or motion.shaping not in SHAPERS:
        return
    if (settle is None or settle.frequency_hz is None) and not _calibrated(parts):
        message = f"{motion.shaping} is made for the frequency of the ringing, which is not known"
        yield parts.problem(
            "motion.shaping", message, "run `rigd calibrate settle`, or add settle.frequency_hz: <Hz>"
        )


def _calibrated(parts: Parts) -> bool:
    """Whether something was ever measured of this rig. Where that cannot be seen, it is taken for granted."""
    service, rig = parts.service, parts.rig
    if service is None or rig is None:
        return True
    try:
        return (service.state / rig.id / CALIBRATION).is_file()
    except OSError:
        return True


def _pixel_known(parts: Parts) -> bool:
    optics, finish, camera = parts.optics, parts.finish, parts.camera_is
    if finish is not None and finish.um_per_px is not None:
        return True
    if optics is None or camera is None:
        return optics is None or optics.sensor_width_mm is not None  # its pixels are known once it is open
    return optics.object_px_um(camera.width) is not None


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (settle_bounds_ordered, model_knows_the_rig)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (measured_is_measured, shaper_has_a_frequency)
