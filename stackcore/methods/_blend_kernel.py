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
def _fill(shares: Any, share: Any, begin: int, length: int, last: bool) -> None:
    """All values of one cell, as far as they lie in the row; the last cell reaches to its end."""
    stop = shares.size if last else min(shares.size, begin + length)
    for i in range(max(0, begin), stop):
        shares[i] = share


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
    # Two plain loops over the values of a row, the second without any question in it: the compiler makes vectors of that. In 32 bits
    # nothing overflows: 16 bits of a pixel, at most 16 of its gain, which are then shifted out; or 20 of both, and 8 of a weight.
    place = np.int32(gain[channels + 1])
    white = np.uint32(gain[channels] << _FINE)
    half = np.uint32(1 << (_FINE - 1))
    h, w = depth.shape
    count = (right - left) * channels
    shares = np.empty(count, np.uint32)
    gains = np.empty(count, np.uint32)
    for i in range(count):
        gains[i] = np.uint32(gain[i % channels])
    for y in range(first, end):
        cell_row = min(y >> halvings, h - 1)
        own_row = y == cell_row << halvings
        if y == first or own_row:
            any_counts = False
            for cell in range(min(left >> halvings, w - 1), min(w, ((right - 1) >> halvings) + 1)):
                distance = abs(np.int32(depth[cell_row, cell]) - place)
                share = np.uint32(0)
                if distance < weights.shape[1] and shown[cell_row, cell] != 0:
                    share = np.uint32(weights[breadth[cell_row, cell], distance])
                begin = ((cell << halvings) - left) * channels
                if share != 0:
                    any_counts = True
                    if own_row and begin >= 0:
                        total[cell_row, cell] += np.uint16(share)
                _fill(shares, share, begin, channels << halvings, cell == w - 1)
        if not any_counts:
            continue
        line = source[y - from_row, (left - from_column) * channels : (right - from_column) * channels]
        kept = sums[y, left * channels : right * channels]
        for i in range(count):
            value = min((np.uint32(line[i]) * gains[i]) >> np.uint32(12 - _FINE), white)
            kept[i] += (value * shares[i] + half) >> np.uint32(_FINE)


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
    count = sums.shape[1]
    half = np.float32(0.5)
    shares = np.empty(count, np.float32)
    for y in range(first, end):
        cell_row = min(y >> halvings, h - 1)
        if y == first or y == cell_row << halvings:
            row = total[cell_row]
            all_count = True
            for cell in range(w):
                share = np.float32(0)
                if row[cell] != 0:
                    share = np.float32(1) / np.float32(row[cell])
                else:
                    all_count = False
                _fill(shares, share, (cell << halvings) * channels, channels << halvings, cell == w - 1)
        line, kept = picture[y], sums[y]
        if all_count:
            for i in range(count):
                line[i] = np.int32(np.float32(kept[i]) * shares[i] + half)
        else:
            for i in range(count):
                if shares[i] != 0:
                    line[i] = np.int32(np.float32(kept[i]) * shares[i] + half)
