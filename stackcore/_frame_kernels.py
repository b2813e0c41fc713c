"""Compiled kernels that look at one frame: reduced luma, and figures for its check. All are `nogil` and single-threaded."""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F32, F64, I32, I64, READ_ONLY_FRAME, U8, array, kernel, row_function


@row_function
def _add_rgb(rgb: U8, total: I32) -> None:
    for x in range(total.size):
        weighted = np.int32(rgb[3 * x]) * 77 + np.int32(rgb[3 * x + 1]) * 150 + np.int32(rgb[3 * x + 2]) * 29
        total[x] = np.int32(total[x] + weighted)


@row_function
def _add_gray(gray: U8, total: I32) -> None:
    for x in range(total.size):
        total[x] = np.int32(total[x] + (np.int32(gray[x]) << 8))


@kernel(READ_ONLY_FRAME, types.int64, types.int64, array(types.float32, 2), array(types.int32, 1))
def reduce_luma(values: U8, channels: int, factor: int, reduced: F32, total: I32) -> None:
    """Mean luma (0..255) of blocks of `factor` x `factor` pixels; what does not fill a block is left out.

    Args:
        values: (H, W * channels) uint8.
        channels: 3 (RGB) or 1.
        factor: 1..64.
        reduced: (H // factor, W // factor) float32, written.
        total: scratch, (W // factor * factor).
    """
    height, width = reduced.shape
    scale = np.float32(1.0 / (256.0 * factor * factor))
    for row in range(height):
        total[:] = 0
        for y in range(row * factor, row * factor + factor):
            if channels == 3:
                _add_rgb(values[y], total)
            else:
                _add_gray(values[y], total)
        for x in range(width):
            block = np.int64(0)
            for k in range(x * factor, x * factor + factor):
                block += total[k]
            reduced[row, x] = np.float32(block) * scale


@row_function
def _count_clipped(values: U8, channels: int) -> np.int32:
    count = np.int32(0)
    if channels == 3:
        for x in range(values.size // 3):
            count += np.int32(
                (values[3 * x] == 255) | (values[3 * x + 1] == 255) | (values[3 * x + 2] == 255)
            )
    else:
        for x in range(values.size):
            count += np.int32(values[x] == 255)
    return count


@row_function
def _sum_of_squared_laplacian(up: F32, centre: F32, down: F32) -> np.float64:
    total = np.float64(0)
    for x in range(1, centre.size - 1):
        twice = 2 * centre[x]
        value = abs(twice - centre[x - 1] - centre[x + 1]) + abs(twice - up[x] - down[x])
        total += value * value
    return total


@kernel(
    READ_ONLY_FRAME,
    types.int64,
    array(types.int64, 1),
    types.int64,
    array(types.int64, 1),
    array(types.float64, 1),
    array(types.float32, 2),
    array(types.int32, 1),
)
def sample_rows(  # noqa: PLR0917
    values: U8, channels: int, starts: I64, strip: int, histogram: I64, sums: F64, blocks: F32, total: I32
) -> None:
    """Figures of strips of rows.

    Args:
        values: (H, W * channels) uint8.
        channels: 3 (RGB) or 1.
        starts: first row of each strip.
        strip: rows in a strip, even.
        histogram: (256,), added to: luma of blocks of 2 x 2 px.
        sums: (3,), added to: squares of the modified Laplacian of the blocks, how many there are, clipped pixels.
        blocks: scratch (strip / 2, W // 2).
        total: scratch (W // 2 * 2).
    """
    rows, width = blocks.shape
    for start in starts:
        part = values[start : start + strip]
        reduce_luma(part, channels, 2, blocks, total)
        for y in range(strip):
            sums[2] += _count_clipped(part[y], channels)
        for y in range(rows):
            for x in range(width):
                histogram[np.int64(blocks[y, x] + np.float32(0.5))] += 1
        for y in range(1, rows - 1):
            sums[0] += _sum_of_squared_laplacian(blocks[y - 1], blocks[y], blocks[y + 1])
            sums[1] += width - 2
