"""A depth map with its units: what every output is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stackcore.depth import depth_um

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Relief:
    """Depth of every pixel, in one unit.

    Attributes:
        depth: (H, W) float32, holes NaN.
        unit: "um", the rail position at which the pixel is sharp; "frames", the frame index, when positions are unknown.
        step: usual distance of two neighbouring frames, in `unit`; positive.
        span: the least and the largest depth at which a frame was taken, in `unit`.
        um_per_px: size of a pixel on the subject, um, when known.
        positions_um: of the frames, in the order of their indices, when known.
        grows_away: whether a larger depth is farther from the camera.
    """

    depth: Floats
    unit: Literal["um", "frames"]
    step: float
    span: tuple[float, float]
    um_per_px: float | None = None
    positions_um: tuple[float, ...] | None = None
    grows_away: bool = True

    @property
    def true_to_scale(self) -> bool:
        """Whether depth, width and height are all known in micrometres."""
        return self.unit == "um" and self.um_per_px is not None

    @property
    def known_share(self) -> float:
        """Share of the pixels that are no holes, 0..1."""
        return float(np.isfinite(self.depth).mean()) if self.depth.size else 0.0


def make_relief(
    frame_index: npt.NDArray[np.floating],
    *,
    frames: int | None = None,
    positions_um: Sequence[float] | None = None,
    indices: Sequence[int] | None = None,
    um_per_px: float | None = None,
    grows_away: bool = True,
) -> Relief:
    """Give a depth map its units.

    Args:
        frame_index: (H, W), depth in units of the frame index, holes NaN or infinite.
        frames: how many frames there were; needed only without positions and indices, to know the ends of the stack.
        positions_um: where the rail stood for each frame, um; they may go up or down. None: depth stays in frames.
        indices: the frame index of each position (or of each frame); 0, 1, 2 ... when not given.
        um_per_px: size of a pixel on the subject, um.
        grows_away: whether a larger position (without positions: a later frame) is farther from the camera, as it is with a
            rail whose position grows toward the subject.

    Raises:
        ValueError: when the map is not two-dimensional, positions and indices do not fit, or `um_per_px` is not positive.
    """
    if frame_index.ndim != 2:
        raise ValueError(f"a depth map has height and width, not the shape {frame_index.shape}")
    if um_per_px is not None and not (np.isfinite(um_per_px) and um_per_px > 0):
        raise ValueError(f"a pixel of {um_per_px} um is not possible")
    known = np.where(np.isfinite(frame_index), frame_index, np.nan).astype(np.float32)
    if positions_um is None:
        places = np.asarray(indices if indices is not None else range(frames or 0), np.float64)
        return Relief(known, "frames", 1.0, _span(places, known), um_per_px, None, grows_away)
    positions = np.asarray(positions_um, np.float64)
    if not np.isfinite(positions).all():
        raise ValueError("a position is not a number")
    depth = depth_um(known, positions_um, indices)
    step = float(np.median(np.abs(np.diff(positions)))) if len(positions) > 1 else 0.0
    span = _span(positions, depth)
    return Relief(depth, "um", step or 1.0, span, um_per_px, tuple(float(p) for p in positions), grows_away)


def _span(places: npt.NDArray[np.float64], depth: Floats) -> tuple[float, float]:
    """Ends of the stack; where no frame is known, of what was found."""
    if places.size:
        return float(places.min()), float(places.max())
    found = depth[np.isfinite(depth)]
    return (float(found.min()), float(found.max())) if found.size else (0.0, 0.0)
