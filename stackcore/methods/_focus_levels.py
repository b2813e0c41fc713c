"""Where each cell of a stack was sharpest, found at several sizes: fine where there is texture, coarse where only that stands above noise.

Frames are looked at as the camera gave them, not resampled: resampling softens each pixel by where it falls between four, which a
focus measure would see. What is resampled is the pooled energy, which is smooth.

The measure is the sum-modified-Laplacian of Nayar and Nakagawa (IEEE PAMI 16, 1994, section IV), squared and pooled, of all colour
channels: a red wire before a green ground has hardly any contrast of luma.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Matrix, Pixels, as_pixels, reduced_matrix
from stackcore.methods import Setting
from stackcore.methods._levels_kernel import focus_energy
from stackcore.methods._record_kernel import PREVIOUS, record_rows
from stackcore.methods._rows import Bands
from stackcore.scores import LUMA_BINS, energy_of

Floats = npt.NDArray[np.float32]

LEVELS = 4
"""Cells, and then half as large three times."""

SMALL_PX = 1_000_000
"""Up to here a cell is a pixel: small pictures have fine detail in few pixels, and cost little."""

RADIUS = 2
"""Of the pooling window, in px of each level. With 1 a rendered stack without noise gains 0.3 dB, and one with strong noise loses 2."""

_FINE = np.float32(16)
"""Values of the smaller pictures are kept 16 times as large, as uint16: averages have fractions."""
_GAIN = np.float32(16)
"""Scores are of energies so many times as large; energies of coarse levels are small, and below 1 there is no score."""
_SAMPLES = 3072
_SAMPLED_FRAMES = 24
_PERCENTILE = 10
_FEWEST = 100
_MIN_SIDE = 40
"""Of a level, px: on smaller ones there is too little to tell noise from texture."""
BAND_ROWS = 128


class Level:
    """Scores of one size: the planes of `stackcore.methods._record_kernel`, with samples of them for the noise."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = (height, width)
        self.state = np.zeros((height, 5, width), np.uint16)
        self.energy = np.empty((height, width), np.float32)
        self.samples: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]] = []


class FocusLevels:
    """Follows the focus of one stack."""

    def __init__(self, setting: Setting, bands: Bands) -> None:
        """Reserve the state: 14 bytes a cell, and a third of it for the coarser levels."""
        self._bands = bands
        self._channels = setting.channels
        self._full_scale = int(np.iinfo(setting.dtype).max)
        self.cell = cell_px(setting.height, setting.width)
        height, width = max(1, setting.height // self.cell), max(1, setting.width // self.cell)
        self.levels = [Level(height, width)]
        while len(self.levels) < LEVELS and min(height, width) // 2 >= _MIN_SIDE:
            height, width = height // 2, width // 2
            self.levels.append(Level(height, width))
        self.luma: npt.NDArray[np.uint8] | None = None
        """Of the first frame, at the coarsest level."""
        self.frames = 0
        self.common = (0.0, 0.0, float(setting.width), float(setting.height))
        """Left, top, right and bottom of what every frame shows, px of the reference."""

    def add(self, frame: AlignedFrame) -> list[Pixels]:
        """Look at the next frame; gives it back at cell size and smaller, not resampled."""
        if frame.moved:
            self.common = _both(self.common, _shown(frame))
        scale = self.cell / 2
        picture = frame.in_cells(self.cell)
        pictures = []
        brighter = float(frame.gain[: frame.channels].mean())
        for number, level in enumerate(self.levels):
            scale *= 2
            if number == 1 and picture.dtype == np.uint8:
                picture = np.left_shift(picture, np.uint16(4), dtype=np.uint16)
            if number:
                picture = _resized(picture, level.shape)
            pictures.append(picture)
            self._look(level, picture, number, brighter)
            energy = level.energy
            if frame.moved:
                energy = _moved(energy, frame.matrix, scale)
            self._record(level, energy)
            self._sample(level, picture)
        if self.luma is None:
            self.luma = self._luma_of(picture)
        self.frames += 1
        return pictures

    def _look(self, level: Level, picture: Pixels, number: int, brighter: float) -> None:
        """Energies of a frame at one level, `_GAIN` times as large, as if it were so much brighter."""
        height, width = level.shape
        values = np.ascontiguousarray(picture).reshape(height, width * self._channels)
        values.flags.writeable = False
        scale = np.float32(1) if number == 0 else np.float32(1) / _FINE
        if self._full_scale > 255:
            scale = np.float32(255) / np.float32(self._full_scale)
        scale = np.float32(scale * np.sqrt(_GAIN) * brighter)

        def band(first: int, end: int) -> None:
            rows = np.empty((3, (width + 2) * self._channels), np.float32)
            squares = np.empty((2 * RADIUS + 1, width), np.float32)
            pooled = np.empty((2, max(width * self._channels, width + 2 * RADIUS)), np.float32)
            focus_energy[values.dtype](
                values, self._channels, RADIUS, scale, first, end, level.energy, rows, squares, pooled
            )

        self._bands.run(height, band, BAND_ROWS)

    def _record(self, level: Level, energy: Floats) -> None:
        def band(first: int, end: int) -> None:
            part = energy[first:end]
            mask = np.empty(part.shape, np.uint16)
            scratch = np.empty(part.shape[1], np.uint16)
            record_rows(part, np.uint16(self.frames), level.state[first:end], mask, scratch)

        self._bands.run(level.shape[0], band, BAND_ROWS)

    def _sample(self, level: Level, picture: Pixels) -> None:
        """Brightness and score on a grid over the middle of the picture; a frame may show nothing at its border."""
        height, width = level.shape
        stride = max(1, int(np.sqrt(height * width / _SAMPLES)))
        grid = (
            slice(height // 6, height - height // 6, stride),
            slice(width // 6, width - width // 6, stride),
        )
        score = level.state[:, PREVIOUS][grid]
        level.samples.append((self._luma_of(picture[grid]).ravel(), score.ravel().copy()))
        if len(level.samples) > 2 * _SAMPLED_FRAMES:
            level.samples = level.samples[::2]

    def _luma_of(self, picture: Pixels) -> npt.NDArray[np.uint8]:
        """0..255, of any of the small pictures."""
        values = picture[..., 1] if picture.ndim == 3 else picture
        if picture.dtype == np.uint8:
            return np.asarray(values, np.uint8)
        return np.asarray(values >> (8 if self._full_scale > 255 else 4), np.uint8)

    def noise(self) -> float:
        """Standard deviation of the noise of a cell, in 255ths of white.

        For white noise of variance v a squared modified Laplacian is 12 v, and 2 times the mean product of its two parts, about 8 v.
        """
        cells = 3 * (2 * RADIUS + 1) ** 2
        return float(np.sqrt(np.median(self.floor(self.levels[0])) / (float(_GAIN) * cells * 20)))

    def floor(self, level: Level) -> Floats:
        """Energy of noise alone by brightness: the lowest of the frames' 10th percentiles, as `stackcore.scores.NoiseFloor`."""
        floor = np.full(LUMA_BINS, np.nan, np.float32)
        for luma, score in level.samples[:: max(1, len(level.samples) // _SAMPLED_FRAMES)]:
            bins = luma // np.uint8(256 // LUMA_BINS)
            energy = energy_of(score)
            for k in range(LUMA_BINS):
                here = energy[bins == k]
                if here.size >= _FEWEST:
                    place = here.size * _PERCENTILE // 100
                    floor[k] = np.fmin(floor[k], np.partition(here, place)[place])
        seen = np.flatnonzero(np.isfinite(floor))
        if seen.size == 0:
            lowest = min(float(np.percentile(energy_of(score), _PERCENTILE)) for _, score in level.samples)
            return np.full(LUMA_BINS, lowest, np.float32)
        nearest = seen[np.abs(np.arange(LUMA_BINS)[:, None] - seen).argmin(axis=1)]
        return np.asarray(floor[nearest], np.float32)


def cell_px(height: int, width: int) -> int:
    """Side of a cell: 2 px, or 1 where the picture is small."""
    return 1 if height * width <= SMALL_PX else 2


def _shown(frame: AlignedFrame) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest upright rectangle of the reference that a frame shows, about."""
    height, width = frame.shape
    back = np.linalg.inv(np.vstack([frame.matrix, [0, 0, 1]]))
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    (x0, x1, x2, x3), (y0, y1, y2, y3) = (back @ corners)[:2]
    return max(x0, x2), max(y0, y1), min(x1, x3), min(y2, y3)


def _both(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _moved(energy: Floats, matrix: Matrix, scale: float) -> Floats:
    size = (energy.shape[1], energy.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            energy, reduced_matrix(matrix, scale), size, flags=flags, borderMode=cv2.BORDER_CONSTANT
        ),
        np.float32,
    )


def _resized(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    even = picture[: 2 * shape[0], : 2 * shape[1]]
    return as_pixels(cv2.resize(even, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))
