"""Whether a picture may be accepted, from what was measured on it. Pure: metrics in, reason out.

A picture less sharp than its neighbours lead to expect may be shaken, or the subject may end there. It is taken again once;
when the second picture is as soft as the first, the subject is so, and it is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.base import CameraSettings

AGREEMENT = 0.25
"""Relative difference of sharpness up to which two pictures of one position agree."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on one picture. `sharpness` and `bright` are None where the format is only stored, not decoded."""

    sha256: str
    settings: CameraSettings
    bright: float | None = None
    """Level that a hundredth of the pixels exceed, of 255."""
    sharpness: float | None = None
    """Mean energy of fine detail; any unit."""
    damage: str | None = None
    """Why the data cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the picture is held against."""

    black_level: float
    sharpness_ratio: float
    tolerance: float
    settings: CameraSettings
    known: Mapping[str, int]
    """Frame index by sha256, of what is accepted already."""
    neighbours: tuple[float, ...] = ()
    """Sharpness of accepted frames next to this one."""
    refused_sharpness: float | None = None
    """Of the last picture of this frame, when that was refused as too soft."""


def verdict(measured: Measured, expected: Expected) -> str | None:
    """Why the picture is refused, or None when it is accepted."""
    if measured.damage is not None:
        return f"damaged: {measured.damage}"
    if measured.sha256 in expected.known:
        return f"the same picture as frame {expected.known[measured.sha256] + 1}, byte for byte"
    if measured.bright is not None and measured.bright < expected.black_level:
        return f"black: its brightest hundredth is below level {expected.black_level:g} of 255"
    return _drifted(measured.settings, expected) or too_soft(measured, expected)


def too_soft(measured: Measured, expected: Expected) -> str | None:
    """Why the picture looks shaken, or None."""
    if measured.sharpness is None or not expected.neighbours or expected.sharpness_ratio == 0:
        return None
    usual = min(expected.neighbours)
    if measured.sharpness >= expected.sharpness_ratio * usual:
        return None
    before = expected.refused_sharpness
    if before is not None and abs(measured.sharpness - before) <= AGREEMENT * before:
        return None
    return f"{measured.sharpness / usual:.0%} as sharp as its neighbours: shaken, or the subject ends here"


def _drifted(settings: CameraSettings, expected: Expected) -> str | None:
    pairs = (
        ("exposure time", settings.exposure_s, expected.settings.exposure_s),
        ("gain", settings.gain, expected.settings.gain),
        ("lens position", settings.lens_position, expected.settings.lens_position),
    )
    for name, got, wanted in pairs:
        if got is not None and wanted is not None and abs(got - wanted) > expected.tolerance * abs(wanted):
            return f"the camera changed its {name} from {wanted:g} to {got:g}"
    return None
