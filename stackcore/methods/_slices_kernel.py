"""The compiled part of `stackcore.methods.depth_slices`: one frame's share of the picture, for a band of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import F32, U8, array, kernel, row_function

BLOCK_PX = 64
"""Pixels that are passed over together when the frame is of no use to any of them."""


@row_function
def _weigh(ordinal: Any, depth: F32, half_width: U8, steps: Any, weight: F32) -> Any:
    """A tent round the depth; gives the largest weight."""
    largest = np.float32(0)
    for x in range(depth.size):
        distance = abs(ordinal - depth[x]) * steps
        weight[x] = max(np.float32(0), np.float32(1) - distance / np.float32(half_width[x]))
        largest = max(largest, weight[x])
    return largest


@row_function
def _mask(weight: F32, shows: U8, least: Any) -> None:
    for x in range(weight.size):
        weight[x] = max(weight[x], least) * np.float32(shows[x])


@row_function
def _add_gray(values: F32, weight: F32, total: F32, sums: F32) -> None:
    for x in range(weight.size):
        total[x] += weight[x]
        sums[x] += weight[x] * values[x]


@row_function
def _add_rgb(values: F32, weight: F32, total: F32, sums: F32) -> None:
    for x in range(weight.size):
        total[x] += weight[x]
        sums[3 * x] += weight[x] * values[3 * x]
        sums[3 * x + 1] += weight[x] * values[3 * x + 1]
        sums[3 * x + 2] += weight[x] * values[3 * x + 2]


@kernel(
    array(types.float32, 2),
    array(types.uint8, 2),
    types.float32,
    types.float32,
    array(types.float32, 2),
    array(types.uint8, 2),
    types.float32,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 1),
)
def blend_rows(  # noqa: PLR0917
    values: F32,
    shows: U8,
    ordinal: Any,
    least: Any,
    depth: F32,
    half_width: U8,
    steps: Any,
    total: F32,
    sums: F32,
    weight: F32,
) -> None:
    """Add a frame, weighted by how near it is to the depth of each pixel.

    Args:
        values: (rows, W * channels) pixels.
        shows: (rows, W), 1 where the frame shows the pixel, else 0.
        ordinal: of the frame.
        least: weight of a frame that is far from the depth; above 0 where others may not show the pixel at all.
        depth: (rows, W) in units of the ordinal.
        half_width: (rows, W), distance at which the weight becomes 0,
        steps: in parts of so many to a frame.
        total: (rows, W), sum of weights, added to.
        sums: (rows, W * channels), weighted sum, added to.
        weight: scratch (W).
    """
    rows, width = depth.shape
    channels = values.shape[1] // width
    for y in range(rows):
        for start in range(0, width, BLOCK_PX):
            end = min(width, start + BLOCK_PX)
            part = weight[start:end]
            largest = _weigh(ordinal, depth[y, start:end], half_width[y, start:end], steps, part)
            if largest == 0 and least == 0:
                continue
            _mask(part, shows[y, start:end], least)
            if channels == 3:
                _add_rgb(
                    values[y, 3 * start : 3 * end], part, total[y, start:end], sums[y, 3 * start : 3 * end]
                )
            else:
                _add_gray(values[y, start:end], part, total[y, start:end], sums[y, start:end])
