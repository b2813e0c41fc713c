"""The second time a stack comes by: each pixel is blended from the frames around its depth, few of them where detail is clear.

Where no texture stands above the noise more frames count, which takes the noise off; where there is little noise a frame's grain stays
as it is. Only those parts of a frame are resampled that count anywhere: of most frames a small share.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels, as_pixels
from stackcore.methods import Setting
from stackcore.methods._blend_kernel import blend, divide
from stackcore.methods._focus_levels import cell_px
from stackcore.methods._rows import Bands
from stackcore.methods._sharpest import Sharpest

Floats = npt.NDArray[np.float32]

PLACES = 16
"""Depths are kept as whole 16ths of a frame."""

MAX_FRAMES = 65_536 // PLACES - 1

BREADTHS = (0.0, 0.3, 0.8, 1.6)
"""Standard deviations, in frames, of the weights: of clear detail first, of none last."""

NARROW = 0.26
"""Weights narrower than this are no Gaussian, which would leave next to nothing between two frames, but 1 for the nearest frame, with a
border that is just soft: the mean of two has less grain and less detail than either."""

CLEARNESS = (0.86, 0.6, 0.34)
"""A cell whose peak stands less clear of noise than each of these takes one breadth more."""

ALIKE = 0.4
"""Standard deviation of blur, in cells, over the frames that are blended where nothing is clear."""

NOISY = (1.0, 1.3)
"""Noise of a cell, in 255ths of white, from which more frames are blended where nothing is clear, and from which as many as may be.
Below, the picture keeps the grain of a frame, as one expects of it."""

REACH = 2.2
"""Weights end at so many standard deviations. With 2.5 more of every frame has to be resampled, for nothing to be seen."""

_MOST_GAIN = np.float32(15)
"""A frame that is darker than that by comparison shows nothing."""

_TILE_ROWS, _TILE_COLUMNS = 32, 512
_TILES_AT_ONCE = 4
_WHOLE = 248
"""The weights of a pixel add up to about this: with 255 as the brightest value the sums fit 16 bits, rounding included."""


class Blend:
    """Weighted sums of one stack: 7 bytes a colour pixel, 13 with 16 bits."""

    def __init__(
        self,
        setting: Setting,
        bands: Bands,
        sharpest: Sharpest,
        blur: float | None = None,
        unwanted: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Reserve the sums.

        Args:
            setting: of the stack.
            bands: the threads.
            sharpest: depth.
            blur: radius of the blur disc in cells, for a distance of one frame, if known.
            unwanted: cells that may come out as anything.
        """
        self._setting = setting
        self._bands = bands
        self._channels = setting.channels
        self._halvings = cell_px(setting.height, setting.width) // 2
        wide = np.dtype(setting.dtype) == np.dtype(np.uint16)
        self._sums = np.zeros(
            (setting.height, setting.width * setting.channels), np.uint32 if wide else np.uint16
        )
        self._total = np.zeros(sharpest.place.shape, np.uint16)
        self._picture: Pixels | None = None
        self._depth = np.rint(sharpest.place * PLACES).astype(np.uint16)
        breadth = np.zeros(sharpest.place.shape, np.uint8)
        for limit in CLEARNESS:
            breadth += sharpest.clearness < np.float32(limit)
        self._breadth = breadth
        self._grainy = (breadth > 0).astype(np.uint8) if sharpest.noise < NOISY[0] else np.zeros_like(breadth)
        weights = _weights(breadths(blur, sharpest.noise))
        self._weights = np.vstack([weights, np.zeros_like(weights[:1])])
        if unwanted is not None:
            breadth[unwanted] = len(weights)
            self._grainy[unwanted] = 0
        self._tiles = _Tiles(setting, sharpest.place, breadth, self._reach())

    def add(self, frame: AlignedFrame, place: int) -> None:
        """Add a frame, the `place`-th of the stack."""
        if self._picture is None:
            # Where no frame counts, as beyond the border of all but the first, the first one shows something.
            self._picture = frame.pixels.copy()
        gain = np.rint(np.minimum(frame.gain[: self._channels], _MOST_GAIN) * 4096).astype(np.int64)
        numbers = np.concatenate([gain, [frame.full_scale, place * PLACES]]).astype(np.int64)
        lines = frame.pixels.reshape(frame.shape[0], -1).view()
        lines.flags.writeable = False
        # A copy, because the kernel's type has no place for "read only".
        matrix = np.array(frame.matrix, np.float64, order="C")
        due = self._tiles.due(place)
        add_parts = blend[frame.pixels.dtype]

        def work(first_tile: int, end_tile: int) -> None:
            parts = due[first_tile:end_tile]
            widest = int((parts[:, 3] - parts[:, 2]).max())
            add_parts(
                lines,
                self._channels,
                self._halvings,
                matrix,
                frame.moved,
                parts,
                numbers,
                self._depth,
                self._breadth,
                self._grainy,
                self._weights,
                self._total,
                self._sums,
                np.empty(widest * self._channels, frame.pixels.dtype),
            )

        self._bands.run(len(due), work, _TILES_AT_ONCE)

    def picture(self) -> Pixels:
        """The blended picture; the sums are given up, so only once."""
        assert self._picture is not None
        picture = self._picture
        lines = picture.reshape(picture.shape[0], -1)

        def work(first: int, end: int) -> None:
            divide[picture.dtype](self._sums, self._total, self._channels, self._halvings, first, end, lines)

        self._bands.run(lines.shape[0], work)
        del self._sums
        return picture

    def _reach(self) -> Floats:
        """How far from a cell's depth frames count, for each breadth; -1 where none does."""
        ends = [np.flatnonzero(row)[-1:] for row in self._weights]
        return np.asarray([(end[0] + 1) / PLACES if end.size else -1 for end in ends], np.float32)


def evened(picture: Pixels, frame: AlignedFrame) -> Pixels:
    """A picture made of a frame's pixels, as bright as the reference."""
    if (frame.gain[: frame.channels] == 1).all():
        return picture
    # OpenCV rounds and saturates; a picture of floats would be the largest thing in memory.
    gain = (*(float(value) for value in frame.gain), 0.0) if frame.channels == 3 else float(frame.gain[0])
    return as_pixels(cv2.multiply(picture, gain))


def breadths(blur: float | None, noise: float) -> tuple[float, ...]:
    """How broad the weights are.

    Args:
        blur: radius of the blur disc in cells, for a distance of one frame, if known: no more frames are blended than look alike.
        noise: standard deviation of a cell, in 255ths of white: where there is none, more frames would only cost sharpness.
    """
    quiet, most = BREADTHS[1], BREADTHS[-1]
    low, high = NOISY
    limit = quiet + (most - quiet) * min(max((noise - low) / (high - low), 0), 1)
    if blur is not None:
        limit = min(limit, ALIKE / blur)
    return tuple(min(breadth, limit) for breadth in BREADTHS)


def _weights(breadths: tuple[float, ...]) -> npt.NDArray[np.uint16]:
    """(breadths, distances in 16ths of a frame), each normalised so that the weights of a pixel add up to `_WHOLE`."""
    longest = int(16 * 3 * max(NARROW, *breadths)) + 1
    distance = np.arange(longest) / 16
    table = np.zeros((len(breadths), longest), np.uint16)
    for row, breadth in enumerate(breadths):
        if breadth < NARROW:
            weight = np.clip((0.5 - distance) * 8 + 0.5, 0, 1)
        else:
            weight = np.exp(-0.5 * (distance / breadth) ** 2) * (distance <= REACH * breadth)
        every = np.arange(-longest // 16, longest // 16 + 1) * 16
        sums = [weight[np.abs(every + phase)[np.abs(every + phase) < longest]].sum() for phase in range(16)]
        table[row] = np.floor(weight / max(sums) * _WHOLE)
    return table


class _Tiles:
    """Which parts of the picture each frame counts in."""

    _BITS = 64

    def __init__(
        self, setting: Setting, place: Floats, breadth: npt.NDArray[np.uint8], reach: Floats
    ) -> None:
        self._cell = cell_px(setting.height, setting.width)
        side = _TILE_ROWS // self._cell
        rows = range(0, place.shape[0], side)
        columns = range(0, place.shape[1], _TILE_COLUMNS // self._cell)
        farthest = float(place.max() + reach.max())
        self._shrink = max(1.0, (farthest + 1) / self._BITS)
        self._bits = np.empty((len(rows), len(columns)), np.uint64)
        for bits, row in zip(self._bits, rows, strict=True):
            strip = slice(row, row + side)
            counted = self._counted(place[strip], reach[breadth[strip]])
            bits[:] = np.bitwise_or.reduceat(np.bitwise_or.reduce(counted, axis=0), np.asarray(columns))
        self._edges = (
            _edges(rows, setting.height, place.shape[0], self._cell),
            _edges(columns, setting.width, place.shape[1], self._cell),
        )

    def _counted(self, place: Floats, reach: Floats) -> npt.NDArray[np.uint64]:
        """A bit for every frame that counts in a cell, from the lowest to the highest."""
        low = (np.maximum(np.ceil(place - reach), 0) / self._shrink).astype(np.uint64)
        high = np.clip(np.floor(place + reach) / self._shrink, 0, self._BITS - 1).astype(np.uint64)
        one = np.uint64(1)
        # All up to `high`, without all below `low`. A shift by 64 is not defined, hence 2 << high.
        return np.asarray(((np.uint64(2) << high) - one) & ~((one << low) - one), np.uint64)

    def due(self, place: int) -> npt.NDArray[np.int64]:
        """The parts in which the `place`-th frame counts, (n, 4): first row, row after the last, and columns likewise."""
        bit = np.uint64(min(int(place / self._shrink), self._BITS - 1))
        row, column = np.nonzero((self._bits >> bit) & np.uint64(1))
        return np.hstack([self._edges[0][row], self._edges[1][column]])


def _edges(starts: range, size: int, cells: int, cell: int) -> npt.NDArray[np.int64]:
    """Where parts that start at these cells begin and end, px; the last row and column of an odd picture belong to the cell before."""
    ends = [size if start + starts.step >= cells else cell * (start + starts.step) for start in starts]
    return np.stack([cell * np.asarray(starts, np.int64), np.asarray(ends, np.int64)], axis=1)
