"""The compiled part of `stackcore.methods._blend` that reads a stretch of one row of the reference from a frame where it lies.

A similarity close to the identity is a shear along columns followed by one along rows (Catmull and Smith, "3-D transformations of images
in scanline order", SIGGRAPH 1980): first a line is read between rows, each column at its own height, then the stretch between the
columns of that line. Neighbours lie side by side, so that the compiler works on many at once: less than half the time of a general
warp. (`stackcore._pyramid_sampling` goes the other way round, rows first, which is quicker for whole tiles and of no use for
stretches.) The kernel is that of cubic convolution (Keys, IEEE ASSP 29, 1981) with a = -3/4, as of OpenCV; his -1/2 is softer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore._jit import F32, F64, I64, U8, row_function

U64 = npt.NDArray[np.uint64]
Columns = tuple[I64, I64, F32]
"""Of (columns,): the whole pixel before each; the end of the run in which these go on one by one. (4 * columns * channels,): weights,
first those of all values' first neighbours."""
Lines = tuple[U64, F64, F32]
"""To work in: four numbers; of each value of a line the column that it is in, counted from its beginning; the line."""

LEVEL = 1 / 32
"""Pixels: what is shifted by less from its first row, or column, to its last is read as if all of it were shifted like its middle."""

_SHARPNESS = np.float32(-0.75)


@row_function
def rows_alike(matrix: F64, y: int) -> tuple[int, int]:
    """The rows of the reference that are shifted like row `y`, first and end: they share what `weigh_columns` says.

    Whatever part of the picture is read, they are the same: so the result is the same for any parts.
    """
    count = max(1, int(min(LEVEL / max(abs(matrix[0, 1]), 1e-9), 1e6)))
    first = y // count * count
    return first, first + count


@row_function
def _cubic(t: np.float32) -> tuple[np.float32, np.float32, np.float32]:
    """Weights of the three first of four neighbours of a place `t` behind the second; those of all four add up to 1."""
    one, two, three = np.float32(1), np.float32(2), np.float32(3)
    near = one - t
    return (
        _SHARPNESS * t * near * near,
        ((_SHARPNESS + two) * t - (_SHARPNESS + three)) * t * t + one,
        ((_SHARPNESS + two) * near - (_SHARPNESS + three)) * near * near + one,
    )


@row_function
def weigh_columns(  # noqa: PLR0917
    matrix: F64,
    left: int,
    alike: tuple[int, int],
    channels: int,
    begin: int,
    end: int,
    columns: Columns,
) -> None:
    """What reading needs to know of columns.

    Args:
        matrix: (2, 3), from pixels of the reference to pixels of the frame.
        left: column of the reference from which they are counted.
        alike: rows, see `rows_alike`.
        channels: 3 or 1.
        begin: the first column.
        end: the one after the last.
        columns: written.
    """
    wholes, runs, weights = columns
    start_at = matrix[0, 1] * ((alike[0] + alike[1] - 1) / 2) + matrix[0, 2]
    count = wholes.size * channels
    for x in range(begin, end):
        place = matrix[0, 0] * (left + x) + start_at
        whole = np.floor(place)
        wholes[x] = np.int64(whole)
        a, b, c = _cubic(np.float32(place - whole))
        for i in range(channels * x, channels * (x + 1)):
            weights[i] = a
            weights[count + i] = b
            weights[2 * count + i] = c
            weights[3 * count + i] = np.float32(1) - a - b - c
    run_end = end
    for x in range(end - 1, begin - 1, -1):
        if x + 1 < end and wholes[x + 1] != wholes[x] + 1:
            run_end = x + 1
        runs[x] = run_end


@row_function
def _between_rows(  # noqa: PLR0917
    values: Any, rows: U64, first: int, t: np.float32, line: F32, begin: int, end: int
) -> None:
    """Part of a line from what lies `t` behind the second of four rows that begin at `rows`, from their value `first` on.

    All four are read from one array, at places without a sign: the compiler then sees that nothing is written over what is read, and need
    not expect that some counts from the end.
    """
    start = np.uint64(first)
    a, b, c, d = rows[0] + start, rows[1] + start, rows[2] + start, rows[3] + start
    w0, w1, w2 = _cubic(t)
    w3 = np.float32(1) - w0 - w1 - w2
    for k in range(end - begin):
        i, x = np.uint64(k), np.uint64(begin + k)
        upper = w0 * np.float32(values[a + i]) + w1 * np.float32(values[b + i])
        line[x] = upper + (w2 * np.float32(values[c + i]) + w3 * np.float32(values[d + i]))


@row_function
def _between_rows_rising(  # noqa: PLR0917
    values: Any, rows: U64, first: int, crossing: tuple[float, float], origin: float, whole: float,
    column: F64, line: F32, begin: int, end: int,
) -> None:  # fmt: skip
    """The same where each value has a height of its own; `origin` is the column of the frame in which the first of them lies."""
    start = np.uint64(first)
    a, b, c, d = rows[0] + start, rows[1] + start, rows[2] + start, rows[3] + start
    at_zero, rise = crossing
    for k in range(end - begin):
        i, x = np.uint64(k), np.uint64(begin + k)
        w0, w1, w2 = _cubic(np.float32(at_zero + rise * (origin + column[i]) - whole))
        upper = w0 * np.float32(values[a + i]) + w1 * np.float32(values[b + i])
        w3 = np.float32(1) - w0 - w1 - w2
        line[x] = upper + (w2 * np.float32(values[c + i]) + w3 * np.float32(values[d + i]))


@row_function
def _between_columns(  # noqa: PLR0917
    line: F32, at: int, channels: int, weights: F32, out: F32, begin: int, end: int
) -> None:
    """Values between four of a line, `channels` apart, the first of them at `at`."""
    stride, a = np.uint64(weights.size // 4), np.uint64(at)
    b = a + np.uint64(channels)
    c, d = b + np.uint64(channels), b + np.uint64(2 * channels)
    for k in range(end - begin):
        i, w = np.uint64(k), np.uint64(begin + k)
        left = weights[w] * line[a + i] + weights[w + stride] * line[b + i]
        out[w] = left + (
            weights[w + stride + stride] * line[c + i] + weights[w + stride + stride + stride] * line[d + i]
        )


@row_function
def _stretch(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], crossing: tuple[float, float], first: int, whole: float,
    lines: Lines, begin: int, end: int,
) -> None:  # fmt: skip
    """Columns of a line, all of them between the same four rows; beyond the border the outermost pixels go on."""
    rows, column, line = lines
    height, width, channels = size
    for k in range(4):
        rows[k] = np.uint64(channels * width * min(max(int(whole) - 1 + k, 0), height - 1))
    low = min(max(begin, -first), end)
    high = max(low, min(end, width - first))
    start, inner, stop = channels * (first + low), channels * low, channels * high
    if crossing[1] == 0:
        _between_rows(values, rows, start, np.float32(crossing[0] - whole), line, inner, stop)
    else:
        _between_rows_rising(
            values, rows, start, crossing, float(first + low), whole, column, line, inner, stop
        )
    for side in range(2):
        from_column, to_column, outermost = (begin, low, 0) if side == 0 else (high, end, width - 1)
        for i in range(channels * from_column, channels * to_column):
            w0, w1, w2 = _cubic(np.float32(crossing[0] + crossing[1] * (first + i // channels) - whole))
            at = np.uint64(channels * outermost + i % channels)
            upper = w0 * np.float32(values[rows[0] + at]) + w1 * np.float32(values[rows[1] + at])
            w3 = np.float32(1) - w0 - w1 - w2
            line[i] = upper + (w2 * np.float32(values[rows[2] + at]) + w3 * np.float32(values[rows[3] + at]))


@row_function
def _end_of_run(crossing: tuple[float, float], first: int, x: int, count: int, whole: float) -> int:
    """Up to where a line stays between the same rows; what counts is what the sum itself says, so that no part decides otherwise."""
    at_zero, rise = crossing
    if rise == 0:
        return count
    left = ((whole + 1 if rise > 0 else whole) - at_zero) / rise - (first + x)
    stop = min(count, x + max(1, int(np.ceil(min(max(left, 0.0), float(count))))))
    while stop < count and np.floor(at_zero + rise * (first + stop)) == whole:
        stop += 1
    while stop > x + 1 and np.floor(at_zero + rise * (first + stop - 1)) != whole:
        stop -= 1
    return stop


@row_function
def _line(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], crossing: tuple[float, float], first: int, count: int,
    lines: Lines,
) -> None:  # fmt: skip
    """What a row of the reference shows of `count` columns of a frame, from column `first` on, each at its own height."""
    x = 0
    while x < count:
        whole = np.floor(crossing[0] + crossing[1] * (first + x))
        stop = _end_of_run(crossing, first, x, count, whole)
        _stretch(values, size, crossing, first, whole, lines, x, stop)
        x = stop


@row_function
def _crossing(matrix: F64, y: int, width: int) -> tuple[float, float]:
    """Where a row of the reference crosses column 0 of a frame, and by how much it lies lower from column to column, px."""
    rise = matrix[1, 0] / matrix[0, 0]
    at_zero = matrix[1, 1] * y + matrix[1, 2] - rise * (matrix[0, 1] * y + matrix[0, 2])
    if abs(rise) * width <= LEVEL:
        return at_zero + rise * (width - 1) / 2, 0.0
    return at_zero, rise


@row_function
def room_for(columns: int, channels: int, matrix: F64) -> tuple[Columns, Lines]:
    """What it takes to read stretches of up to so many columns."""
    longest = (int(abs(matrix[0, 0]) * columns) + 8) * channels
    column = np.empty(longest)
    for i in range(longest):
        column[i] = i // channels
    weights = np.empty(4 * columns * channels, np.float32)
    known = np.empty(columns, np.int64), np.empty(columns, np.int64), weights
    return known, (np.empty(4, np.uint64), column, np.empty(longest, np.float32))


@row_function
def read_between(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], matrix: F64, y: int, columns: Columns, begin: int, end: int,
    lines: Lines, out: F32,
) -> None:  # fmt: skip
    """A stretch between pixels.

    Args:
        values: of the frame, row after row.
        size: of the frame: rows, columns, channels (3 or 1).
        matrix: (2, 3), from pixels of the reference to pixels of the frame.
        y: row of the reference.
        columns: what `weigh_columns` wrote.
        begin: column to be read first.
        end: column, after the last to be read.
        lines: to work in.
        out: values of all columns, `begin` to `end` written.
    """
    channels = size[2]
    wholes, runs, weights = columns
    first = wholes[begin] - 1
    count = wholes[end - 1] + 3 - first
    _line(values, size, _crossing(matrix, y, size[1]), first, count, lines)
    x = begin
    while x < end:
        stop = min(end, runs[x])
        at = channels * (wholes[x] - 1 - first)
        _between_columns(lines[2], at, channels, weights, out, channels * x, channels * stop)
        x = stop


@row_function
def read_nearest(  # noqa: PLR0917
    values: Any,
    size: tuple[int, int, int],
    matrix: F64,
    y: int,
    columns: Columns,
    wanted: U8,
    begin: int,
    end: int,
    out: Any,
) -> None:
    """The nearest pixels, as they are, in columns that are wanted.

    Args:
        values: as of `read_between`.
        size: likewise.
        matrix: likewise.
        y: likewise.
        columns: likewise.
        wanted: (columns,), 0 where nothing is.
        begin: as of `read_between`.
        end: likewise.
        out: likewise, of the frame's type.
    """
    height, width, channels = size
    wholes, _, weights = columns
    at_zero, rise = _crossing(matrix, y, width)
    second, third = wholes.size * channels, 2 * wholes.size * channels
    for x in range(begin, end):
        if wanted[x] != 0:
            # The nearer of the two neighbours has the greater weight.
            nearest = wholes[x] + (weights[third + channels * x] > weights[second + channels * x])
            row = min(max(int(np.floor(at_zero + rise * nearest + 0.5)), 0), height - 1)
            at = channels * (width * row + min(max(nearest, 0), width - 1))
            for channel in range(channels):
                out[channels * x + channel] = values[at + channel]
