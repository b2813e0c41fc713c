"""Each cell of a stack as one chosen frame shows it, collected while the frames come by. Only what is wanted of a frame is resampled."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels, as_pixels, in_cells, reduced_matrix
from stackcore.methods import Setting
from stackcore.methods._blend import evened
from stackcore.methods._focus_levels import cell_px
from stackcore.methods._rows import Bands

_TILE = 32
"""Cells along a side of what is resampled at once. Small, because what is wanted lies along the edges of things."""

_REACH = 2
"""Cells beyond the outermost sampled place that bilinear interpolation may touch, rounding included."""

_Tile = tuple[slice, slice]


class View:
    """Each cell as one given frame shows it."""

    def __init__(self, place: npt.NDArray[np.int16], setting: Setting, bands: Bands) -> None:
        """`place` is the frame of each cell, -1 where none is wanted."""
        self._place = place
        self._cell = cell_px(setting.height, setting.width)
        self._bands = bands
        shape = place.shape if setting.channels == 1 else (*place.shape, 3)
        self.picture = np.zeros(shape, np.dtype(setting.dtype))
        self._wanted: dict[int, list[_Tile]] = {}
        for row in range(0, place.shape[0], _TILE):
            for column in range(0, place.shape[1], _TILE):
                tile = (slice(row, row + _TILE), slice(column, column + _TILE))
                for wanted in set(place[tile].ravel().tolist()) - {-1}:
                    self._wanted.setdefault(wanted, []).append(tile)

    def add(self, frame: AlignedFrame, place: int) -> None:
        """Take what is wanted of a frame, the `place`-th of the stack."""
        tiles = self._wanted.get(place, [])

        def work(first: int, end: int) -> None:
            for tile in tiles[first:end]:
                mask = self._place[tile] == place
                shown = evened(self._shown(frame, tile, mask.shape), frame)
                np.copyto(self.picture[tile], shown, where=mask if shown.ndim == 2 else mask[..., None])

        self._bands.run(len(tiles), work, 8)

    def _shown(self, frame: AlignedFrame, tile: _Tile, shape: tuple[int, ...]) -> Pixels:
        """A part of a frame in cells, resampled."""
        cell, (top, left) = self._cell, (side.start for side in tile)
        height, width = shape
        if not frame.moved:
            return in_cells(
                frame.pixels[cell * top : cell * (top + height), cell * left : cell * (left + width)], cell
            )
        matrix = reduced_matrix(frame.matrix, cell)
        matrix[:, 2] += matrix[:, :2] @ (left, top)
        corners = matrix[:, :2] @ ((0, width, 0, width), (0, 0, height, height)) + matrix[:, 2:]
        rows, columns = max(1, frame.shape[0] // cell), max(1, frame.shape[1] // cell)
        low = np.floor(corners.min(axis=1)).astype(int) - _REACH
        high = np.ceil(corners.max(axis=1)).astype(int) + _REACH + 1
        x0, y0 = np.clip(low, 0, (columns - 1, rows - 1)).tolist()
        x1, y1 = np.clip(high, (x0 + 1, y0 + 1), (columns, rows)).tolist()
        source = in_cells(frame.pixels[cell * y0 : cell * y1, cell * x0 : cell * x1], cell)
        matrix[:, 2] -= (x0, y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return as_pixels(
            cv2.warpAffine(source, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        )
