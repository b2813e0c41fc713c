"""A thin lens: how large the blur disc is, and how large things look from a given rail position.

This module knows nothing of pixels' contents; `render` does. Depths are rail positions: a surface at depth z is in focus
when the rail stands at z, and it is farther away the larger z is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_SHRINK, MAX_SHRINK = 0.2, 1.8
"""Range of 1/scale that is rendered; outside it a surface would stand next to the pupil or behind it."""


@dataclass(frozen=True, slots=True)
class ThinLens:
    """The optics in front of a simulated sensor."""

    magnification: float
    """At the focal plane."""
    f_number: float
    """Nominal, as engraved; the effective one is N (1 + m), pupil ratio 1."""
    pixel_pitch_um: float
    """On the sensor, at the rendered size: rendering at half size doubles it."""
    pupil_to_focus_um: float | None
    """Entrance pupil to focal plane. None: telecentric, a move of the rail changes no size."""

    def __post_init__(self) -> None:
        for name in ("magnification", "f_number", "pixel_pitch_um"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.pupil_to_focus_um is not None and not self.pupil_to_focus_um > 0:
            raise ValueError(f"pupil_to_focus_um must be positive or None, not {self.pupil_to_focus_um}")

    @property
    def effective_f_number(self) -> float:
        """N (1 + m)."""
        return self.f_number * (1.0 + self.magnification)

    @property
    def blur_px_per_um(self) -> float:
        """Diameter of the blur disc per micrometre of defocus, at the size things have in focus (perspective apart)."""
        return self.magnification**2 / (self.effective_f_number * self.pixel_pitch_um)

    @property
    def inverse_distance(self) -> float:
        """1 / pupil_to_focus_um; 0 for a telecentric lens."""
        return 0.0 if self.pupil_to_focus_um is None else 1.0 / self.pupil_to_focus_um

    def blur_px(self, defocus_um: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Diameter in pixels of the image of a point that lies `defocus_um` behind the focal plane (in object space).

        The cone from the aperture to the focused point has the object-side f-number N_eff / m, so a point d behind it
        covers m d / N_eff of the focal plane, foreshortened by D / (D + d) seen from the pupil, and m times that on the
        sensor (similar triangles).
        """
        defocus = np.asarray(defocus_um, dtype=np.float64)
        return np.abs(defocus) * self.blur_px_per_um * self._scale_of(defocus)

    def scale(self, depth_um: npt.ArrayLike, position_um: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Size of a thing at depth z seen from rail position p, relative to its size in focus: D / (D + z - p)."""
        return self._scale_of(
            np.asarray(depth_um, dtype=np.float64) - np.asarray(position_um, dtype=np.float64)
        )

    def _scale_of(self, defocus_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shrink = 1.0 + defocus_um * self.inverse_distance
        return np.asarray(1.0 / np.clip(shrink, MIN_SHRINK, MAX_SHRINK), dtype=np.float64)
