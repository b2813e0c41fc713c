"""Depth from the focus of all frames at once, on the grid of `stackcore.methods._focus_volume`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stackcore.depth import MIN_CONFIDENCE, DepthMap, depth_map, smooth_depth
from stackcore.methods._focus_volume import FocusVolume
from stackcore.refine import agreement, clear_of_spill, focus_cost, semi_global_in_slabs
from stackcore.scores import LUMA_BINS, Merged, energy_of

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint16]

REFINEMENTS = ("sgm", "none")

AGREED = 0.5
"""Confidence of a cell whose energy noise might have given but whose depth all around it have too.

Measured with `agreement`: of pure noise 0.1 % become depth by it; of a stack with little texture and much noise 65 % instead of 29 %, and of
them 89 % are within a frame of the truth instead of 61 %."""


JUMP_FRAMES = 1.0
"""Depths of neighbouring cells that differ by more are two things, and nothing is interpolated between them."""

SPILL_PX = 12
"""How far the blur of something bright is taken for the detail of what lies beside it."""


_COST_ROWS = 32


def depth_of(volume: FocusVolume, labels: Labels, *, agreed: bool) -> tuple[Merged, DepthMap]:
    """The scores at and around the depth of each cell, and the depth itself, smoothed, in units of the frame index.

    Args:
        volume: of at least one frame; its scores are freed.
        labels: (h, w), the ordinal of the frame that each cell is in focus in, about.
        agreed: whether labels of neighbours bear each other out: they do when they were found together.
    """
    merged = peaks_of(volume, labels)
    volume.scores.clear()
    raw = depth_map(merged, min_confidence=0.0)
    confidence = raw.confidence
    if agreed:
        confidence = np.maximum(confidence, np.float32(AGREED) * agreement(labels) * (merged.best > 0))
    radius = max(1, SPILL_PX // volume.cell_px)
    confidence = confidence * clear_of_spill(energy_of(merged.best), radius=radius)
    known = np.where(confidence >= MIN_CONFIDENCE, raw.frame_index, np.float32(np.nan))
    found = DepthMap(np.asarray(known, np.float32), np.asarray(confidence, np.float32))
    return merged, smooth_depth(found, radius_px=max(2, 4 // volume.cell_px))


def costs_of(volume: FocusVolume, first: int, end: int) -> npt.NDArray[np.uint8]:
    """(n, rows, w): what each frame costs at the cells of some rows, see `stackcore.refine.focus_cost`."""
    energies = np.stack([energy_of(score[first:end]) for score in volume.scores])
    bins = volume.guide[first:end] // np.uint8(256 // LUMA_BINS)
    return focus_cost(energies, np.asarray(volume.noise_floor()[bins], np.float32))


def labels_of(volume: FocusVolume, *, refine: str) -> Labels:
    """(h, w) uint16: the ordinal of the frame that each cell is sharpest in, made consistent if `refine` is `sgm`."""
    if refine == "none" or len(volume.scores) < 2:
        best = np.zeros(volume.shape, np.uint16)
        score = volume.scores[0].copy()
        for ordinal, other in enumerate(volume.scores):
            sharper = other > score
            best[sharper] = ordinal
            score[sharper] = other[sharper]
        return best

    def cost_of(first: int, end: int) -> npt.NDArray[np.uint8]:
        cost = np.empty((end - first, volume.shape[1], len(volume.scores)), np.uint8)
        for row in range(first, end, _COST_ROWS):
            last = min(end, row + _COST_ROWS)
            cost[row - first : last - first] = np.moveaxis(costs_of(volume, row, last), 0, -1)
        return cost

    return semi_global_in_slabs(cost_of, volume.guide, len(volume.scores))


def peaks_of(volume: FocusVolume, labels: Labels) -> Merged:
    """The scores at and around `labels`, each moved to the sharper neighbour if there is one, as a merge would have kept them."""
    last = len(volume.scores) - 1
    around = np.zeros((5, *labels.shape), np.uint16)
    for ordinal, score in enumerate(volume.scores):
        for offset in range(-2, 3):
            here = labels == ordinal - offset
            around[offset + 2][here] = score[here]
    shift = around[1:4].argmax(axis=0).astype(np.int64) - 1
    shift[around[2] == around[1:4].max(axis=0)] = 0
    frame = np.clip(labels.astype(np.int64) + shift, 0, last)
    before, best, after = (np.take_along_axis(around, (shift + k)[None], axis=0)[0] for k in (1, 2, 3))
    return Merged(
        picture=volume.guide,
        frame=frame.astype(np.uint16),
        best=best,
        before=before,
        after=after,
        indices=tuple(volume.indices),
        noise_floor=volume.noise_floor(),
        radius=volume.noise_radius,
    )


def enlarged_map(depth: DepthMap, cell_px: int, size: tuple[int, int]) -> DepthMap:
    """A depth map of cells as one of pixels, see `enlarged`."""
    return DepthMap(
        enlarged(depth.frame_index, cell_px, size),
        enlarged(depth.confidence, cell_px, size),
    )


def enlarged(grid: Floats, cell_px: int, size: tuple[int, int]) -> Floats:
    """A value for each pixel: between cells by linear interpolation, but not across jumps (`JUMP_FRAMES`) or holes.

    Args:
        grid: (h, w) of cells; NaN is a hole.
        cell_px: side of a cell.
        size: height and width, px.
    """
    height, width = size
    if cell_px == 1:
        return np.ascontiguousarray(grid[:height, :width])
    result = np.empty(size, np.float32)
    for first in range(0, height, 64):
        rows = np.arange(first, min(height, first + 64))
        result[rows] = _interpolated(
            grid, (rows + 0.5) / cell_px - 0.5, (np.arange(width) + 0.5) / cell_px - 0.5
        )
    return result


def _interpolated(grid: Floats, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> Floats:
    tops, top_share = _between(y, grid.shape[0])
    lefts, left_share = _between(x, grid.shape[1])
    rows, columns = tops[:, None], lefts[None, :]
    share_y, share_x = top_share[:, None], left_share[None, :]
    bottom, right = np.minimum(rows + 1, grid.shape[0] - 1), np.minimum(columns + 1, grid.shape[1] - 1)
    corners = grid[rows, columns], grid[rows, right], grid[bottom, columns], grid[bottom, right]
    upper = corners[0] + share_x * (corners[1] - corners[0])
    lower = corners[2] + share_x * (corners[3] - corners[2])
    smooth = upper + share_y * (lower - upper)
    nearest = grid[np.where(share_y < 0.5, rows, bottom), np.where(share_x < 0.5, columns, right)]
    spread = np.maximum.reduce(corners) - np.minimum.reduce(corners)
    return np.where(spread <= JUMP_FRAMES, smooth, nearest).astype(np.float32)


def _between(at: npt.NDArray[np.float64], count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    place = np.clip(at, 0, count - 1)
    low = np.minimum(place.astype(np.int64), max(0, count - 2))
    return low, (place - low).astype(np.float32)
