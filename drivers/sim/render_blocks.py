"""The compiled part of the renderer that puts blocks of the picture together. See `render_kernels` for the steps."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel
from drivers.sim.render_kernels import (
    BLOCK,
    CENTRE_X,
    CENTRE_Y,
    GRID,
    INVERSE_D,
    KAPPA,
    LARGEST_RADIUS_PX,
    MARGIN,
    POSITION,
    SHIFT_X,
    SHIFT_Y,
    SIDE,
    SPREAD,
    VARIANCE,
    WHITE,
    blurred,
    height_at,
    level_for,
    locate,
    occupancy,
    shrink_at,
)
from drivers.sim.render_layers import EMPTY, OPAQUE

SHARP_RADIUS_PX = 3.0
"""Up to this radius a block is resampled with a cubic, which keeps fine texture; beyond it a linear one is as good."""

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@helper
def _cubic_run(
    out: Float32, fx: Float32, fy: Float32, a: Float32, b: Float32, c: Float32, d: Float32
) -> None:
    """Catmull-Rom at (fx, fy) beyond the second of four rows and columns."""
    half, one = np.float32(0.5), np.float32(1.0)
    for i in range(out.size):
        t, s = fx[i], one - fx[i]
        w0, w3 = -half * t * s * s, -half * s * t * t
        w1, w2 = s * (one + t - np.float32(1.5) * t * t), t * (one + s - np.float32(1.5) * s * s)
        p = w0 * a[i] + w1 * a[i + 1] + w2 * a[i + 2] + w3 * a[i + 3]
        q = w0 * b[i] + w1 * b[i + 1] + w2 * b[i + 2] + w3 * b[i + 3]
        r = w0 * c[i] + w1 * c[i + 1] + w2 * c[i + 2] + w3 * c[i + 3]
        z = w0 * d[i] + w1 * d[i + 1] + w2 * d[i + 2] + w3 * d[i + 3]
        t, s = fy[i], one - fy[i]
        out[i] = (
            -half * t * s * s * p
            + s * (one + t - np.float32(1.5) * t * t) * q
            + t * (one + s - np.float32(1.5) * s * s) * r
            - half * s * t * t * z
        )


@helper
def _linear_run(out: Float32, fx: Float32, fy: Float32, b: Float32, c: Float32) -> None:
    for i in range(out.size):
        top = b[i + 1] + (b[i + 2] - b[i + 1]) * fx[i]
        low = c[i + 1] + (c[i + 2] - c[i + 1]) * fx[i]
        out[i] = top + (low - top) * fy[i]


@helper
def _over(below: Float32, colour: Float32, alpha: Float32) -> None:
    """The cubic can overshoot at outlines: alpha is held to 0..1, and the colour with it, so that white over white stays white."""
    for x in range(below.size):
        cover = min(max(alpha[x], np.float32(0.0)), np.float32(1.0))
        held = max(colour[x], np.float32(0.0)) / max(alpha[x], np.float32(1.0))
        below[x] = below[x] * (np.float32(1.0) - cover) + held


@helper
def _between(
    nodes: Floats, step: int, y: int, offset: float, whole: NDArray[np.int32], part: Float32
) -> None:
    """One row of lattice coordinates less `offset`, which leaves none negative, as whole pixels and fractions."""
    j, t = y // step, (y % step) / step
    for i in range(-(-whole.size // step)):
        left = nodes[j, i] + (nodes[j + 1, i] - nodes[j, i]) * t - offset
        right = nodes[j, i + 1] + (nodes[j + 1, i + 1] - nodes[j, i + 1]) * t - offset
        start, slope = np.float32(left), np.float32((right - left) / step)
        x = i * step
        if step == 8 and x + 8 <= part.size:
            # The compiler unrolls this one.
            for k in range(8):
                part[x + k] = start + slope * np.float32(k)
        else:
            for k in range(min(step, part.size - x)):
                part[x + k] = start + slope * np.float32(k)
    _split(whole, part)


@helper
def _split(whole: NDArray[np.int32], part: Float32) -> None:
    for x in range(whole.size):
        whole[x] = np.int32(part[x])
        part[x] -= np.float32(whole[x])


@helper
def _resample_row(
    planes: Float32, ix: NDArray[np.int32], iy: NDArray[np.int32], fx: Float32, fy: Float32, cubic: bool, channels: int,
    out: Float32,
) -> None:  # fmt: skip
    """A row of the picture from four planes, in runs over which the whole-pixel offset does not change."""
    n = ix.size
    x = 0
    while x < n:
        column, row = ix[x], iy[x]
        end = x + 1
        while end < n and ix[end] - end == column - x and iy[end] == row:
            end += 1
        count = end - x
        for c in range(channels):
            plane = planes[c]
            left, right = column - 1, column + count + 2
            if cubic:
                _cubic_run(out[c, x:end], fx[x:end], fy[x:end], plane[row - 1, left:right], plane[row, left:right],
                           plane[row + 1, left:right], plane[row + 2, left:right])  # fmt: skip
            else:
                _linear_run(
                    out[c, x:end], fx[x:end], fy[x:end], plane[row, left:right], plane[row + 1, left:right]
                )
        x = end


@kernel
def composite(
    planes: Float32, x0: int, y0: int, us: Floats, vs: Floats, step: int, cubic: bool, still: bool, opaque: bool,
    picture: Float32, cover: Float32, width: int, height: int,
) -> None:  # fmt: skip
    """Lay a blurred layer over `picture[3, y, x]`; `cover[y, x]` becomes its alpha."""
    ix, iy = np.empty(width, np.int32), np.empty(width, np.int32)
    fx, fy = np.empty(width, np.float32), np.empty(width, np.float32)
    out = np.ones((4, width), np.float32)
    channels = 3 if opaque else 4
    for y in range(height):
        if still:
            left, row = int(us[0, 0]) - x0, int(vs[0, 0]) + y - y0
            for c in range(channels):
                out[c] = planes[c, row, left : left + width]
        else:
            _between(us, step, y, x0, ix, fx)
            _between(vs, step, y, y0, iy, fy)
            _resample_row(planes, ix, iy, fx, fy, cubic, channels, out)
        for c in range(3):
            _over(picture[c, y, :width], out[c], out[3])
        cover[y, :width] = out[3]


@kernel
def _mark_depth(
    heights: Float32,
    view: Floats,
    us: Floats,
    vs: Floats,
    step: int,
    cover: Float32,
    depth: Float32,
    width: int,
    height: int,
) -> None:
    """Where a layer covers more than half, its depth is the picture's."""
    column, row = np.empty(width, np.int32), np.empty(width, np.int32)
    fx, fy = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        _between(us, step, y, 0.0, column, fx)
        _between(vs, step, y, 0.0, row, fy)
        for x in range(width):
            if cover[y, x] > 0.5:
                depth[y, x] = height_at(heights, 1.0 / view[GRID], column[x] + fx[x], row[x] + fy[x])


@helper
def _extent(
    us: Floats, vs: Floats, zs: Floats, nodes: NDArray[np.int64], view: Floats, place: NDArray[np.int64]
) -> tuple[float, float]:
    """Sets the even canvas rectangle that the lattice needs; returns the smallest and largest radius there."""
    smallest, largest = np.inf, 0.0
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for j in range(nodes[1]):
        for i in range(nodes[0]):
            defocus = abs(zs[j, i] - view[POSITION]) * view[KAPPA]
            smallest, largest = min(smallest, defocus), max(largest, defocus)
            x0, x1 = min(x0, us[j, i]), max(x1, us[j, i])
            y0, y1 = min(y0, vs[j, i]), max(y1, vs[j, i])
    place[0], place[1] = 2 * math.floor((x0 - 1) / 2), 2 * math.floor((y0 - 1) / 2)
    place[2] = min(2 * math.ceil((x1 + 3 - place[0]) / 2), SIDE)
    place[3] = min(2 * math.ceil((y1 + 3 - place[1]) / 2), SIDE)
    return math.sqrt(smallest**2 + view[VARIANCE]), math.sqrt(largest**2 + view[VARIANCE])


@helper
def _cannot_reach(
    kinds: NDArray[np.uint8], lowest: float, highest: float, view: Floats, x0: int, y0: int
) -> bool:
    """Whether a layer between these depths has nothing anywhere near a block: a cheap test that most pairs fail."""
    largest = max(abs(lowest - view[POSITION]), abs(highest - view[POSITION])) * view[KAPPA]
    reach = math.sqrt(largest * largest + view[VARIANCE])
    reach += 4.0 + (4 << level_for(reach, reach))
    a, b = shrink_at(lowest, view), shrink_at(highest, view)
    left, top = x0 - view[SHIFT_X] - view[CENTRE_X], y0 - view[SHIFT_Y] - view[CENTRE_Y]
    right, bottom = left + BLOCK, top + BLOCK
    x, y = view[CENTRE_X] + view[MARGIN], view[CENTRE_Y] + view[MARGIN]
    return (
        occupancy(
            kinds, min(a * left, b * left) + x - reach, min(a * top, b * top) + y - reach,
            max(a * right, b * right) + x + reach, max(a * bottom, b * bottom) + y + reach,
        ) == EMPTY
    )  # fmt: skip


@kernel
def _plan_block(
    kinds: NDArray[np.uint8], heights: Float32, limits: Floats, view: Floats, x0: int, y0: int, step: int, nodes: NDArray[np.int64],
    us: Floats, vs: Floats, zs: Floats, places: NDArray[np.int64], radii: Floats,
) -> tuple[int, bool]:  # fmt: skip
    """Where each layer's share of a block comes from; radius -1 if it has none.

    Returns the farthest layer that shows, and whether it hides all behind it.
    """
    for layer in range(len(kinds) - 1, -1, -1):
        if _cannot_reach(kinds[layer], limits[layer, 0], limits[layer, 1], view, x0, y0):
            radii[layer, 1] = -1.0
            continue
        locate(heights[layer], view, x0, y0, step, nodes, us[layer], vs[layer], zs[layer])
        smallest, largest = _extent(us[layer], vs[layer], zs[layer], nodes, view, places[layer])
        # The pyramid's own pixels, and the doubling kernel, reach a little beyond the disc.
        reach = largest + 2 + (4 << level_for(smallest, largest) if largest > LARGEST_RADIUS_PX else 0)
        x, y, w, h = places[layer, 0], places[layer, 1], places[layer, 2], places[layer, 3]
        kind = occupancy(kinds[layer], x - reach, y - reach, x + w + reach, y + h + reach)
        radii[layer, 0], radii[layer, 1] = smallest, (-1.0 if kind == EMPTY else largest)
        if kind == OPAQUE:
            return layer, True
    return 0, False


@kernel
def render_rows(
    pool: NDArray[np.uint16], index: NDArray[np.int32], kinds: NDArray[np.uint8], heights: Float32, limits: Floats,
    shape: NDArray[np.int64], view: Floats, out: NDArray[np.uint16], depth: Float32, first: int, last: int,
) -> None:  # fmt: skip
    """Render block rows `first` to `last` into `out` (H, W, 3) and, unless it is empty, `depth` (H, W)."""
    rows, columns = out.shape[0], out.shape[1]
    layers = len(kinds)
    step = 8 if columns >= 512 else 4
    side, nodes = BLOCK // step + 1, np.empty(2, np.int64)
    us, vs, zs = (
        np.empty((layers, side, side)),
        np.empty((layers, side, side)),
        np.empty((layers, side, side)),
    )
    places, radii = np.empty((layers, 4), np.int64), np.empty((layers, 2))
    source = np.empty((SIDE + 2 * SPREAD + 2, 4 * (SIDE + 2 * SPREAD + 2)), np.float32)
    radius = np.empty((SIDE, SIDE), np.float32)
    planes, spare = np.empty((4, SIDE, SIDE), np.float32), np.empty((4, SIDE, SIDE), np.float32)
    picture, cover = np.empty((3, BLOCK, BLOCK), np.float32), np.empty((BLOCK, BLOCK), np.float32)
    still = (
        view[INVERSE_D] == 0.0
        and view[SHIFT_X] == math.floor(view[SHIFT_X])
        and view[SHIFT_Y] == math.floor(view[SHIFT_Y])
    )
    for by in range(first, last):
        y0 = by * BLOCK
        height = min(BLOCK, rows - y0)
        for x0 in range(0, columns, BLOCK):
            width = min(BLOCK, columns - x0)
            picture[:] = 0.0
            nodes[0], nodes[1] = (width + step - 1) // step + 1, (height + step - 1) // step + 1
            base, opaque = _plan_block(
                kinds, heights, limits, view, x0, y0, step, nodes, us, vs, zs, places, radii
            )
            for layer in range(base, layers):
                smallest, largest = radii[layer, 0], radii[layer, 1]
                if largest < 0.0:
                    continue
                level = level_for(smallest, largest)
                blurred(
                    pool, index[layer], heights[layer], view, level, places[layer], shape, source, radius, planes, spare
                )  # fmt: skip
                composite(
                    planes, places[layer, 0], places[layer, 1], us[layer], vs[layer], step, smallest < SHARP_RADIUS_PX, still,
                    layer == base and opaque, picture, cover, width, height,
                )  # fmt: skip
                if depth.size:
                    _mark_depth(
                        heights[layer], view, us[layer], vs[layer], step, cover, depth[y0:, x0:], width, height
                    )  # fmt: skip
            _write(picture, out[y0 : y0 + height, x0 : x0 + width])


@helper
def _write(picture: Float32, out: NDArray[np.uint16]) -> None:
    for y in range(out.shape[0]):
        _write_row(picture[0, y], picture[1, y], picture[2, y], out[y])


@helper
def _write_row(red: Float32, green: Float32, blue: Float32, out: NDArray[np.uint16]) -> None:
    white, half, most = np.float32(WHITE), np.float32(0.5), np.float32(65535.0)
    for x in range(out.shape[0]):
        out[x, 0] = np.uint16(np.int32(min(red[x] * white + half, most)))
        out[x, 1] = np.uint16(np.int32(min(green[x] * white + half, most)))
        out[x, 2] = np.uint16(np.int32(min(blue[x] * white + half, most)))
