"""How a scene is kept: surface layers from far to near, each whole behind the ones in front of it.

A layer is premultiplied linear RGB and alpha on a canvas a little larger than the picture, with a smooth height. It is
stored as tiles, so that a thin wire across the picture costs little, and as a pyramid of box-reduced levels, which the
renderer takes for large blur. Values are coded as `round(sqrt(value) * 8192)` in 16 bits: white (1) is exact, the
brightest glint is 64 times white, and a step in the shadows is far below what 8 bits can show.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import kernel, over_rows

TILE = 32
LEVELS = 6
ONE = 8192.0
"""Code of the value 1."""
BRIGHTEST = 63.9
MARGIN_SHARE = 0.05
"""Canvas beyond each edge of the picture, as a share of its longer side; beyond the canvas its edge is repeated."""
HEIGHT_NODES = 256
"""The height is kept on a grid of at least about this many nodes across the picture."""

EMPTY, PARTIAL, OPAQUE = 0, 1, 2

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where the pixels of a layer are: canvas pixel = picture pixel + margin."""

    width: int
    """Of the picture."""
    height: int
    margin: int
    columns: int
    """Of the canvas: a multiple of 32, so that every level of the pyramid halves exactly."""
    rows: int
    grid_px: int
    """Distance of two height nodes; node i lies at canvas coordinate (i + 1/2) grid_px - 1/2."""

    @classmethod
    def of(cls, width: int, height: int) -> Canvas:
        """The canvas for pictures of this size. Raises `ValueError` below 16 x 16 pixels."""
        if min(width, height) < 16:
            raise ValueError(f"a scene has at least 16 x 16 pixels, not {width} x {height}")
        margin = max(8, 8 * round(MARGIN_SHARE * max(width, height) / 8))
        grid = 1 << max(0, min(4, (width // HEIGHT_NODES).bit_length() - 1))
        return cls(width, height, margin, _up_to_32(width + 2 * margin), _up_to_32(height + 2 * margin), grid)

    @property
    def unit(self) -> float:
        """Pixels of the scene's unit of length: the width of the largest 4:3 picture inside this one."""
        return min(float(self.width), self.height * 4.0 / 3.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """A subject, ready to be photographed. Depths are rail positions in micrometres."""

    name: str
    width: int
    height: int
    near_um: float
    far_um: float
    canvas: Canvas
    pool: NDArray[np.uint16]
    """(tiles, TILE, TILE, 4): coded premultiplied RGBA."""
    index: NDArray[np.int32]
    """(layers, LEVELS, tile rows, tile columns): where in the pool a tile is, -1 where there is nothing."""
    kinds: NDArray[np.uint8]
    """(layers, tile rows, tile columns) at level 0: EMPTY, PARTIAL or OPAQUE."""
    heights: Float32
    """(layers, grid rows, grid columns): depth in micrometres."""

    @property
    def layers(self) -> int:
        """How many, the first the farthest."""
        return len(self.heights)

    def depth_limits(self) -> NDArray[np.float64]:
        """(layers, 2): least and greatest height of each."""
        flat = self.heights.reshape(len(self.heights), -1)
        return np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1).astype(np.float64)


def _up_to_32(size: int) -> int:
    return -(-size // 32) * 32


@kernel
def _classify(rgba: Float32, kinds: NDArray[np.uint8], first: int, last: int) -> None:
    rows, columns = rgba.shape[0], rgba.shape[1]
    for ty in range(first, last):
        for tx in range(kinds.shape[1]):
            low, high = np.float32(9.0), np.float32(0.0)
            for y in range(ty * TILE, min((ty + 1) * TILE, rows)):
                for x in range(tx * TILE, min((tx + 1) * TILE, columns)):
                    low = min(low, rgba[y, x, 3])
                    high = max(high, rgba[y, x, 0], rgba[y, x, 1], rgba[y, x, 2], rgba[y, x, 3])
            kinds[ty, tx] = EMPTY if high <= 0.0 else (OPAQUE if low >= 1.0 else PARTIAL)


@kernel
def _encode(
    rgba: Float32, places: NDArray[np.int64], pool: NDArray[np.uint16], first: int, last: int
) -> None:
    rows, columns = rgba.shape[0], rgba.shape[1]
    for n in range(first, last):
        ty, tx = places[n, 0], places[n, 1]
        for j in range(TILE):
            source = rgba[min(ty * TILE + j, rows - 1)]
            target = pool[n, j]
            for i in range(TILE):
                x = min(tx * TILE + i, columns - 1)
                for c in range(4):
                    value = min(max(source[x, c], np.float32(0.0)), np.float32(BRIGHTEST))
                    target[i, c] = np.uint16(np.sqrt(value) * np.float32(ONE) + np.float32(0.5))


@kernel
def _halve(fine: Float32, coarse: Float32, first: int, last: int) -> None:
    for y in range(first, last):
        above, below, out = fine[2 * y], fine[2 * y + 1], coarse[y]
        for x in range(out.shape[0]):
            for c in range(4):
                out[x, c] = np.float32(0.25) * (
                    above[2 * x, c] + above[2 * x + 1, c] + below[2 * x, c] + below[2 * x + 1, c]
                )


@kernel
def _gather_heights(
    rgba: Float32, depth: Float32, grid: int, weight: Float32, total: Float32, first: int, last: int
) -> None:
    for gy in range(first, last):
        for gx in range(weight.shape[1]):
            w, t = 0.0, 0.0
            for y in range(gy * grid, (gy + 1) * grid):
                for x in range(gx * grid, (gx + 1) * grid):
                    w += rgba[y, x, 3]
                    t += rgba[y, x, 3] * depth[y, x]
            weight[gy, gx] = w
            total[gy, gx] = t


def spread_heights(weight: Float32, total: Float32) -> Float32:
    """Depth on the grid: the weighted mean where there is surface, carried on smoothly where there is none.

    Pull and push: averages at ever coarser grids fill the holes of the finer ones.
    """
    known = weight > 0
    here = np.divide(total, weight, out=np.zeros_like(total), where=known)
    if known.all() or min(weight.shape) < 2:
        return here
    pad = ((0, weight.shape[0] % 2), (0, weight.shape[1] % 2))
    w, t = np.pad(np.minimum(weight, 1.0), pad), np.pad(here * np.minimum(weight, 1.0), pad)
    shape = (w.shape[0] // 2, 2, w.shape[1] // 2, 2)
    coarse = spread_heights(w.reshape(shape).sum(axis=(1, 3)), t.reshape(shape).sum(axis=(1, 3)))
    filled = cv2.resize(coarse, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(known, here, filled[: here.shape[0], : here.shape[1]]).astype(np.float32)


class LayerStack:
    """Collects painted layers, from far to near, into a `Scene`."""

    def __init__(self, canvas: Canvas, oversample: int = 1, threads: int = 2) -> None:
        self.canvas = canvas
        self.oversample = oversample
        self.threads = threads
        self._tiles = (-(-canvas.rows // TILE), -(-canvas.columns // TILE))
        self._pool: list[NDArray[np.uint16]] = []
        self._count = 0
        self._index: list[NDArray[np.int32]] = []
        self._kinds: list[NDArray[np.uint8]] = []
        self._heights: list[Float32] = []

    def add(self, rgba: Float32, depth: Float32) -> None:
        """Put a layer in front of those there are.

        `rgba` (oversample rows, oversample columns, 4) premultiplied linear light, `depth` (the same rows and columns) in any unit, larger is farther; it
        counts where alpha is above zero. Both are float32 and are read, not kept.
        """
        grid = self.canvas.grid_px
        shape = (self.canvas.rows // grid, self.canvas.columns // grid)
        weight, total = np.empty(shape, np.float32), np.empty(shape, np.float32)
        fine = grid * self.oversample
        over_rows(
            lambda a, b: _gather_heights(rgba, depth, fine, weight, total, a, b), shape[0], 32, self.threads
        )
        self._heights.append(spread_heights(weight, total))
        index = np.full((LEVELS, *self._tiles), -1, np.int32)
        for _ in range(self.oversample.bit_length() - 1):
            rgba = self._halved(rgba)
        for level in range(LEVELS):
            rgba = self._halved(rgba) if level else rgba
            kinds = self._store(rgba, index[level])
            if level == 0:
                self._kinds.append(kinds)
        self._index.append(index)

    def _halved(self, rgba: Float32) -> Float32:
        coarse = np.empty((rgba.shape[0] // 2, rgba.shape[1] // 2, 4), np.float32)
        over_rows(lambda a, b: _halve(rgba, coarse, a, b), len(coarse), 64, self.threads)
        return coarse

    def _store(self, rgba: Float32, index: NDArray[np.int32]) -> NDArray[np.uint8]:
        tiles = (-(-rgba.shape[0] // TILE), -(-rgba.shape[1] // TILE))
        kinds = np.zeros(tiles, np.uint8)
        over_rows(lambda a, b: _classify(rgba, kinds, a, b), tiles[0], 1, self.threads)
        places = np.argwhere(kinds != EMPTY)
        pool = np.empty((len(places), TILE, TILE, 4), np.uint16)
        over_rows(lambda a, b: _encode(rgba, places, pool, a, b), len(places), 64, self.threads)
        index[places[:, 0], places[:, 1]] = self._count + np.arange(len(places))
        self._pool.append(pool)
        self._count += len(places)
        return kinds

    def finish(self, name: str, near_um: float, far_um: float) -> Scene:
        """The scene, its heights still in the unit they were painted in."""
        pool = np.empty((self._count, TILE, TILE, 4), np.uint16)
        at = 0
        while self._pool:
            part = self._pool.pop(0)
            pool[at : at + len(part)] = part
            at += len(part)
        return Scene(
            name, self.canvas.width, self.canvas.height, near_um, far_um, self.canvas, pool,
            np.stack(self._index), np.stack(self._kinds), np.stack(self._heights),
        )  # fmt: skip
