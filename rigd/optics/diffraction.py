"""What diffraction does to the picture on the sensor, beside a pixel and beside the blur circle."""

from __future__ import annotations

from rigd.optics.depth import WAVELENGTH_UM
from rigd.optics.scale import positive


def airy_um(effective: float, wavelength_um: float = WAVELENGTH_UM) -> float:
    """Diameter of the Airy disc on the sensor, to its first dark ring: 2.44 lambda N_eff."""
    positive(effective=effective, wavelength_um=wavelength_um)
    return 2.44 * wavelength_um * effective


def cutoff_per_um(effective: float, wavelength_um: float = WAVELENGTH_UM) -> float:
    """Cycles per micrometre on the sensor beyond which no contrast is left: 1 / (lambda N_eff)."""
    positive(effective=effective, wavelength_um=wavelength_um)
    return 1 / (wavelength_um * effective)


def airy_px(effective: float, pitch_um: float, wavelength_um: float = WAVELENGTH_UM) -> float:
    """Diameter of the Airy disc in pixels. Above 2, neighbouring pixels no longer differ by much: diffraction, not the sensor, sets the limit."""
    positive(pitch_um=pitch_um)
    return airy_um(effective, wavelength_um) / pitch_um


def best_effective(blur_circle_um: float, wavelength_um: float = WAVELENGTH_UM) -> float:
    """The effective f-number at which classic and wave depth of field are equal: c / (2 lambda).

    Wider, each frame is sharper than asked and the stack takes more of them; narrower, diffraction blurs every frame by more than the blur circle
    allows, and nothing is gained.
    """
    positive(blur_circle_um=blur_circle_um, wavelength_um=wavelength_um)
    return blur_circle_um / (2 * wavelength_um)
