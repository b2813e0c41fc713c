"""A frame made small, once: what the coarse registration, the choice of tiles and the gains look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels
from stackcore.registration._reading_kernels import reducer

Floats = npt.NDArray[np.float32]

LONG_SIDE = 700
"""Blocks along the longer side, at most."""

CELL = 4
"""Blocks along a side of a cell."""

DETAIL_CELL = 8
"""Blocks along a side of a cell of `Reduced.detail`."""


@dataclass(frozen=True)
class Reduced:
    """A small frame.

    Attributes:
        factor: size of a block, px.
        luma: (h, w) float32, 0..255, mean of each block.
        cells: (h // 4, w // 4, 4) float32: mean of each channel over 4 x 4 blocks, 0..255, and the share of clipped blocks.
        detail: (ceil(h / 8), ceil(w / 8), 3) float32: sums of luma's squared differences in x, their product, and in y.
    """

    factor: int
    luma: Floats
    cells: Floats
    detail: Floats


def rows_of(pixels: Pixels) -> tuple[Pixels, int]:
    """(H, W * channels) without a copy where that can be, and how many channels there are."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in {1, 3} or pixels.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(
            f"a frame is (H, W, 3) or (H, W), uint8 or uint16, not {pixels.shape} {pixels.dtype}"
        )
    rows: Any = np.ascontiguousarray(pixels)
    return rows.reshape(pixels.shape[0], -1), channels


def factor_of(shape: tuple[int, ...]) -> int:
    """Size of a block for frames of this shape, px."""
    return max(1, -(-max(shape[:2]) // LONG_SIDE))


def reduce(pixels: Pixels, cell: int = 1) -> Reduced:
    """Make a frame small.

    Of large blocks only a third of the rows are read, those in their middle: noise does not count at this size, and memory is what
    this costs.

    Args:
        pixels: (H, W, 3) or (H, W), uint8 or uint16.
        cell: of how many pixels of the frame, along a side, each of these is the mean.

    Raises:
        ValueError: for anything else.
    """
    values, channels = rows_of(pixels)
    factor = factor_of(pixels.shape)
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    luma = np.empty((height, width), np.float32)
    cells = np.empty((height // CELL, width // CELL, 4), np.float32)
    detail = np.empty((-(-height // DETAIL_CELL), -(-width // DETAIL_CELL), 3), np.float32)
    rows = max(1, factor // 3) if factor > 2 else factor
    white = int(np.iinfo(pixels.dtype).max)
    reducer(pixels.dtype)(values, channels, factor, rows, white, DETAIL_CELL, luma, cells, detail)
    return Reduced(factor * cell, luma, cells, detail)
