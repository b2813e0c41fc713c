"""The compiled part of `stackcore.methods._blend` that reads a stretch of one row of the reference from a frame.

A similarity close to the identity is a shear along columns followed by one along rows (Catmull and Smith, "3-D transformations of images
in scanline order", SIGGRAPH 1980): first a line is read between rows, each column at its own height, then the stretch between the
columns of that line. Neighbours lie side by side, so that the compiler works on many at once: less than half the time of a general
warp. The kernel is that of cubic convolution (Keys, IEEE ASSP 29, 1981) with a = -3/4, as of OpenCV.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore._jit import F32, I64, U8, row_function

U64 = npt.NDArray[np.uint64]
Columns = tuple[I64, I64, F32]
"""What `weigh_columns` writes."""
Lines = tuple[U64, F32, F32]
"""To work in: four numbers; what `numbered` gives, and an array of the same shape, for as many columns of a frame as are read."""

LEVEL = 1 / 32
"""Pixels: a line that rises by less is read as if it were level, within half of that of its place."""

_SHARP = np.float32(-0.75)


@row_function
def _cubic(t: np.float32) -> tuple[np.float32, np.float32, np.float32]:
    """Weights of the three first of four neighbours of a place `t` behind the second; those of all four add up to 1."""
    one, two, three = np.float32(1), np.float32(2), np.float32(3)
    near = one - t
    return (
        _SHARP * t * near * near,
        ((_SHARP + two) * t - (_SHARP + three)) * t * t + one,
        ((_SHARP + two) * near - (_SHARP + three)) * near * near + one,
    )


@row_function
def weigh_columns(  # noqa: PLR0917
    start_at: float, slope: float, channels: int, begin: int, end: int, wholes: I64, runs: I64, weights: F32
) -> None:
    """What reading needs to know of columns, of which the x-th lies at slope * x + start_at.

    Args:
        start_at: px of the frame.
        slope: px a column.
        channels: 3 or 1.
        begin: the first column.
        end: the one after the last.
        wholes: (columns,), whole pixels before their places, written.
        runs: (columns,), of each column the end of the run in which these go on one by one, written.
        weights: (4 * columns * channels,), first those of all values' first neighbours, written.
    """
    count = wholes.size * channels
    for x in range(begin, end):
        place = slope * x + start_at
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
    values: Any,
    rows: U64,
    first: int,
    t: np.float32,
    rise: np.float32,
    column: F32,
    line: F32,
    begin: int,
    end: int,
) -> None:
    """The same where each value has a place of its own: `t`, and `rise` more for each column."""
    start = np.uint64(first)
    a, b, c, d = rows[0] + start, rows[1] + start, rows[2] + start, rows[3] + start
    for k in range(end - begin):
        i, x = np.uint64(k), np.uint64(begin + k)
        w0, w1, w2 = _cubic(t + rise * column[i])
        upper = w0 * np.float32(values[a + i]) + w1 * np.float32(values[b + i])
        w3 = np.float32(1) - w0 - w1 - w2
        line[x] = upper + (w2 * np.float32(values[c + i]) + w3 * np.float32(values[d + i]))


@row_function
def _between_columns(  # noqa: PLR0917
    line: F32, at: int, channels: int, weights: F32, white: np.float32, out: Any, begin: int, end: int
) -> None:
    """Values between four of a line, `channels` apart, the first of them at `at`."""
    half, black = np.float32(0.5), np.float32(0)
    stride, a = np.uint64(weights.size // 4), np.uint64(at)
    b = a + np.uint64(channels)
    c, d = b + np.uint64(channels), b + np.uint64(2 * channels)
    for k in range(end - begin):
        i, w = np.uint64(k), np.uint64(begin + k)
        left = weights[w] * line[a + i] + weights[w + stride] * line[b + i]
        right = (
            weights[w + stride + stride] * line[c + i] + weights[w + stride + stride + stride] * line[d + i]
        )
        out[w] = np.int32(min(max(left + right + half, black), white))


@row_function
def _stretch(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], first: int, t: np.float32, rise: np.float32, rows: U64, column: F32,
    line: F32, begin: int, end: int,
) -> None:  # fmt: skip
    """Columns of a line, all of them between the same four rows; beyond the border the outermost pixels go on."""
    _, width, channels = size
    low = min(max(begin, -first), end)
    high = max(low, min(end, width - first))
    start, inner, stop = channels * (first + low), channels * low, channels * high
    if rise == 0:
        _between_rows(values, rows, start, t, line, inner, stop)
    else:
        at = t + rise * np.float32(low - begin)
        _between_rows_rising(values, rows, start, at, rise, column, line, inner, stop)
    for side in range(2):
        from_column, to_column, outermost = (begin, low, 0) if side == 0 else (high, end, width - 1)
        for i in range(channels * from_column, channels * to_column):
            at = t + rise * np.float32(i // channels - begin)
            _between_rows(values, rows, channels * outermost + i % channels, at, line, i, i + 1)


@row_function
def _line(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], place: float, rise: float, first: int, count: int, rows: U64, column: F32, line: F32
) -> None:  # fmt: skip
    """A line of `count` columns that begins in row `place` and column `first` of a frame and rises from column to column."""
    height, width, channels = size
    if abs(rise * count) <= LEVEL:
        place, rise = place + rise * (count - 1) / 2, 0.0
    x = 0
    while x < count:
        at = place + rise * x
        whole = np.floor(at)
        stop = count
        if rise != 0:  # up to where it comes between the next two rows
            left = (whole + 1 - at) / rise if rise > 0 else (whole - at) / rise
            stop = min(count, x + max(1, int(np.ceil(min(left, count)))))
        for k in range(4):
            rows[k] = np.uint64(channels * width * min(max(int(whole) - 1 + k, 0), height - 1))
        _stretch(values, size, first, np.float32(at - whole), np.float32(rise), rows, column, line, x, stop)
        x = stop


@row_function
def numbered(count: int, channels: int) -> F32:
    """Of each of so many values the column that it is in."""
    column = np.empty(count, np.float32)
    for i in range(count):
        column[i] = np.float32(i // channels)
    return column


@row_function
def read_between(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], columns: Columns, begin: int, end: int, place: float, rise: float,
    white: np.float32, lines: Lines, out: Any,
) -> None:  # fmt: skip
    """A stretch between pixels.

    Args:
        values: of the frame, row after row.
        size: of the frame: rows, columns, channels (3 or 1).
        columns: what `weigh_columns` wrote.
        begin: column to be read first.
        end: column, after the last to be read.
        place: where the row of the reference crosses column 0 of the frame, px.
        rise: by which it lies lower from a column of the frame to the next, px.
        white: largest value.
        lines: to work in.
        out: all columns, `begin` to `end` written.
    """
    channels = size[2]
    wholes, runs, weights = columns
    first = wholes[begin] - 1
    count = wholes[end - 1] + 3 - first
    _line(values, size, place + rise * first, rise, first, count, *lines)
    x = begin
    while x < end:
        stop = min(end, runs[x])
        at = channels * (wholes[x] - 1 - first)
        _between_columns(lines[2], at, channels, weights, white, out, channels * x, channels * stop)
        x = stop


@row_function
def read_nearest(  # noqa: PLR0917
    values: Any, size: tuple[int, int, int], columns: Columns, wanted: U8, begin: int, end: int,
    place: float, rise: float, out: Any,
) -> None:  # fmt: skip
    """The nearest pixels, as they are, in columns that are wanted.

    Args:
        values: as of `read_between`.
        size: likewise.
        columns: likewise.
        wanted: (columns,), 0 where nothing is.
        begin: as of `read_between`.
        end: likewise.
        place: likewise.
        rise: likewise.
        out: likewise.
    """
    height, width, channels = size
    wholes, _, weights = columns
    second, third = wholes.size * channels, 2 * wholes.size * channels
    for x in range(begin, end):
        if wanted[x] != 0:
            # The nearer of the two neighbours has the greater weight.
            nearest = wholes[x] + (weights[third + channels * x] > weights[second + channels * x])
            row = min(max(int(np.floor(place + rise * nearest + 0.5)), 0), height - 1)
            at = channels * (width * row + min(max(nearest, 0), width - 1))
            for channel in range(channels):
                out[channels * x + channel] = values[at + channel]
