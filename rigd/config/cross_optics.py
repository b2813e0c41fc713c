"""What the optics must agree on with themselves, with the named objective, and with a camera that says what it sees through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rigd.config import library
from rigd.config.optics import Objective, Optics
from rigd.config.parts import Parts
from rigd.config.problems import Problem
from rigd.config.units import plain_number as number
from rigd.optics import OpticsError

LEAST_PITCH_UM, MOST_PITCH_UM = 0.2, 200.0
"""Beyond these there is no photographic sensor: a width in another unit, or another picture's pixels."""
NEARLY = 0.02
"""Values that differ by less are the same."""


def optics_possible(parts: Parts) -> Iterator[Problem]:
    """Lens, sensor and light go together."""
    optics = parts.optics
    if optics is None:
        return
    if optics.f_number is not None and optics.na is not None:
        message = "f_number and na are both given, and each is the aperture"
        yield parts.problem("optics.na", message, "leave one of them away")
        return
    if optics.magnification is None or (optics.f_number is None and optics.na is None):
        for key, wanted in (("classic", "blur_circle_um"), ("microscope", "sensor_width_mm")):
            if optics.depth_of_field == key and getattr(optics, wanted) is None:
                yield parts.problem("optics.depth_of_field", f"{key} needs {wanted}", f"add {wanted}: ...")
        return
    try:
        optics.setup(parts.camera_is.width if parts.camera_is is not None else None)
    except OpticsError as error:
        yield parts.problem("optics", str(error), "docs/optics.md says what is needed")


def sensor_has_pixels(parts: Parts) -> Iterator[Problem]:
    """The distance of two pixels is that of a sensor."""
    optics, camera = parts.optics, parts.camera_is
    if optics is None or camera is None:
        return
    pitch_um = optics.pitch_um(camera.width)
    if pitch_um is not None and not LEAST_PITCH_UM <= pitch_um <= MOST_PITCH_UM:
        message = f"{camera.width} pixels on {number(optics.sensor_width_mm or 0.0)} mm make a pixel of {pitch_um:.3g} µm, which no sensor has"
        yield parts.problem(
            "optics.sensor_width_mm", message, "the sensor's width in millimetres, from its data sheet"
        )


def within_the_objective(parts: Parts) -> Iterator[Problem]:
    """Magnification and aperture are such as the lens has."""
    optics = parts.optics
    found = _objective(parts, optics)
    if optics is None or found is None:
        return
    ranges = (
        ("magnification", found.magnification_min, found.magnification_max),
        ("f_number", found.f_number_min, found.f_number_max),
    )
    for name, least, most in ranges:
        value = getattr(optics, name)
        if value is None:
            continue
        if least is not None and value < least * (1 - NEARLY):
            yield _beyond(parts, name, value, f"from {number(least)}", optics.objective)
        if most is not None and value > most * (1 + NEARLY):
            yield _beyond(parts, name, value, f"to {number(most)}", optics.objective)


def _beyond(parts: Parts, name: str, value: float, bound: str, objective: str | None) -> Problem:
    message = f"{number(value)} is not what '{objective}' has: {bound}"
    return parts.problem(f"optics.{name}", message, "correct it, or give an objective of your own")


def _objective(parts: Parts, optics: Optics | None) -> Objective | None:
    if optics is None or optics.objective is None:
        return None
    own: Any = parts.sections.get("objectives") or {}
    return own.get(optics.objective) or library.objectives().get(optics.objective)


def pixels_are_square(parts: Parts) -> Iterator[Problem]:
    """Width and height of the sensor belong to the picture's pixels."""
    optics, camera = parts.optics, parts.camera_is
    if (
        optics is None
        or camera is None
        or optics.sensor_height_mm is None
        or optics.sensor_width_px is not None
    ):
        return
    across_um = optics.pitch_um(camera.width)
    down_um = optics.sensor_height_mm * 1000 / camera.height
    if across_um is not None and abs(down_um / across_um - 1) > NEARLY:
        message = f"pixels would be {across_um:.3g} µm wide and {down_um:.3g} µm high: the picture shows only a part of the sensor"
        fix = "give the size of the part it shows, or sensor_width_px: <pixels across the whole width>"
        yield parts.problem("optics.sensor_height_mm", message, fix)


def camera_sees_the_same(parts: Parts) -> Iterator[Problem]:
    """A simulated camera has optics of its own."""
    optics, camera = parts.optics, parts.device("camera")
    if optics is None or camera is None:
        return
    for name in ("magnification", "f_number"):
        mine, its = getattr(optics, name), getattr(camera.options, name, None)
        if mine is not None and isinstance(its, float) and abs(mine - its) > NEARLY * its:
            message = f"{number(mine)}, and the camera simulates {number(its)}"
            yield parts.problem(f"optics.{name}", message, f"{name}: {number(its)}, or change camera.{name}")


CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    optics_possible,
    sensor_has_pixels,
)
ADVICE: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    within_the_objective,
    pixels_are_square,
    camera_sees_the_same,
)
