"""Motion blur: the mean of a picture displaced along a path."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel

NEGLIGIBLE_PX = 0.05
"""A path shorter than this, end to end of its bounding box, blurs nothing that 8 bits can show."""

Float32 = NDArray[np.float32]


def taps_of(path_px: NDArray[np.float64]) -> tuple[NDArray[np.int64], Float32]:
    """Whole-pixel displacements (n, 2) and their weights (sum 1): each sample shared by its four neighbours (bilinear)."""
    floor = np.floor(path_px)
    part = path_px - floor
    base = floor.astype(np.int64)
    corners, weights = [], []
    for dx in (0, 1):
        for dy in (0, 1):
            corners.append(base + np.array([dx, dy]))
            weights.append(np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1]))
    places, which = np.unique(np.concatenate(corners), axis=0, return_inverse=True)
    sums = np.bincount(which.ravel(), np.concatenate(weights), len(places)) / len(path_px)
    kept = sums > 1e-4
    return places[kept], (sums[kept] / sums[kept].sum()).astype(np.float32)


@helper
def _add(acc: Float32, line: NDArray[np.uint16], weight: float) -> None:
    for i in range(acc.size):
        acc[i] += np.float32(weight) * np.float32(line[i])


@helper
def _round(acc: Float32, out: NDArray[np.uint16]) -> None:
    for i in range(acc.size):
        out[i] = np.uint16(acc[i] + np.float32(0.5))


@kernel
def smear_rows(
    source: NDArray[np.uint16],
    places: NDArray[np.int64],
    weights: Float32,
    out: NDArray[np.uint16],
    first: int,
    last: int,
) -> None:
    """out(x) = sum of weight * source(x - place) for rows of (H, 3 W) pictures; edges are repeated."""
    rows, length = source.shape
    acc = np.empty(length, np.float32)
    for y in range(first, last):
        acc[:] = 0.0
        for t in range(len(weights)):
            line = source[min(max(y - places[t, 1], 0), rows - 1)]
            shift = 3 * min(max(places[t, 0], 3 - length // 3), length // 3 - 3)
            if shift >= 0:
                _add(acc[shift:], line[: length - shift], weights[t])
                for i in range(shift):
                    acc[i] += weights[t] * np.float32(line[i % 3])
            else:
                _add(acc[: length + shift], line[-shift:], weights[t])
                for i in range(length + shift, length):
                    acc[i] += weights[t] * np.float32(line[length - 3 + i % 3])
        _round(acc, out[y])


def mean_and_length(path_px: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean displacement (x, y) and the diagonal of the path's bounding box."""
    mean = path_px.mean(axis=0)
    return float(mean[0]), float(mean[1]), math.hypot(*(path_px.max(axis=0) - path_px.min(axis=0)))
