"""The sections about the optics: what is on the camera, named objectives and named rails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol, cast

from pydantic import Field

from drivers.base import NonNegative, Positive
from rigd.config.section import Section
from rigd.optics import Setup, object_px_um, pixel_pitch_um
from rigd.optics.scale import magnification_of_distance


class Optics(Section):
    """The lens on the camera and the sensor behind it. What is given here overrides what the named objective says."""

    objective: str | None = None
    """Name of an entry of `objectives:`, or of the library that `rigd optics list` shows."""
    magnification: Positive | None = None
    """Image size over subject size, as it is set now. `rigd optics ruler` measures it."""
    f_number: Positive | None = None
    """As marked on the lens, for focus at infinity."""
    na: Annotated[float, Field(gt=0, lt=1.6)] | None = None
    """Numerical aperture on the side of the subject, instead of an f-number."""
    pupil_ratio: Positive | None = None
    """Diameter of the exit pupil over that of the entrance pupil. Default: 1, a symmetric lens."""
    focal_length_mm: Positive | None = None
    """With `extension_mm` or `subject_mm`, where the magnification is not known."""
    extension_mm: Positive | None = None
    """How far the lens is from where it focuses at infinity: bellows, rings, helicoid."""
    subject_mm: Positive | None = None
    """Subject to the lens's front principal plane."""
    tube_mm: Positive | None = None
    """Focal length of the tube lens that an infinity objective is used with, where it is another than its own."""
    refractive_index: Annotated[float, Field(ge=1, le=2)] | None = None
    """Between objective and subject. Default: 1, air."""
    sensor_width_mm: Positive | None = None
    """Width of the part of the sensor that a picture shows, from the data sheet."""
    sensor_height_mm: Positive | None = None
    """Its height, to check the width by: pixels are square."""
    sensor_width_px: Annotated[int, Field(ge=16)] | None = None
    """Pixels across that width. Default: the width of the camera's pictures."""
    wavelength_um: Annotated[float, Field(ge=0.2, le=2)] = 0.55
    """Of the light: green."""
    blur_circle_um: Positive | None = None
    """Largest disc on the sensor that still passes for a point. Default: none; the depth of field is then that of wave optics."""
    depth_of_field: Literal["auto", "classic", "wave", "microscope"] = "auto"
    """Which depth of field the step is made from. `auto`: classic where `blur_circle_um` is given, else wave. docs/optics.md says what each is."""
    pupil_to_focus_um: Positive | None = None
    """Entrance pupil to focal plane, for rail perspective. Default: `preview.pupil_to_focus_um`."""

    def pitch_um(self, camera_width_px: int) -> float | None:
        """Distance of two pixels of a still on the sensor; None where the sensor's width is not given."""
        if self.sensor_width_mm is None:
            return None
        return pixel_pitch_um(self.sensor_width_mm, self.sensor_width_px or camera_width_px)

    def object_px_um(self, camera_width_px: int) -> float | None:
        """How much of the subject, in micrometres, one pixel of a still shows; None where magnification or sensor are not known."""
        pitch_um = self.pitch_um(camera_width_px)
        if pitch_um is None or self.magnification is None:
            return None
        return object_px_um(self.magnification, pitch_um)

    def setup(self, camera_width_px: int | None, pupil_to_focus_um: float | None = None) -> Setup | None:
        """Lens, sensor and light together; None where magnification or aperture are not known. Raises `OpticsError` for what cannot be."""
        if self.magnification is None or (self.f_number is None and self.na is None):
            return None
        pitch_um = self.pitch_um(camera_width_px) if camera_width_px is not None else None
        return Setup(
            magnification=self.magnification,
            f_number=self.f_number,
            na=self.na,
            pupil_ratio=self.pupil_ratio or 1.0,
            refractive_index=self.refractive_index or 1.0,
            wavelength_um=self.wavelength_um,
            blur_circle_um=self.blur_circle_um,
            pitch_um=pitch_um,
            width_px=camera_width_px,
            convention=None if self.depth_of_field == "auto" else self.depth_of_field,
            pupil_to_focus_um=self.pupil_to_focus_um or pupil_to_focus_um,
        )


class Refocusing(Protocol):
    """Options of a rail that is a lens: positions are those of the plane in focus."""

    def dioptres_at(self, position_um: float) -> float:
        """One over the distance of that plane from the lens in metres."""


def refocused(optics: Optics, rail: object) -> Callable[[float], float] | str:
    """Magnification by the position of a lens that is focused instead of moved; or what is missing, in words.

    A thin lens: m = f / (u - f), with the plane in focus u before it.
    """
    if not callable(getattr(rail, "dioptres_at", None)):
        return "only a rail that refocuses a lens has a depth of field that changes on the way; leave plan.steps away"
    focal_length_mm = optics.focal_length_mm
    missing = [name for name in ("focal_length_mm", "f_number") if getattr(optics, name) is None]
    if missing or focal_length_mm is None:
        return f"the depth of field of a lens that is refocused needs optics.{' and optics.'.join(missing)}"
    lens = cast("Refocusing", rail)
    if focal_length_mm >= (nearest_mm := 1000 / lens.dioptres_at(0.0)):
        return f"optics.focal_length_mm is {focal_length_mm:g}: it must be below the nearest focus, {nearest_mm:g} mm"
    return lambda position_um: magnification_of_distance(
        focal_length_mm, 1000 / lens.dioptres_at(position_um)
    )


class Objective(Section):
    """A lens or a microscope objective by name; `optics` overrides what it says."""

    about: str = ""
    """What it is, for people."""
    magnification: Positive | None = None
    """Of an objective: as engraved. Of a lens that is always used at one setting: that."""
    magnification_min: Positive | None = None
    """Least magnification of a lens that has a range."""
    magnification_max: Positive | None = None
    """Greatest magnification of a lens that has a range."""
    na: Annotated[float, Field(gt=0, lt=1.6)] | None = None
    """Numerical aperture on the side of the subject, as engraved."""
    f_number: Positive | None = None
    """As marked, of a lens that is always used at one aperture."""
    f_number_min: Positive | None = None
    """The widest aperture it has."""
    f_number_max: Positive | None = None
    """The smallest aperture it has."""
    pupil_ratio: Positive | None = None
    """Diameter of the exit pupil over that of the entrance pupil."""
    focal_length_mm: Positive | None = None
    """Focal length."""
    tube_mm: Positive | None = None
    """Focal length of the tube lens that the engraved magnification is for; for infinity objectives."""
    refractive_index: Annotated[float, Field(ge=1, le=2)] | None = None
    """Between objective and subject; 1.33 for water."""
    working_distance_mm: Positive | None = None
    """From the front of the objective to the subject."""
    field_mm: Positive | None = None
    """Diameter of the image that is good, on the sensor."""


class RailProfile(Section):
    """A rail by name, for `rail: {driver: ..., model: NAME}`; the options of `rail:` override what it says, and each driver takes what it has an option for."""

    about: str = ""
    """What it is, for people."""
    screw_pitch_um: Positive | None = None
    """Travel of one revolution: the lead of the screw, which is its pitch times its starts."""
    full_steps_per_rev: Annotated[int, Field(ge=4, le=100_000)] | None = None
    """Full steps of the motor for one revolution of the screw, a gear included."""
    microsteps: Annotated[int, Field(ge=1, le=256)] | None = None
    """Microsteps per full step."""
    travel_um: Positive | None = None
    """From home to the far end."""
    max_speed_um_per_s: Positive | None = None
    """Highest speed."""
    acceleration_um_per_s2: Positive | None = None
    """Acceleration."""
    backlash_um: NonNegative | None = None
    """Lost motion at a reversal."""
