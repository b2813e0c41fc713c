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
    start_at: float, slope: float, channels: int, wholes: I64, runs: I64, weights: F32
) -> None:
    """What reading needs to know of columns, of which the x-th lies at slope * x + start_at.

    Args:
        start_at: px of the frame.
        slope: px a column.
        channels: 3 or 1.
        wholes: (columns,), whole pixels before their places, written.
        runs: (columns,), of each column the end of the run in which these go on one by one, written.
        weights: (4 * columns * channels,), first those of all values' first neighbours, written.
    """
    count = wholes.size * channels
    for x in range(wholes.size):
        place = slope * x + start_at
        whole = np.floor(place)
        wholes[x] = np.int64(whole)
        a, b, c = _cubic(np.float32(place - whole))
        for i in range(channels * x, channels * (x + 1)):
            weights[i] = a
            weights[count + i] = b
            weights[2 * count + i] = c
            weights[3 * count + i] = np.float32(1) - a - b - c
    end = wholes.size
    for x in range(wholes.size - 1, -1, -1):
        if x + 1 < wholes.size and wholes[x + 1] != wholes[x] + 1:
            end = x + 1
        runs[x] = end


@row_function
def _between_rows(values: Any, rows: U64, first: int, t: np.float32, line: F32) -> None:
    """What lies `t` behind the second of four rows that begin at `rows`, from their value `first` on.

    All four are read from one array, at places without a sign: the compiler then sees that nothing is written over what is read, and need
    not expect that some counts from the end.
    """
    start = np.uint64(first)
    a, b, c, d = rows[0] + start, rows[1] + start, rows[2] + start, rows[3] + start
    w0, w1, w2 = _cubic(t)
    w3 = np.float32(1) - w0 - w1 - w2
    for k in range(line.size):
        i = np.uint64(k)
        upper = w0 * np.float32(values[a + i]) + w1 * np.float32(values[b + i])
        line[i] = upper + (w2 * np.float32(values[c + i]) + w3 * np.float32(values[d + i]))


@row_function
def _between_rows_rising(  # noqa: PLR0917
    values: Any, rows: U64, first: int, t: np.float32, rise: np.float32, column: F32, line: F32
) -> None:
    """The same where each value has a place of its own: `t`, and `rise` more for each column."""
    start = np.uint64(first)
    a, b, c, d = rows[0] + start, rows[1] + start, rows[2] + start, rows[3] + start
    for k in range(line.size):
        i = np.uint64(k)
        w0, w1, w2 = _cubic(t + rise * column[i])
        upper = w0 * np.float32(values[a + i]) + w1 * np.float32(values[b + i])
        w3 = np.float32(1) - w0 - w1 - w2
        line[i] = upper + (w2 * np.float32(values[c + i]) + w3 * np.float32(values[d + i]))


@row_function
def _between_columns(  # noqa: PLR0917
    line: F32, at: int, channels: int, weights: F32, begin: int, white: np.float32, out: Any
) -> None:
    """The same across: every value between four of a line, `channels` apart, the first of them at `at`."""
    half, black = np.float32(0.5), np.float32(0)
    stride, a = np.uint64(weights.size // 4), np.uint64(at)
    b = a + np.uint64(channels)
    c, d = b + np.uint64(channels), b + np.uint64(2 * channels)
    for k in range(out.size):
        i, w = np.uint64(k), np.uint64(begin + k)
        left = weights[w] * line[a + i] + weights[w + stride] * line[b + i]
        right = (
            weights[w + stride + stride] * line[c + i] + weights[w + stride + stride + stride] * line[d + i]
        )
        out[i] = np.int32(min(max(left + right + half, black), white))


@row_function
def _point_at(whole: int, size: int, height: int, rows: U64) -> None:
    """Where the four rows around a place begin; beyond the border the outermost goes on."""
    for k in range(4):
        rows[k] = np.uint64(size * min(max(whole - 1 + k, 0), height - 1))


@row_function
def _point_at(whole: int, size: int, height: int, rows: U64) -> None:
    """Where the four rows around a place begin; beyond the border the outermost goes on."""
    for k in range(4):
        rows[k] = np.uint64(size * min(max(whole - 1 + k, 0), height - 1))


@row_function
def _stretch(  # noqa: PLR0917
    source: Any, channels: int, first: int, t: np.float32, rise: np.float32, rows: U64, column: F32, line: F32
) -> None:
    """Part of a line, all of it between the same four rows; beyond the border the outermost pixels go on."""
    width, count = source.shape[1] // channels, line.size // channels
    values = source.reshape(source.size)
    low = min(max(0, -first), count)
    high = max(low, min(count, width - first))
    inner = line[channels * low : channels * high]
    start = channels * max(0, first)
    if rise == 0:
        _between_rows(values, rows, start, t, inner)
    else:
        _between_rows_rising(values, rows, start, t + rise * np.float32(low), rise, column, inner)
    for side in range(2):
        begin, end, outermost = (0, low, 0) if side == 0 else (high, count, channels * (width - 1))
        for i in range(channels * begin, channels * end):
            at = t + rise * np.float32(i // channels)
            _between_rows(values, rows, outermost + i % channels, at, line[i : i + 1])


@row_function
def _line(  # noqa: PLR0917
    source: Any, channels: int, place: float, rise: float, first: int, rows: U64, column: F32, line: F32
) -> None:
    """A line that begins in row `place` and column `first` of a frame and rises from column to column."""
    height, size = source.shape
    count = line.size // channels
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
        _point_at(int(whole), size, height, rows)
        part = line[channels * x : channels * stop]
        _stretch(source, channels, first + x, np.float32(at - whole), np.float32(rise), rows, column, part)
        x = stop


@row_function
def read_between(  # noqa: PLR0917
    source: Any, channels: int, wholes: I64, runs: I64, weights: F32, begin: int, end: int, place: float, rise: float,
    white: np.float32, rows: U64, column: F32, line: F32, out: Any,
) -> None:  # fmt: skip
    """A stretch between pixels.

    Args:
        source: (H, W * channels), the frame.
        channels: 3 or 1.
        wholes: of all columns, see `weigh_columns`.
        runs: likewise.
        weights: likewise.
        begin: column to be read first.
        end: column, after the last to be read.
        place: where the row of the reference crosses column 0 of the frame, px.
        rise: by which it lies lower from a column of the frame to the next, px.
        white: largest value.
        rows: (4,), to work in.
        column: of each value of a line, counted from its beginning; as long as what is read of the frame.
        line: as long, to work in.
        out: all columns, `begin` to `end` written.
    """
    first = wholes[begin] - 1
    length = channels * (wholes[end - 1] + 3 - first)
    _line(source, channels, place + rise * first, rise, first, rows, column, line[:length])
    x = begin
    while x < end:
        stop = min(end, runs[x])
        at = channels * (wholes[x] - 1 - first)
        _between_columns(
            line, at, channels, weights, channels * x, white, out[channels * x : channels * stop]
        )
        x = stop


@row_function
def read_nearest(  # noqa: PLR0917
    source: Any,
    channels: int,
    wholes: I64,
    weights: F32,
    wanted: U8,
    begin: int,
    end: int,
    place: float,
    rise: float,
    out: Any,
) -> None:
    """The nearest pixels, as they are, in columns that are wanted.

    Args:
        source: as of `read_between`.
        channels: likewise.
        wholes: likewise.
        weights: likewise.
        wanted: (columns,), 0 where nothing is.
        begin: as of `read_between`.
        end: likewise.
        place: likewise.
        rise: likewise.
        out: likewise.
    """
    height, width = source.shape[0], source.shape[1] // channels
    second, third = wholes.size * channels, 2 * wholes.size * channels
    for x in range(begin, end):
        if wanted[x] != 0:
            # The nearer of the two neighbours has the greater weight.
            nearest = wholes[x] + (weights[third + channels * x] > weights[second + channels * x])
            row = min(max(int(np.floor(place + rise * nearest + 0.5)), 0), height - 1)
            at = channels * min(max(nearest, 0), width - 1)
            for channel in range(channels):
                out[channels * x + channel] = source[row, at + channel]
