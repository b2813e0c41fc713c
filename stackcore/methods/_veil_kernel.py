"""The compiled part of `stackcore.methods._veil`: cells of a picture, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from stackcore._jit import F32, I32, U8, array, by_pixel, kernel, row_function


@row_function
def _from(at: int, reach: int, stride: int) -> int:
    """The first place within reach that lies whole strides away, inside the picture."""
    steps = reach // stride
    inside = at // stride
    return at - stride * min(steps, inside)


@kernel(
    array(types.float32, 2),
    array(types.uint8, 2),
    array(types.float32, 2),
    types.float32,
    types.float32,
    array(types.int32, 1),
    types.int64,
    types.int64,
    array(types.float32, 1),
    array(types.float32, 2),
)
def veil(  # noqa: PLR0917
    depth: F32,
    colour: U8,
    nearest: F32,
    blur: np.float32,
    gap: np.float32,
    cells: I32,
    first: int,
    end: int,
    cover: F32,
    light: F32,
) -> None:
    """What nearer things lay over places when these were in focus: how much of them, and which light.

    Args:
        depth: (h, w), in frames; larger is farther.
        colour: (h, w * 3).
        nearest: (h, w), depth of the nearest thing around.
        blur: radius of the blur disc in px for a distance of one frame.
        gap: what is nearer by less, in frames, belongs to the place itself.
        cells: (n,), the places, as y * w + x.
        first: of `cells`.
        end: of `cells`.
        cover: (n,), written: 0 to 1.
        light: (n, 3), written.
    """
    h, w = depth.shape
    half = np.float32(0.5)
    for number in range(first, end):
        y, x = cells[number] // w, cells[number] % w
        here = depth[y, x]
        limit = here - gap
        reach = int(np.ceil(blur * (here - nearest[y, x]) + half))
        # Far-reaching blur is smooth: some places of it say enough.
        stride = 1 + reach // 9
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
                far = np.sqrt(np.float32(np.int32((v - y) * (v - y) + (u - x) * (u - x))))
                share = radius + half - far
                if share <= 0:
                    continue
                area = np.float32(np.pi) * radius * radius + np.float32(0.26)
                share = weight * min(share, np.float32(1)) / area
                alpha += share
                red += share * np.float32(np.int32(colour[v, 3 * u]))
                green += share * np.float32(np.int32(colour[v, 3 * u + 1]))
                blue += share * np.float32(np.int32(colour[v, 3 * u + 2]))
        if alpha > 1:
            red, green, blue = red / alpha, green / alpha, blue / alpha
            alpha = np.float32(1)
        cover[number] = alpha
        light[number, 0] = red
        light[number, 1] = green
        light[number, 2] = blue


@kernel(
    array(types.float32, 2),
    array(types.uint8, 2),
    array(types.uint8, 2),
    array(types.float32, 2),
    types.float32,
    types.float32,
    array(types.int32, 1),
    types.int64,
    types.int64,
    array(types.float32, 2),
)
def spread(  # noqa: PLR0917
    depth: F32,
    taken: U8,
    cleared: U8,
    nearest: F32,
    blur: np.float32,
    gap: np.float32,
    cells: I32,
    first: int,
    end: int,
    out: F32,
) -> None:
    """Two pictures as they would look out of focus, in the frame in which the nearest thing around each place was sharp.

    Only what is not nearer than the place counts.

    Args:
        depth: (h, w), in frames.
        taken: (h, w * 3).
        cleared: (h, w * 3).
        nearest: (h, w).
        blur: px for a frame.
        gap: in frames.
        cells: (n,), the places, as y * w + x.
        first: of `cells`.
        end: of `cells`.
        out: (n, 6), written: `taken`, then `cleared`.
    """
    h, w = depth.shape
    for number in range(first, end):
        y, x = cells[number] // w, cells[number] % w
        here = depth[y, x] - gap
        radius = blur * (depth[y, x] - nearest[y, x])
        reach = int(np.ceil(radius))
        square = radius * radius + np.float32(0.5)
        sums = out[number]
        sums[:] = 0
        count = np.float32(0)
        stride = 1 + reach // 7
        for v in range(_from(y, reach, stride), min(h, y + reach + 1), stride):
            for u in range(_from(x, reach, stride), min(w, x + reach + 1), stride):
                if depth[v, u] < here:
                    continue
                if np.float32(np.int32((v - y) * (v - y) + (u - x) * (u - x))) > square:
                    continue
                count += np.float32(1)
                for k in range(3):
                    sums[k] += np.float32(np.int32(taken[v, 3 * u + k]))
                    sums[3 + k] += np.float32(np.int32(cleared[v, 3 * u + k]))
        for k in range(6):
            sums[k] /= count


_CORRECT = (
    array(types.int32, 1),
    array(types.float32, 1),
    array(types.float32, 2),
    types.int64,
    types.int64,
    types.int64,
    types.int64,
    types.float32,
)


@by_pixel(
    uint8=types.void(*_CORRECT, array(types.uint8, 2)), uint16=types.void(*_CORRECT, array(types.uint16, 2))
)
def correct(  # noqa: PLR0917
    cells: I32,
    factor: F32,
    offset: F32,
    first: int,
    end: int,
    channels: int,
    cell: int,
    white: np.float32,
    picture: Any,
) -> None:
    """Each pixel of some cells becomes itself times 1 + factor, plus offset.

    Args:
        cells: (n,), as y * w + x of the grid of cells.
        factor: (n,).
        offset: (n, 3), in 255ths of white.
        first: of `cells`.
        end: of `cells`.
        channels: 3 or 1.
        cell: side of a cell, px.
        white: of the picture.
        picture: (H, W * channels), changed.
    """
    height, width = picture.shape[0], picture.shape[1] // channels
    h, w = max(1, height // cell), max(1, width // cell)
    unit = white / np.float32(255)
    for number in range(first, end):
        row, column = cells[number] // w, cells[number] % w
        gain = np.float32(1) + factor[number]
        for y in range(cell * row, height if row == h - 1 else cell * (row + 1)):
            for x in range(cell * column, width if column == w - 1 else cell * (column + 1)):
                for k in range(channels):
                    value = np.float32(picture[y, x * channels + k]) * gain + offset[number, k] * unit
                    picture[y, x * channels + k] = min(max(value, np.float32(0)), white) + np.float32(0.5)
