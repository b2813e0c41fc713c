"""Compiled kernels that read frames: a frame made small, tiles of one. `nogil`, single-threaded, made for the frame's type when asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import from_dtype, types

from stackcore._jit import F32, I32, I64, array, kernel, row_function


@row_function
def _add_row(row: npt.NDArray[np.integer], total: I32) -> None:
    for x in range(total.size):
        total[x] += np.int32(row[x])


@row_function
def _row_of_blocks(  # noqa: PLR0917
    total: I32, channels: int, factor: int, clipped: np.int32, scale: np.float32, luma: F32, cells: F32
) -> None:
    """Luma of the blocks of one row, and their colours added to the cells of 4 blocks."""
    for x in range(luma.size):
        red = green = blue = np.int32(0)
        start = x * factor * channels
        if channels == 3:
            for k in range(start, start + 3 * factor, 3):
                red += total[k]
                green += total[k + 1]
                blue += total[k + 2]
        else:
            for k in range(start, start + factor):
                red += total[k]
            green = blue = red
        luma[x] = np.float32(red + 2 * green + blue) * (scale * np.float32(0.25))
        cell = x >> 2
        if cell < cells.shape[0]:
            cells[cell, 0] += np.float32(red)
            cells[cell, 1] += np.float32(green)
            cells[cell, 2] += np.float32(blue)
            cells[cell, 3] += np.float32((red >= clipped) | (green >= clipped) | (blue >= clipped))


@row_function
def _add_gradients(above: F32, here: F32, below: F32, cell_px: int, detail: F32) -> None:
    for cell in range(detail.shape[0]):
        xx = xy = yy = np.float32(0)
        for x in range(max(1, cell * cell_px), min(cell * cell_px + cell_px, here.size - 1)):
            dx = here[x + 1] - here[x - 1]
            dy = below[x] - above[x]
            xx += dx * dx
            xy += dx * dy
            yy += dy * dy
        detail[cell, 0] += xx
        detail[cell, 1] += xy
        detail[cell, 2] += yy


def _reduce_frame(  # noqa: PLR0917
    values: npt.NDArray[np.integer], channels: int, factor: int, rows: int, white: int, cell_px: int,
    luma: F32, cells: F32, detail: F32,
) -> None:  # fmt: skip
    """Make a frame small.

    Args:
        values: (H, W * channels), uint8 or uint16.
        channels: 3 (RGB) or 1.
        factor: 1..64; a block is `factor` x `factor` px.
        rows: how many of a block's rows are read, those in its middle.
        white: values of this size are clipped.
        cell_px: size of a cell of `detail`, in blocks.
        luma: (H // factor, W // factor) written, 0..255: (R + 2 G + B) / 4, mean of the blocks.
        cells: (h // 4, w // 4, 4) written, of 4 x 4 blocks: mean of each channel, 0..255, and the share of clipped blocks.
        detail: (ceil(h / cell_px), ceil(w / cell_px), 3) written: sums of the squares and the product of luma's differences.
    """
    height, width = luma.shape
    first = (factor - rows) // 2
    count = rows * factor
    scale = np.float32(255.0 / (white * count))
    clipped = np.int32(white * count * 250 // 255)
    total = np.empty(width * factor * channels, np.int32)
    cells[:] = 0
    detail[:] = 0
    for y in range(height):
        total[:] = 0
        for row in range(y * factor + first, y * factor + first + rows):
            _add_row(values[row], total)
        strip = cells[min(y >> 2, cells.shape[0] - 1)] if (y >> 2) < cells.shape[0] else cells[0, :0]
        _row_of_blocks(total, channels, factor, clipped, scale, luma[y], strip)
        if y >= 2 and y % 2:
            _add_gradients(luma[y - 2], luma[y - 1], luma[y], cell_px, detail[(y - 1) // cell_px])
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            for k in range(3):
                cells[y, x, k] *= scale * np.float32(1 / 16)
            cells[y, x, 3] *= np.float32(1 / 16)


@row_function
def _read_row(values: npt.NDArray[np.integer], channels: int, start: int, row: F32) -> None:
    last = values.size // channels - 1
    for x in range(row.size):
        at = channels * min(max(start + x, 0), last)
        if channels == 3:
            row[x] = np.float32(
                np.int32(np.int32(values[at]) + 2 * np.int32(values[at + 1]) + np.int32(values[at + 2]))
            )
        else:
            row[x] = np.float32(np.int32(4 * np.int32(values[at])))


def _read_tiles(
    values: npt.NDArray[np.integer], channels: int, scale: float, corners: I64, tiles: F32
) -> None:
    """Luma of square tiles, smoothed by 1 2 1 in both directions; edge pixels are repeated beyond the frame.

    Args:
        values: (H, W * channels).
        channels: 3 (RGB) or 1.
        scale: to multiply with.
        corners: (N, 2): x and y of the first pixel of each tile, px; may lie outside.
        tiles: (N, S, S) written.
    """
    size = tiles.shape[1]
    rows = np.empty((3, size + 2), np.float32)
    factor = np.float32(scale / 64)
    for tile in range(tiles.shape[0]):
        x, y = corners[tile]
        for k in range(size + 2):
            row = rows[k % 3]
            _read_row(values[min(max(y + k - 1, 0), values.shape[0] - 1)], channels, x - 1, row)
            if k < 2:
                continue
            above, here = rows[(k - 2) % 3], rows[(k - 1) % 3]
            for i in range(size + 2):
                above[i] += np.float32(2) * here[i] + row[i]
            out = tiles[tile, k - 2]
            for i in range(size):
                out[i] = factor * (above[i] + np.float32(2) * above[i + 1] + above[i + 2])


@cache
def reducer(dtype: npt.DTypeLike) -> Callable[..., None]:
    """`reduce_frame` for frames of this type, compiled or loaded when first asked for."""
    return kernel(
        _rows_of(dtype),
        *[types.int64] * 5,
        array(types.float32, 2),
        array(types.float32, 3),
        array(types.float32, 3),
    )(_reduce_frame)


@cache
def reader(dtype: npt.DTypeLike) -> Callable[..., None]:
    """`read_tiles` for frames of this type, compiled or loaded when first asked for."""
    return kernel(
        _rows_of(dtype), types.int64, types.float64, array(types.int64, 2), array(types.float32, 3)
    )(_read_tiles)


def _rows_of(dtype: npt.DTypeLike) -> Any:
    return types.Array(from_dtype(np.dtype(dtype)), 2, "C", readonly=True)
