"""The compiled part of `stackcore.methods._blend`.

Pictures are rows of interleaved pixels. A cell is 1 x 1 or 2 x 2 px (`1 << halvings`); an odd last row or column belongs to the cell
before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import I64, READ_ONLY, U8, U16, array, by_pixel, row_function

_FINE = 4
"""Pixels times gain are kept with so many more bits."""


@row_function
def _weight(depth: U16, breadth: U8, weights: U16, place: int) -> int:
    distance = abs(np.int64(depth) - place)
    return 0 if distance >= weights.shape[1] else int(weights[breadth, distance])


_BLEND = (
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    array(types.int64, 1),
    array(types.uint16, 2),
    array(types.uint8, 2),
    array(types.uint16, 2),
    array(types.uint8, 2),
    array(types.uint16, 2),
)


@by_pixel(
    uint8=types.void(READ_ONLY["uint8"], *_BLEND, array(types.uint16, 2)),
    uint16=types.void(READ_ONLY["uint16"], *_BLEND, array(types.uint32, 2)),
)
def blend(  # noqa: PLR0917
    source: Any,
    channels: int,
    halvings: int,
    from_row: int,
    from_column: int,
    first: int,
    end: int,
    left: int,
    right: int,
    gain: I64,
    depth: U16,
    breadth: U8,
    weights: U16,
    shown: U8,
    total: U16,
    sums: Any,
) -> None:
    """Add a part of a frame to the weighted sums, each pixel as much as its depth lies near this frame.

    Args:
        source: (rows, columns * channels), the frame or a resampled part of it.
        channels: 3 or 1.
        halvings: of a cell.
        from_row: the picture's row that the first row of `source` is.
        from_column: likewise.
        first: row of the picture, where a cell begins.
        end: row of the picture.
        left: column of the picture, where a cell begins.
        right: column of the picture.
        gain: (channels + 2,): of each channel times 4096, then white, then this frame's place times 16.
        depth: (h, w), of each cell, in 16ths of a frame.
        breadth: (h, w), which row of `weights` counts in a cell.
        weights: (rows, distances), by distance in 16ths of a frame.
        shown: (h, w), 0 where the frame shows nothing.
        total: (h, w), sums of weights, added to.
        sums: (H, W * channels), sums of weights times pixels, added to.
    """
    place = gain[channels + 1]
    white = gain[channels] << _FINE
    h, w = depth.shape
    for y in range(first, end):
        cell_row = min(y >> halvings, h - 1)
        own = y == cell_row << halvings
        line = source[y - from_row]
        kept = sums[y]
        for x in range(left, right):
            cell = min(x >> halvings, w - 1)
            weight = _weight(depth[cell_row, cell], breadth[cell_row, cell], weights, place)
            if weight == 0 or shown[cell_row, cell] == 0:
                continue
            if own and x == cell << halvings:
                total[cell_row, cell] += weight
            for k in range(channels):
                value = np.int64(line[(x - from_column) * channels + k])
                value = min((value * gain[k]) >> (12 - _FINE), white)
                kept[x * channels + k] += (value * weight + (1 << (_FINE - 1))) >> _FINE


@by_pixel(
    uint8=types.void(
        array(types.uint16, 2),
        array(types.uint16, 2),
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        array(types.uint8, 2),
    ),
    uint16=types.void(
        array(types.uint32, 2),
        array(types.uint16, 2),
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        array(types.uint16, 2),
    ),
)
def divide(  # noqa: PLR0917
    sums: Any, total: U16, channels: int, halvings: int, first: int, end: int, picture: Any
) -> None:
    """The picture where any frame counted; elsewhere it stays.

    Args:
        sums: as of `blend`.
        total: as of `blend`.
        channels: 3 or 1.
        halvings: of a cell.
        first: row.
        end: row.
        picture: (H, W * channels).
    """
    h, w = total.shape
    width = sums.shape[1] // channels
    half = np.float32(0.5)
    for y in range(first, end):
        row = total[min(y >> halvings, h - 1)]
        for cell in range(w):
            weight = row[cell]
            if weight == 0:
                continue
            share = np.float32(1) / np.float32(weight)
            right = width if cell == w - 1 else (cell + 1) << halvings
            for i in range((cell << halvings) * channels, right * channels):
                picture[y, i] = np.float32(sums[y, i]) * share + half
