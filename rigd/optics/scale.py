"""How large the subject is on the sensor: pixel pitch, size of a pixel on the subject, and magnification from what is known."""

from __future__ import annotations

import math


class OpticsError(ValueError):
    """Optics that cannot be, or of which too little is known. The message says which value, and what would be right."""


def positive(**values: float) -> None:
    """Raise `OpticsError` naming the first value that is not a finite number above 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise OpticsError(f"{name} is {value:g}: it must be a number above 0")


def pixel_pitch_um(sensor_width_mm: float, width_px: int) -> float:
    """Distance of two pixels. From the sensor's measured width and its pixel count: marketing names such as 1/2.3" tell neither."""
    positive(sensor_width_mm=sensor_width_mm, width_px=width_px)
    return sensor_width_mm * 1000 / width_px


def object_px_um(magnification: float, pitch_um: float) -> float:
    """How much of the subject, in micrometres, one pixel shows."""
    positive(magnification=magnification, pitch_um=pitch_um)
    return pitch_um / magnification


def magnification_of_field(sensor_width_mm: float, field_width_mm: float) -> float:
    """From how much of the subject fits across the picture, as read off a ruler."""
    positive(sensor_width_mm=sensor_width_mm, field_width_mm=field_width_mm)
    return sensor_width_mm / field_width_mm


def magnification_of_extension(focal_length_mm: float, extension_mm: float) -> float:
    """Thin lens: extension beyond the infinity position over focal length."""
    positive(focal_length_mm=focal_length_mm, extension_mm=extension_mm)
    return extension_mm / focal_length_mm


def magnification_of_distance(focal_length_mm: float, subject_mm: float) -> float:
    """Thin lens: f / (u - f), with the subject u in front of the lens's front principal plane. Raises `OpticsError` within f."""
    positive(focal_length_mm=focal_length_mm, subject_mm=subject_mm)
    if subject_mm <= focal_length_mm:
        raise OpticsError(
            f"subject_mm is {subject_mm:g}: it must be beyond the focal length of {focal_length_mm:g} mm"
        )
    return focal_length_mm / (subject_mm - focal_length_mm)


def magnification_on_tube(nominal: float, nominal_tube_mm: float, tube_mm: float) -> float:
    """An infinity objective on another tube lens than it is engraved for: in proportion to the tube lens's focal length."""
    positive(nominal=nominal, nominal_tube_mm=nominal_tube_mm, tube_mm=tube_mm)
    return nominal * tube_mm / nominal_tube_mm
