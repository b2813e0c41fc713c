"""What nearer things lay over farther ones is taken off again.

At a depth edge the blurred nearer thing covers the farther one in every frame in which that is sharp. A place p of depth k showed

    I(p) = (1 - A) B + C,    A, C: share and light of all nearer things, each spread over its disc of (k - l) blur px,

so B = (I - C) / (1 - A). The nearer things are known from the fused picture itself. That is one witness; the frame in which the
nearest thing around p was sharp is another: it shows p uncovered, but blurred. What the first says about p, blurred as it was there,
must be what the second saw; the difference is added, and where the picture before explains the second witness better than B does,
more of that is kept. So a wrong depth does little harm. (The layered model is that of Hasinoff and Kutulakos, "A Layer-Based
Restoration Framework for Variable-Aperture Photography", ICCV 2007; here solved one pixel at a time.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels, in_cells
from stackcore.methods._rows import Bands
from stackcore.methods._veil_kernel import correct, spread, veil

Floats = npt.NDArray[np.float32]

GAP = 2.0
"""Things nearer by less, in frames, do not count: their blur is small, and so might their depth be wrong."""

MOST_COVERED = 0.75
"""What is covered more cannot be restored from what is left."""

LEAST_COVERED = 0.02

MAX_REACH = 40
"""Farthest that blur is followed, in cells."""

_AGREE_PX = 9
_SMOOTH_PX = 3
TRUST = np.float32(0.9)
"""How much of the difference to the second witness is added."""

_CELLS = 4096


@dataclass(frozen=True)
class Surroundings:
    """Depths in cells, and what the nearest thing around each cell is.

    Attributes:
        place: (h, w) float32, in frames; larger is farther.
        nearest: (h, w) float32, the least of it around each cell.
        view: (h, w) int16, the frame in which the nearest thing was sharp; -1 where nothing is in the way.
    """

    place: Floats
    nearest: Floats
    view: npt.NDArray[np.int16]


def surroundings(place: Floats, blur_px: float, frames: int) -> Surroundings:
    """Where something nearer may lie over a cell.

    Args:
        place: (h, w), in frames, larger is farther.
        blur_px: radius of the blur disc in cells, px for a frame of distance.
        frames: of the stack.
    """
    reach = int(min(MAX_REACH, np.ceil(blur_px * (float(place.max()) - float(place.min())) + 0.5)))
    nearest = _lowest_within(place, blur_px, reach)
    wanted = place - nearest > GAP
    view = np.where(wanted, np.clip(np.rint(nearest), 0, frames - 1), -1).astype(np.int16)
    return Surroundings(place, nearest, view)


def unveil(picture: Pixels, around: Surroundings, view: Pixels, blur_px: float, bands: Bands) -> None:
    """Take off what lies over farther things, in `picture` itself.

    Args:
        picture: (H, W[, 3]), fused; changed.
        around: in cells.
        view: (h, w[, 3]), each cell in the frame that `around.view` names.
        blur_px: radius of the blur disc in cells, px for a frame of distance.
        bands: the threads.
    """
    white = int(np.iinfo(picture.dtype).max)
    cell = max(1, picture.shape[0] // around.place.shape[0])
    taken = as_rgb8(in_cells(picture, cell))
    cells, cover, light = lain_over(taken, around, blur_px, bands)
    keep = np.flatnonzero((cover > LEAST_COVERED) & (cover < MOST_COVERED))
    if keep.size == 0:
        return
    cells, cover, light = cells[keep], cover[keep], light[keep]
    left = (1 - cover)[:, None]
    cleared = taken.copy()
    flat = cleared.reshape(-1, 3)
    flat[cells] = np.clip((flat[cells] - light) / left + np.float32(0.5), 0, 255).astype(np.uint8)

    out = np.empty((cells.size, 6), np.float32)

    def blurred(first: int, end: int) -> None:
        spread(
            around.place,
            taken,
            cleared,
            around.nearest,
            np.float32(blur_px),
            np.float32(GAP),
            cells,
            first,
            end,
            out,
        )

    bands.run(cells.size, blurred, _CELLS)
    seen = as_rgb8(view).reshape(-1, 3)[cells]
    mask = np.zeros(around.place.shape, np.float32)
    mask.reshape(-1)[cells] = 1
    near_by = cv2.blur(mask, (_SMOOTH_PX, _SMOOTH_PX)).reshape(-1)[cells]
    wrong = np.zeros((2, cells.size), np.float32)
    for k in range(6):
        out[:, k] = _meant(seen[:, k % 3] - out[:, k], mask, cells, _SMOOTH_PX) / near_by
        wrong[k // 3] += out[:, k] * out[:, k]
    before, after = (_meant(part, mask, cells, _AGREE_PX) for part in wrong)
    share = before / (before + after + np.float32(1e-3))

    factor = share * cover / (1 - cover)
    offset = out[:, :3]
    for k in range(3):
        witness = share * out[:, 3 + k] + (1 - share) * out[:, k]
        offset[:, k] = TRUST * witness - share * light[:, k] / (1 - cover)
    offset = np.ascontiguousarray(offset)
    lines = picture.reshape(picture.shape[0], -1)
    channels = 1 if picture.ndim == 2 else 3

    def corrected(first: int, end: int) -> None:
        correct[picture.dtype](cells, factor, offset, first, end, channels, cell, np.float32(white), lines)

    bands.run(cells.size, corrected, 4 * _CELLS)


def lain_over(
    taken: npt.NDArray[np.uint8], around: Surroundings, blur_px: float, bands: Bands
) -> tuple[npt.NDArray[np.int32], Floats, Floats]:
    """Light of nearer things over farther ones, each in the frame in which the farther one is sharp.

    Args:
        taken: (h, w * 3), the fused picture in cells.
        around: in cells.
        blur_px: radius of the blur disc in cells, px for a frame of distance.
        bands: the threads.

    Returns:
        The cells that have something nearer around them (n,), as y * w + x; how much of each is covered (n,), 0..1; and by what
        light (n, 3), 0..255.
    """
    cells = np.flatnonzero(around.view >= 0).astype(np.int32)
    cover, light = np.empty(cells.size, np.float32), np.empty((cells.size, 3), np.float32)

    def part(first: int, end: int) -> None:
        veil(
            around.place,
            taken,
            around.nearest,
            np.float32(blur_px),
            np.float32(GAP),
            cells,
            first,
            end,
            cover,
            light,
        )

    bands.run(cells.size, part, _CELLS)
    return cells, cover, light


def as_rgb8(picture: Pixels) -> npt.NDArray[np.uint8]:
    """(h, w * 3) of 0..255."""
    values = np.asarray(picture if picture.dtype == np.uint8 else np.right_shift(picture, 8), np.uint8)
    if values.ndim == 2:
        values = np.asarray(np.repeat(values[..., None], 3, axis=2), np.uint8)
    return np.ascontiguousarray(values.reshape(values.shape[0], -1))


def _lowest_within(place: Floats, blur_px: float, reach: int) -> Floats:
    """The least place around each cell, of things that reach so far: those near in depth are followed less far."""
    nearest = place
    for radius in sorted({max(1, reach // 8), max(1, reach // 4), max(1, reach // 2), reach}):
        # Squares: OpenCV takes them apart into rows and columns, discs of this size cost twenty times as much.
        lowest = cv2.erode(place, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
        # A thing l frames nearer reaches l * blur px, and half a pixel.
        reaching = (place - lowest) * np.float32(blur_px) + np.float32(1) >= np.float32(radius) * np.float32(
            0.5
        )
        nearest = np.where(reaching, np.minimum(nearest, lowest), nearest)
    # What would reach farther than is looked at counts as if it were as near as that.
    return np.asarray(np.maximum(nearest, place - np.float32(MAX_REACH / blur_px)), np.float32)


def _meant(values: Floats, mask: Floats, cells: npt.NDArray[np.int32], size_px: int) -> Floats:
    """Mean of the values of all places in a square around each, those without a value counting as 0."""
    plane = np.zeros(mask.shape, np.float32)
    plane.reshape(-1)[cells] = values
    return np.asarray(cv2.blur(plane, (size_px, size_px)).reshape(-1)[cells], np.float32)
