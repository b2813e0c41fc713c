"""Where the depth of a stack cannot be told although it matters which frame is shown: there a pyramid takes the place of the blend.

Of a thing that light shines through or that stands before a bright ground, as under a microscope, outlines differ from frame to frame
by more than their focus: they wander, and the blur of other things passes over them. A blend along the depth that is read from that has
steps, doubled outlines and specks. A pyramid chooses each size of detail by itself, and has no seams.

Where little is clear but depth is right all the same, a pyramid would be worse by its halos (6 dB on the simulator's ring), and where
frames differ by noise alone it would be worse by that. So it is for stacks only in which a picture along the depth shows detail that
no frame has: its own steps. That is seen in small copies, before the second pass.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels
from stackcore.methods._copies import Copies
from stackcore.methods._rows import Bands
from stackcore.methods._sharpest import Sharpest

Floats = npt.NDArray[np.float32]

CLEAR = (0.6, 0.85)
"""A place less clear than the first is not known at all, one clearer than the second wholly."""

SWING = (9.0, 18.0)
"""How many times the noise of a cell a place's brightness must change over the stack for its depth to matter; wholly from the second on.
On rendered low texture with strong noise 3 % of the picture lies above the first, on photographs with a bright ground a third to two."""

LEAST_SHARE = 0.1
"""With less doubt than this share of the picture, the blend is left alone: a pyramid costs as much as all the rest."""

LEAST_SEAMS = 0.25
"""Share of seams in what is in doubt, from which on a pyramid takes its place: two thirds on an insect before a bright ground under a
microscope. Where near things cover farther ones there are seams that are right: 6 % on the simulator's ring and on a circuit board."""

SEAM = 2.0
"""What has so many times the energy of any frame is a seam."""

_ROUNDING = np.float32(4)
"""Energy of copies that is nothing but their rounding."""

_QUIET = 0.5
"""Noise, in 255ths of white, that a picture of 8 bits has at least."""

_WINDOW_PX = 5
_WHOLE = 255


def doubt(found: Sharpest, copies: Copies) -> npt.NDArray[np.uint8] | None:
    """Where the depth that was found is not to be relied on.

    Args:
        found: depth in cells.
        copies: of the frames of the same stack.

    Returns:
        (h, w) of the copies: 0 (none) to 255; None where a blend along the depth is good enough.
    """
    if len(copies) < 2:
        return None
    stack = copies.stack()
    size = (stack.shape[2], stack.shape[1])
    changed = _brightest_channel((stack.max(axis=0) - stack.min(axis=0)).astype(np.float32))
    clearness = cv2.resize(found.clearness, size, interpolation=cv2.INTER_AREA)
    least, most = (np.float32(times * max(found.noise, _QUIET)) for times in SWING)
    unknown = np.clip((np.float32(CLEAR[1]) - clearness) / np.float32(CLEAR[1] - CLEAR[0]), 0, 1)
    share = np.asarray(unknown * np.clip((changed - least) / (most - least), 0, 1), np.float32)
    if float(share.mean()) < LEAST_SHARE:
        return None
    taken = copies.taken(cv2.resize(found.place, size, interpolation=cv2.INTER_NEAREST))
    unsure = share > np.float32(0.5)
    if np.count_nonzero(_seams(taken, stack) & unsure) <= LEAST_SEAMS * np.count_nonzero(unsure):
        return None
    # Its borders lie where the blend is still good, and are soft.
    wide = cv2.GaussianBlur(cv2.dilate(share, np.ones((5, 5), np.uint8)), (0, 0), 2.0)
    return np.asarray(np.rint(wide * _WHOLE), np.uint8)


def _brightest_channel(values: Floats) -> Floats:
    return values if values.ndim == 2 else np.asarray(values.max(axis=2), np.float32)


def _seams(taken: npt.NDArray[np.uint8], stack: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    best = _energy(stack[0])
    for copy in stack[1:]:
        np.maximum(best, _energy(copy), out=best)
    return np.asarray(_energy(taken) > np.float32(SEAM) * best + _ROUNDING, np.bool_)


def _energy(picture: npt.NDArray[np.uint8]) -> Floats:
    """(h, w): of the Laplacian, over all channels and a window."""
    squares = np.square(cv2.Laplacian(picture, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    pooled = cv2.blur(squares, (_WINDOW_PX, _WINDOW_PX))
    return np.asarray(pooled if pooled.ndim == 2 else pooled.sum(axis=2), np.float32)


def enlarged_doubt(doubtful: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """For pictures of this height and width."""
    return np.asarray(cv2.resize(doubtful, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def mix(picture: Pixels, other: Pixels, doubtful: npt.NDArray[np.uint8], bands: Bands) -> None:
    """Put another picture in the place of one, as much as there is doubt.

    Args:
        picture: (H, W[, 3]); changed.
        other: likewise.
        doubtful: (H, W), 0 to 255.
        bands: the threads.
    """

    def work(first: int, end: int) -> None:
        share = doubtful[first:end].astype(np.float32) / np.float32(_WHOLE)
        if picture.ndim == 3:
            share = share[..., None]
        own = picture[first:end].astype(np.float32)
        own += share * (other[first:end] - own)
        picture[first:end] = np.rint(own, out=own)  # between two pictures there is nothing to clip

    bands.run(picture.shape[0], work)
