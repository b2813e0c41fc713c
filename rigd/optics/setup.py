"""A lens, a sensor and the light together, and everything that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rigd.optics import aperture, depth, diffraction
from rigd.optics.depth import WAVELENGTH_UM, Convention
from rigd.optics.scale import OpticsError, object_px_um, positive

CONVENTION_WORDS: dict[Convention, str] = {
    "classic": "classic, 2 c N_eff / m²",
    "wave": "wave optics, λ n / NA²",
    "microscope": "microscope, λ n / NA² + n e / (M NA)",
}


@dataclass(frozen=True, slots=True)
class Setup:
    """What is on the camera. Either `f_number` or `na` is given; the other follows."""

    magnification: float
    f_number: float | None = None
    """As marked for infinity."""
    na: float | None = None
    """On the subject's side, as engraved."""
    pupil_ratio: float = 1.0
    refractive_index: float = 1.0
    wavelength_um: float = WAVELENGTH_UM
    blur_circle_um: float | None = None
    pitch_um: float | None = None
    width_px: int | None = None
    convention: Convention | None = None
    """None: classic where there is a blur circle, else wave."""
    pupil_to_focus_um: float | None = None

    def __post_init__(self) -> None:
        """Raises `OpticsError` for what cannot be."""
        if (self.f_number is None) == (self.na is None):
            raise OpticsError("an aperture is needed once: f_number, as marked on the lens, or na")
        given = {name: getattr(self, name) for name in ("f_number", "na", "blur_circle_um", "pitch_um")}
        positive(
            magnification=self.magnification,
            pupil_ratio=self.pupil_ratio,
            refractive_index=self.refractive_index,
            wavelength_um=self.wavelength_um,
            **{name: value for name, value in given.items() if value is not None},
        )
        aperture.check_na(self.subject_na, self.refractive_index)
        if self.convention == "classic" and self.blur_circle_um is None:
            raise OpticsError("the classic depth of field needs a blur circle: give blur_circle_um")
        if self.convention == "microscope" and self.resolved_um is None:
            raise OpticsError(
                "the microscope's depth of field needs what the sensor resolves: give the sensor's width, or blur_circle_um"
            )

    @property
    def effective_f_number(self) -> float:
        """What is left of the aperture at this magnification."""
        if self.f_number is not None:
            return aperture.effective_f_number(self.f_number, self.magnification, self.pupil_ratio)
        assert self.na is not None
        return aperture.effective_of_na(self.na, self.magnification)

    @property
    def subject_na(self) -> float:
        """Numerical aperture on the subject's side."""
        return self.na or aperture.numerical_aperture(self.effective_f_number, self.magnification)

    @property
    def resolved_um(self) -> float | None:
        """The smallest distance that counts on the sensor: the blur circle, else a pixel."""
        return self.blur_circle_um or self.pitch_um

    @property
    def named_convention(self) -> Convention:
        """The depth of field that steps are made from."""
        return self.convention or ("classic" if self.blur_circle_um is not None else "wave")

    def depths_of_field_um(self) -> dict[Convention, float]:
        """By every convention that there are values for."""
        found: dict[Convention, float] = {}
        if self.blur_circle_um is not None:
            found["classic"] = depth.classic_um(
                self.blur_circle_um, self.effective_f_number, self.magnification
            )
        found["wave"] = depth.wave_um(self.subject_na, self.wavelength_um, self.refractive_index)
        if self.resolved_um is not None:
            found["microscope"] = depth.microscope_um(
                self.subject_na,
                self.magnification,
                self.resolved_um,
                self.wavelength_um,
                self.refractive_index,
            )
        return found

    @property
    def depth_of_field_um(self) -> float:
        """By the convention that is named."""
        return self.depths_of_field_um()[self.named_convention]

    def step_um(self, share: float) -> float:
        """A share of the depth of field, without the noise of floating point: a depth of whole steps is that many steps."""
        positive(share=share)
        return float(f"{share * self.depth_of_field_um:.9g}")

    @property
    def light_loss_stops(self) -> float | None:
        """Stops that close range costs; None for objectives, whose aperture is engraved as it is."""
        if self.f_number is None:
            return None
        return aperture.light_loss_stops(self.magnification, self.pupil_ratio)

    @property
    def exposure_factor(self) -> float | None:
        """A hand-held meter's exposure, times this; None for objectives."""
        return (
            None if self.f_number is None else aperture.exposure_factor(self.magnification, self.pupil_ratio)
        )

    @property
    def airy_um(self) -> float:
        """Diameter of the Airy disc on the sensor."""
        return diffraction.airy_um(self.effective_f_number, self.wavelength_um)

    @property
    def airy_px(self) -> float | None:
        """The same in pixels; None where the sensor is not known."""
        return None if self.pitch_um is None else self.airy_um / self.pitch_um

    @property
    def object_px_um(self) -> float | None:
        """One pixel on the subject; None where the sensor is not known."""
        return None if self.pitch_um is None else object_px_um(self.magnification, self.pitch_um)

    @property
    def best_effective(self) -> float | None:
        """The effective f-number at which blur circle and diffraction weigh alike: of the blur circle, else of a disc of two pixels."""
        circle_um = self.blur_circle_um or (2 * self.pitch_um if self.pitch_um is not None else None)
        return None if circle_um is None else diffraction.best_effective(circle_um, self.wavelength_um)

    @property
    def best_f_number(self) -> float | None:
        """The same as marked on the lens; None for objectives, whose aperture cannot be set."""
        best = self.best_effective
        if best is None or self.f_number is None:
            return None
        return aperture.marked_f_number(best, self.magnification, self.pupil_ratio)

    def to_dict(self) -> dict[str, Any]:
        """Everything that was given and everything that follows, as JSON-ready data; what is not known is None."""
        return {
            "magnification": self.magnification,
            "f_number": self.f_number,
            "effective_f_number": self.effective_f_number,
            "na": self.subject_na,
            "pupil_ratio": self.pupil_ratio,
            "refractive_index": self.refractive_index,
            "wavelength_um": self.wavelength_um,
            "blur_circle_um": self.blur_circle_um,
            "pitch_um": self.pitch_um,
            "object_px_um": self.object_px_um,
            "light_loss_stops": self.light_loss_stops,
            "exposure_factor": self.exposure_factor,
            "airy_um": self.airy_um,
            "airy_px": self.airy_px,
            "cutoff_per_um": diffraction.cutoff_per_um(self.effective_f_number, self.wavelength_um),
            "depth_of_field_um": dict(self.depths_of_field_um()),
            "convention": self.named_convention,
            "best_effective_f_number": self.best_effective,
            "best_f_number": self.best_f_number,
            "pupil_to_focus_um": self.pupil_to_focus_um,
        }
