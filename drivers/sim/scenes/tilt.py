"""A circuit board, tilted: one flat surface, depth growing evenly from the bottom row to the top row."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import kernel
from drivers.sim.scenes.board import COPPER, HOLE, PAD, PRINT, Board
from drivers.sim.scenes.noise import fbm, fill_fbm, noise
from drivers.sim.scenes.painter import Painter, looking_down
from drivers.sim.scenes.studio import diffuse, mirrored, studio

TILT = math.radians(38.0)

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@kernel
def _shade_board(
    masks: NDArray[np.uint8], relief: Float32, grain: Float32, basis: Floats, slope: float, pitch: float, first: int,
    rgba: Float32,
) -> None:  # fmt: skip
    """Solder mask over copper, tinned pads, white print, drilled holes. `relief` has one row more above and below."""
    for j in range(rgba.shape[0]):
        for i in range(rgba.shape[1]):
            left, right = max(i - 1, 0), min(i + 1, rgba.shape[1] - 1)
            g = grain[j, i]
            copper, pad = masks[COPPER, j, i] / 255.0, masks[PAD, j, i] / 255.0
            ink, hole = masks[PRINT, j, i] / 255.0, masks[HOLE, j, i] / 255.0
            wave = fbm(60.0 * i * pitch, 60.0 * (first + j) * pitch, 3, 0.6, 3)
            nx = (relief[j + 1, left] - relief[j + 1, right]) * slope + 0.035 * g + 0.05 * pad * wave
            nz = (relief[j + 2, i] - relief[j, i]) * slope + 0.035 * g - 0.05 * pad * wave
            size = 1.0 / math.sqrt(1.0 + nx * nx + nz * nz)
            nx, ny, nz = nx * size, size, nz * size
            light = diffuse(nx, ny, nz, 1.0)
            dx, dy, dz = mirrored(basis[2, 0], basis[2, 1], basis[2, 2], nx, ny, nz)
            sr, sg, sb = studio(dx, dy, dz)
            weave = 1.0 + 0.16 * math.sin(260.0 * i * pitch) * math.sin(260.0 * (first + j) * pitch)
            lacquer = (0.75 + 0.25 * weave) * (1.0 + 0.30 * g)
            red = (0.010 + 0.030 * copper) * lacquer * light + 0.035 * sr
            green = (0.085 + 0.115 * copper) * lacquer * light + 0.035 * sg
            blue = (0.034 + 0.030 * copper) * lacquer * light + 0.035 * sb
            tin = 0.20 * (1.0 + 0.7 * g) * light
            red += pad * (0.62 * sr + tin - red)
            green += pad * (0.58 * sg + 0.93 * tin - green)
            blue += pad * (0.50 * sb + 0.78 * tin - blue)
            paper = (
                0.62
                * (1.0 + 0.16 * g)
                * light
                * (0.85 + 0.15 * noise(900.0 * i * pitch, 900.0 * (first + j) * pitch, 5))
            )
            ink *= 1.0 - pad
            red, green, blue = (
                red + ink * (paper - red),
                green + ink * (paper - green),
                blue + ink * (0.94 * paper - blue),
            )
            dark = 1.0 - 0.96 * hole
            rgba[j, i, 0], rgba[j, i, 1], rgba[j, i, 2] = (
                max(red, 0.003) * dark,
                max(green, 0.003) * dark,
                max(blue, 0.003) * dark,
            )
            rgba[j, i, 3] = 1.0


def paint(width: int, height: int, seed: int) -> Painter:
    """One layer: the board."""
    random = np.random.default_rng(seed)
    painter = Painter(width, height, looking_down(math.pi / 2 - TILT), -1.0, 1.0)
    masks = Board(painter, int(random.integers(1 << 30))).draw()
    raised = np.maximum(masks[COPPER] // 2, masks[PAD] // 2)
    np.maximum(raised, masks[PRINT] // 3, out=raised)
    sigma = max(0.8 * painter.oversample, 0.0009 / painter.pixel)
    raised = cv2.GaussianBlur(raised, (0, 0), sigma)
    frame, pixel, base = painter.frame, painter.pixel, 11.0
    grain_seed, octaves = int(random.integers(1 << 30)), painter.octaves(base)

    def work(first: int, last: int) -> None:
        grain = np.empty((last - first, painter.columns), np.float32)
        y = frame[1] + first * pixel
        fill_fbm(
            grain, base * frame[0] + 50, base * y + 50, base * pixel, base * pixel, octaves, 0.82, grain_seed
        )
        rows = np.clip(np.arange(first - 1, last + 1), 0, painter.rows - 1)
        relief = raised[rows].astype(np.float32) / 255.0
        _shade_board(
            masks[:, first:last],
            relief,
            grain,
            painter.basis,
            0.0030 / pixel,
            pixel,
            first,
            painter.rgba[first:last],
        )
        # Row 0 of the picture is the far end, its last row the near end; both are met at pixel centres.
        row = (np.arange(first, last) + 0.5) / painter.oversample - 0.5 - painter.canvas.margin
        painter.depth[first:last] = 1.0 - (row / (height - 1))[:, None]

    painter.bands(work)
    painter.done()
    return painter
