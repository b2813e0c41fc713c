"""Seeded lattice noise: value noise in octaves, from the width of the picture down to two pixels."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel

FINEST_CELL_PX = 2.2
"""Smallest lattice cell; anything finer would alias."""


def octaves_down_to_pixels(cells_per_width: float, width_px: int) -> int:
    """How many doublings of `cells_per_width` bring the cell to about `FINEST_CELL_PX`. At least one."""
    return max(1, 1 + math.floor(math.log2(max(width_px / (FINEST_CELL_PX * cells_per_width), 1.0))))


@helper
def hash01(x: int, y: int, seed: int) -> float:
    """A number in 0..1 for a lattice point. Integer mixing with odd multipliers, 32 bits."""
    h = (
        np.uint32(x) * np.uint32(0x9E3779B1)
        ^ np.uint32(y) * np.uint32(0x85EBCA77)
        ^ np.uint32(seed) * np.uint32(0xC2B2AE3D)
    )
    h = np.uint32(h)
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
    h = np.uint32((h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    return np.float32(h) * np.float32(1.0 / 4294967296.0)


@helper
def noise(x: float, y: float, seed: int) -> float:
    """Value noise at a point, -1..1, cell size 1."""
    xf, yf = math.floor(x), math.floor(y)
    xi, yi = int(xf), int(yf)
    tx, ty = x - xf, y - yf
    tx = tx * tx * (3.0 - 2.0 * tx)
    ty = ty * ty * (3.0 - 2.0 * ty)
    a = hash01(xi, yi, seed)
    b = hash01(xi + 1, yi, seed)
    c = hash01(xi, yi + 1, seed)
    d = hash01(xi + 1, yi + 1, seed)
    top = a + (b - a) * tx
    return 2.0 * (top + (c + (d - c) * tx - top) * ty) - 1.0


@helper
def fbm(x: float, y: float, octaves: int, gain: float, seed: int) -> float:
    """Sum of octaves of `noise`, each twice as fine and `gain` times as strong as the one before; first amplitude 1."""
    total, amplitude = 0.0, 1.0
    for octave in range(octaves):
        total += amplitude * noise(x, y, seed + 101 * octave)
        amplitude *= gain
        x, y = 2.0 * x + 0.37, 2.0 * y + 0.71
    return total


@kernel
def fill_fbm(
    out: NDArray[np.float32],
    x0: float,
    y0: float,
    pitch_x: float,
    pitch_y: float,
    octaves: int,
    gain: float,
    seed: int,
) -> None:
    """`fbm` over a grid of points: out[j, i] = fbm(x0 + i pitch_x, y0 + j pitch_y). `out` (h, w) float32 is overwritten.

    The finest octave's cell must be at least as wide as `pitch_x`.
    """
    rows, columns = out.shape
    out[:] = 0.0
    scale, shift_x, shift_y, amplitude = 1.0, 0.0, 0.0, 1.0
    lattice = np.empty(columns + 8, np.float32)
    for octave in range(octaves):
        step, start = pitch_x * scale, x0 * scale + shift_x
        first = math.floor(start)
        cells = min(math.floor(start + step * columns) - first + 2, lattice.size)
        for j in range(rows):
            y = (y0 + j * pitch_y) * scale + shift_y
            yf = math.floor(y)
            ty = y - yf
            ty = ty * ty * (3.0 - 2.0 * ty)
            for k in range(cells):
                a = hash01(first + k, int(yf), seed + 101 * octave)
                b = hash01(first + k, int(yf) + 1, seed + 101 * octave)
                lattice[k] = amplitude * (2.0 * (a + (b - a) * ty) - 1.0)
            row = out[j]
            for i in range(columns):
                at = np.float32(start - first + i * step)
                k = int(at)
                t = at - np.float32(k)
                t = t * t * (np.float32(3.0) - np.float32(2.0) * t)
                row[i] += lattice[k] + (lattice[k + 1] - lattice[k]) * t
        scale, shift_x, shift_y = scale * 2.0, shift_x * 2.0 + 0.37, shift_y * 2.0 + 0.71
        amplitude *= gain
