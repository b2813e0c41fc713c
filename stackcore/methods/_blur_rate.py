"""How fast blur grows with distance from focus, found in the stack itself.

A few small patches are kept from every frame. Where one lies flat and has texture, the frame in which it was sharp, blurred by discs
of several radii, is held against the other frames: the radius that fits best, over the distance, is the rate. By geometric optics
the disc grows in proportion to the distance (Pentland, "A New Sense for Depth of Field", IEEE PAMI 9, 1987, for a
small range of depth).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels, as_pixels, reduced_matrix
from stackcore.methods._focus_levels import cell_px
from stackcore.methods._sharpest import Sharpest

Floats = npt.NDArray[np.float32]

GRID = 6
"""Patches a side."""

SIDE = 44
MARGIN = 9
RADII: tuple[float, ...] = (0.75, 1.25, 1.75, 2.5, 3.25, 4.25, 5.5, 7.0, 8.5)
MAX_FRAMES = 48
"""Of longer stacks the patches of every second, fourth ... frame are kept: 3.4 MB."""

_FEWEST = 5
_FLAT = 0.6
_CLEAR = 0.7


class BlurRate:
    """Keeps the patches of one stack."""

    def __init__(self) -> None:
        self._corners: list[tuple[int, int]] = []
        self._patches: list[npt.NDArray[np.uint8]] = []
        self._every = 1
        self._frames = 0

    def add(self, frame: AlignedFrame, small: Pixels) -> None:
        """Keep the patches of a frame; `small` is the frame in cells, not resampled."""
        place = self._frames
        self._frames += 1
        if place % self._every:
            return
        height, width = small.shape[:2]
        if not self._corners:
            self._corners = _corners(height, width)
        luma = small[..., 1] if small.ndim == 3 else small
        if luma.dtype != np.uint8:
            luma = (luma >> 8).astype(np.uint8)
        patches = np.zeros((len(self._corners), SIDE, SIDE), np.uint8)
        matrix = reduced_matrix(frame.matrix, cell_px(*frame.shape))
        for patch, (top, left) in zip(patches, self._corners, strict=True):
            if frame.moved:
                shifted = matrix.copy()
                shifted[:, 2] += matrix[:, :2] @ np.array([left, top], np.float64)
                flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
                source, shifted = _around(luma, shifted)
                cv2.warpAffine(
                    source, shifted, (SIDE, SIDE), dst=patch, flags=flags, borderMode=cv2.BORDER_REPLICATE
                )
            else:
                patch[:] = luma[top : top + SIDE, left : left + SIDE]
        gain = float(frame.gain[1 if frame.channels == 3 else 0])
        if gain != 1:
            # A darker frame has less contrast, and would pass for one farther out of focus.
            cv2.multiply(patches.reshape(-1, SIDE), gain, dst=patches.reshape(-1, SIDE))
        self._patches.append(patches)
        if len(self._patches) > MAX_FRAMES:
            self._patches = self._patches[::2]
            self._every *= 2

    def px_per_frame(self, sharpest: Sharpest) -> float | None:
        """Radius of the blur disc in cells, for a distance of one frame; None where nothing shows it."""
        found: list[float] = []
        for number, (top, left) in enumerate(self._corners):
            inner = (slice(top + MARGIN, top + SIDE - MARGIN), slice(left + MARGIN, left + SIDE - MARGIN))
            place = sharpest.place[inner]
            if float(np.median(sharpest.clearness[inner])) < _CLEAR or float(place.std()) > _FLAT:
                continue
            kept = [patches[number] for patches in self._patches]
            found += _rates(kept, float(np.median(place)) / self._every)
        return float(np.median(found)) / self._every if len(found) >= _FEWEST else None


def _rates(patches: list[npt.NDArray[np.uint8]], place: float) -> list[float]:
    """Radius of the blur disc over distance, for each patch in which it can be seen; `place` is where they were sharpest."""
    sharp_at = round(place)
    if not 0 <= sharp_at < len(patches):
        return []
    sharp = patches[sharp_at].astype(np.float32)
    inner = slice(MARGIN, SIDE - MARGIN)
    blurred = np.stack([_centred(cv2.filter2D(sharp, -1, disc(radius))[inner, inner]) for radius in RADII])
    found = []
    for number, patch in enumerate(patches):
        distance = abs(number - place)
        if distance < 1.5:
            continue
        seen = _centred(patch[inner, inner].astype(np.float32))
        errors = np.square(blurred - seen).mean(axis=(1, 2), dtype=np.float64)
        best = int(np.argmin(errors))
        if 1 <= best < len(RADII) - 1:
            around = slice(best - 1, best + 2)
            found.append(_vertex(RADII[around], errors[around].tolist()) / distance)
    return found


def disc(radius: float) -> Floats:
    """A blur disc with a soft border, sum 1."""
    reach = int(np.ceil(radius + 0.5))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _vertex(radii: Sequence[float], errors: Sequence[float]) -> float:
    """Where the parabola through three points is lowest (Newton's divided differences)."""
    rise, next_rise = ((errors[k + 1] - errors[k]) / (radii[k + 1] - radii[k]) for k in (0, 1))
    bend = (next_rise - rise) / (radii[2] - radii[0])
    if bend <= 0:
        return radii[1]
    return min(max((radii[0] + radii[1]) / 2 - rise / (2 * bend), radii[0]), radii[2])


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(), np.float32)


def _corners(height: int, width: int) -> list[tuple[int, int]]:
    if min(height, width) < SIDE:
        return []
    rows = np.linspace(height * 0.06, height * 0.94 - SIDE, GRID).astype(int).clip(0, height - SIDE)
    columns = np.linspace(width * 0.06, width * 0.94 - SIDE, GRID).astype(int).clip(0, width - SIDE)
    return [(int(top), int(left)) for top in sorted(set(rows)) for left in sorted(set(columns))]


def _around(luma: Pixels, matrix: npt.NDArray[np.float64]) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """The part of a picture that a patch is taken from, and the matrix into it: a call on the whole costs more."""
    corners = matrix[:, :2] @ np.array([[0, SIDE, 0, SIDE], [0, 0, SIDE, SIDE]]) + matrix[:, 2:]
    low = np.floor(corners.min(axis=1)).astype(int) - 4
    high = np.ceil(corners.max(axis=1)).astype(int) + 5
    left, top = (int(v) for v in np.clip(low, 0, [luma.shape[1] - 1, luma.shape[0] - 1]))
    right, bottom = (int(v) for v in np.clip(high, [left + 1, top + 1], [luma.shape[1], luma.shape[0]]))
    shifted = matrix.copy()
    shifted[:, 2] -= [left, top]
    return as_pixels(np.ascontiguousarray(luma[top:bottom, left:right])), shifted
