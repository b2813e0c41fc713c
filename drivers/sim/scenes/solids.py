"""Solid shapes as signed distances, and the tracer that finds them along parallel lines of sight.

Lengths are in scene units (the width of a 4:3 picture). The tracer marches along each line by the distance to the surface
(sphere tracing); a line that misses by less than a pixel is covered in part, which smooths outlines.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel

BAND, PEDESTAL, CONES, ELLIPSOIDS = range(4)
"""Kinds of solid: the first number of its parameters."""
COVER, DEPTH, NORMAL_X, NORMAL_Y, NORMAL_Z = range(5)
"""What the tracer leaves for each pixel."""
SKIP = 32

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@helper
def _band(s: Floats, x: float, y: float, z: float) -> float:
    """A finger ring. s: kind, centre, axis, up, radius, half width, half thickness, rounding, floor."""
    dx, dy, dz = x - s[1], y - s[2], z - s[3]
    axial = dx * s[4] + dy * s[5] + dz * s[6]
    up = dx * s[7] + dy * s[8] + dz * s[9]
    flat = math.sqrt(max(dx * dx + dy * dy + dz * dz - axial * axial, 0.0))
    shoulder = max(up, 0.0) / s[10]
    wide = s[11] * (1.0 + 0.55 * shoulder * shoulder * shoulder)
    # The outside is domed: the farther from the middle of the band, the thinner it is.
    dome = 0.35 * s[12] * min(1.0, (axial / wide) ** 2)
    a = abs(axial) - wide + s[13]
    b = abs(flat - s[10]) - s[12] + s[13] + dome * (1.0 if flat > s[10] else 0.0)
    shape = math.sqrt(max(a, 0.0) ** 2 + max(b, 0.0) ** 2) + min(max(a, b), 0.0) - s[13]
    return max(shape, s[14] - y)


@helper
def _pedestal(s: Floats, x: float, y: float, z: float) -> float:
    """A round stand with a slot. s: kind, centre x, top y, centre z, radius, height, rounding, slot axis x and z, slot width."""
    dx, dz = x - s[1], z - s[3]
    flat = math.sqrt(dx * dx + dz * dz) - s[4] + s[6]
    tall = abs(y - s[2] + 0.5 * s[5]) - 0.5 * s[5] + s[6]
    body = math.sqrt(max(flat, 0.0) ** 2 + max(tall, 0.0) ** 2) + min(max(flat, tall), 0.0) - s[6]
    slot = max(abs(dx * s[7] + dz * s[8]) - s[9], s[2] - 0.035 - y)
    return max(body, -slot)


@helper
def _cone(s: Floats, k: int, x: float, y: float, z: float) -> float:
    """A limb: two points and the radius at each."""
    ax, ay, az = x - s[k], y - s[k + 1], z - s[k + 2]
    bx, by, bz = s[k + 4] - s[k], s[k + 5] - s[k + 1], s[k + 6] - s[k + 2]
    t = min(max((ax * bx + ay * by + az * bz) / (bx * bx + by * by + bz * bz), 0.0), 1.0)
    dx, dy, dz = ax - t * bx, ay - t * by, az - t * bz
    return math.sqrt(dx * dx + dy * dy + dz * dz) - (s[k + 3] + t * (s[k + 7] - s[k + 3]))


@helper
def _ellipsoid(s: Floats, k: int, x: float, y: float, z: float) -> float:
    """Centre, three half axes, and three rows of a rotation; near the surface the bound is close to the distance."""
    dx, dy, dz = x - s[k], y - s[k + 1], z - s[k + 2]
    a = (dx * s[k + 6] + dy * s[k + 7] + dz * s[k + 8]) / s[k + 3]
    b = (dx * s[k + 9] + dy * s[k + 10] + dz * s[k + 11]) / s[k + 4]
    c = (dx * s[k + 12] + dy * s[k + 13] + dz * s[k + 14]) / s[k + 5]
    outer = math.sqrt(a * a + b * b + c * c)
    a, b, c = a / s[k + 3], b / s[k + 4], c / s[k + 5]
    return outer * (outer - 1.0) / max(math.sqrt(a * a + b * b + c * c), 1e-9)


@helper
def _blend(a: float, b: float, k: float) -> float:
    """The smaller, with the crease filled over a length k."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - 0.25 * h * h * k


@kernel
def distance(s: Floats, x: float, y: float, z: float) -> float:
    """From a point to the surface of a solid; negative inside. Lists: kind, count, crease, then the members."""
    kind = int(s[0])
    if kind == BAND:
        return _band(s, x, y, z)
    if kind == PEDESTAL:
        return _pedestal(s, x, y, z)
    nearest = 1e3
    for n in range(int(s[1])):
        if kind == CONES:
            nearest = _blend(nearest, _cone(s, 3 + 8 * n, x, y, z), s[2])
        else:
            nearest = _blend(nearest, _ellipsoid(s, 3 + 15 * n, x, y, z), s[2])
    return nearest


@helper
def _march(
    s: Floats, basis: Floats, x: float, y: float, start: float, end: float, near: float
) -> tuple[float, float]:
    """Smallest distance along a line of sight, and where: 0 or less is a hit."""
    t, best, where = start, 1e9, start
    for _ in range(160):
        d = distance(
            s, x * basis[0, 0] + y * basis[1, 0] + t * basis[2, 0], x * basis[0, 1] + y * basis[1, 1] + t * basis[2, 1],
            x * basis[0, 2] + y * basis[1, 2] + t * basis[2, 2],
        )  # fmt: skip
        if d < best:
            best, where = d, t
        if d < near:
            return 0.0, t
        t += 0.85 * d
        if t > end:
            break
    return best, where


@helper
def _normal(s: Floats, x: float, y: float, z: float, h: float, out: Float32) -> None:
    """Four distances at the corners of a tetrahedron give the gradient."""
    a = distance(s, x + h, y - h, z - h)
    b = distance(s, x - h, y - h, z + h)
    c = distance(s, x - h, y + h, z - h)
    d = distance(s, x + h, y + h, z + h)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    size = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
    out[NORMAL_X], out[NORMAL_Y], out[NORMAL_Z] = nx / size, ny / size, nz / size


@kernel
def trace_rows(s: Floats, basis: Floats, frame: Floats, first: int, hits: Float32) -> None:
    """What parallel lines of sight meet. `hits` (rows, columns, 5) is overwritten for canvas rows from `first` on.

    `basis` rows: right, down, away. `frame`: x and y of canvas pixel (0, 0), pixel size, start and end along the view.
    Squares of the canvas whose middle line passes far enough from the solid are skipped whole.
    """
    rows, columns = hits.shape[0], hits.shape[1]
    pixel = frame[2]
    hits[:] = 0.0
    for y0 in range(0, rows, SKIP):
        for x0 in range(0, columns, SKIP):
            x, y = frame[0] + (x0 + SKIP / 2) * pixel, frame[1] + (first + y0 + SKIP / 2) * pixel
            if _march(s, basis, x, y, frame[3], frame[4], SKIP * pixel)[0] > 0.75 * SKIP * pixel:
                continue
            for j in range(y0, min(y0 + SKIP, rows)):
                for i in range(x0, min(x0 + SKIP, columns)):
                    _trace_pixel(
                        s, basis, frame, frame[0] + i * pixel, frame[1] + (first + j) * pixel, hits[j, i]
                    )


@helper
def _trace_pixel(s: Floats, basis: Floats, frame: Floats, x: float, y: float, out: Float32) -> None:
    pixel = frame[2]
    miss, t = _march(s, basis, x, y, frame[3], frame[4], 0.05 * pixel)
    cover = min(max(1.0 - miss / pixel, 0.0), 1.0)
    if cover <= 0.0:
        return
    out[COVER], out[DEPTH] = cover, t
    _normal(
        s, x * basis[0, 0] + y * basis[1, 0] + t * basis[2, 0], x * basis[0, 1] + y * basis[1, 1] + t * basis[2, 1],
        x * basis[0, 2] + y * basis[1, 2] + t * basis[2, 2], 0.5 * pixel, out,
    )  # fmt: skip


@kernel
def lit(s: Floats, x: float, y: float, z: float, lx: float, ly: float, lz: float, softness: float) -> float:
    """How much of a soft light in direction (lx, ly, lz) reaches a point past a solid, 0..1."""
    seen, t = 1.0, 0.004
    for _ in range(48):
        d = distance(s, x + t * lx, y + t * ly, z + t * lz)
        seen = min(seen, 0.5 + 0.5 * d / (softness * t))
        if seen <= 0.0 or t > 1.5:
            break
        t += max(0.8 * abs(d), 0.004)
    seen = max(seen, 0.0)
    return seen * seen * (3.0 - 2.0 * seen)
