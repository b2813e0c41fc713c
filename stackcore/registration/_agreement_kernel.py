"""The compiled kernel that finds the motion on which most tiles agree. `nogil`, single-threaded."""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F64, array, kernel, row_function


@row_function
def _solved(matrix: F64, vector: F64, step: F64) -> None:
    """Solve a symmetric positive definite system of four, by Cholesky's way; both arguments are used up."""
    for i in range(4):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = np.sqrt(max(value, 1e-30)) if i == j else value / matrix[j, j]
    for i in range(4):
        value = vector[i]
        for k in range(i):
            value -= matrix[i, k] * vector[k]
        vector[i] = value / matrix[i, i]
    for i in range(3, -1, -1):
        value = vector[i]
        for k in range(i + 1, 4):
            value -= matrix[k, i] * step[k]
        step[i] = value / matrix[i, i]


@row_function
def _add_tile(tile: F64, weight: float, matrix: F64, vector: F64) -> None:
    """Add a tile's part to the normal equations; `tile` is xx, xy, yy, pull in x and y, place x and y."""
    xx, xy, yy, bx, by, x, y = tile[0], tile[1], tile[2], tile[3], tile[4], tile[5], tile[6]
    # The columns of the Jacobian are (x, y), (-y, x), (1, 0) and (0, 1).
    ax, ay = xx * x + xy * y, xy * x + yy * y
    cx, cy = xy * x - xx * y, yy * x - xy * y
    matrix[0, 0] += weight * (x * ax + y * ay)
    matrix[1, 0] += weight * (x * ay - y * ax)
    matrix[1, 1] += weight * (x * cy - y * cx)
    matrix[2, 0] += weight * ax
    matrix[2, 1] += weight * cx
    matrix[2, 2] += weight * xx
    matrix[3, 0] += weight * ay
    matrix[3, 1] += weight * cy
    matrix[3, 2] += weight * xy
    matrix[3, 3] += weight * yy
    vector[0] += weight * (x * bx + y * by)
    vector[1] += weight * (x * by - y * bx)
    vector[2] += weight * bx
    vector[3] += weight * by


@row_function
def _middle(values: F64) -> float:
    """The upper median, by Hoare's selection; reorders the values."""
    low, high, wanted = 0, len(values) - 1, len(values) // 2
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return float(values[wanted])


@kernel(
    array(types.float64, 2), array(types.float64, 1), types.int64, types.float64, types.float64, types.float64,
    array(types.float64, 1), array(types.float64, 2), array(types.float64, 1),
)  # fmt: skip
def agree(  # noqa: PLR0917
    tiles: F64,
    weights: F64,
    rounds: int,
    outlier: float,
    zoom: float,
    zoom_sigma: float,
    step: F64,
    normal: F64,
    figures: F64,
) -> None:
    """The small similarity that most tiles agree on, by iteratively reweighted least squares.

    Args:
        tiles: (N, 7): gradients' xx, xy, yy, gradient times residual in x and y, and the place in units of half a diagonal.
        weights: (N,) of the tiles.
        rounds: how often they are weighted anew.
        outlier: deviation, in units of the median one, from which on a tile loses its weight fast.
        zoom: expected first number of the step.
        zoom_sigma: its standard deviation; 0: nothing is expected.
        step: (4,) written.
        normal: (4, 4), lower triangle written: weighted sum of squares.
        figures: (2,) written: median deviation, share of the tiles that keep a quarter of their weight.
    """
    count = len(weights)
    deviation, order, scale, robust = np.empty(count), np.empty(count), np.empty(count), np.ones(count)
    for i in range(count):
        xx, xy, yy = tiles[i, 0], tiles[i, 1], tiles[i, 2]
        scale[i] = np.sqrt(weights[i] / max((xx + yy) / 2 + np.sqrt((xx - yy) ** 2 / 4 + xy * xy), 1e-9))
    matrix, vector = np.empty((4, 4)), np.empty(4)
    spread = 1.0
    for turn in range(rounds + 1):
        matrix[:] = 0
        vector[:] = 0
        for i in range(count):
            _add_tile(tiles[i], weights[i] * robust[i], matrix, vector)
        normal[:] = matrix
        if turn == rounds:
            break
        if zoom_sigma > 0:
            matrix[0, 0] += (spread / zoom_sigma) ** 2
            vector[0] += (spread / zoom_sigma) ** 2 * zoom
        ridge = 1e-9 * (matrix[0, 0] + matrix[1, 1] + matrix[2, 2] + matrix[3, 3]) + 1e-12
        for i in range(4):
            matrix[i, i] += ridge
        _solved(matrix, vector, step)
        for i in range(count):
            x, y = tiles[i, 5], tiles[i, 6]
            dx = step[0] * x - step[1] * y + step[2]
            dy = step[0] * y + step[1] * x + step[3]
            left_x = tiles[i, 3] - tiles[i, 0] * dx - tiles[i, 1] * dy
            left_y = tiles[i, 4] - tiles[i, 1] * dx - tiles[i, 2] * dy
            deviation[i] = np.sqrt(left_x * left_x + left_y * left_y) * scale[i]
        for i in range(count):
            order[i] = deviation[i]
        spread = max(_middle(order), 1e-3)
        for i in range(count):
            robust[i] = 1 / (1 + (deviation[i] / (outlier * spread)) ** 2) ** 2
    figures[0] = spread
    kept = 0
    for i in range(count):
        kept += robust[i] > 0.25
    figures[1] = kept / count
