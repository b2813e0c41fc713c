"""Depth of field on the subject, by the conventions that are in use. All are the full depth, from the near to the far limit.

- `classic`: 2 c N_eff / m^2, from geometry: where a point is blurred to a disc no larger than c on the sensor.
- `wave`: lambda n / NA^2, which in air is 4 lambda N_eff^2 / m^2: where a wavefront is off by no more than a quarter of a wavelength. Zerene Systems and R. J. Littlefield
  use it so; others call half of it the depth of field, which rigd does not.
- `microscope`: lambda n / NA^2 + n e / (M NA), the sum of wave and geometry (Nikon MicroscopyU, "Depth of Field and Depth of Focus"), with e the smallest
  distance that the sensor resolves. In air its second part is the classic depth of field for c = e.
"""

from __future__ import annotations

from typing import Literal

from rigd.optics.scale import positive

Convention = Literal["classic", "wave", "microscope"]

WAVELENGTH_UM = 0.55
"""Green light, where eye and sensor see most detail."""


def classic_um(blur_circle_um: float, effective: float, magnification: float) -> float:
    """2 c N_eff / m^2."""
    positive(blur_circle_um=blur_circle_um, effective=effective, magnification=magnification)
    return 2 * blur_circle_um * effective / magnification**2


def wave_um(na: float, wavelength_um: float = WAVELENGTH_UM, refractive_index: float = 1.0) -> float:
    """Lambda n / NA^2."""
    positive(na=na, wavelength_um=wavelength_um, refractive_index=refractive_index)
    return wavelength_um * refractive_index / na**2


def microscope_um(
    na: float,
    magnification: float,
    resolved_um: float,
    wavelength_um: float = WAVELENGTH_UM,
    refractive_index: float = 1.0,
) -> float:
    """Lambda n / NA^2 + n e / (M NA), with e on the sensor."""
    positive(magnification=magnification, resolved_um=resolved_um)
    return wave_um(na, wavelength_um, refractive_index) + refractive_index * resolved_um / (
        magnification * na
    )
