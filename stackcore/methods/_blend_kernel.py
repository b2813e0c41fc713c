"""The compiled part of `stackcore.methods._blend`.

Pictures are rows of interleaved pixels. A cell is 1 x 1 or 2 x 2 px (`1 << halvings`); an odd last row or column belongs to the cell
before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from stackcore._jit import F64, I64, READ_ONLY, U8, U16, array, by_pixel, row_function
from stackcore.methods._resample_kernel import read_between, read_nearest, weigh_columns

U32 = npt.NDArray[np.uint32]

LEVEL = 1 / 32
"""Pixels: rows of which the first and the last are shifted by less than that against each other are shifted alike."""

_FINE = 4
"""Pixels times gain are kept with so many more bits."""


@row_function
def _fill(shares: Any, share: Any, begin: int, length: int, last: bool) -> None:
    """All values of one cell, as far as they lie in the row; the last cell reaches to its end."""
    stop = shares.size if last else min(shares.size, begin + length)
    for i in range(max(0, begin), stop):
        shares[i] = share


@row_function
def _shown(matrix: F64, x: float, y: float, height: int, width: int) -> bool:
    """Whether a frame shows a place of the reference, with all that interpolation reaches."""
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return 2 <= u <= width - 3 and 2 <= v <= height - 3


@row_function
def _add(line: Any, gains: U32, shares: U32, white: np.uint32, sums: Any) -> None:
    """A plain loop without any question in it: the compiler makes vectors of that.

    In 32 bits nothing overflows: 16 bits of a pixel, at most 16 of its gain, which are then shifted out; or 20 of both, and 8 of a weight.
    """
    half = np.uint32(1 << (_FINE - 1))
    for i in range(sums.size):
        value = min((np.uint32(line[i]) * gains[i]) >> np.uint32(12 - _FINE), white)
        sums[i] += (value * shares[i] + half) >> np.uint32(_FINE)


@row_function
def _share_out(  # noqa: PLR0917
    depth: U16, breadth: U8, place: np.int32, weights: U16, shares: U32
) -> tuple[int, int]:
    """How much a frame counts in each cell of a row; the first one in which it does, and the one after the last."""
    begin, end = shares.size, 0
    for cell in range(shares.size):
        distance = abs(np.int32(depth[cell]) - place)
        shares[cell] = np.uint32(0)
        if distance < weights.shape[1]:
            shares[cell] = np.uint32(weights[breadth[cell], distance])
            if shares[cell] != 0:
                begin, end = min(begin, cell), cell + 1
    return begin, end


@row_function
def _hide(  # noqa: PLR0917
    matrix: F64, x: float, y: float, step: int, size: tuple[int, int], shares: U32
) -> None:
    """Where a frame does not show all that interpolation reaches it counts nothing."""
    height, width = size
    for cell in range(shares.size):
        u = matrix[0, 0] * (x + step * cell) + matrix[0, 1] * y + matrix[0, 2]
        v = matrix[1, 0] * (x + step * cell) + matrix[1, 1] * y + matrix[1, 2]
        if not (2 <= u <= width - 3 and 2 <= v <= height - 3):
            shares[cell] = np.uint32(0)


@row_function
def _spread(share: U32, total: U16, values: int, shares: U32) -> None:
    """What cells count for each of their values, so many a cell; the last cell has what is left. Added to their sums, too."""
    last = share.size - 1
    for cell in range(share.size):
        total[cell] += np.uint16(share[cell])
        for i in range(values * cell, shares.size if cell == last else values * (cell + 1)):
            shares[i] = share[cell]


@row_function
def _sort(grainy: U8, share: U32, step: int, grains: U8) -> tuple[int, int, bool]:
    """Whether there is grain in each column of some cells; the first with detail, the one after the last, and whether any has grain."""
    begin, end, any_grain = grains.size, 0, False
    for cell in range(share.size):
        first, stop = step * cell, grains.size if cell == share.size - 1 else step * (cell + 1)
        grain = share[cell] != 0 and grainy[cell] != 0
        any_grain |= grain
        if share[cell] != 0 and not grain:
            begin, end = min(begin, first), stop
        for x in range(first, stop):
            grains[x] = grain
    return begin, end, any_grain


_BLEND = (
    types.int64,
    types.int64,
    array(types.float64, 2),
    types.boolean,
    array(types.int64, 2),
    array(types.int64, 1),
    array(types.uint16, 2),
    array(types.uint8, 2),
    array(types.uint8, 2),
    array(types.uint16, 2),
    array(types.uint16, 2),
)


@by_pixel(
    uint8=types.void(READ_ONLY["uint8"], *_BLEND, array(types.uint16, 2), array(types.uint8, 1)),
    uint16=types.void(READ_ONLY["uint16"], *_BLEND, array(types.uint32, 2), array(types.uint16, 1)),
)
def blend(  # noqa: PLR0917
    source: Any,
    channels: int,
    halvings: int,
    matrix: F64,
    moved: bool,
    parts: I64,
    gain: I64,
    depth: U16,
    breadth: U8,
    grainy: U8,
    weights: U16,
    total: U16,
    sums: Any,
    out: Any,
) -> None:
    """Add parts of a frame to the weighted sums, each pixel as much as its depth lies near this frame. No more is read than counts.

    Args:
        source: (H, W * channels), the frame.
        channels: 3 or 1.
        halvings: of a cell.
        matrix: (2, 3), from pixels of the reference to pixels of the frame.
        moved: whether that is no identity.
        parts: (n, 4), first row, row after the last, first column and column after the last; all begin where a cell does.
        gain: (channels + 2,): of each channel times 4096, then white, then this frame's place times 16.
        depth: (h, w), of each cell, in 16ths of a frame.
        breadth: (h, w), which row of `weights` counts in a cell.
        grainy: (h, w), 1 where there is nothing but grain: of a moved frame the nearest pixels are taken there.
        weights: (rows, distances), by distance in 16ths of a frame.
        total: (h, w), sums of weights, added to.
        sums: (H, W * channels), sums of weights times pixels, added to.
        out: as many values as the widest part has in a row, to work in.
    """
    h, w = depth.shape
    height, width = source.shape[0], source.shape[1] // channels
    place, step = np.int32(gain[channels + 1]), 1 << halvings
    full, white = np.float32(gain[channels]), np.uint32(gain[channels] << _FINE)
    columns = out.size // channels
    rise = matrix[1, 0] / matrix[0, 0]
    # So many rows share the weights of their columns.
    stack = min(height, max(1, int(LEVEL / max(abs(matrix[0, 1]), 1e-9))))
    gains, shares = np.empty(out.size, np.uint32), np.empty(out.size, np.uint32)
    for i in range(out.size):
        gains[i] = np.uint32(gain[i % channels])
    share, kinds = np.empty(columns, np.uint32), np.empty(columns, np.uint8)
    runs = np.empty(columns, np.int64)
    rows, wholes, around = (
        np.empty(4, np.uint64),
        np.empty(columns, np.int64),
        np.empty(4 * out.size, np.float32),
    )
    line = np.empty((int(abs(matrix[0, 0]) * columns) + 8) * channels, np.float32)
    column = np.empty_like(line)
    for i in range(line.size):
        column[i] = np.float32(i // channels)
    for part in range(parts.shape[0]):
        first, end, left, right = parts[part, 0], parts[part, 1], parts[part, 2], parts[part, 3]
        cell, past = left >> halvings, min(w, ((right - 1) >> halvings) + 1)
        width_of_part = right - left
        own, own_runs, own_around = wholes[:width_of_part], runs[:width_of_part], around[: 4 * channels * width_of_part]
        weighed_to = first
        for row in range(first >> halvings, min(h, ((end - 1) >> halvings) + 1)):
            top = row << halvings
            begin, stop = _share_out(
                depth[row, cell:past], breadth[row, cell:past], place, weights, share[: past - cell]
            )
            if moved and begin < stop:
                middle = (step - 1) / 2
                x, y = left + step * begin + middle, top + middle
                _hide(matrix, x, y, step, (height, width), share[begin:stop])
            if begin >= stop:
                continue
            x0, x1 = step * begin, width_of_part if cell + stop == w else step * stop
            _spread(
                share[begin:stop],
                total[row, cell + begin : cell + stop],
                channels * step,
                shares[channels * x0 : channels * x1],
            )
            detail, detail_end, any_grain = 0, 0, False
            if moved:
                detail, detail_end, any_grain = _sort(
                    grainy[row, cell + begin : cell + stop], share[begin:stop], step, kinds[x0:x1]
                )
                detail, detail_end = detail + x0, detail_end + x0
            inner, outer = (
                slice(channels * x0, channels * x1),
                slice(channels * (left + x0), channels * (left + x1)),
            )
            for y in range(top, end if row == h - 1 else min(end, top + step)):
                if not moved:
                    _add(source[y, outer], gains[inner], shares[inner], white, sums[y, outer])
                    continue
                if y >= weighed_to:
                    weighed_to = y + stack
                    start_at = matrix[0, 0] * left + matrix[0, 1] * (y + (stack - 1) / 2) + matrix[0, 2]
                    weigh_columns(start_at, matrix[0, 0], channels, own, own_runs, own_around)
                crossing = matrix[1, 1] * y + matrix[1, 2] - rise * (matrix[0, 1] * y + matrix[0, 2])
                if detail < detail_end:
                    read_between(
                        source, channels, own, own_runs, own_around, detail, detail_end, crossing, rise, full, rows, column, line, out
                    )  # fmt: skip
                if any_grain:
                    read_nearest(source, channels, own, own_around, kinds, x0, x1, crossing, rise, out)
                _add(out[inner], gains[inner], shares[inner], white, sums[y, outer])


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
