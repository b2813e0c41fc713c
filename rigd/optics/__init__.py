"""The optics of a rig as formulas. Pure: no clock, no I/O, no arrays, no drivers.

Lengths on the subject and on the sensor are in micrometres (`_um`), those of lenses and sensors in millimetres (`_mm`). `N` is the f-number
as marked on the lens, `N_eff` what is left of it at magnification `m`; `NA` is the numerical aperture on the side of the subject.
"""

from __future__ import annotations

from rigd.optics.scale import OpticsError, object_px_um, pixel_pitch_um

__all__ = ["OpticsError", "object_px_um", "pixel_pitch_um"]
