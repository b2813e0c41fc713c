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

from stackcore.aligned import Pixels
from stackcore.methods._rows import Bands
from stackcore.methods._unveil_kernels import apply_rows, spread_rows, veil_rows

Floats = npt.NDArray[np.float32]

GAP = 2.0
"""Things nearer by less, in frames, do not count: their blur is small, and so might their depth be wrong."""

MOST_COVERED = 0.75
"""What is covered more cannot be restored from what is left."""

LEAST_COVERED = 0.02

MAX_REACH = 24
"""Farthest that blur is followed, px at half size."""

_AGREE_PX = 9
_SMOOTH_PX = 3
_TRUST = np.float32(0.9)


@dataclass(frozen=True)
class Surroundings:
    """Depths at half size, and what the nearest thing around each cell is.

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
        blur_px: radius of the blur disc at half size, px for a frame of distance.
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
        around: at half size.
        view: (h, w[, 3]), each cell in the frame that `around.view` names.
        blur_px: radius of the blur disc at half size, px for a frame of distance.
        bands: the threads.
    """
    from stackcore.methods._focus_levels import halved  # noqa: PLC0415

    wanted = (around.view >= 0).astype(np.uint8)
    if not wanted.any():
        return
    white = int(np.iinfo(picture.dtype).max)
    taken = _three(halved(picture), white)
    h, w = wanted.shape
    cover = np.zeros((h, w), np.float32)
    light = np.zeros((h, w * 3), np.float32)
    blur, gap = np.float32(blur_px), np.float32(GAP)

    def veil(first: int, end: int) -> None:
        veil_rows(
            around.place,
            taken,
            wanted,
            around.place,
            around.nearest,
            blur,
            gap,
            first,
            end,
            cover,
            light,
        )

    bands.run(h, veil, 16)
    wanted &= ((cover > LEAST_COVERED) & (cover < MOST_COVERED)).astype(np.uint8)
    left = np.repeat(np.where(wanted, 1 - cover, np.float32(1)), 3, axis=1)
    cleared = np.where(np.repeat(wanted, 3, axis=1), (taken - light) / left, taken)
    cleared = np.clip(cleared, 0, 255).astype(np.float32)
    taken_spread, cleared_spread = np.zeros_like(taken), np.zeros_like(taken)

    def spread(first: int, end: int) -> None:
        spread_rows(
            around.place,
            taken,
            cleared,
            wanted,
            around.nearest,
            blur,
            gap,
            first,
            end,
            taken_spread,
            cleared_spread,
        )

    bands.run(h, spread, 16)
    seen = _three(view, white)
    by_taken = _smoothed(seen - taken_spread, wanted)
    by_cleared = _smoothed(seen - cleared_spread, wanted)
    share = _agreement(by_taken, by_cleared, wanted)

    factor = np.where(wanted, share * cover / np.maximum(1 - cover, np.float32(0.1)), np.float32(0)).astype(
        np.float32
    )
    three = share[..., None]
    offset = (
        -three * light.reshape(h, w, 3) / np.maximum(1 - cover, np.float32(0.1))[..., None]
        + _TRUST * (three * by_cleared + (1 - three) * by_taken)
    ).astype(np.float32)
    offset = np.ascontiguousarray(offset.reshape(h, w * 3))
    lines = picture.reshape(picture.shape[0], -1)

    def apply(first: int, end: int) -> None:
        apply_rows(wanted, factor, offset, first, end, np.float32(white), lines)

    bands.run(picture.shape[0], apply)


def _lowest_within(place: Floats, blur_px: float, reach: int) -> Floats:
    """The least place around each cell, of things that reach so far: those near in depth are followed less far."""
    nearest = place
    for radius in sorted({max(1, reach // 8), max(1, reach // 4), max(1, reach // 2), reach}):
        # Squares: OpenCV takes them apart into rows and columns, discs of this size cost twenty times as much.
        lowest = cv2.erode(place, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
        # A thing l frames nearer reaches l * blur px, and half a pixel.
        reaching = (place - lowest) * np.float32(blur_px) + np.float32(1) >= np.float32(radius) * np.float32(0.5)
        nearest = np.where(reaching, np.minimum(nearest, lowest), nearest)
    return np.asarray(nearest, np.float32)


def _three(picture: Pixels, white: int) -> Floats:
    """(h, w * 3) float32 of 0..255."""
    values = picture.astype(np.float32)
    if white != 255:
        values *= np.float32(255 / white)
    if picture.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    return np.ascontiguousarray(values.reshape(picture.shape[0], -1))


def _smoothed(difference: Floats, wanted: npt.NDArray[np.uint8]) -> Floats:
    """(h, w, 3): the mean of the wanted cells around each."""
    mask = wanted.astype(np.float32)
    size = (_SMOOTH_PX, _SMOOTH_PX)
    weight = np.maximum(cv2.blur(mask, size), np.float32(1e-3))[..., None]
    values = difference.reshape(*wanted.shape, 3) * mask[..., None]
    return np.asarray(cv2.blur(values, size) / weight, np.float32)


def _agreement(by_taken: Floats, by_cleared: Floats, wanted: npt.NDArray[np.uint8]) -> Floats:
    """(h, w), 0..1: how much better the cleared picture explains the second witness than the picture before does."""
    mask = wanted.astype(np.float32)
    size = (_AGREE_PX, _AGREE_PX)
    wrong_before = cv2.blur(_length(by_taken) * mask, size)
    wrong_after = cv2.blur(_length(by_cleared) * mask, size)
    return np.asarray(wrong_before / (wrong_before + wrong_after + np.float32(1e-3)), np.float32)


def _length(values: Floats) -> Floats:
    """Squares summed over the channels; added by hand, since sums over a short last axis are slow."""
    square = values * values
    return np.asarray(square[..., 0] + square[..., 1] + square[..., 2], np.float32)
