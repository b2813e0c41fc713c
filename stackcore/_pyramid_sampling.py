"""The compiled part of `pyramid` that reads a frame where it lies: rows and columns apart, into planes of float32.

A similarity close to the identity is a shear along rows followed by one along columns (Catmull and Smith, "3-D transformations of images
in scanline order", SIGGRAPH 1980). Either pass reads four neighbours instead of sixteen, and over long runs of pixels the
neighbours lie side by side, so that the compiler can work on many at once: half the time of a general warp.
The kernel is that of cubic convolution with a = -1/2 (Keys, IEEE ASSP 29, 1981).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import types

from stackcore._jit import F32, F64, READ_ONLY, array, by_pixel, row_function

CHUNK = 16
"""Pixels that are worked on at once. Runs end in the middle of one: what is written beyond is overwritten, or lies in a margin."""

Raw = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@row_function
def _end_of_run(slope: float, start_at: float, first: int, end: int, whole: float) -> int:
    """Up to where floor(slope * x + start_at) stays `whole`, as it is at x = `first`."""
    if slope == 0.0:
        return end
    reach = ((whole + 1.0 if slope > 0.0 else whole) - start_at) / slope
    last = end if reach >= end else max(first + 1, int(np.ceil(reach)))
    # The division may be off by one ulp: what counts is what the sum itself says, so that no tile decides otherwise.
    while last < end and np.floor(slope * last + start_at) == whole:
        last += 1
    while last > first + 1 and np.floor(slope * (last - 1) + start_at) != whole:
        last -= 1
    return last


@row_function
def _fractions(slope: float, start_at: float, first: int, whole: float, out: F32) -> None:
    for x in range(out.size):
        out[x] = slope * (first + x) + start_at - whole


@row_function
def _cubic(  # noqa: PLR0917
    values: F32, start: int, step: int, fraction: F32, out: F32, first: int, count: int
) -> None:
    """`count` pixels of `out` from `first` on, or up to `CHUNK` - 1 more, each between four values `step` apart from `start` on.

    Places are unsigned: the compiler then need not expect that some count from the end, and works on a chunk at once.
    """
    stride = np.uint64(step)
    for chunk in range(0, count, CHUNK):
        for k in range(CHUNK):
            x = np.uint64(first + chunk + k)
            at = np.uint64(start + chunk + k)
            t = fraction[x]
            a = values[at]
            b = values[at + stride]
            c = values[at + stride + stride]
            d = values[at + stride + stride + stride]
            bend = np.float32(2) * a - np.float32(5) * b + np.float32(4) * c - d
            twist = np.float32(3) * (b - c) + d - a
            out[x] = b + np.float32(0.5) * t * ((c - a) + t * (bend + t * twist))


@row_function
def _cubic_neighbours(values: F32, start: int, fraction: F32, out: F32, first: int, count: int) -> None:  # noqa: PLR0917
    """The same where the values lie side by side; on its own because the compiler must know that."""
    for chunk in range(0, count, CHUNK):
        for k in range(CHUNK):
            x = np.uint64(first + chunk + k)
            at = np.uint64(start + chunk + k)
            t = fraction[x]
            a = values[at]
            b = values[at + np.uint64(1)]
            c = values[at + np.uint64(2)]
            d = values[at + np.uint64(3)]
            bend = np.float32(2) * a - np.float32(5) * b + np.float32(4) * c - d
            twist = np.float32(3) * (b - c) + d - a
            out[x] = b + np.float32(0.5) * t * ((c - a) + t * (bend + t * twist))


@row_function
def _scaled(values: F32, by: np.float32, out: F32) -> None:
    for x in range(out.size):
        out[x] = values[x] * by


@row_function
def _gray_plane(row: Raw, out: F32) -> None:
    for x in range(out.size):
        out[x] = row[x]


@row_function
def _rgb_planes(row: Raw, red: F32, green: F32, blue: F32) -> None:
    for x in range(red.size):
        red[x] = row[3 * x]
        green[x] = row[3 * x + 1]
        blue[x] = row[3 * x + 2]


@row_function
def _read_row(row: Raw, start: int, planes: F32) -> None:
    """Pixels `start` and on of an interleaved row; outside it goes on as its outermost pixel."""
    channels, count = planes.shape
    width = row.size // channels
    low = min(max(0, -start), count)
    high = max(low, min(count, width - start))
    if high > low:
        inner = row[channels * (start + low) : channels * (start + high)]
        if channels == 3:
            _rgb_planes(inner, planes[0, low:high], planes[1, low:high], planes[2, low:high])
        else:
            _gray_plane(inner, planes[0, low:high])
    for c in range(channels):
        for x in range(low):
            planes[c, x] = row[c]
        for x in range(high, count):
            planes[c, x] = row[channels * (width - 1) + c]


@row_function
def _along_row(  # noqa: PLR0917
    slope: float,
    start_at: float,
    left: int,
    columns: int,
    first: int,
    planes: F32,
    fraction: F32,
    out: F32,
    at: int,
) -> None:
    """Row `at` of `out`: pixel `left` + x of it lies at (1 + slope) * (left + x) + start_at of a row read from `first` on."""
    x = 0
    while x < columns:
        whole = np.floor(slope * (left + x) + start_at)
        end = _end_of_run(slope, start_at, left + x, left + columns, whole) - left
        _fractions(slope, start_at, left + x, whole, fraction[x:end])
        start = left + x + int(whole) - 1 - first
        for c in range(out.shape[0]):
            _cubic_neighbours(planes[c], start, fraction, out[c, at], x, end - x)
        x = end


@row_function
def _along_columns(  # noqa: PLR0917
    slope: float, start_at: float, left: int, columns: int, first: int, sheared: F32, fraction: F32, out: F32
) -> None:
    """A row of `out` from rows of `sheared`, of which the first is row `first` of the frame."""
    stride = sheared.shape[2]
    x = 0
    while x < columns:
        whole = np.floor(slope * (left + x) + start_at)
        end = _end_of_run(slope, start_at, left + x, left + columns, whole) - left
        _fractions(slope, start_at, left + x, whole, fraction[x:end])
        start = x + stride * (int(whole) - 1 - first)
        for c in range(out.shape[0]):
            _cubic(sheared[c].reshape(sheared[c].size), start, stride, fraction, out[c], x, end - x)
        x = end


_READING = (array(types.float32, 1), types.int64, types.int64, array(types.float32, 3))


@by_pixel(
    uint8=types.void(READ_ONLY["uint8"], *_READING),
    uint16=types.void(READ_ONLY["uint16"], *_READING),
)
def read_tile(values: Raw, gain: F32, top: int, left: int, out: F32) -> None:
    """A tile of a frame that has not moved.

    Args:
        values: (H, W * channels), interleaved.
        gain: (channels,), multiplied with.
        top: row of the tile's first pixel.
        left: column of it.
        out: (channels, rows, columns), written.
    """
    planes = np.empty((out.shape[0], out.shape[2]), np.float32)
    for y in range(out.shape[1]):
        _read_row(values[top + y], left, planes)
        for c in range(out.shape[0]):
            _scaled(planes[c], gain[c], out[c, y])


@by_pixel(
    uint8=types.void(READ_ONLY["uint8"], array(types.float64, 2), *_READING),
    uint16=types.void(READ_ONLY["uint16"], array(types.float64, 2), *_READING),
)
def sample_tile(values: Raw, matrix: F64, gain: F32, top: int, left: int, out: F32) -> None:  # noqa: PLR0917
    """A tile of the reference from a frame; beyond its border a frame goes on as its outermost pixels.

    Args:
        values: (H, W * channels), interleaved.
        matrix: (2, 3), from pixels of the reference to pixels of the frame; its last diagonal element is not near 0.
        gain: (channels,), multiplied with.
        top: row of the tile's first pixel.
        left: column of it.
        out: (channels, rows, columns), written.
    """
    channels, rows, columns = out.shape
    height = values.shape[0]
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    across = a - b * d / e
    lowest = min(d * left, d * (left + columns - 1)) + min(e * top, e * (top + rows - 1)) + f
    highest = max(d * left, d * (left + columns - 1)) + max(e * top, e * (top + rows - 1)) + f
    first = int(np.floor(lowest)) - 2
    count = int(np.floor(highest)) + 4 - first
    sheared = np.empty((channels, count, columns + CHUNK), np.float32)
    fraction = np.empty(columns + CHUNK, np.float32)
    line = np.empty((channels, columns + CHUNK), np.float32)
    span = int(np.ceil(abs(across) * columns)) + 8
    planes = np.empty((channels, span + CHUNK), np.float32)
    for k in range(count):
        row = first + k
        start_at = b / e * (row - f) + c
        ends = min(across * left, across * (left + columns - 1)) + start_at
        start = int(np.floor(ends)) - 2
        _read_row(values[min(max(row, 0), height - 1)], start, planes)
        _along_row(across - 1.0, start_at, left, columns, start, planes, fraction, sheared, k)
    for y in range(rows):
        _along_columns(d, e * (top + y) + f, left, columns, first, sheared, fraction, line)
        for c in range(channels):
            _scaled(line[c], gain[c], out[c, y])
