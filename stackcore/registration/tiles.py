"""Small square pieces of a frame: where they are worth reading, and what they say when compared with another frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from stackcore.registration._matching_kernel import SUMS, match_tiles
from stackcore.registration._reading_kernels import reader
from stackcore.registration.reduced import DETAIL_CELL, Reduced
from stackcore.registration.similarity import Evidence, scaled

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Motion = npt.NDArray[np.float64]

MARGIN_PX = 4
"""A tile is looked for this far around the place where it is expected."""


@dataclass(frozen=True)
class Plane:
    """A picture that tiles are read from.

    Attributes:
        values: (H, W * channels).
        channels: 3 (RGB) or 1.
        unit: to multiply with, for values of 0..255.
        scale: how many pixels of the frame one of its pixels is wide.
    """

    values: npt.NDArray[np.generic]
    channels: int
    unit: float
    scale: int

    def read(self, corners: Integers, size: int) -> Floats:
        """(N, size, size) float32 luma from these first pixels (N, 2), x and y."""
        tiles = np.empty((len(corners), size, size), np.float32)
        reader(self.values.dtype)(self.values, self.channels, self.unit, corners, tiles)
        return tiles


@dataclass(frozen=True)
class Tiles:
    """Tiles of one picture.

    Attributes:
        pictures: (N, S, S) float32, luma.
        corners: (N, 2) int64: x and y of their first pixels in that picture.
        scale: as of the plane that they are from.
    """

    pictures: Floats
    corners: Integers
    scale: int

    @classmethod
    def of(cls, plane: Plane, corners: Integers, size: int) -> Tiles:
        """Read them."""
        return cls(plane.read(corners, size), corners, plane.scale)

    @property
    def size(self) -> int:
        """Pixels along a side."""
        return int(self.pictures.shape[1])


class Comparison:
    """Tiles of one frame, and another frame's pieces around the places where they are expected."""

    def __init__(self, tiles: Tiles, plane: Plane, motion: Motion) -> None:
        self._tiles = tiles
        self._centres = tiles.corners + (tiles.size - 1) / 2
        small = scaled(motion, 1 / tiles.scale)
        places = self._centres @ small[:2, :2].T + small[:2, 2]
        self._origins = np.rint(places - (tiles.size - 1) / 2 - MARGIN_PX).astype(np.int64)
        self._patches = plane.read(self._origins, tiles.size + 2 * MARGIN_PX)

    def at(self, motion: Motion) -> Evidence:
        """What the tiles say of a motion (3 x 3, pixels of the frames)."""
        tiles = self._tiles
        small = scaled(motion, 1 / tiles.scale)
        sums = np.empty((len(tiles.pictures), SUMS))
        match_tiles(
            tiles.pictures, tiles.corners, self._patches, self._origins, np.ascontiguousarray(small[:2]), window(tiles.size), sums
        )  # fmt: skip
        # Per pixel of the frame a picture that is `scale` times smaller has gradients so many times smaller.
        sums[:, :3] /= tiles.scale**2
        sums[:, 3:5] /= tiles.scale
        places = self._centres * tiles.scale + (tiles.scale - 1) / 2
        return Evidence(sums, places @ motion[:2, :2].T + motion[:2, 2], motion[:2, :2])


@cache
def window(size: int) -> Floats:
    """Weight along a side of a tile: a parabola that ends at its edge."""
    x = (np.arange(size) - (size - 1) / 2) / (size / 2 - 1)
    return np.asarray(np.clip(1 - x * x, 0, 1), np.float32)


def choose(reduced: Reduced, count: int, size: int) -> Integers:
    """First pixels of tiles spread over a frame, each where its neighbourhood has the most detail in both directions.

    Args:
        reduced: the frame, made small.
        count: about how many.
        size: of a tile, px of the frame.

    Returns:
        (N, 2) int64, x and y; N near `count`.
    """
    xx, xy, yy = reduced.detail[..., 0], reduced.detail[..., 1], reduced.detail[..., 2]
    score = (xx * yy - xy * xy) / np.maximum(xx + yy, np.float32(1e-3))
    rows, columns = score.shape
    across = min(columns, max(1, round(float(np.sqrt(count * columns / rows)))))
    down = min(rows, max(1, round(count / across)))
    high, wide = -(-rows // down), -(-columns // across)
    down, across = -(-rows // high), -(-columns // wide)
    padded = np.full((down * high, across * wide), -1, np.float32)
    padded[:rows, :columns] = score
    best = (
        padded.reshape(down, high, across, wide)
        .transpose(0, 2, 1, 3)
        .reshape(down, across, -1)
        .argmax(axis=2)
    )
    y = np.arange(down)[:, None] * high + best // wide
    x = np.arange(across)[None, :] * wide + best % wide
    cell = DETAIL_CELL * reduced.factor
    corners = np.stack([x.ravel(), y.ravel()], axis=1) * cell + (cell - size) // 2
    return np.ascontiguousarray(corners, np.int64)


def cover(shape: tuple[int, int], size: int) -> Integers:
    """First pixels of tiles that cover a picture of this height and width, with a little overlap where it comes out so."""
    starts = [np.linspace(0, max(0, n - size), max(1, round(1.3 * n / size))) for n in shape]
    y, x = np.meshgrid(*starts, indexing="ij")
    return np.rint(np.stack([x.ravel(), y.ravel()], axis=1)).astype(np.int64)
