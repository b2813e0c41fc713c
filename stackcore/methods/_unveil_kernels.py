"""The compiled parts of `stackcore.methods.unveil`. One file, because a compiled function must not depend on another file's.

Pictures are rows of interleaved pixels. A cell is 2 x 2 px of the picture; an odd last row or column belongs to the cell before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

from stackcore._jit import F32, I32, I64, U8, U16, Function, array, kernel, row_function

_FINE = 4
"""Pixels times gain are kept with so many more bits."""


def _kernel_for(*signatures: Any) -> Callable[[Function], Function]:
    """Compile for several kinds of pictures when the module is imported, or load from the cache on disk."""

    def compile_it(function: Function) -> Function:
        compiled: Function = njit(list(signatures), nogil=True, cache=True)(function)
        return compiled

    return compile_it


def _shown(dtype: Any) -> Any:
    return types.Array(dtype, 2, "C", readonly=True)


@row_function
def _to_float(values: Any, channels: int, scale: np.float32, row: F32) -> None:
    """One row as float32, its first and last pixel repeated once."""
    count = values.size
    for i in range(count):
        row[channels + i] = np.float32(values[i]) * scale
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


@_kernel_for(
    types.void(_shown(types.uint8), *_ENERGY),
    types.void(_shown(types.uint16), *_ENERGY),
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


@row_function
def _weight(depth: U16, breadth: U8, weights: U16, place: int) -> int:
    distance = abs(np.int64(depth) - place) >> 2
    return 0 if distance >= weights.shape[1] else np.int64(weights[breadth, distance])


_BLEND = (
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


@_kernel_for(
    types.void(_shown(types.uint8), *_BLEND, array(types.uint16, 2)),
    types.void(_shown(types.uint16), *_BLEND, array(types.uint32, 2)),
)
def blend(  # noqa: PLR0917
    source: Any,
    channels: int,
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
        from_row: the picture's row that the first row of `source` is.
        from_column: likewise.
        first: row of the picture, even.
        end: row of the picture.
        left: column of the picture, even.
        right: column of the picture.
        gain: (channels + 2,): of each channel times 4096, then white, then this frame's place times 64.
        depth: (h, w), of each cell, in frames times 64.
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
        cell_row = min(y >> 1, h - 1)
        own = y == 2 * cell_row
        line = source[y - from_row]
        kept = sums[y]
        for x in range(left, right):
            cell = min(x >> 1, w - 1)
            weight = _weight(depth[cell_row, cell], breadth[cell_row, cell], weights, place)
            if weight == 0 or shown[cell_row, cell] == 0:
                continue
            if own and x == 2 * cell:
                total[cell_row, cell] += weight
            for k in range(channels):
                value = np.int64(line[(x - from_column) * channels + k])
                value = min((value * gain[k]) >> (12 - _FINE), white)
                kept[x * channels + k] += (value * weight + (1 << (_FINE - 1))) >> _FINE


@_kernel_for(
    types.void(
        array(types.uint16, 2), array(types.uint16, 2), types.int64, types.int64, array(types.uint8, 2)
    ),
    types.void(
        array(types.uint32, 2), array(types.uint16, 2), types.int64, types.int64, array(types.uint16, 2)
    ),
)
def divide(sums: Any, total: U16, first: int, end: int, picture: Any) -> None:
    """The picture where any frame counted; elsewhere it stays.

    Args:
        sums: as of `blend`.
        total: as of `blend`.
        first: row.
        end: row.
        picture: (H, W * channels).
    """
    h, w = total.shape
    width = sums.shape[1]
    channels = 3 if width >= 6 * w else 1
    for y in range(first, end):
        row = total[min(y >> 1, h - 1)]
        for i in range(width):
            weight = np.int64(row[min((i // channels) >> 1, w - 1)])
            if weight > 0:
                picture[y, i] = (np.int64(sums[y, i]) + weight // 2) // weight


@row_function
def _from(at: int, reach: int, stride: int) -> int:
    """The first place within reach that lies whole strides away, inside the picture."""
    steps = reach // stride
    inside = at // stride
    return at - stride * min(steps, inside)


@kernel(
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.uint8, 2),
    array(types.float32, 2),
    array(types.float32, 2),
    types.float32,
    types.float32,
    types.int64,
    types.int64,
    array(types.float32, 2),
    array(types.float32, 2),
)
def veil_rows(  # noqa: PLR0917
    depth: F32,
    colour: F32,
    wanted: U8,
    own: F32,
    nearest: F32,
    blur: np.float32,
    gap: np.float32,
    first: int,
    end: int,
    cover: F32,
    light: F32,
) -> None:
    """What nearer things lay over each wanted place when it was in focus: how much of it, and which light.

    Args:
        depth: (h, w), in frames; larger is farther.
        colour: (h, w * 3).
        wanted: (h, w), 0 where nothing is to be done.
        own: (h, w), depth of the place itself.
        nearest: (h, w), depth of the nearest thing around it.
        blur: radius of the blur disc in px for a distance of one frame.
        gap: what is nearer by less, in frames, belongs to the place itself.
        first: row.
        end: row.
        cover: (h, w), written where wanted: 0 to 1.
        light: (h, w * 3), written where wanted.
    """
    h, w = depth.shape
    half = np.float32(0.5)
    for y in range(first, end):
        for x in range(w):
            if wanted[y, x] == 0:
                continue
            here = own[y, x]
            limit = here - gap
            reach = np.int64(np.ceil(blur * (here - nearest[y, x]) + half))
            # Far-reaching blur is smooth: every second place of it says enough.
            stride = 1 if reach <= 8 else 2
            weight = np.float32(stride * stride)
            alpha = np.float32(0)
            red = np.float32(0)
            green = np.float32(0)
            blue = np.float32(0)
            for v in range(_from(y, reach, stride), min(h, y + reach + 1), stride):
                for u in range(_from(x, reach, stride), min(w, x + reach + 1), stride):
                    if depth[v, u] > limit:
                        continue
                    radius = blur * (here - depth[v, u])
                    far = np.sqrt(np.float32((v - y) * (v - y) + (u - x) * (u - x)))
                    share = radius + half - far
                    if share <= 0:
                        continue
                    area = np.float32(np.pi) * radius * radius + np.float32(0.26)
                    share = weight * min(share, np.float32(1)) / area
                    alpha += share
                    red += share * colour[v, 3 * u]
                    green += share * colour[v, 3 * u + 1]
                    blue += share * colour[v, 3 * u + 2]
            if alpha > 1:
                red, green, blue = red / alpha, green / alpha, blue / alpha
                alpha = np.float32(1)
            cover[y, x] = alpha
            light[y, 3 * x] = red
            light[y, 3 * x + 1] = green
            light[y, 3 * x + 2] = blue


@kernel(
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.uint8, 2),
    array(types.float32, 2),
    types.float32,
    types.float32,
    types.int64,
    types.int64,
    array(types.float32, 2),
    array(types.float32, 2),
)
def spread_rows(  # noqa: PLR0917
    depth: F32,
    taken: F32,
    cleared: F32,
    wanted: U8,
    nearest: F32,
    blur: np.float32,
    gap: np.float32,
    first: int,
    end: int,
    taken_spread: F32,
    cleared_spread: F32,
) -> None:
    """Two pictures as they would look at each wanted place out of focus, in the frame of the nearest thing around it.

    Only what is not nearer than the place counts.

    Args:
        depth: (h, w), in frames.
        taken: (h, w * 3).
        cleared: (h, w * 3).
        wanted: (h, w).
        nearest: (h, w).
        blur: px for a frame.
        gap: in frames.
        first: row.
        end: row.
        taken_spread: (h, w * 3), written where wanted.
        cleared_spread: (h, w * 3), written where wanted.
    """
    h, w = depth.shape
    sums = np.zeros(6, np.float32)
    for y in range(first, end):
        for x in range(w):
            if wanted[y, x] == 0:
                continue
            here = depth[y, x] - gap
            radius = blur * (depth[y, x] - nearest[y, x])
            reach = np.int64(np.ceil(radius))
            square = radius * radius + np.float32(0.5)
            sums[:] = 0
            count = np.float32(0)
            stride = 1 if reach <= 6 else 2
            for v in range(_from(y, reach, stride), min(h, y + reach + 1), stride):
                for u in range(_from(x, reach, stride), min(w, x + reach + 1), stride):
                    if depth[v, u] < here:
                        continue
                    if np.float32((v - y) * (v - y) + (u - x) * (u - x)) > square:
                        continue
                    count += np.float32(1)
                    for k in range(3):
                        sums[k] += taken[v, 3 * u + k]
                        sums[3 + k] += cleared[v, 3 * u + k]
            for k in range(3):
                taken_spread[y, 3 * x + k] = sums[k] / count
                cleared_spread[y, 3 * x + k] = sums[3 + k] / count


_APPLY = (array(types.uint8, 2), array(types.float32, 2), array(types.float32, 2), types.int64, types.int64)


@_kernel_for(
    types.void(*_APPLY, types.float32, array(types.uint8, 2)),
    types.void(*_APPLY, types.float32, array(types.uint16, 2)),
)
def apply_rows(  # noqa: PLR0917
    wanted: U8, factor: F32, offset: F32, first: int, end: int, white: np.float32, picture: Any
) -> None:
    """Each pixel of a wanted cell becomes itself times 1 + factor, plus offset.

    Args:
        wanted: (h, w).
        factor: (h, w).
        offset: (h, w * 3), in 255ths of white.
        first: row of the picture.
        end: row of the picture.
        white: of the picture.
        picture: (H, W * channels), changed.
    """
    h, w = wanted.shape
    channels = 3 if picture.shape[1] >= 6 * w else 1
    unit = white / np.float32(255)
    for y in range(first, end):
        row = min(y >> 1, h - 1)
        for x in range(picture.shape[1] // channels):
            cell = min(x >> 1, w - 1)
            if wanted[row, cell] == 0:
                continue
            for k in range(channels):
                value = np.float32(picture[y, x * channels + k])
                value = value * (np.float32(1) + factor[row, cell]) + offset[row, 3 * cell + k] * unit
                picture[y, x * channels + k] = min(max(value, np.float32(0)), white) + np.float32(0.5)
