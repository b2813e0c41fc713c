"""Blurring a patch with a disc whose radius changes from pixel to pixel, and doubling a patch that was blurred at half size.

The disc has an edge one pixel soft: the tap at distance d weighs clip(R - d + 1/2, 0, 1). R is chosen such that the second
moment of the taps is that of the true disc, radius^2 / 4 an axis, so that blur grows smoothly from nothing even far below
one pixel, as sub-frame depth needs. The taps are divided by their sum: a flat surface stays flat.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel

LARGEST_TABLED_PX = 11.0
RADIUS_STEPS = 128
"""Steps of the tables in a pixel of radius."""

Float32 = NDArray[np.float32]


def _tables() -> tuple[Float32, Float32]:
    """Soft radius R, and one over the sum of the taps, by true radius."""
    reach = int(LARGEST_TABLED_PX) + 2
    axis = np.arange(-reach, reach + 1)
    dx, dy = np.meshgrid(axis, axis)
    distance = np.hypot(dx, dy).ravel()
    soft = np.arange(0.5, LARGEST_TABLED_PX + 0.5, 1 / 256)
    weights = np.clip(soft[:, None] - distance + 0.5, 0.0, 1.0)
    moment = (weights * (dx.ravel() ** 2)).sum(axis=1) / weights.sum(axis=1)
    radii = np.arange(0, LARGEST_TABLED_PX + 2 / RADIUS_STEPS, 1 / RADIUS_STEPS)
    of_radius = np.interp(radii, np.maximum.accumulate(2.0 * np.sqrt(moment)), soft)
    sums = np.clip(of_radius[:, None] - distance + 0.5, 0.0, 1.0).sum(axis=1)
    return of_radius.astype(np.float32), (1.0 / sums).astype(np.float32)


def _taps() -> tuple[NDArray[np.int64], Float32]:
    """(dx, dy) of one quadrant and their distance, nearest first."""
    reach = int(LARGEST_TABLED_PX) + 1
    taps = sorted((float(np.hypot(x, y)), x, y) for x in range(reach + 1) for y in range(reach + 1))
    return np.array([(x, y) for _, x, y in taps]), np.array([d for d, _, _ in taps], np.float32)


SOFT_RADIUS, INVERSE_SUM = _tables()
TAPS, TAP_DISTANCES = _taps()


@helper
def _add_four(
    acc: Float32, soft: Float32, a: Float32, b: Float32, c: Float32, d: Float32, limit: float
) -> None:
    for i in range(acc.size):
        weight = min(max(soft[i] - limit, np.float32(0.0)), np.float32(1.0))
        acc[i] += weight * ((a[i] + b[i]) + (c[i] + d[i]))


@helper
def _add_two(acc: Float32, soft: Float32, a: Float32, b: Float32, limit: float) -> None:
    for i in range(acc.size):
        weight = min(max(soft[i] - limit, np.float32(0.0)), np.float32(1.0))
        acc[i] += weight * (a[i] + b[i])


@helper
def _add_one(acc: Float32, soft: Float32, a: Float32, limit: float) -> None:
    for i in range(acc.size):
        weight = min(max(soft[i] - limit, np.float32(0.0)), np.float32(1.0))
        acc[i] += weight * a[i]


@helper
def _add_taps(acc: Float32, soft: Float32, source: Float32, row: int, column: int, largest: float) -> None:
    """All taps within the largest soft radius of the row, mirrored ones together."""
    n = acc.size
    for t in range(len(TAPS)):
        limit = TAP_DISTANCES[t] - np.float32(0.5)
        if limit >= largest:
            return
        dx, dy = 4 * TAPS[t, 0], TAPS[t, 1]
        above, below = source[row - dy], source[row + dy]
        left, right = column - dx, column + dx
        if dx and dy:
            _add_four(
                acc, soft, above[left : left + n], above[right : right + n], below[left : left + n],
                below[right : right + n], limit,
            )  # fmt: skip
        elif dx:
            _add_two(acc, soft, above[left : left + n], above[right : right + n], limit)
        elif dy:
            _add_two(acc, soft, above[left : left + n], below[left : left + n], limit)
        else:
            _add_one(acc, soft, above[left : left + n], limit)


@kernel
def blur_patch(source: Float32, reach: int, radius: Float32, out: Float32, width: int, height: int) -> None:
    """Blur the interleaved patch `source`, which reaches `reach` pixels beyond `out` on all sides, into planes `out[c, y, x]`.

    `radius[y, x]` is the true radius in pixels, at most `LARGEST_TABLED_PX`. All arrays may be larger than the patch.
    """
    acc = np.empty(4 * width, np.float32)
    soft = np.empty(4 * width, np.float32)
    inverse = np.empty(width, np.float32)
    for y in range(height):
        largest = np.float32(0.0)
        row = radius[y]
        for x in range(width):
            place = min(int(row[x] * RADIUS_STEPS + np.float32(0.5)), len(SOFT_RADIUS) - 1)
            value = SOFT_RADIUS[place]
            largest = max(largest, value)
            inverse[x] = INVERSE_SUM[place]
            for c in range(4):
                soft[4 * x + c] = value
        acc[:] = 0.0
        _add_taps(acc, soft, source, y + reach, 4 * reach, largest)
        for c in range(4):
            plane = out[c, y]
            for x in range(width):
                plane[x] = acc[4 * x + c] * inverse[x]


@kernel
def separate(source: Float32, out: Float32, width: int, height: int) -> None:
    """Interleaved patch to planes."""
    for y in range(height):
        line = source[y]
        for c in range(4):
            plane = out[c, y]
            for x in range(width):
                plane[x] = line[4 * x + c]


@helper
def _mix(out: Float32, a: Float32, b: Float32, c: Float32, d: Float32, mirrored: bool) -> None:
    """Cubic (Catmull-Rom) at a quarter of the way: it keeps the second moment, so doubling adds no blur of its own."""
    outer, strong, weak, tail = (
        np.float32(-0.0703125),
        np.float32(0.8671875),
        np.float32(0.2265625),
        np.float32(-0.0234375),
    )
    if mirrored:
        outer, strong, weak, tail = tail, weak, strong, outer
    for i in range(out.size):
        out[i] = outer * a[i] + strong * b[i] + weak * c[i] + tail * d[i]


@helper
def _widen(out: Float32, source: Float32, count: int) -> None:
    """Along a row: `source[2:]` doubled."""
    outer, strong, weak, tail = (
        np.float32(-0.0703125),
        np.float32(0.8671875),
        np.float32(0.2265625),
        np.float32(-0.0234375),
    )
    for i in range(count):
        a, b, c, d, e = source[i], source[i + 1], source[i + 2], source[i + 3], source[i + 4]
        out[2 * i] = tail * a + weak * b + strong * c + outer * d
        out[2 * i + 1] = outer * b + strong * c + weak * d + tail * e


@kernel
def double(coarse: Float32, off_x: int, off_y: int, fine: Float32, width: int, height: int) -> None:
    """Twice the size: fine pixels 2k and 2k + 1 lie a quarter to either side of coarse pixel `k + off`; sizes are even."""
    half = width // 2
    line = np.empty(half + 4, np.float32)
    for c in range(4):
        plane = coarse[c]
        for y in range(height):
            k = y // 2 + off_y
            left, right = off_x - 2, off_x + half + 2
            if y % 2 == 0:
                _mix(line, plane[k - 2, left:right], plane[k - 1, left:right], plane[k, left:right],
                     plane[k + 1, left:right], True)  # fmt: skip
            else:
                _mix(line, plane[k - 1, left:right], plane[k, left:right], plane[k + 1, left:right],
                     plane[k + 2, left:right], False)  # fmt: skip
            _widen(fine[c, y], line, half)
