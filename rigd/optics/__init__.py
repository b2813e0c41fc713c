"""The optics of a rig as formulas. Pure: no clock, no I/O, no arrays, no drivers.

Lengths on the subject and on the sensor are in micrometres (`_um`), those of lenses and sensors in millimetres (`_mm`). `N` is the f-number
as marked on the lens, `N_eff` what is left of it at magnification `m`; `NA` is the numerical aperture on the side of the subject.
"""

from __future__ import annotations

from rigd.optics.fastest import FocusSet, FocusTask, RailSet, RailTask, fastest_by_focus, fastest_on_rail
from rigd.optics.scale import OpticsError, object_px_um, pixel_pitch_um
from rigd.optics.setup import CONVENTION_WORDS, Setup

__all__ = [
    "CONVENTION_WORDS",
    "FocusSet",
    "FocusTask",
    "OpticsError",
    "RailSet",
    "RailTask",
    "Setup",
    "fastest_by_focus",
    "fastest_on_rail",
    "object_px_um",
    "pixel_pitch_um",
]
