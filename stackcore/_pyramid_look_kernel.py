"""The compiled part of `pyramid` that looks at one tile of one level of a frame: how much energy there is, and how bright it is.

A *cell* is what one weight is for: a pixel, but 2 x 2 px at the finest level, where noise is highest and pixels are most. Loops over a
row are functions of their own, short and without branches, so that the compiler can work on many pixels at once.
"""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F32, I32, array, kernel, row_function


@row_function
def _add_squares(x: F32, up: F32, energy: F32) -> None:
    for k in range(energy.size):
        difference = x[k] - up[k]
        energy[k] += difference * difference


@row_function
def _add_three_squares(  # noqa: PLR0917
    red: F32, green: F32, blue: F32, red_up: F32, green_up: F32, blue_up: F32, energy: F32
) -> None:
    for k in range(energy.size):
        r = red[k] - red_up[k]
        g = green[k] - green_up[k]
        b = blue[k] - blue_up[k]
        energy[k] += r * r + g * g + b * b


@row_function
def _add_pairs(squares: F32, energy: F32) -> None:
    for k in range(squares.size // 2):
        energy[k] = squares[2 * k] + squares[2 * k + 1]
    if squares.size % 2:
        energy[energy.size - 1] = 2 * squares[squares.size - 1]


@row_function
def _multiply(values: F32, by: np.float32) -> None:
    for k in range(values.size):
        values[k] *= by


@row_function
def _cells_of_row(squares: F32, cell: int, energy: F32) -> None:
    if cell == 2:
        _add_pairs(squares, energy)
        _multiply(energy, np.float32(0.25))
    else:
        energy[:] = squares


@row_function
def _add_row(row: F32, total: F32) -> None:
    for k in range(total.size):
        total[k] += row[k]


@row_function
def _sum_three(row: F32, total: F32) -> None:
    n = total.size
    for k in range(n):
        total[k] = row[k] + row[k + 1] + row[k + 2]


@row_function
def _sum_five(row: F32, total: F32) -> None:
    n = total.size
    for k in range(n):
        total[k] = (row[k] + row[k + 1]) + (row[k + 2] + row[k + 3]) + row[k + 4]


@row_function
def _pool_row(energy: F32, row: int, radius: int, padded: F32, pooled: F32) -> None:
    """Mean of the cells around those of a row; beyond the border the outermost cell goes on."""
    rows, columns = energy.shape
    total = padded[radius : radius + columns]
    total[:] = np.float32(0)
    for k in range(row - radius, row + radius + 1):
        _add_row(energy[min(max(k, 0), rows - 1)], total)
    for k in range(radius):
        padded[k] = total[0]
        padded[radius + columns + k] = total[columns - 1]
    if radius == 1:
        _sum_three(padded, pooled)
        _multiply(pooled, np.float32(1 / 9))
    else:
        _sum_five(padded, pooled)
        _multiply(pooled, np.float32(1 / 25))


@row_function
def _add_scaled(row: F32, scale: np.float32, total: F32) -> None:
    for k in range(total.size):
        total[k] += row[k] * scale


@row_function
def _add_every_second(row: F32, scale: np.float32, total: F32) -> None:
    for k in range(total.size):
        total[k] += row[2 * k] * scale


@row_function
def _to_levels(mean: F32, luma: I32) -> None:
    for k in range(luma.size):
        value = mean[k]
        value = max(np.float32(0), value)
        value = min(np.float32(255), value)
        luma[k] = np.int32(value)


@row_function
def _luma_row(  # noqa: PLR0917
    up: F32, row: int, left: int, cell: int, scale: np.float32, mean: F32, luma: I32
) -> None:
    """Mean of the channels, 0..255, of the first pixel of every cell, of what lies under a level."""
    share = scale / np.float32(up.shape[0])
    mean[:] = np.float32(0)
    for c in range(up.shape[0]):
        if cell == 2:
            _add_every_second(up[c, row, left:], share, mean)
        else:
            _add_scaled(up[c, row, left:], share, mean)
    _to_levels(mean, luma)


@row_function
def _row_of_squares(x: F32, up: F32, area: I32, y: int, squares: F32) -> None:
    """Add the squares of all channels' differences in row `y` of a level."""
    row, column = y - area[4], slice(area[2] - area[5], area[3] - area[5])
    under, across = y - area[6], slice(area[2] - area[7], area[3] - area[7])
    if x.shape[0] == 3:
        _add_three_squares(
            x[0, row, column],
            x[1, row, column],
            x[2, row, column],
            up[0, under, across],
            up[1, under, across],
            up[2, under, across],
            squares,
        )
    else:
        _add_squares(x[0, row, column], up[0, under, across], squares)


@kernel(
    array(types.float32, 3),
    array(types.float32, 3),
    array(types.int32, 1),
    array(types.int32, 1),
    types.int64,
    types.float32,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.int32, 2),
)
def look_at_tile(  # noqa: PLR0917
    x: F32,
    up: F32,
    area: I32,
    tile: I32,
    cell: int,
    scale: np.float32,
    energy: F32,
    pooled: F32,
    luma: I32,
) -> None:
    """Energies of the cells of a tile: mean of the squared differences between a level and what lies under it, channels added.

    Args:
        x: (channels, rows, columns), the level, of the tile or more.
        up: (channels, rows, columns), what lies under it, of the tile or more.
        area: (8,), top, bottom, left and right of the tile with its halo, in pixels of the level; row and column of `x[:, 0, 0]`; of
            `up[:, 0, 0]`.
        tile: (4,), top, bottom, left and right of the tile itself; top and left are multiples of `cell`.
        cell: 1 or 2 px.
        scale: from levels to those of 8 bits.
        energy: (cell rows, cell columns) of the tile, written.
        pooled: the same, mean over 5 x 5 cells of 1 px, or 3 x 3 of 2 px; beyond the border of the area the outermost cell goes on.
        luma: the same, brightness of what lies under the cell's first pixel, 0..255.
    """
    rows = (area[1] - area[0] + cell - 1) // cell
    columns = (area[3] - area[2] + cell - 1) // cell
    squares = np.empty(area[3] - area[2], np.float32)
    cells = np.empty((rows, columns), np.float32)
    for r in range(rows):
        squares[:] = np.float32(0)
        for k in range(cell):
            _row_of_squares(x, up, area, min(area[0] + cell * r + k, area[1] - 1), squares)
        _cells_of_row(squares, cell, cells[r])
    radius = 2 if cell == 1 else 1
    first = (tile[2] - area[2]) // cell
    count = energy.shape[1]
    padded = np.empty(columns + 2 * radius, np.float32)
    means = np.empty(columns, np.float32)
    for r in range(energy.shape[0]):
        y = tile[0] + cell * r
        at = (y - area[0]) // cell
        energy[r] = cells[at, first : first + count]
        _pool_row(cells, at, radius, padded, means)
        pooled[r] = means[first : first + count]
        _luma_row(up, y - area[6], tile[2] - area[7], cell, scale, means[:count], luma[r])
