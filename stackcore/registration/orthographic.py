"""A fused picture as seen from infinitely far away: equal things are equally large at every depth, and can be measured.

A rail's frames see the plane that is in focus always from the same distance, so at the same magnification; the fused picture shows
it scaled to the reference. Here each pixel is scaled back by the zoom of the frame in which it was in focus (see `geometry`). What
then lies on top of each other is ordered: nearer things hide farther ones. Gaps that open at edges are filled from the farther side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels
from stackcore.registration.geometry import Calibration

Floats = npt.NDArray[np.float32]

BAND_ROWS = 128
_MOST_PLANES = 4096


@dataclass(frozen=True)
class Orthographic:
    """The view from infinitely far away, at the magnification of the reference frame's plane of focus.

    Attributes:
        picture: as the fused one.
        depth: (H, W) float32, frame index.
        seen: (H, W) bool: False where a gap was filled, and where nothing was seen beyond the frame.
    """

    picture: Pixels
    depth: Floats
    seen: npt.NDArray[np.bool_]


def orthographic(picture: Pixels, depth: Floats, calibration: Calibration) -> Orthographic:
    """Resample a fused picture.

    Beyond the picture and its depth only bands of rows are held in memory.

    Args:
        picture: (H, W, 3) or (H, W), as seen from the reference.
        depth: (H, W) float32, index of the frame in which each pixel is in focus; NaN where unknown: taken for the far end.
        calibration: the zoom of a rail's stack.

    Raises:
        ValueError: when picture and depth differ in size, or no depth is known.
    """
    if picture.shape[:2] != depth.shape:
        raise ValueError(f"picture {picture.shape[:2]} and depth {depth.shape} differ in size")
    known = np.isfinite(depth)
    if not known.any():
        raise ValueError("no depth is known")
    low, high = (
        float(np.min(depth, where=known, initial=np.inf)),
        float(np.max(depth, where=known, initial=-np.inf)),
    )
    sign = 1.0 if calibration.zoom(high) >= calibration.zoom(low) else -1.0
    near, far = (low, high) if sign > 0 else (high, low)
    filled = np.where(known, depth, np.float32(far)).astype(np.float32)
    if calibration.shrink_per_step == 0 or near == far == calibration.reference:
        return Orthographic(picture.copy(), filled, known)
    return _traced(picture, filled, calibration, near, far)


def _traced(
    picture: Pixels, depth: Floats, calibration: Calibration, near: float, far: float
) -> Orthographic:
    from stackcore.registration._orthographic_kernel import trace_rows  # noqa: PLC0415  (compiled when it is needed)

    height, width = depth.shape
    sign = 1.0 if far >= near else -1.0
    x0, y0 = calibration.centre or ((width - 1) / 2, (height - 1) / 2)
    margin = 1.0  # planes beyond both ends, so that the ends themselves are crossed
    ends = calibration.zoom(np.array([near, far]))
    shift = float(np.hypot(width, height)) * abs(1 / ends[0] - 1 / ends[1])
    count = int(np.clip(4 * shift, 16, _MOST_PLANES))
    planes = np.linspace(near - sign * margin, far + sign * margin, count)
    zooms = calibration.zoom(planes)
    result = Orthographic(np.empty_like(picture), np.empty_like(depth), np.empty(depth.shape, np.bool_))
    for first in range(0, height, BAND_ROWS):
        rows = slice(first, min(height, first + BAND_ROWS))
        maps = np.empty((3, rows.stop - first, width), np.float32)
        trace_rows(depth, planes, zooms, sign, x0, y0, first, maps[0], maps[1], maps[2])
        border = cv2.BORDER_REPLICATE
        result.picture[rows] = cv2.remap(picture, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=border)
        result.depth[rows] = cv2.remap(depth, maps[0], maps[1], cv2.INTER_NEAREST, borderMode=border)
        inside = (maps[0] >= 0) & (maps[0] <= width - 1) & (maps[1] >= 0) & (maps[1] <= height - 1)
        result.seen[rows] = inside & (maps[2] > 0)
    return result
