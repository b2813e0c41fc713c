"""What the method `pyramid` keeps of one level, and how much noise there is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore._pyramid_look_kernel import look_at_tile
from stackcore._pyramid_merge_kernel import ENERGY_BINS, LUMA_BINS, count_energies, merge_tile

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

TILE_ROWS = 64
TILE_COLUMNS = 2048
"""A tile with its planes stays in a processor's second cache. Multiples of `BLOCK`."""

BLOCK = 64
"""Pixels of the finest level that are merged or left out together."""

HALO = 2
"""Pixels around a tile that its energies come from."""

_PERCENTILE = 0.1
_FEWEST = 0.01
_SPREAD = np.float32(4)
"""Noise of one brightness is at most so many times that of another: what is more is texture that only that brightness has."""

_LEAST_NOISE = 0.01
"""Square levels of 8 bits; frames that differ by less are as good as each other."""

_BRIGHTNESS = 16
"""Added to luma (0..255) before contrast is taken relative to it; about what stray light and black level make of black."""


def next_size(size: int) -> int:
    """Of the level above."""
    return (size + 1) // 2


@dataclass(frozen=True)
class Under:
    """What lies under a part of a level: the next coarser one, interpolated.

    Attributes:
        planes: (channels, rows, columns), the part or a little more.
        row: of the level, where `planes` begins.
        column: the same.
    """

    planes: Floats
    row: int
    column: int


def expand(coarser: Floats, part: tuple[int, int, int, int], height: int, width: int) -> Under:
    """Interpolate only what is needed.

    Args:
        coarser: (channels, H, W), the whole next coarser level.
        part: top, bottom, left and right, in pixels of the level.
        height: of the level, px.
        width: of it.
    """
    top, bottom, left, right = part
    rows = slice(max(0, top // 2 - 1), min(coarser.shape[1], (bottom + 1) // 2 + 1))
    columns = slice(max(0, left // 2 - 1), min(coarser.shape[2], (right + 1) // 2 + 1))
    size = (min(2 * columns.stop, width) - 2 * columns.start, min(2 * rows.stop, height) - 2 * rows.start)
    planes = np.empty((coarser.shape[0], size[1], size[0]), np.float32)
    for plane, target in zip(coarser, planes, strict=True):
        cv2.pyrUp(plane[rows, columns], dst=target, dstsize=size)
    return Under(planes, 2 * rows.start, 2 * columns.start)


@dataclass(frozen=True)
class Look:
    """One frame at one level.

    Attributes:
        ordinal: how many frames came before.
        matrix: (2, 3), from pixels of the level to pixels of the frame.
        limits: (3,), the least u and v, the greatest u and the greatest v that the frame shows.
        coarser: (channels, H, W), the next coarser level.
        calls: blocks of the level that call for the next finer one; empty where nobody asks.
    """

    ordinal: int
    matrix: npt.NDArray[np.float64]
    limits: npt.NDArray[np.float64]
    coarser: Floats
    calls: npt.NDArray[np.int16]

    def limits_of(self, tile: Ints) -> npt.NDArray[np.float64]:
        """The limits; infinite where all of a tile is shown, so that nobody has to look at every pixel."""
        if not np.isfinite(self.limits[1]):
            return self.limits
        corners = [self.matrix @ (x, y, 1) for x in tile[2:] for y in tile[:2]]
        least, across, down = self.limits
        inside = all(least <= u <= across and least <= v <= down for u, v in corners)
        return np.array([-np.inf, np.inf, np.inf]) if inside else self.limits


class Level:
    """Mean coefficients of one level and how sure they are.

    Attributes:
        height: px.
        width: px.
        step: pixels of the frame from one of this level to the next.
    """

    def __init__(self, number: int, height: int, width: int, channels: int, full_scale: int) -> None:
        """Reserve the state: 2 bytes a pixel and channel, and 8 bytes a cell."""
        self.height = height
        self.width = width
        self.step = 1 << number
        self._cell = 2 if number == 0 else 1
        cells = (-(-height // self._cell), -(-width // self._cell))
        self._kept = np.zeros((channels, height, width), np.int16)
        self._top = np.zeros(cells, np.float32)
        self._weight = np.zeros(cells, np.float32)
        # A difference of two 8-bit levels stays within 16 bits when multiplied by 64, what interpolation overshoots included.
        self._scale = np.float32(64 if full_scale == 255 else 0.5)
        self._to_eight_bits = np.float32(255 / full_scale)
        self._least = np.float32(_LEAST_NOISE * channels * (full_scale / 255) ** 2)
        self._floor = np.full(LUMA_BINS, np.inf, np.float32)
        luma = np.arange(256, dtype=np.float32)
        contrast = (128 / (luma + np.float32(_BRIGHTNESS))) ** 2
        self._tables = np.stack([np.full(256, self._least), contrast]).astype(np.float32)

    def tiles(self, top: int, bottom: int, columns: tuple[int, int] | None = None) -> Iterator[Ints]:
        """Parts of some rows, or of some columns of them; (4,): top, bottom, left, right."""
        left, right = columns or (0, self.width)
        for first in range(left, right, TILE_COLUMNS):
            yield np.array([top, bottom, first, min(right, first + TILE_COLUMNS)], np.int32)

    def halo(self, tile: Ints) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of a tile and of the pixels around it that its energies come from."""
        top, bottom, left, right = (int(edge) for edge in tile)
        return (
            max(0, top - HALO),
            min(self.height, bottom + HALO),
            max(0, left - HALO),
            min(self.width, right + HALO),
        )

    def look(
        self,
        x: Floats,
        origin: tuple[int, int],
        tile: Ints,
        look: Look,
        histogram: Ints | None,
        *,
        only: bool,
    ) -> None:
        """Count a tile's energies, and take it in.

        Args:
            x: (channels, rows, columns), of this level, the tile and its halo or more.
            origin: row and column of the level where `x` begins.
            tile: from `tiles`.
            look: the frame.
            histogram: of the frame's energies, added to; None where nobody asks.
            only: leave it at counting.
        """
        part = self.halo(tile)
        under = expand(look.coarser, part, self.height, self.width)
        area = np.array([*part, *origin, under.row, under.column], np.int32)
        top, bottom, left, right = (int(edge) for edge in tile)
        cells = (-(-(bottom - top) // self._cell), -(-(right - left) // self._cell))
        energy, pooled = np.empty(cells, np.float32), np.empty(cells, np.float32)
        luma = np.empty(cells, np.int32)
        of_tile = (x, under.planes, area, tile, self._cell)
        look_at_tile(*of_tile, self._to_eight_bits, energy, pooled, luma)
        if histogram is not None:
            count_energies(pooled, luma, top // self._cell, histogram)
        if only:
            return
        merge_tile(
            *of_tile,
            energy,
            pooled,
            luma,
            self._tables,
            self._scale,
            look.matrix,
            look.limits_of(tile),
            look.ordinal == 0,
            self._top,
            self._weight,
            self._kept,
            look.calls,
        )

    def collapse(self, coarser: Floats, tile: Ints, strength: float) -> Floats:
        """The picture so far, of this level, from that of the next coarser one.

        Args:
            coarser: (channels, H, W), the whole next coarser level.
            tile: from `tiles`.
            strength: how many floors of noise are taken off the energy of a mean.

        Returns:
            (channels, rows, columns) of the tile.
        """
        part = self.halo(tile)
        under = expand(coarser, part, self.height, self.width)
        top, bottom, left, right = part
        below = under.planes[
            :, top - under.row : bottom - under.row, left - under.column : right - under.column
        ]
        kept = self._kept[:, top:bottom, left:right].astype(np.float32)
        kept *= np.float32(1 / self._scale)
        if strength > 0:
            kept *= self._signal(kept, below, part, strength)
        kept += below
        inner = (
            slice(int(tile[0]) - top, int(tile[1]) - top),
            slice(int(tile[2]) - left, int(tile[3]) - left),
        )
        return kept[:, inner[0], inner[1]]

    def _signal(
        self, kept: Floats, below: Floats, part: tuple[int, int, int, int], strength: float
    ) -> Floats:
        """How much of means is no noise: that of n frames has 1 / n of the noise of one."""
        top, bottom, left, right = part
        step = self._cell
        energy = np.square(kept[0])
        for plane in kept[1:]:
            energy += np.square(plane)
        if step == 2:
            energy = _halved(energy)
        window = 5 if step == 1 else 3
        pooled = cv2.blur(energy, (window, window), borderType=cv2.BORDER_REPLICATE)
        luma = below[0, ::step, ::step].copy()
        for plane in below[1:]:
            luma += plane[::step, ::step]
        luma *= self._to_eight_bits / np.float32(len(below))
        floor = self._tables[0][np.clip(luma, 0, 255).astype(np.uint8)]
        weight = self._weight[top // step : -(-bottom // step), left // step : -(-right // step)]
        pooled *= np.maximum(weight, np.float32(1))
        share = np.maximum(pooled - np.float32(strength) * floor, 0) / np.maximum(pooled, np.float32(1e-12))
        if step == 1:
            return np.asarray(share, np.float32)
        return np.asarray(share.repeat(2, 0).repeat(2, 1)[: bottom - top, : right - left], np.float32)

    def learn(self, histogram: Ints) -> None:
        """Noise is what one cell in ten has less than, in the frame that has least: in most frames most things are out of focus."""
        counts = histogram.sum(axis=1)
        fewest = max(20, _FEWEST * counts.sum())
        for k in np.flatnonzero(counts >= fewest):
            self._floor[k] = min(self._floor[k], _percentile(histogram[k]))
        known = np.flatnonzero(np.isfinite(self._floor))
        if known.size == 0:
            return
        floor = np.minimum(self._floor[known], _SPREAD * self._floor[known].min())
        middle = (known + 0.5) * (256 / LUMA_BINS)
        self._tables[0] = np.maximum(np.interp(np.arange(256), middle, floor), self._least)

    def noise(self, luma: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Floor, and what energies are multiplied by to compare, at pixels of some luma (0..255)."""
        return self._tables[0][luma], self._tables[1][luma]


def _halved(energy: Floats) -> Floats:
    """Mean of 2 x 2 px; an odd last row or column counts twice."""
    rows = energy[::2].copy()
    rows[: energy.shape[0] // 2] += energy[1::2]
    rows[energy.shape[0] // 2 :] *= 2
    cells = rows[:, ::2].copy()
    cells[:, : rows.shape[1] // 2] += rows[:, 1::2]
    cells[:, rows.shape[1] // 2 :] *= 2
    cells *= np.float32(0.25)
    return np.asarray(cells, np.float32)


def _percentile(counts: Ints) -> np.float32:
    """The energy that a tenth of what was counted has less than; see `ENERGY_BINS`."""
    wanted = _PERCENTILE * counts.sum()
    sums = np.cumsum(counts)
    k = int(np.searchsorted(sums, wanted))
    share = 1 - (sums[k] - wanted) / counts[k] if counts[k] else 0.0
    edges = ((np.array([k, k + 1], np.int32) + np.int32((127 - 20) << 3)) << np.int32(20)).view(np.float32)
    return np.float32(edges[0] + share * (edges[1] - edges[0]))


def empty_histogram() -> Ints:
    """Nothing counted yet."""
    return np.zeros((LUMA_BINS, ENERGY_BINS), np.int32)
