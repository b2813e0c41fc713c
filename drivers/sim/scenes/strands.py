"""Hairs and wires: thin curved lines in space, drawn with soft edges however thin they are."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel
from drivers.sim.scenes.painter import put

THINNEST_PX = 0.5
"""Half width below which a line gets fainter instead of thinner."""

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@helper
def _glow(line: Floats, tx: float, ty: float, tz: float, side: float, along: float) -> float:
    """Light from a cylinder: a bright streak where the light is square to it, dark rims; twisted wires have a rope's turns."""
    tilt = -0.50 * tx + 0.78 * ty - 0.37 * tz
    square = math.sqrt(max(1.0 - tilt * tilt, 0.0))
    streak = math.exp(-(((side + 0.3) / 0.35) ** 2))
    turns = 1.0
    if line[4] > 0.0:
        turns = 0.55 + 0.45 * math.sin(line[4] * along + 2.6 * side)
    return (0.22 * square + line[3] * streak * square**6) * (1.0 - 0.45 * side * side) * turns


@helper
def _segment(
    a: Floats, b: Floats, line: Floats, radii: tuple[float, float], start: float, frame: Floats, first: int, rgba: Float32,
    depth: Float32,
) -> None:  # fmt: skip
    """`a` and `b`: x, y, depth and world direction (3) at both ends."""
    pixel = frame[2]
    widest = max(radii[0], radii[1], THINNEST_PX * pixel) + pixel
    x0, x1 = (
        int((min(a[0], b[0]) - widest - frame[0]) / pixel),
        int((max(a[0], b[0]) + widest - frame[0]) / pixel) + 2,
    )
    y0, y1 = (
        int((min(a[1], b[1]) - widest - frame[1]) / pixel),
        int((max(a[1], b[1]) + widest - frame[1]) / pixel) + 2,
    )
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.sqrt(dx * dx + dy * dy) + 1e-12
    for j in range(max(y0 - first, 0), min(y1 - first, rgba.shape[0])):
        for i in range(max(x0, 0), min(x1, rgba.shape[1])):
            px, py = frame[0] + i * pixel - a[0], frame[1] + (first + j) * pixel - a[1]
            t = (px * dx + py * dy) / (length * length)
            if t < -0.5 * pixel / length or t > 1.0 + 0.5 * pixel / length:
                continue
            t = min(max(t, 0.0), 1.0)
            side = (px * dy - py * dx) / length
            half = radii[0] + t * (radii[1] - radii[0])
            drawn = max(half, THINNEST_PX * pixel)
            cover = min(max((drawn - abs(side)) / pixel + 0.5, 0.0), 1.0) * min(half / drawn, 1.0)
            if cover <= 0.0:
                continue
            across = min(max(side / drawn, -1.0), 1.0)
            glow = _glow(line, a[3], a[4], a[5], across, start + t * length)
            put(
                rgba[j],
                depth[j],
                i,
                line[0] * glow,
                line[1] * glow,
                line[2] * glow,
                cover,
                a[2] + t * (b[2] - a[2]),
            )


@kernel
def draw_strands(
    points: Floats, lines: Floats, basis: Floats, frame: Floats, first: int, rgba: Float32, depth: Float32
) -> None:
    """Draw lines through world points (n, m, 3) into a band of rows.

    `lines` (n, 7): red, green, blue, gloss, turns of a rope per unit (0: smooth), radius at the first and at the last point.
    """
    count = points.shape[1]
    seen = np.empty((count, 6))
    for n in range(len(points)):
        for k in range(count):
            for a in range(3):
                seen[k, a] = (
                    points[n, k, 0] * basis[a, 0]
                    + points[n, k, 1] * basis[a, 1]
                    + points[n, k, 2] * basis[a, 2]
                )
        for k in range(count - 1):
            size = 0.0
            for a in range(3):
                seen[k, 3 + a] = points[n, k + 1, a] - points[n, k, a]
                size += seen[k, 3 + a] ** 2
            for a in range(3):
                seen[k, 3 + a] /= math.sqrt(size) + 1e-12
        along = 0.0
        for k in range(count - 1):
            thin = lines[n, 6] - lines[n, 5]
            radii = (lines[n, 5] + thin * k / (count - 1), lines[n, 5] + thin * (k + 1) / (count - 1))
            _segment(seen[k], seen[k + 1], lines[n], radii, along, frame, first, rgba, depth)
            along += math.sqrt((seen[k + 1, 0] - seen[k, 0]) ** 2 + (seen[k + 1, 1] - seen[k, 1]) ** 2)
