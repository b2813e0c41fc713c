"""The second time a stack comes by: each pixel is blended from the frames around its depth, few of them where detail is clear.

Where no texture stands above the noise more frames count, which takes the noise off. Only those parts of a frame are resampled
that count anywhere: of most frames a small share.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.methods import Setting
from stackcore.methods._focus_levels import Sharpest, halved
from stackcore.methods._rows import Bands
from stackcore.methods._unveil_kernels import blend, divide

Floats = npt.NDArray[np.float32]

PLACES = 64
"""Depths are kept as whole 64ths of a frame."""

BREADTHS = (0.42, 0.7, 1.1, 1.6)
"""Standard deviations, in frames, of the weights: of clear detail first, of none last."""

CLEARNESS = (0.86, 0.6, 0.34)
"""A cell whose peak stands less clear of noise than each of these takes one breadth more."""

_TILE = 128
_WHOLE = 248
"""The weights of a pixel add up to about this: with 255 as the brightest value the sums fit 16 bits, rounding included."""


class Blend:
    """Weighted sums of one stack: 7 bytes a colour pixel, 13 with 16 bits."""

    def __init__(self, setting: Setting, bands: Bands, sharpest: Sharpest) -> None:
        self._setting = setting
        self._bands = bands
        self._channels = setting.channels
        wide = np.dtype(setting.dtype) == np.dtype(np.uint16)
        self._sums = np.zeros(
            (setting.height, setting.width * setting.channels), np.uint32 if wide else np.uint16
        )
        self._total = np.zeros(sharpest.place.shape, np.uint16)
        self._shown = np.ones(sharpest.place.shape, np.uint8)
        self._picture: Pixels | None = None
        self._depth = np.rint(sharpest.place * PLACES).astype(np.uint16)
        breadth = np.zeros(sharpest.place.shape, np.uint8)
        for limit in CLEARNESS:
            breadth += sharpest.clearness < np.float32(limit)
        self._breadth = breadth
        self._weights = _weights()
        reach = np.array([np.flatnonzero(row)[-1] + 1 for row in self._weights])[breadth] / 16
        place = sharpest.place
        self._tiles = [
            (first, end, left, right, float((place - reach)[cells].min()), float((place + reach)[cells].max()))
            for first, end, left, right, cells in _tiles(setting.height, setting.width, place.shape)
        ]

    def add(self, frame: AlignedFrame, place: int) -> None:
        """Add a frame, the `place`-th of the stack."""
        if self._picture is None:
            # Where no frame counts, as beyond the border of all but the first, the first one shows something.
            self._picture = frame.pixels.copy()
        gain = np.rint(frame.gain[: self._channels] * 4096).astype(np.int64)
        numbers = np.concatenate([gain, [frame.full_scale, place * PLACES]]).astype(np.int64)
        shown = _shown_cells(frame, self._total.shape) if frame.moved else self._shown
        lines = frame.pixels.reshape(frame.shape[0], -1)
        lines = lines.view()
        lines.flags.writeable = False
        due = [tile for tile in self._tiles if tile[4] <= place <= tile[5]]

        def work(first_tile: int, end_tile: int) -> None:
            for first, end, left, right, _, _ in due[first_tile:end_tile]:
                if frame.moved:
                    source, top, start = _resampled(frame, first, end, left, right), first, left
                else:
                    source, top, start = lines, 0, 0
                blend(
                    source,
                    self._channels,
                    top,
                    start,
                    first,
                    end,
                    left,
                    right,
                    numbers,
                    self._depth,
                    self._breadth,
                    self._weights,
                    shown,
                    self._total,
                    self._sums,
                )

        self._bands.run(len(due), work, 8)

    def picture(self) -> Pixels:
        """The blended picture; the sums are given up, so only once."""
        assert self._picture is not None
        picture = self._picture
        lines = picture.reshape(picture.shape[0], -1)

        def work(first: int, end: int) -> None:
            divide(self._sums, self._total, first, end, lines)

        self._bands.run(lines.shape[0], work)
        del self._sums
        return picture


class View:
    """At half size, each cell as one given frame shows it."""

    def __init__(self, place: npt.NDArray[np.int16], setting: Setting) -> None:
        """`place` is the frame of each cell, -1 where none is wanted."""
        self._place = place
        shape = place.shape if setting.channels == 1 else (*place.shape, 3)
        self.picture = np.zeros(shape, np.dtype(setting.dtype))
        rows = [place[first : first + _TILE] for first in range(0, place.shape[0], _TILE)]
        self._wanted = [set(np.unique(part[part >= 0]).tolist()) for part in rows]

    def wants(self, place: int) -> bool:
        """Whether any cell is wanted from this frame."""
        return any(place in wanted for wanted in self._wanted)

    def add(self, small: Pixels, place: int) -> None:
        """A frame at half size, resampled and evened."""
        for number, wanted in enumerate(self._wanted):
            if place in wanted:
                rows = slice(number * _TILE, (number + 1) * _TILE)
                mask = self._place[rows] == place
                self.picture[rows][mask] = small[rows][mask]


def small_view(frame: AlignedFrame) -> Pixels:
    """A frame at half size, resampled and evened."""
    from stackcore.methods._focus_levels import reduced_matrix  # noqa: PLC0415

    small = halved(frame.pixels)
    if frame.moved:
        size = (small.shape[1], small.shape[0])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = reduced_matrix(frame.matrix, 2)
        small = cv2.warpAffine(small, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    gain = frame.gain[: frame.channels]
    if (gain == 1).all():
        return small
    evened = small * gain.astype(np.float32)
    return np.clip(evened + np.float32(0.5), 0, frame.full_scale).astype(small.dtype)


def _weights() -> npt.NDArray[np.uint16]:
    """(breadths, distances in 16ths of a frame): Gaussians, each normalised so that the weights of a pixel add up to `_WHOLE`."""
    longest = int(16 * 3 * max(BREADTHS)) + 1
    distance = np.arange(longest) / 16
    table = np.zeros((len(BREADTHS), longest), np.uint16)
    for row, breadth in enumerate(BREADTHS):
        weight = np.exp(-0.5 * (distance / breadth) ** 2) * (distance <= 2.5 * breadth)
        every = np.arange(-longest // 16, longest // 16 + 1) * 16
        sums = [
            weight[np.abs(every + phase)[np.abs(every + phase) < longest]].sum() for phase in range(16)
        ]
        table[row] = np.floor(weight / max(sums) * _WHOLE)
    return table


def _tiles(
    height: int, width: int, cells: tuple[int, int]
) -> list[tuple[int, int, int, int, tuple[slice, slice]]]:
    """(first row, end row, left, right, its cells) of tiles that cover a picture; all begin at even pixels."""
    found = []
    for first in range(0, max(1, height), _TILE):
        end = min(height, first + _TILE)
        rows = slice(min(first // 2, cells[0] - 1), max((end + 1) // 2, first // 2 + 1))
        for left in range(0, max(1, width), _TILE):
            right = min(width, left + _TILE)
            columns = slice(min(left // 2, cells[1] - 1), max((right + 1) // 2, left // 2 + 1))
            found.append((first, end, left, right, (rows, columns)))
    return found


def _resampled(frame: AlignedFrame, first: int, end: int, left: int, right: int) -> Pixels:
    """A part of a frame on the reference, bicubic, (rows, columns * channels), read only."""
    a, b, c = frame.matrix[0]
    d, e, f = frame.matrix[1]
    shifted = np.array([[a, b, a * left + b * first + c], [d, e, d * left + e * first + f]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (right - left, end - first)
    part = cv2.warpAffine(frame.pixels, shifted, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    lines = np.asarray(part).reshape(end - first, -1)
    lines.flags.writeable = False
    return lines  # type: ignore[return-value]


def _shown_cells(frame: AlignedFrame, cells: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Which cells a frame shows whole."""
    height, width = frame.shape
    a, b, c = frame.matrix[0]
    d, e, f = frame.matrix[1]
    x = (2 * np.arange(cells[1], dtype=np.float32) + np.float32(0.5))[None, :]
    y = (2 * np.arange(cells[0], dtype=np.float32) + np.float32(0.5))[:, None]
    u = np.float32(a) * x + np.float32(b) * y + np.float32(c)
    v = np.float32(d) * x + np.float32(e) * y + np.float32(f)
    return ((u >= 2) & (u <= width - 3) & (v >= 2) & (v <= height - 3)).astype(np.uint8)
