"""One frame on its way into the method `pyramid`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stackcore._pyramid_levels import (
    BLOCK,
    TILE_COLUMNS,
    TILE_ROWS,
    Level,
    Look,
    empty_histogram,
    expand,
    next_size,
)
from stackcore._pyramid_sampling import read_tile, sample_tile
from stackcore.aligned import AlignedFrame, Matrix, Pixels
from stackcore.methods import Setting
from stackcore.methods._rows import Bands, shown

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Calls = npt.NDArray[np.int16]
Read = tuple[Ints, Floats, tuple[int, int]]
"""A tile, pixels of the frame that it lies in, and row and column of the first of them."""

FIRST_FRAMES = 4
"""So many frames are merged everywhere: where nothing ever stands out of noise, their mean is what there is."""

_LEARNING = 4
"""Noise is looked for in the first frames, and in one of so many later ones."""

_SMALLEST_PX = 8
_NO_CALLS = np.zeros((0, 0), np.int16)
_OUT_OF_SIGHT = np.float32(1e-6)


@dataclass(frozen=True)
class Room:
    """What a stack is merged in.

    Attributes:
        levels: finest first.
        planes: (channels, H, W) of level 1 and coarser down to what no level holds: to work in.
        base: (channels, H, W), weighted sum of what no level holds.
        base_weight: (H, W), sum of the weights.
    """

    levels: list[Level]
    planes: list[Floats]
    base: Floats
    base_weight: Floats

    @classmethod
    def made(cls, setting: Setting, levels: int) -> Room:
        """Empty; with fewer levels where frames are too small."""
        height, width, channels = setting.height, setting.width, setting.channels
        found: list[Level] = []
        planes: list[Floats] = []
        while len(found) < levels and (not found or min(height, width) >= _SMALLEST_PX):
            found.append(
                Level(len(found), height, width, channels, int(np.iinfo(np.dtype(setting.dtype)).max))
            )
            height, width = next_size(height), next_size(width)
            planes.append(np.empty((channels, height, width), np.float32))
        return cls(found, planes, np.zeros_like(planes[-1]), np.zeros((height, width), np.float32))


class Turn:
    """One frame's turn: its own pyramid, from half size on, and its merging, from coarse to fine."""

    def __init__(
        self,
        room: Room,
        frame: AlignedFrame,
        ordinal: int,
        bands: Bands,
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            room: that it is merged into.
            frame: the frame.
            ordinal: how many frames came before.
            bands: the threads.
            wanted: blocks of the finest level that are wanted at all; by default all of them.
        """
        self._room = room
        self._levels = room.levels
        self._planes = room.planes
        self._bands = bands
        self._frame = frame
        self._ordinal = ordinal
        self._wanted = wanted
        self._channels = frame.channels
        pixels: Any = np.ascontiguousarray(frame.pixels)
        self._raw: Pixels = pixels.reshape(pixels.shape[0], -1)
        self._gain = np.ascontiguousarray(frame.gain[: frame.channels], np.float32)

    def take(self) -> None:
        """Merge the frame into every level, and into what no level holds."""
        self._reduce()
        self._take_base()
        for number in range(len(self._levels) - 1, 1, -1):
            self._take_level(number, _NO_CALLS)
        shape = (-(-self._levels[0].height // BLOCK), -(-self._levels[0].width // BLOCK))
        calls = np.zeros(shape, np.int16)
        if len(self._levels) > 1:
            self._take_level(1, calls)
        if self._ordinal < FIRST_FRAMES or len(self._levels) == 1:
            calls[:] = 1
        if self._wanted is not None:
            calls *= self._wanted
        self._take_finest(calls)

    def _reduce(self) -> None:
        """Levels 1 and coarser: the frame is made small first and put in its place then, which costs a quarter."""
        first = self._planes[0]
        half = self._half_size(*first.shape[1:])
        matrix = self._frame.matrix.copy()
        matrix[:, 2] /= 2

        def place(top: int, bottom: int) -> None:
            for left in range(0, first.shape[2], TILE_COLUMNS):
                part = first[:, top:bottom, left : left + TILE_COLUMNS]
                tile = np.empty(part.shape, np.float32)
                self._read_tile(half, matrix, (top, left), tile)
                part[:] = tile

        self._bands.run(first.shape[1], place, TILE_ROWS)
        for finer, coarser in itertools.pairwise(self._planes):

            def shrink(channel: int, _: int, finer: Floats = finer, coarser: Floats = coarser) -> None:
                cv2.pyrDown(finer[channel], dst=coarser[channel])

            self._bands.run(self._channels, shrink, 1)

    def _half_size(self, height: int, width: int) -> Pixels:
        pixels = self._raw.reshape(self._frame.pixels.shape)
        half: Pixels = np.empty((height, width * self._channels), pixels.dtype)

        def shrink(first: int, end: int) -> None:
            above = max(0, 2 * first - 2)
            rows = cv2.pyrDown(pixels[above : 2 * end + 1])
            start = first - above // 2
            half[first:end] = rows.reshape(rows.shape[0], -1)[start : start + end - first]

        self._bands.run(height, shrink, 2 * TILE_ROWS)
        return half

    def _read_tile(self, raw: Pixels, matrix: Matrix, origin: tuple[int, int], tile: Floats) -> None:
        if self._frame.moved:
            sample_tile[raw.dtype](raw, matrix, self._gain, *origin, tile)
        else:
            read_tile[raw.dtype](raw, self._gain, *origin, tile)

    def _take_base(self) -> None:
        """What no level holds: weighted by the energy of the coarsest level."""
        level = self._levels[-1]
        below = self._planes[-1]
        if len(self._levels) == 1:
            weight = np.ones(below.shape[1:], np.float32)
        else:
            up = expand(below, (0, level.height, 0, level.width), level.height, level.width).planes
            energy = cv2.blur(((self._planes[-2] - up) ** 2).sum(axis=0), (5, 5))
            to_eight_bits = 255 / self._frame.full_scale
            luma = np.clip(up.mean(axis=0) * to_eight_bits, 0, 255).astype(np.int64)
            floor, contrast = level.noise(luma)
            size = (below.shape[2], below.shape[1])
            weight = cv2.resize((energy + floor) * contrast, size, interpolation=cv2.INTER_AREA)
        rows, columns = (np.arange(n) * (2.0 * level.step) for n in below.shape[1:])
        inside = shown(self._frame, rows, columns)
        if inside is not None:
            weight = np.where(inside, weight, np.float32(0 if self._ordinal else _OUT_OF_SIGHT))
        base, total = self._room.base, self._room.base_weight
        base += below * weight
        total += weight

    def _take_level(self, number: int, calls: Calls) -> None:
        level, x = self._levels[number], self._planes[number - 1]

        def tiles(first: int, end: int) -> Iterator[Read]:
            return ((tile, x, (0, 0)) for tile in level.tiles(first, end))

        self._merge(level, self._look(level, self._planes[number], calls), tiles)

    def _take_finest(self, calls: Calls) -> None:
        level = self._levels[0]

        def tiles(first: int, end: int) -> Iterator[Read]:
            for row in range(first, end, BLOCK):
                for left, right in _runs(calls[row // BLOCK]):
                    columns = (left * BLOCK, min(level.width, right * BLOCK))
                    for tile in level.tiles(row, min(end, row + BLOCK), columns):
                        top, bottom, start, stop = level.halo(tile)
                        x = np.empty((self._channels, bottom - top, stop - start), np.float32)
                        self._read_tile(self._raw, self._frame.matrix, (top, start), x)
                        yield tile, x, (top, start)

        self._merge(level, self._look(level, self._planes[0], _NO_CALLS), tiles)

    def _look(self, level: Level, coarser: Floats, calls: Calls) -> Look:
        height, width = self._frame.shape
        limits = np.array([1.0, width - 2.0, height - 2.0])
        if not self._frame.moved:
            limits[:] = (-np.inf, np.inf, np.inf)
        return Look(self._ordinal, self._frame.matrix * (level.step, level.step, 1), limits, coarser, calls)

    def _merge(self, level: Level, look: Look, tiles: Callable[[int, int], Iterator[Read]]) -> None:
        # What noise is has to be known before the first frame is weighed: it is looked at twice.
        counts = self._ordinal < FIRST_FRAMES or self._ordinal % _LEARNING == 0
        for only in (True, False) if self._ordinal == 0 else (False,):
            counted: list[Ints] = []

            def take(first: int, end: int, only: bool = only, counted: list[Ints] = counted) -> None:
                histogram = empty_histogram() if counts else None
                for tile, x, origin in tiles(first, end):
                    level.look(x, origin, tile, look, histogram, only=only)
                if histogram is not None:
                    counted.append(histogram)

            self._bands.run(level.height, take, TILE_ROWS)
            if counts:
                level.learn(np.sum(counted, axis=0, dtype=np.int32))


def _runs(flags: Calls) -> list[tuple[int, int]]:
    """Stretches of flags that are not 0: first, and after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags != 0, [0]])))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
