"""The light that all scenes stand in: softboxes in a dark room. World: x right, y up, z away; radiance in linear RGB."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math

from drivers.sim.render_jit import helper, kernel
from drivers.sim.scenes.noise import fbm

KEY = (-0.50, 0.78, -0.37)
"""Direction to the large softbox, which also casts the shadows."""

Colour = tuple[float, float, float]


@helper
def _step(x: float, width: float) -> float:
    t = min(max(0.5 + 0.5 * x / width, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@helper
def _panel(
    along: float, across_a: float, across_b: float, half_a: float, half_b: float, soft: float
) -> float:
    """A rectangle at infinity, in the coordinates of its own direction."""
    if along <= 0.05:
        return 0.0
    return _step(half_a - abs(across_a / along), soft) * _step(half_b - abs(across_b / along), soft)


@kernel
def studio(x: float, y: float, z: float) -> Colour:
    """Radiance from direction (x, y, z), a unit vector."""
    # The key softbox: axes are chosen by hand, square to KEY.
    key = _panel(
        -0.50 * x + 0.78 * y - 0.37 * z,
        0.842 * x + 0.539 * y,
        0.2 * x - 0.312 * y - 0.929 * z,
        0.52,
        0.38,
        0.05,
    )
    strip = _panel(
        0.93 * x + 0.30 * y + 0.21 * z, -0.22 * x + 0.975 * z, -0.31 * x + 0.95 * y, 0.13, 0.75, 0.03
    )
    back = _panel(
        -0.62 * x + 0.42 * y + 0.66 * z, 0.73 * x + 0.68 * z, 0.29 * x + 0.90 * y - 0.31 * z, 0.34, 0.16, 0.04
    )
    low = _panel(0.55 * x + 0.16 * y + 0.82 * z, 0.83 * x - 0.56 * z, 0.98 * y - 0.2 * z, 0.40, 0.07, 0.05)
    card = _panel(0.35 * x + 0.2 * y - 0.91 * z, 0.93 * x + 0.36 * z, 0.98 * y + 0.2 * z, 0.30, 0.55, 0.25)
    if y >= 0.0:
        room = 0.06 + 0.34 * y * y
        r, g, b = room * 0.95, room, room * 1.1
    else:
        # The table, seen as a blurred reflection.
        mottle = 1.0 + 0.5 * fbm(3.0 * x / (0.2 - y), 3.0 * z / (0.2 - y), 3, 0.6, 7)
        table = (0.07 + 0.16 * math.sqrt(-y)) * mottle
        r, g, b = table * 1.10, table * 0.95, table * 0.82
    r += 6.5 * key + 9.0 * strip + 3.6 * back + 2.6 * low + 0.9 * card
    g += 6.3 * key + 8.8 * strip + 3.7 * back + 2.4 * low + 0.86 * card
    b += 6.1 * key + 8.2 * strip + 3.8 * back + 2.1 * low + 0.8 * card
    return r, g, b


@helper
def diffuse(nx: float, ny: float, nz: float, shadow: float) -> float:
    """Light that a matt surface with this normal gets: key (times `shadow`), strip from the right, and the room."""
    key = max(-0.50 * nx + 0.78 * ny - 0.37 * nz, 0.0)
    strip = max(0.93 * nx + 0.30 * ny + 0.21 * nz, 0.0)
    return 1.25 * key * shadow + 0.30 * strip + (0.16 + 0.14 * ny) * (0.4 + 0.6 * shadow)


@helper
def mirrored(dx: float, dy: float, dz: float, nx: float, ny: float, nz: float) -> Colour:
    """Direction (dx, dy, dz) after a mirror with this normal."""
    twice = 2.0 * (dx * nx + dy * ny + dz * nz)
    return dx - twice * nx, dy - twice * ny, dz - twice * nz
