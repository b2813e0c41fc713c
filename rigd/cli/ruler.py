"""`rigd optics ruler`: magnification from a photograph of a ruler."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped

if TYPE_CHECKING:
    from rigd.ruler import Marks


def ruler(options: argparse.Namespace) -> int:
    """`rigd optics ruler`."""
    from rigd.ruler import NotARuler, find_marks
    from stackcore.focus_measures import luma_of
    from stackcore.imageio import decode

    try:
        picture = decode(options.picture.read_bytes(), options.picture.suffix)
    except ValueError as error:
        raise Stopped(Exit.USAGE, f"{options.picture} cannot be read: {error}") from error
    full_scale = 255 if picture.dtype.itemsize == 1 else 65535
    try:
        marks = find_marks(luma_of(picture, full_scale))
    except NotARuler as error:
        raise Stopped(Exit.USAGE, f"{options.picture}: {error}") from error
    found = record(marks, options.pitch * 1000, picture.shape[1], options.sensor)
    if options.json:
        print(json.dumps(found, indent=2))
        return Exit.DONE
    print(
        f"{marks.marks:.0f} marks, {marks.spacing_px:.2f} px apart (standard error {marks.error_px:.2g}), turned by {marks.angle_deg:.1f} degrees, "
        f"each within {100 * marks.wander:.1f} % of its place"
    )
    print(
        f"a pixel shows {found['object_px_um']:.4g} um of the subject; {found['field_width_mm']:.4g} mm fit across the picture"
    )
    if options.sensor is not None:
        print(
            f"magnification {found['magnification']:.4g} (standard error {found['magnification_error']:.2g})"
        )
        print(f"optics: {{magnification: {found['magnification']:.4g}, sensor_width_mm: {options.sensor:g}}}")
    else:
        print("with --sensor WIDTH this is a magnification")
    return Exit.DONE


def record(marks: Marks, pitch_um: float, width_px: int, sensor_width_mm: float | None) -> dict[str, Any]:
    """What follows from the marks, as JSON-ready data."""
    px_um = pitch_um / marks.spacing_px
    share = marks.error_px / marks.spacing_px
    field_mm = px_um * width_px / 1000
    magnification = None if sensor_width_mm is None else sensor_width_mm / field_mm
    return {
        "ok": True,
        "spacing_px": marks.spacing_px,
        "spacing_error_px": marks.error_px,
        "marks": marks.marks,
        "angle_deg": marks.angle_deg,
        "wander": marks.wander,
        "pitch_um": pitch_um,
        "object_px_um": px_um,
        "field_width_mm": field_mm,
        "magnification": magnification,
        "magnification_error": None if magnification is None else magnification * share,
    }
