"""Depth as a 32-bit float TIFF with its scale."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from stackcore.export.relief import Relief
from stackcore.files.write import write_whole


def description(relief: Relief) -> dict[str, Any]:
    """What the description of the TIFF says, as JSON: unit, what a value means, holes, scale, span and positions."""
    if relief.unit == "um":
        meaning = "rail position at which the pixel is sharp"
    else:
        meaning = "index of the frame in which the pixel is sharp, the first is 0"
    note: dict[str, Any] = {
        "unit": relief.unit,
        "value": meaning,
        "larger_is": "farther" if relief.grows_away else "nearer",
        "holes": "NaN",
        "span": list(relief.span),
        "step": relief.step,
    }
    if relief.um_per_px is not None:
        note["um_per_px"] = relief.um_per_px
    if relief.positions_um is not None:
        note["positions_um"] = list(relief.positions_um)
    return note


def write_depth_tiff(path: str | Path, relief: Relief) -> None:
    """Write the depth, atomically and not compressed: at 12 megapixels that would take a second.

    The pixel size is written as resolution in pixels per centimetre, which ImageJ and others read as their spatial calibration; unit and
    positions stand in the description, as JSON (`description`).

    Args:
        path: of the new file.
        relief: what to write; holes stay NaN.

    Raises:
        WriteError: when the file cannot be written; it names it.
    """
    from stackcore.imageio import write_float_tiff  # noqa: PLC0415  (tifffile is loaded when a depth map is written, not before)

    stream = io.BytesIO()
    note = json.dumps(description(relief))
    write_float_tiff(stream, relief.depth, description=note, um_per_px=relief.um_per_px)
    write_whole(Path(path), [stream.getbuffer()])
