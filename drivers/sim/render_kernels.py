"""The compiled part of the renderer: a picture is made block by block, each block from the layers that reach it.

For each block and layer: find where on the canvas the block's pixels come from (rail perspective), fetch and decode that
patch, blur it with a disc whose radius follows the layer's height, halve and double when the disc is large, resample to
the block's pixels, and composite, from far to near. A layer hidden by an opaque one is not touched.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivers.sim.lens import MAX_SHRINK, MIN_SHRINK
from drivers.sim.render_disc import LARGEST_TABLED_PX, blur_patch, double, separate
from drivers.sim.render_jit import helper, kernel
from drivers.sim.render_layers import EMPTY, LEVELS, ONE, OPAQUE, TILE

BLOCK = 64
SIDE = 128
"""Longest side of a canvas rectangle that one block can come from: `BLOCK * MAX_SHRINK` and the resampling kernel."""
SPREAD = 12
"""Most pixels that a blur kernel reaches to one side."""
LARGEST_RADIUS_PX = 4.0
"""A larger disc is taken from the next coarser level of the pyramid, so few discs have more than some 60 taps."""
SLOPE_RADIUS_PX = 8.0
"""The same where a block holds both sharp and blurred parts, which the coarser level would soften."""
COPY_RADIUS_PX = 0.1
"""Below this the disc changes nothing: the strongest tap beside the centre would weigh 1/800."""
WHITE = 16384
"""Linear light 1 in the rendered picture; four times that is the most it holds."""

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

# Places of the numbers in the `view` argument.
POSITION, KAPPA, VARIANCE, INVERSE_D, CENTRE_X, CENTRE_Y, SHIFT_X, SHIFT_Y, MARGIN, GRID = range(10)


@helper
def height_at(heights: Float32, inverse_grid: float, x: float, y: float) -> float:
    """Bilinear, constant beyond the outermost nodes."""
    gx = min(max((x + 0.5) * inverse_grid - 0.5, 0.0), heights.shape[1] - 1.001)
    gy = min(max((y + 0.5) * inverse_grid - 0.5, 0.0), heights.shape[0] - 1.001)
    i, j = int(gx), int(gy)
    tx, ty = gx - i, gy - j
    above, below = heights[j], heights[j + 1]
    top = above[i] + (above[i + 1] - above[i]) * tx
    return top + (below[i] + (below[i + 1] - below[i]) * tx - top) * ty


@helper
def shrink_at(depth: float, view: Floats) -> float:
    """One over the scale of a surface at this depth."""
    return min(max(1.0 + (depth - view[POSITION]) * view[INVERSE_D], MIN_SHRINK), MAX_SHRINK)


@kernel
def locate(
    heights: Float32,
    view: Floats,
    x0: int,
    y0: int,
    step: int,
    nodes: NDArray[np.int64],
    us: Floats,
    vs: Floats,
    zs: Floats,
) -> None:
    """Where a lattice of `nodes` (x, y) picture points comes from: canvas coordinates and depth.

    By fixed point, which converges at once because height is smooth and the shift by perspective small.
    """
    inverse_grid = 1.0 / view[GRID]
    rounds = 1 if view[INVERSE_D] == 0.0 else 4
    canvas_x, canvas_y = view[CENTRE_X] + view[MARGIN], view[CENTRE_Y] + view[MARGIN]
    for j in range(nodes[1]):
        y = y0 + j * step - view[SHIFT_Y] - view[CENTRE_Y]
        for i in range(nodes[0]):
            x = x0 + i * step - view[SHIFT_X] - view[CENTRE_X]
            u, v, z = x, y, 0.0
            for _ in range(rounds):
                z = height_at(heights, inverse_grid, u + canvas_x, v + canvas_y)
                shrink = shrink_at(z, view)
                u, v = x * shrink, y * shrink
            us[j, i], vs[j, i], zs[j, i] = u + canvas_x, v + canvas_y, z


@kernel
def occupancy(kinds: NDArray[np.uint8], x0: float, y0: float, x1: float, y1: float) -> int:
    """EMPTY if no tile under the rectangle (canvas pixels) has anything, OPAQUE if all are opaque, else PARTIAL."""
    rows, columns = kinds.shape
    ty0, ty1 = min(max(int(y0) // TILE, 0), rows - 1), min(max(int(y1) // TILE, 0), rows - 1)
    tx0, tx1 = min(max(int(x0) // TILE, 0), columns - 1), min(max(int(x1) // TILE, 0), columns - 1)
    low, high = OPAQUE, EMPTY
    for ty in range(ty0, ty1 + 1):
        for tx in range(tx0, tx1 + 1):
            kind = int(kinds[ty, tx])
            low, high = min(low, kind), max(high, kind)
    return EMPTY if high == EMPTY else (OPAQUE if low == OPAQUE else 1)


@kernel
def fetch(
    pool: NDArray[np.uint16], index: NDArray[np.int32], columns: int, rows: int, x0: int, y0: int, patch: Float32,
    width: int, height: int,
) -> None:  # fmt: skip
    """Decode canvas pixels from (x0, y0) on into `patch[:height, :4 width]` (interleaved); the canvas edge is repeated."""
    scale = np.float32(1.0 / (ONE * ONE))
    x0 = min(max(x0, 1 - width), columns - 1)
    for j in range(height):
        y = min(max(y0 + j, 0), rows - 1)
        ty, inside_y = y // TILE, y % TILE
        line = patch[j]
        first, last = min(max(x0, 0), columns - 1), min(max(x0 + width - 1, 0), columns - 1)
        x = first
        while x <= last:
            tx = x // TILE
            end = min((tx + 1) * TILE, last + 1)
            target = line[4 * max(x - x0, 0) : 4 * max(x - x0, 0) + 4 * (end - x)]
            at = index[ty, tx]
            if at < 0:
                target[:] = 0.0
            else:
                source = pool[at, inside_y].reshape(4 * TILE)[4 * (x - tx * TILE) :]
                for i in range(target.size):
                    code = np.float32(source[i])
                    target[i] = code * code * scale
            x = end
        for i in range(min(max(first - x0, 0), width)):
            line[4 * i : 4 * i + 4] = line[4 * max(first - x0, 0) : 4 * max(first - x0, 0) + 4]
        for i in range(max(last - x0 + 1, 0), width):
            line[4 * i : 4 * i + 4] = line[4 * (last - x0) : 4 * (last - x0) + 4]


# ------------------------------------------------------------------------------------------------------------ blurring


@helper
def _even(value: int) -> int:
    return value - (value & 1)


@kernel
def level_for(smallest: float, largest: float) -> int:
    """Which level of the pyramid to blur at, for true radii (pixels at level 0) within a block."""
    level = 0
    while level < LEVELS - 1 and largest > LARGEST_RADIUS_PX:
        if smallest < 1.5 and largest <= SLOPE_RADIUS_PX:
            break
        level += 1
        smallest, largest = smallest * 0.5, largest * 0.5
    return level


@kernel
def fill_radii(
    heights: Float32, view: Floats, level: int, x0: int, y0: int, radius: Float32, width: int, height: int
) -> float:
    """True radius at each pixel of a patch of this level; what halving already blurred is taken off. Returns the largest."""
    size = 1 << level
    step = min(max(int(view[GRID]), 2), 8)
    columns, rows = (width - 1) // step + 2, (height - 1) // step + 2
    nodes = np.empty((rows, columns), np.float32)
    for j in range(rows):
        for i in range(columns):
            x, y = (x0 + i * step + 0.5) * size - 0.5, (y0 + j * step + 0.5) * size - 0.5
            nodes[j, i] = (height_at(heights, 1.0 / view[GRID], x, y) - view[POSITION]) * view[KAPPA] / size
    less = np.float32((view[VARIANCE] - (size * size - 1) / 3.0) / (size * size))
    line = np.empty(columns, np.float32)
    largest = np.float32(0.0)
    for y in range(height):
        j, t = y // step, np.float32(y % step) / np.float32(step)
        for i in range(columns):
            line[i] = nodes[j, i] + (nodes[j + 1, i] - nodes[j, i]) * t
        row = radius[y, :width]
        for i in range(-(-width // step)):
            start, slope, x = line[i], (line[i + 1] - line[i]) / np.float32(step), i * step
            if step == 8 and x + 8 <= width:
                # The compiler unrolls this one.
                for k in range(8):
                    row[x + k] = start + slope * np.float32(k)
            else:
                for k in range(min(step, width - x)):
                    row[x + k] = start + slope * np.float32(k)
        largest = max(largest, _widen_radii(row, less))
    return largest


@helper
def _widen_radii(row: Float32, less: float) -> float:
    largest = np.float32(0.0)
    most = np.float32(LARGEST_TABLED_PX**2)
    for x in range(row.size):
        squared = min(max(row[x] * row[x] + less, np.float32(0.0)), most)
        largest = max(largest, squared)
        row[x] = np.sqrt(squared)
    return np.sqrt(largest)


@kernel
def blurred(
    pool: NDArray[np.uint16], index: NDArray[np.int32], heights: Float32, view: Floats, level: int, rectangle: NDArray[np.int64],
    shape: NDArray[np.int64], source: Float32, radius: Float32, planes: Float32, spare: Float32,
) -> None:  # fmt: skip
    """The rectangle (x0, y0, width, height; all even) of a layer's canvas, blurred, into `planes[4, height, width]`."""
    chain = np.empty((LEVELS, 4), np.int64)
    chain[0] = rectangle
    for n in range(level):
        x0, y0 = _even(chain[n, 0] // 2 - 2), _even(chain[n, 1] // 2 - 2)
        chain[n + 1, 0], chain[n + 1, 1] = x0, y0
        chain[n + 1, 2] = _even((chain[n, 0] + chain[n, 2]) // 2 + 3 - x0)
        chain[n + 1, 3] = _even((chain[n, 1] + chain[n, 3]) // 2 + 3 - y0)
    x0, y0, width, height = chain[level, 0], chain[level, 1], chain[level, 2], chain[level, 3]
    largest = fill_radii(heights, view, level, x0, y0, radius, width, height)
    columns, rows = shape[0] >> level, shape[1] >> level
    into, other = (planes, spare) if level % 2 == 0 else (spare, planes)
    if largest <= COPY_RADIUS_PX:
        fetch(pool, index[level], columns, rows, x0, y0, source, width, height)
        separate(source, into, width, height)
    else:
        reach = int(largest) + 2
        fetch(
            pool,
            index[level],
            columns,
            rows,
            x0 - reach,
            y0 - reach,
            source,
            width + 2 * reach,
            height + 2 * reach,
        )
        blur_patch(source, reach, radius, into, width, height)
    for n in range(level, 0, -1):
        off_x, off_y = chain[n - 1, 0] // 2 - chain[n, 0], chain[n - 1, 1] // 2 - chain[n, 1]
        double(into, off_x, off_y, other, chain[n - 1, 2], chain[n - 1, 3])
        into, other = other, into
