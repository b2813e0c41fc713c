"""Where each cell of a stack was sharpest, found at several sizes: fine where there is texture, coarse where only that stands above noise.

Frames are looked at as the camera gave them, not resampled: resampling softens each pixel by where it falls between four, which a
focus measure would see. What is resampled is the pooled energy, which is smooth.

The measure is the sum-modified-Laplacian of Nayar and Nakagawa (IEEE PAMI 16, 1994, section IV), squared and pooled, of all colour
channels: a red wire before a green ground has hardly any contrast of luma.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Matrix, Pixels
from stackcore.methods import Setting
from stackcore.methods._record_kernel import AFTER, BEFORE, BEST, FRAME, PREVIOUS, record_rows
from stackcore.methods._rows import Bands
from stackcore.methods._unveil_kernels import focus_energy
from stackcore.scores import LUMA_BINS, energy_of

Floats = npt.NDArray[np.float32]

LEVELS = 4
"""Half, quarter, eighth and sixteenth of the size."""

RADIUS = 2
"""Of the pooling window, in px of each level. With 1 edges are 1 px sharper, and noise five times as often passes for texture."""

CLEAR = 4.5
"""A cell's depth is taken from a level where its highest energy is so many times that of noise alone. With this window the 99th
percentile of the highest of 24 energies of pure noise is 4.6 times the floor (`stackcore.depth.noise_peak`)."""

KAPPA = 0.07
DECAY = 0.7
STRAY = 0.05
STRAY_PX = 12
"""At the ends of a stack, what has less than this share of the highest energy so near it is taken for stray light."""

_FINE = np.float32(16)
"""Values of the smaller pictures are kept 16 times as large, as uint16: averages have fractions."""
_GAIN = np.float32(16)
"""Scores are of energies so many times as large; energies of coarse levels are small, and below 1 there is no score."""
_SAMPLES = 4096
_SAMPLED_FRAMES = 48
_PERCENTILE = 10
_FEWEST = 100
_MIN_SIDE = 12
_BAND_ROWS = 128
_PLACES = 64


@dataclass(frozen=True)
class Sharpest:
    """Depth of every cell.

    Attributes:
        place: (h, w) float32, in frames counted from 0.
        clearness: (h, w) float32, how far the peak stood above noise at the level that it was taken from: 0 (as noise) to 1.
    """

    place: Floats
    clearness: Floats


class _Level:
    def __init__(self, height: int, width: int, channels: int) -> None:
        self.shape = (height, width)
        self.state = np.zeros((height, 5, width), np.uint16)
        self.energy = np.empty((height, width), np.float32)
        self.samples: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]] = []
        self.channels = channels


class FocusLevels:
    """Follows the focus of one stack."""

    def __init__(self, setting: Setting, bands: Bands) -> None:
        """Reserve the state: 14 bytes a cell, and a third of it for the coarser levels."""
        self._bands = bands
        self._channels = setting.channels
        self._full_scale = int(np.iinfo(setting.dtype).max)
        height, width = max(1, setting.height // 2), max(1, setting.width // 2)
        self.levels = [_Level(height, width, setting.channels)]
        while len(self.levels) < LEVELS and min(height, width) >= 2 * _MIN_SIDE:
            height, width = height // 2, width // 2
            self.levels.append(_Level(height, width, setting.channels))
        self._luma: npt.NDArray[np.uint8] | None = None
        self.frames = 0

    def add(self, frame: AlignedFrame) -> list[Pixels]:
        """Look at the next frame; gives it back at half size and smaller, not resampled."""
        scale = 1.0
        picture = halved(frame.pixels)
        pictures = []
        gain = float(frame.gain.mean()) ** 2 if frame.channels == 3 else float(frame.gain[0]) ** 2
        for number, level in enumerate(self.levels):
            scale *= 2
            if number == 1 and picture.dtype == np.uint8:
                picture = np.left_shift(picture, np.uint16(4), dtype=np.uint16)
            if number:
                picture = _resized(picture, level.shape)
            pictures.append(picture)
            self._look(level, picture, number)
            energy = level.energy
            if frame.moved:
                energy = _moved(energy, frame.matrix, scale)
            if gain != 1:
                energy = energy * np.float32(gain)
            self._record(level, energy)
            self._sample(level, picture)
        if self._luma is None:
            self._luma = self._luma_of(picture)
        self.frames += 1
        return pictures

    def sharpest(self) -> Sharpest:
        """Depth at the finest level that shows it, of all cells; of cells that no level shows, that of the cells around."""
        place: Floats | None = None
        clearness: Floats | None = None
        for level in reversed(self.levels):
            own, ratio, stray = self._peaks(level)
            shown = (ratio >= CLEAR) & ~stray
            if place is not None:
                size = (level.shape[1], level.shape[0])
                below = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR)
                coarse = cv2.resize(ratios, size, interpolation=cv2.INTER_LINEAR)
                shown &= (ratio >= np.float32(KAPPA) * coarse) | (np.abs(own - below) < np.float32(1.5))
            ratios = ratio if place is None else np.maximum(ratio, np.float32(DECAY) * coarse)
            clear = np.clip(1 - np.float32(3) / np.maximum(ratio, np.float32(1e-3)), 0, 1) * shown
            if place is None or clearness is None:
                place, clearness = own, clear
                strays = stray
                continue
            size = (level.shape[1], level.shape[0])
            below = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR)
            sure = cv2.resize(clearness, size, interpolation=cv2.INTER_LINEAR)
            take = cv2.medianBlur(shown.astype(np.uint8), 5) > 0
            strays = (cv2.resize(strays.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0) & ~take
            place = np.where(take, own, below).astype(np.float32)
            clearness = np.where(take, clear, sure * np.float32(0.7)).astype(np.float32)
        assert place is not None
        assert clearness is not None
        if strays.any():
            place = _filled(place, strays)
        return Sharpest(_median(place), clearness)

    def _look(self, level: _Level, picture: Pixels, number: int) -> None:
        height, width = level.shape
        values = np.ascontiguousarray(picture).reshape(height, width * self._channels)
        values.flags.writeable = False
        scale = np.float32(1) if number == 0 else np.float32(1) / _FINE
        if self._full_scale > 255:
            scale = np.float32(255) / np.float32(self._full_scale)

        def band(first: int, end: int) -> None:
            rows = np.empty((3, (width + 2) * self._channels), np.float32)
            squares = np.empty((2 * RADIUS + 1, width), np.float32)
            pooled = np.empty((2, max(width * self._channels, width + 2 * RADIUS)), np.float32)
            focus_energy(
                values, self._channels, RADIUS, scale, first, end, level.energy, rows, squares, pooled
            )

        self._bands.run(height, band, _BAND_ROWS)

    def _record(self, level: _Level, energy: Floats) -> None:
        def band(first: int, end: int) -> None:
            part = energy[first:end] * _GAIN
            mask = np.empty(part.shape, np.uint16)
            scratch = np.empty(part.shape[1], np.uint16)
            record_rows(part, np.uint16(self.frames), level.state[first:end], mask, scratch)

        self._bands.run(level.shape[0], band, _BAND_ROWS)

    def _sample(self, level: _Level, picture: Pixels) -> None:
        """Brightness and score on a grid over the middle of the picture; a frame may show nothing at its border."""
        height, width = level.shape
        stride = max(1, int(np.sqrt(height * width / _SAMPLES)))
        grid = (slice(height // 6, height - height // 6, stride), slice(width // 6, width - width // 6, stride))
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

    def _peaks(self, level: _Level) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Place of the peak between frames, how many times the noise it is, and whether it is stray light.

        The peak is fitted as in `stackcore.depth`. Beside a bright edge a flat place gets most of its energy where the edge is
        farthest out of focus, at an end of the stack, and has it from the edge.
        """
        floor = self._floor(level)
        place = np.empty(level.shape, np.float32)
        ratio = np.empty(level.shape, np.float32)
        assert self._luma is not None
        luma = cv2.resize(self._luma, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
        last = self.frames - 1

        def band(first: int, end: int) -> None:
            state = level.state[first:end]
            own = floor[luma[first:end] // (256 // LUMA_BINS)]
            best = energy_of(state[:, BEST])
            peak, before, after = (
                np.log(np.maximum(energy - own, np.float32(0.02) * energy) + np.float32(1e-3))
                for energy in (best, energy_of(state[:, BEFORE]), energy_of(state[:, AFTER]))
            )
            rise, fall = peak - before, peak - after
            frame = state[:, FRAME].astype(np.float32)
            inner = (frame > 0) & (frame < last) & (rise + fall > 0)
            offset = np.where(
                inner,
                np.float32(0.5) * (rise - fall) / np.maximum(rise + fall, np.float32(1e-6)),
                np.float32(0),
            )
            place[first:end] = frame + np.clip(offset, -0.5, 0.5)
            ratio[first:end] = best / np.maximum(own, np.float32(1e-3))

        self._bands.run(level.shape[0], band, _BAND_ROWS)
        frame = level.state[:, FRAME]
        ends = (frame == 0) | (frame == last)
        if not ends.any():
            return _median(place), ratio, ends
        best = energy_of(level.state[:, BEST])
        around = cv2.dilate(best, np.ones((2 * STRAY_PX + 1, 2 * STRAY_PX + 1), np.uint8))
        return _median(place), ratio, ends & (best < np.float32(STRAY) * around)

    def _floor(self, level: _Level) -> Floats:
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
            return np.zeros(LUMA_BINS, np.float32)
        nearest = seen[np.abs(np.arange(LUMA_BINS)[:, None] - seen).argmin(axis=1)]
        return np.asarray(floor[nearest], np.float32)


def halved(pixels: Pixels) -> Pixels:
    """Means of 2 x 2 px; an odd last row or column is left out. Same type, (H // 2, W // 2[, 3])."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    if height == 0 or width == 0:
        return pixels
    even = pixels[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def reduced_matrix(matrix: Matrix, scale: float) -> Matrix:
    """The same motion between pictures `scale` times smaller."""
    shift = (scale - 1) / 2
    linear = matrix[:, :2]
    offset = (linear @ np.array([shift, shift]) + matrix[:, 2] - shift) / scale
    return np.asarray(np.column_stack([linear, offset]), np.float64)


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
    return cv2.resize(even, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _median(place: Floats) -> Floats:
    """The median of 5 x 5: a place that fits none of its neighbours is an error."""
    whole = np.rint(place * _PLACES).astype(np.uint16)
    return np.asarray(cv2.medianBlur(whole, 5), np.float32) / np.float32(_PLACES)


def _filled(place: Floats, holes: npt.NDArray[np.bool_]) -> Floats:
    """Holes take the mean of what is around them, from ever farther away until something is there."""
    weight = (~holes).astype(np.float32)
    means = [(place * weight, weight)]
    while min(means[-1][1].shape) > 2 and float(means[-1][1].min()) == 0:
        size = ((means[-1][1].shape[1] + 1) // 2, (means[-1][1].shape[0] + 1) // 2)
        means.append(tuple(cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in means[-1]))  # type: ignore[arg-type]
    total, share = means[-1]
    filled = np.asarray(total / np.maximum(share, np.float32(1e-6)), np.float32)
    for total, share in reversed(means[:-1]):
        size = (share.shape[1], share.shape[0])
        far = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        filled = np.where(share > 0, total / np.maximum(share, np.float32(1e-6)), far).astype(np.float32)
    return filled
