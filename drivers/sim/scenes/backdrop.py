"""Bark under the insect: deep furrows, fine grain, lichen."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import kernel
from drivers.sim.scenes.noise import fbm, fill_fbm
from drivers.sim.scenes.painter import Painter
from drivers.sim.scenes.solids import lit
from drivers.sim.scenes.studio import KEY, diffuse

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@kernel
def _shadows(
    solids: Floats, level: float, basis: Floats, frame: Floats, step: int, light: Floats, out: Float32
) -> None:
    """How much of the key light reaches a level plane past the solids, on a coarse grid of canvas pixels."""
    for j in range(out.shape[0]):
        y = frame[1] + (j + 0.5) * step * frame[2]
        t = (level - y * basis[1, 1]) / basis[2, 1]
        z = y * basis[1, 2] + t * basis[2, 2]
        for i in range(out.shape[1]):
            x = frame[0] + (i + 0.5) * step * frame[2]
            seen = 1.0
            for n in range(len(solids)):
                seen = min(seen, lit(solids[n], x, level, z, light[0], light[1], light[2], 0.16))
            out[j, i] = seen


def cast_shadows(painter: Painter, level: float, blockers: list[Floats]) -> Float32:
    """Share of the key light (rows, columns) on the plane y = level, with the solids in its way."""
    solids = np.zeros((len(blockers), max(map(len, blockers))))
    for row, blocker in zip(solids, blockers, strict=True):
        row[: len(blocker)] = blocker
    step = max(2, round(0.004 / painter.pixel))
    coarse = np.empty((-(-painter.rows // step), -(-painter.columns // step)), np.float32)
    _shadows(solids, level, painter.basis, painter.frame, step, np.array(KEY), coarse)
    size = (coarse.shape[1] * step, coarse.shape[0] * step)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)[: painter.rows, : painter.columns]


def plane_depth(painter: Painter, level: float, rows: NDArray[np.int64]) -> Floats:
    """Where lines of sight of these canvas rows meet the plane y = level."""
    y = painter.frame[1] + rows * painter.pixel
    return np.asarray((level - y * painter.basis[1, 1]) / painter.basis[2, 1])


def table_stretch(basis: Floats) -> float:
    """Distance on a level plane per distance down the picture."""
    return float(basis[1, 2] - basis[1, 1] / basis[2, 1] * basis[2, 2])


@kernel
def _bark(relief: Float32, mottle: Float32, shadow: Float32, slope: float, rgba: Float32) -> None:
    """`relief` has one row more than `rgba` above and below."""
    for j in range(rgba.shape[0]):
        for i in range(rgba.shape[1]):
            left, right = max(i - 1, 0), min(i + 1, rgba.shape[1] - 1)
            dx = (relief[j + 1, right] - relief[j + 1, left]) * slope
            dz = (relief[j, i] - relief[j + 2, i]) * slope
            size = 1.0 / math.sqrt(1.0 + dx * dx + dz * dz)
            height = relief[j + 1, i]
            light = diffuse(-dx * size, size, -dz * size, shadow[j, i]) * min(
                max(0.75 + 0.45 * height, 0.12), 1.3
            )
            lichen = min(max(2.6 * mottle[j, i] - 0.95 + 0.5 * height, 0.0), 1.0)
            body = 0.105 * (1.0 + 0.45 * height)
            rgba[j, i, 0] = max(body * (1.00 + 0.55 * lichen), 0.004) * light
            rgba[j, i, 1] = max(body * (0.70 + 0.98 * lichen), 0.004) * light
            rgba[j, i, 2] = max(body * (0.48 + 0.72 * lichen), 0.004) * light
            rgba[j, i, 3] = 1.0


@kernel
def _furrows(relief: Float32, x0: float, y0: float, pitch_x: float, pitch_y: float) -> None:
    """Cracks between long plates, added to a relief."""
    for j in range(relief.shape[0]):
        for i in range(relief.shape[1]):
            x, y = x0 + i * pitch_x, y0 + j * pitch_y
            a = 0.80 * x + 0.60 * y
            b = 0.80 * y - 0.60 * x
            wave = fbm(1.6 * a, 6.5 * b, 5, 0.55, 71)
            relief[j, i] += 0.55 - 1.5 * math.exp(-abs(wave) * 7.0)


def paint_backdrop(painter: Painter, level: float, blockers: list[Floats], seed: int) -> None:
    """Paint the bark as one layer and hand it over."""
    shadow = cast_shadows(painter, level, blockers)
    stretch, pixel, frame = table_stretch(painter.basis), painter.pixel, painter.frame
    base, octaves = 9.0, painter.octaves(9.0)

    def work(first: int, last: int) -> None:
        y = frame[1] + (first - 1) * pixel
        relief = np.empty((last - first + 2, painter.columns), np.float32)
        fill_fbm(relief, base * frame[0] + 50, base * y * stretch + 50, base * pixel, base * pixel * stretch,
                 octaves, 0.70, seed)  # fmt: skip
        relief *= 0.75
        _furrows(relief, frame[0] + 9, y * stretch + 9, pixel, pixel * stretch)
        mottle = np.empty((last - first, painter.columns), np.float32)
        fill_fbm(
            mottle,
            3 * frame[0] + 50,
            3 * (y + pixel) * stretch + 50,
            3 * pixel,
            3 * pixel * stretch,
            7,
            0.6,
            seed + 7000,
        )
        painter.depth[first:last] = plane_depth(painter, level, np.arange(first, last))[:, None]
        _bark(relief, mottle, shadow[first:last], 0.0048 / pixel, painter.rgba[first:last])

    painter.bands(work)
    painter.done()
