"""The compiled part of `stackcore.methods._blend`.

Pictures are rows of interleaved pixels. A cell is 1 x 1 or 2 x 2 px (`1 << halvings`); an odd last row or column belongs to the cell
before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from stackcore._jit import F32, F64, I64, READ_ONLY, U8, U16, array, by_pixel, row_function
from stackcore.methods._resample_kernel import (
    Columns,
    Lines,
    read_between,
    read_nearest,
    room_for,
    rows_alike,
    weigh_columns,
)

U32 = npt.NDArray[np.uint32]

_GAP = 4
"""Cells that do not count end a run if there are more."""

_FEW_ROWS = 32
"""Where no more of them share the weights of their columns, only columns that count are weighed."""

_FINE = 4
"""Pixels times gain are kept with so many more bits."""


@row_function
def _fill(shares: Any, share: Any, begin: int, length: int, last: bool) -> None:
    """All values of one cell, as far as they lie in the row; the last cell reaches to its end."""
    stop = shares.size if last else min(shares.size, begin + length)
    for i in range(max(0, begin), stop):
        shares[i] = share


@row_function
def _add(  # noqa: PLR0917
    values: Any,
    at: int,
    gains: U32,
    shares: U32,
    stretch: tuple[int, int],
    white: np.uint32,
    sums: Any,
    to: int,
) -> None:
    """A plain loop without any question in it: the compiler makes vectors of that.

    In 32 bits nothing overflows: 16 bits of a pixel, at most 16 of its gain, which are then shifted out; or 20 of both, and 8 of a weight.
    """
    half = np.uint32(1 << (_FINE - 1))
    source, target = np.uint64(at), np.uint64(to)
    begin, end = stretch
    for k in range(end - begin):
        i, x = np.uint64(k), np.uint64(begin + k)
        value = min((np.uint32(values[source + i]) * gains[x]) >> np.uint32(12 - _FINE), white)
        sums[target + i] += (value * shares[x] + half) >> np.uint32(_FINE)


@row_function
def _share_out(  # noqa: PLR0917
    depth: U16, breadth: U8, place: np.int32, weights: U16, row: int, cell: int, share: U32, count: int
) -> None:
    """How much a frame counts in each of some cells of a row."""
    for k in range(count):
        distance = abs(np.int32(depth[row, cell + k]) - place)
        share[k] = np.uint32(0)
        if distance < weights.shape[1]:
            share[k] = np.uint32(weights[breadth[row, cell + k], distance])


@row_function
def _next_run(share: U32, start: int, count: int) -> tuple[int, int]:
    """The first cell from `start` on that counts, and the end of the run that it begins, which a small gap does not end; no cell if there is none."""
    begin = start
    while begin < count and share[begin] == 0:
        begin += 1
    end, k = begin, begin
    while k < count and k - end < _GAP:
        if share[k] != 0:
            end = k + 1
        k += 1
    return begin, end


@row_function
def _hide(  # noqa: PLR0917
    matrix: F64, x: float, y: float, step: int, size: tuple[int, int, int], share: U32, begin: int, end: int
) -> None:
    """Where a frame does not show all that interpolation reaches it counts nothing; `x` and `y` is the middle of cell 0."""
    for k in range(begin, end):
        u = matrix[0, 0] * (x + step * k) + matrix[0, 1] * y + matrix[0, 2]
        v = matrix[1, 0] * (x + step * k) + matrix[1, 1] * y + matrix[1, 2]
        if not (2 <= u <= size[1] - 3 and 2 <= v <= size[0] - 3):
            share[k] = np.uint32(0)


@row_function
def _spread(share: U32, begin: int, end: int, values: int, past: int, shares: U32) -> None:  # noqa: PLR0917
    """What cells count for each of their values, so many a cell; the last goes on to `past`."""
    for k in range(begin, end):
        for i in range(values * k, past if k == end - 1 else values * (k + 1)):
            shares[i] = share[k]


@row_function
def _sort(  # noqa: PLR0917
    grainy: U8, row: int, cell: int, share: U32, begin: int, end: int, step: int, past: int, grains: U8
) -> tuple[int, int, bool]:
    """Whether there is grain in each column of some cells; the first with detail, the one after the last, and whether any has grain."""
    first, last, any_grain = past, 0, False
    for k in range(begin, end):
        stop = past if k == end - 1 else step * (k + 1)
        grain = share[k] != 0 and grainy[row, cell + k] != 0
        any_grain |= grain
        if share[k] != 0 and not grain:
            first, last = min(first, step * k), stop
        for x in range(step * k, stop):
            grains[x] = grain
    return first, last, any_grain


@row_function
def _whole(row: F32, begin: int, end: int, white: np.float32, out: Any) -> None:
    """Rounded, and no darker than black nor brighter than white."""
    half, black = np.float32(0.5), np.float32(0)
    first = np.uint64(begin)
    for k in range(end - begin):
        i = first + np.uint64(k)
        out[i] = np.int32(min(max(row[i] + half, black), white))


@row_function
def _read(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], matrix: F64, white: np.float32, part: tuple[int, int], stretch: tuple[int, int, int],
    detail: tuple[int, int, bool], grains: U8, weighed: I64, columns: Columns, lines: Lines, row: F32, out: Any,
) -> None:  # fmt: skip
    """A stretch of a row of a moved frame.

    Args:
        values: of the frame.
        size: of the frame: rows, columns, channels.
        matrix: from pixels of the reference to pixels of the frame.
        white: largest value.
        part: first column and number of columns of the part.
        stretch: row; first column of the stretch, counted in the part, and the one after its last.
        detail: the same of what has detail; and whether anything has not.
        grains: what has not.
        weighed: up to which row, from and up to which columns' weights are known; kept.
        columns: what is known of them; kept.
        lines: to work in.
        row: likewise, as long as `out`.
        out: values of the part; those of the stretch are written.
    """
    left, width = part
    y, begin, end = stretch
    if y >= weighed[0] or begin < weighed[1] or end > weighed[2]:
        alike = rows_alike(matrix, y)
        weighed[0] = alike[1]
        weighed[1], weighed[2] = (begin, end) if alike[1] - alike[0] < _FEW_ROWS else (0, width)
        weigh_columns(matrix, left, alike, size[2], weighed[1], weighed[2], columns)
    if detail[0] < detail[1]:
        read_between(values, size, matrix, y, columns, detail[0], detail[1], lines, row)
        _whole(row, size[2] * detail[0], size[2] * detail[1], white, out)
    if detail[2]:
        read_nearest(values, size, matrix, y, columns, grains, begin, end, out)


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
    size = (source.shape[0], source.shape[1] // channels, channels)
    values, flat_sums = source.reshape(source.size), sums.reshape(sums.size)
    place, step, columns = np.int32(gain[channels + 1]), 1 << halvings, out.size // channels
    full, white = np.float32(gain[channels]), np.uint32(gain[channels] << _FINE)
    gains, shares = np.empty(out.size, np.uint32), np.empty(out.size, np.uint32)
    for i in range(out.size):
        gains[i] = np.uint32(gain[i % channels])
    share, grains, weighed = np.empty(columns, np.uint32), np.empty(columns, np.uint8), np.empty(3, np.int64)
    known, lines = room_for(columns, channels, matrix)
    interpolated = np.empty(out.size, np.float32)
    for part in range(parts.shape[0]):
        top, bottom, left, width = (
            parts[part, 0],
            parts[part, 1],
            parts[part, 2],
            parts[part, 3] - parts[part, 2],
        )
        cell = left >> halvings
        cells = min(w, ((left + width - 1) >> halvings) + 1) - cell
        weighed[:] = 0
        for row in range(top >> halvings, min(h, ((bottom - 1) >> halvings) + 1)):
            _share_out(depth, breadth, place, weights, row, cell, share, cells)
            end = 0
            while True:
                begin, end = _next_run(share, end, cells)
                if begin == end:
                    break
                first = row << halvings
                x0, x1 = step * begin, width if cell + end == w else step * end
                detail = 0, 0, False
                if moved:
                    middle = (step - 1) / 2
                    _hide(matrix, left + middle, first + middle, step, size, share, begin, end)
                    detail = _sort(grainy, row, cell, share, begin, end, step, x1, grains)
                for k in range(begin, end):
                    total[row, cell + k] += np.uint16(share[k])
                _spread(share, begin, end, channels * step, channels * x1, shares)
                for y in range(first, bottom if row == h - 1 else min(bottom, first + step)):
                    target = channels * (size[1] * y + left + x0)
                    stretch = (channels * x0, channels * x1)
                    if moved:
                        in_part = (y, x0, x1)
                        _read(
                            values, size, matrix, full, (left, width), in_part, detail, grains, weighed, known, lines, interpolated, out
                        )  # fmt: skip
                        _add(out, stretch[0], gains, shares, stretch, white, flat_sums, target)
                    else:
                        _add(values, target, gains, shares, stretch, white, flat_sums, target)


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
