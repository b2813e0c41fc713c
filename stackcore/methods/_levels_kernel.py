"""The compiled part of `stackcore.methods._focus_levels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import F32, READ_ONLY, array, by_pixel, row_function


@row_function
def _to_float(values: Any, channels: int, scale: np.float32, row: F32) -> None:
    """One row as float32, its first and last pixel repeated once."""
    count = values.size
    inner = row[channels : channels + count]
    for i in range(count):
        inner[i] = (
            np.float32(np.int32(values[i])) * scale
        )  # unsigned straight to float takes five times as long
    for k in range(channels):
        row[k] = row[channels + k]
        row[channels + count + k] = row[count + k]


@row_function
def _squared_laplacian(up: F32, left: F32, centre: F32, right: F32, down: F32, out: F32) -> None:  # noqa: PLR0917
    for i in range(out.size):
        twice = centre[i] + centre[i]
        value = abs(twice - left[i] - right[i]) + abs(twice - up[i] - down[i])
        out[i] = value * value


@row_function
def _add_channels(values: F32, channels: int, total: F32) -> None:
    if channels == 3:
        for x in range(total.size):
            total[x] = values[3 * x] + values[3 * x + 1] + values[3 * x + 2]
    else:
        for x in range(total.size):
            total[x] = np.float32(3) * values[x]


@row_function
def _add(values: F32, total: F32) -> None:
    for x in range(total.size):
        total[x] += values[x]


_ENERGY = (
    types.int64,
    types.int64,
    types.float32,
    types.int64,
    types.int64,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
)


@by_pixel(
    uint8=types.void(READ_ONLY["uint8"], *_ENERGY),
    uint16=types.void(READ_ONLY["uint16"], *_ENERGY),
)
def focus_energy(  # noqa: PLR0917
    values: Any,
    channels: int,
    radius: int,
    scale: np.float32,
    first: int,
    end: int,
    energy: F32,
    rows: F32,
    squares: F32,
    pooled: F32,
) -> None:
    """Squared modified Laplacian of every channel, summed over channels and a window; of rows `first` to `end`.

    Args:
        values: (H, W * channels).
        channels: 3 or 1; a gray one counts three times.
        radius: of the window, px.
        scale: what values are multiplied by first.
        first: row of `values`.
        end: row of `values`.
        energy: (H, W), written in those rows.
        rows: scratch (3, (W + 2) * channels).
        squares: scratch (2 radius + 1, W).
        pooled: scratch (2, max(W * channels, W + 2 radius)).
    """
    height = values.shape[0]
    count = values.shape[1]
    width = energy.shape[1]
    window = 2 * radius + 1
    line = pooled[0, :count]
    columns = pooled[1, : width + 2 * radius]
    top = max(0, first - radius)
    bottom = min(height, end + radius)
    ready = max(0, top - 1)
    for y in range(top, end + radius):
        if y < bottom:
            while ready <= min(height - 1, y + 1):
                _to_float(values[ready], channels, scale, rows[ready % 3])
                ready += 1
            up = rows[max(0, y - 1) % 3]
            centre = rows[y % 3]
            down = rows[min(height - 1, y + 1) % 3]
            _squared_laplacian(
                up[channels : channels + count],
                centre[:count],
                centre[channels : channels + count],
                centre[2 * channels : 2 * channels + count],
                down[channels : channels + count],
                line,
            )
            _add_channels(line, channels, squares[y % window])
        done = y - radius
        if done >= first:
            columns[:] = 0
            inner = columns[radius : radius + width]
            for source in range(max(0, done - radius), min(height, done + radius + 1)):
                _add(squares[source % window], inner)
            total = energy[done]
            total[:] = columns[:width]
            for k in range(1, window):
                _add(columns[k : k + width], total)
