"""A depth map thinned out on a grid: each cell is the mean of those of its pixels that belong to one surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels

Floats = npt.NDArray[np.float32]

LEAST_KNOWN_SHARE = 0.25
"""A cell with fewer known pixels is a hole."""

_BAND_PIXELS = 1 << 20


@dataclass(frozen=True)
class Cells:
    """Arrays of (rows, columns) cells.

    Attributes:
        x: mean column of the pixels used, px, float32.
        y: mean row, px.
        depth: mean depth; NaN is a hole.
        colour: (rows, columns, 3), 0..1 as encoded in the picture.
        stride: side of a cell, px.
    """

    x: Floats
    y: Floats
    depth: Floats
    colour: Floats
    stride: int

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which cells are no holes."""
        return np.isfinite(self.depth)


def stride_for(depth: Floats, most: int) -> int:
    """The smallest side of cells, px, with which at most `most` of them can be known."""
    known = np.isfinite(depth)
    stride = max(1, int(np.sqrt(known.sum() / most)))
    while _occupied(known, stride) > most:
        stride += 1
    return stride


def thin_out(depth: Floats, picture: Pixels | None, stride: int, tolerance: float) -> Cells:
    """Pool the pixels of each cell of `stride` x `stride` px.

    The depth of a cell is the mean of its known pixels within `tolerance` of their (lower) median: where a jump runs through a
    cell, the larger side wins and the other is left out of place and colour too. Nothing lies between two surfaces.

    Args:
        depth: (H, W), holes NaN.
        picture: (H, W, 3) or (H, W) for the colours; None makes them middle gray.
        stride: px.
        tolerance: in the unit of the depth.
    """
    height, width = depth.shape
    down = -(-height // stride)
    band = max(1, _BAND_PIXELS // (stride * max(1, width)))
    parts = []
    for first in range(0, down, band):
        rows = slice(first * stride, min(height, (first + band) * stride))
        part = None if picture is None else picture[rows]
        parts.append(_pooled(depth[rows], part, first_row=rows.start, stride=stride, tolerance=tolerance))
    x, y, z, colour = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Cells(x, y, z, colour, stride)


def _occupied(known: npt.NDArray[np.bool_], stride: int) -> int:
    rows = np.logical_or.reduceat(known, np.arange(0, known.shape[0], stride), axis=0)
    return int(np.logical_or.reduceat(rows, np.arange(0, known.shape[1], stride), axis=1).sum())


def _pooled(
    depth: Floats, picture: Pixels | None, *, first_row: int, stride: int, tolerance: float
) -> tuple[Floats, Floats, Floats, Floats]:
    across = -(-depth.shape[1] // stride)
    values = _by_cell(depth, stride, across, np.float32(np.nan))
    count = np.isfinite(values).sum(axis=2)
    middle = np.sort(values, axis=2)
    lower = np.maximum(count - 1, 0)[..., None] // 2
    median = np.take_along_axis(middle, lower, axis=2)
    with np.errstate(invalid="ignore"):
        used = np.abs(values - median) <= np.float32(tolerance)
    total = np.maximum(used.sum(axis=2), 1).astype(np.float32)
    inside = np.arange(stride * stride)

    def mean(array: Floats) -> Floats:
        return np.asarray(
            np.where(used, array, np.float32(0)).sum(axis=2, dtype=np.float32) / total, np.float32
        )

    down = values.shape[0]
    x = mean((inside % stride).astype(np.float32)) + np.arange(across, dtype=np.float32) * stride
    y = mean((inside // stride).astype(np.float32)) + np.arange(down, dtype=np.float32)[:, None] * stride
    # The mean of large values in float32 loses what matters: it is taken of the differences from the median.
    z = mean(values - median) + median[..., 0]
    full = _cell_area(depth.shape, stride, across, down)
    z = np.where(count >= np.maximum(LEAST_KNOWN_SHARE * full, 1), z, np.float32(np.nan))
    if picture is None:
        colour = np.full((down, across, 3), 0.5, np.float32)
    else:
        scale = np.float32(np.iinfo(picture.dtype).max)
        planes = [picture] * 3 if picture.ndim == 2 else [picture[..., k] for k in range(3)]
        colour = np.stack(
            [mean(_by_cell(p.astype(np.float32), stride, across, np.float32(0))) / scale for p in planes],
            axis=2,
        )
    return x, y + np.float32(first_row), z.astype(np.float32), colour.astype(np.float32)


def _by_cell(plane: Floats, stride: int, across: int, beyond: np.float32) -> Floats:
    """(down, across, stride * stride): the pixels of every cell, those outside the plane `beyond`."""
    down = -(-plane.shape[0] // stride)
    missing = ((0, down * stride - plane.shape[0]), (0, across * stride - plane.shape[1]))
    whole = np.pad(plane, missing, constant_values=beyond)
    cells = whole.reshape(down, stride, across, stride).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(cells).reshape(down, across, stride * stride)


def _cell_area(shape: tuple[int, ...], stride: int, across: int, down: int) -> Floats:
    """How many pixels of the picture each cell has: fewer at its right and lower border."""
    tall = np.minimum(stride, shape[0] - np.arange(down) * stride)
    wide = np.minimum(stride, shape[1] - np.arange(across) * stride)
    return np.asarray(tall[:, None] * wide[None, :], np.float32)
