"""How focus rose and fell in coarse tiles, at several scales: the evidence for whether a stack reached its ends.

Far out of focus the finest detail is gone and says nothing of the distance; coarser detail still does. So each tile keeps its
energy at the full scale and at four reduced ones. The memory is bounded: when `KEPT` frames are held, every second one is
dropped, and from then on only every second (fourth, ...) frame is kept, besides the newest.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore._frame_kernels import reduce_luma
from stackcore.scores import energy_of

KEPT = 64
TILES_LONG_SIDE = 48
LARGEST_LEVEL_PX = 800
LEVELS = 4
SMALLEST_LEVEL_PX = 16

Floats = npt.NDArray[np.float32]


class FocusHistory:
    """Tile energies of the frames of one stack.

    Attributes:
        tiles: how many tiles there are down and across.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        """For frames of `height` x `width` px with 1 or 3 channels."""
        self._channels = channels
        tile_px = max(4.0, max(height, width) / TILES_LONG_SIDE)
        self.tiles = (max(1, round(height / tile_px)), max(1, round(width / tile_px)))
        base = max(2, round(max(height, width) / LARGEST_LEVEL_PX))
        factors = [base << k for k in range(LEVELS)]
        self._factors = [f for f in factors if min(height, width) // f >= SMALLEST_LEVEL_PX]
        self._indices: list[int] = []
        self._kept: list[Floats] = []
        self._stride = 1
        self._frames = 0
        self._newest: tuple[int, Floats] | None = None

    def add(self, values: npt.NDArray[np.uint8], score: npt.NDArray[np.uint16], index: int) -> None:
        """Take a frame, (H, W * channels) uint8, and its focus scores, (H, W) uint16."""
        tiles = np.stack([self._full_scale(score), *self._reduced(values)])
        self._newest = (index, tiles)
        if self._frames % self._stride == 0:
            if len(self._kept) == KEPT:
                del self._kept[1::2], self._indices[1::2]
                self._stride *= 2
            if self._frames % self._stride == 0:
                self._kept.append(tiles)
                self._indices.append(index)
        self._frames += 1

    def energies(self) -> tuple[Floats, Floats]:
        """Frame indices (m,) and energies (m, levels, tiles), finest level first; m is at most `KEPT` + 1."""
        indices, kept = list(self._indices), list(self._kept)
        if self._newest is not None and (not indices or indices[-1] != self._newest[0]):
            indices.append(self._newest[0])
            kept.append(self._newest[1])
        levels = 1 + len(self._factors)
        if not kept:
            return np.zeros(0, np.float32), np.zeros((0, levels, self.tiles[0] * self.tiles[1]), np.float32)
        return np.asarray(indices, np.float32), np.stack(kept).reshape(len(kept), levels, -1)

    def _full_scale(self, score: npt.NDArray[np.uint16]) -> Floats:
        stride = 1 if score.size < 400_000 else 6
        return self._by_tile(energy_of(score[::stride, ::stride]))

    def _reduced(self, values: npt.NDArray[np.uint8]) -> list[Floats]:
        if not self._factors:
            return []
        height, width = values.shape[0], values.shape[1] // self._channels
        factor = self._factors[0]
        luma = np.empty((height // factor, width // factor), np.float32)
        reduce_luma(values, self._channels, factor, luma, np.empty(width // factor * factor, np.int32))
        tiles = []
        for level in range(len(self._factors)):
            if level:
                luma = cv2.resize(
                    luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA
                )
            tiles.append(self._by_tile(_squared_laplacian(luma)))
        return tiles

    def _by_tile(self, energy: Floats) -> Floats:
        rows, columns = self.tiles
        return np.asarray(cv2.resize(energy, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _squared_laplacian(luma: Floats) -> Floats:
    """Square of the modified Laplacian, as in `stackcore.merge`, in float."""
    p = cv2.copyMakeBorder(luma, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    twice = 2 * luma
    laplacian = np.abs(twice - p[1:-1, :-2] - p[1:-1, 2:])
    laplacian += np.abs(twice - p[:-2, 1:-1] - p[2:, 1:-1])
    return np.asarray(laplacian * laplacian, np.float32)
