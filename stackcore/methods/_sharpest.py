"""Depth of every cell from the focus of a stack at several sizes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.methods._focus_levels import BAND_ROWS, FocusLevels, Level
from stackcore.methods._record_kernel import AFTER, BEFORE, BEST, FRAME
from stackcore.methods._rows import Bands
from stackcore.scores import LUMA_BINS, energy_of

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

CLEAR = 4.5
"""A cell's depth is taken from a level where its highest energy is so many times that of noise alone. With this window the 99th
percentile of the highest of 24 energies of pure noise is 4.6 times the floor, for luma (`stackcore.depth.noise_peak`)."""

FAINT = 0.07
"""Where a coarser level is clearer than a fine one by more than this ratio, and disagrees, it is right: beside a bright edge what
little energy a flat place has is the edge's, far out of focus. Without this there are halos round bright things on plain ground; at
0.1 fine detail beside wires is lost, at 0.05 the first specks of halo come."""

SURE = 40.0
"""What is so many times the noise is right whatever a coarser level says."""

FADING = 0.7
"""How much of a coarser level's clearness counts against each finer one."""

AGREED = 1.5
"""Levels agree that differ by less, in frames."""

STRAY = 0.05
STRAY_PX = 12
"""In the first and the last frame, what has less than this share of the highest energy so near it is taken for stray light."""

JUMP = 1.0
"""Neighbours whose depths differ by more, in frames, are two things."""

EASED = (0.15, 0.5)
EASED_PX = 4
"""Depth is eased where clearness is below the second number, wholly below the first, over windows of twice as many cells."""

_NOISE = np.float32(3)
_PLACES = 64
_LEAST_SIGNAL = np.float32(0.02)


@dataclass(frozen=True)
class Sharpest:
    """Depth of every cell.

    Attributes:
        place: (h, w) float32, in frames counted from 0.
        clearness: (h, w) float32, how far the peak stood above noise at the level that it was taken from: 0 (as noise) to 1.
        fine: (h, w), whether it was taken from the finest level.
        noise: standard deviation of the noise of a cell, in 255ths of white.
        width: standard deviation of the focus curve at the finest level, in frames; NaN where nothing is clear.
    """

    place: Floats
    clearness: Floats
    fine: Mask
    noise: float = 0.0
    width: float = float("nan")


@dataclass(frozen=True)
class _Peaks:
    """Of one level: place, how many times the noise the energy there is, and whether it can be trusted at all."""

    place: Floats
    ratio: Floats
    stray: Mask


def sharpest(levels: FocusLevels, bands: Bands) -> Sharpest:
    """Depth at the finest level that shows it; of cells that no level shows, that of the coarsest, or of the cells around."""
    found = _coarsest(_peaks(levels, levels.levels[-1], bands))
    for level in reversed(levels.levels[:-1]):
        found = _finer(found, _peaks(levels, level, bands))
    place = _filled(found.place, found.stray) if found.stray.any() else found.place
    return Sharpest(_median(place), found.clearness, found.fine, levels.noise(), _width(levels, found))


@dataclass(frozen=True)
class _Found:
    place: Floats
    clearness: Floats
    ratio: Floats
    stray: Mask
    fine: Mask


def _coarsest(peaks: _Peaks) -> _Found:
    shown = (peaks.ratio >= CLEAR) & ~peaks.stray
    return _Found(peaks.place, _clearness(peaks.ratio, shown), peaks.ratio, peaks.stray, shown)


def _finer(coarse: _Found, peaks: _Peaks) -> _Found:
    size = (peaks.place.shape[1], peaks.place.shape[0])
    place = enlarged(coarse.place, size)
    clearness, ratio = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)
        for plane in (coarse.clearness, coarse.ratio)
    )
    shown = (peaks.ratio >= CLEAR) & ~peaks.stray
    heard = (peaks.ratio >= np.float32(FAINT) * ratio) | (peaks.ratio >= np.float32(SURE))
    shown &= heard | (np.abs(peaks.place - place) < np.float32(AGREED))
    take = cv2.medianBlur(shown.astype(np.uint8), 5) > 0
    stray = cv2.resize(coarse.stray.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    own = _clearness(peaks.ratio, shown)
    return _Found(
        np.where(take, peaks.place, place).astype(np.float32),
        np.where(take, own, clearness * np.float32(FADING)).astype(np.float32),
        np.maximum(peaks.ratio, np.float32(FADING) * ratio),
        np.asarray(stray & ~take, np.bool_),
        np.asarray(take, np.bool_),
    )


def enlarged(place: Floats, size: tuple[int, int], step: float = 1.0) -> Floats:
    """A map of depth, in `step` for a frame, at another size (width, height), px. Jumps stay jumps: a depth between both sides would be that of nothing."""
    kernel = np.ones((3, 3), np.uint8)
    jumps = (cv2.dilate(place, kernel) - cv2.erode(place, kernel) > np.float32(JUMP * step)).astype(np.uint8)
    full = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR)
    whole = cv2.resize(place, size, interpolation=cv2.INTER_NEAREST)
    np.copyto(full, whole, where=cv2.resize(jumps, size, interpolation=cv2.INTER_NEAREST) > 0)
    return np.asarray(full, np.float32)


def _clearness(ratio: Floats, shown: Mask) -> Floats:
    """0 at `_NOISE` times the noise, towards 1 above."""
    return np.asarray(np.clip(1 - _NOISE / np.maximum(ratio, np.float32(1e-3)), 0, 1) * shown, np.float32)


def _peaks(levels: FocusLevels, level: Level, bands: Bands) -> _Peaks:
    """Peaks between frames, fitted as in `stackcore.depth`: three points, Gaussian, the noise taken off."""
    floor = levels.floor(level)
    place = np.empty(level.shape, np.float32)
    ratio = np.empty(level.shape, np.float32)
    assert levels.luma is not None
    luma = cv2.resize(levels.luma, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
    last = levels.frames - 1

    def band(first: int, end: int) -> None:
        state = level.state[first:end]
        noise = floor[luma[first:end] // (256 // LUMA_BINS)]
        best = energy_of(state[:, BEST])
        peak, before, after = (
            np.log(np.maximum(energy - noise, _LEAST_SIGNAL * energy) + np.float32(1e-3))
            for energy in (best, energy_of(state[:, BEFORE]), energy_of(state[:, AFTER]))
        )
        rise, fall = peak - before, peak - after
        frame = state[:, FRAME].astype(np.float32)
        inner = (frame > 0) & (frame < last) & (rise + fall > 0)
        offset = np.float32(0.5) * (rise - fall) / np.maximum(rise + fall, np.float32(1e-6))
        place[first:end] = frame + np.where(inner, np.clip(offset, -0.5, 0.5), np.float32(0))
        ratio[first:end] = best / np.maximum(noise, np.float32(1e-3))

    bands.run(level.shape[0], band, BAND_ROWS)
    frame = level.state[:, FRAME]
    ends = (frame == 0) | (frame == last)
    if ends.any():
        best = energy_of(level.state[:, BEST])
        around = cv2.dilate(best, np.ones((2 * STRAY_PX + 1, 2 * STRAY_PX + 1), np.uint8))
        ends &= best < np.float32(STRAY) * around
    return _Peaks(_median(place), ratio, ends)


def _width(levels: FocusLevels, found: _Found) -> float:
    """Median over what is clear: the logarithm of a Gaussian is a parabola, its second difference -1 / width^2."""
    rows = slice(None, None, 4)
    state = levels.levels[0].state[rows]
    frame = state[:, FRAME]
    clear = found.fine[rows] & (found.clearness[rows] > 0.6) & (frame > 0) & (frame < levels.frames - 1)
    if not clear.any():
        return float("nan")
    noise = np.float32(np.median(levels.floor(levels.levels[0])))
    energies = (energy_of(state[:, plane])[clear] for plane in (BEST, BEFORE, AFTER))
    peak, before, after = (
        np.log(np.maximum(energy - noise, _LEAST_SIGNAL * energy) + np.float32(1e-3)) for energy in energies
    )
    bend = 2 * peak - before - after
    return float(1 / np.sqrt(np.median(bend[bend > 0]))) if (bend > 0).any() else float("nan")


def _median(place: Floats) -> Floats:
    """The median of 5 x 5: a place that fits none of its neighbours is an error."""
    if float(place.max()) >= 65_535 / _PLACES:
        return np.asarray(cv2.medianBlur(place, 5), np.float32)
    # Four times as fast on whole numbers.
    whole = np.rint(place * _PLACES).astype(np.uint16)
    return np.asarray(cv2.medianBlur(whole, 5), np.float32) / np.float32(_PLACES)


def eased(place: Floats, clearness: Floats) -> Floats:
    """Where little is clear depth goes over gently from what is clear around: a jump there would be seen as a line, and be nothing."""
    size = (place.shape[1], place.shape[0])
    half = (max(1, size[0] // 2), max(1, size[1] // 2))
    weight = cv2.resize(clearness * clearness, half, interpolation=cv2.INTER_AREA) + np.float32(1e-3)
    total = cv2.resize(place, half, interpolation=cv2.INTER_AREA) * weight
    window = (2 * EASED_PX + 1, 2 * EASED_PX + 1)
    for _ in range(2):
        total, weight = cv2.blur(total, window), cv2.blur(weight, window)
    smooth = cv2.resize(total / weight, size, interpolation=cv2.INTER_LINEAR)
    own = np.clip((clearness - np.float32(EASED[0])) / np.float32(EASED[1] - EASED[0]), 0, 1)
    return np.asarray(smooth + own * (place - smooth), np.float32)


def _filled(place: Floats, holes: Mask) -> Floats:
    """Holes take the mean of what is around them, from ever farther away until something is there."""
    weight = (~holes).astype(np.float32)
    parts = [(place * weight, weight)]
    while max(parts[-1][1].shape) > 1 and float(parts[-1][1].min()) == 0:
        size = ((parts[-1][1].shape[1] + 1) // 2, (parts[-1][1].shape[0] + 1) // 2)
        total, share = (
            np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32) for part in parts[-1]
        )
        parts.append((total, share))
    total, share = parts[-1]
    filled = np.asarray(total / np.maximum(share, np.float32(1e-6)), np.float32)
    for total, share in reversed(parts[:-1]):
        far = cv2.resize(filled, (share.shape[1], share.shape[0]), interpolation=cv2.INTER_LINEAR)
        here = total / np.maximum(share, np.float32(1e-6))
        filled = np.where(share > 0, here, far).astype(np.float32)
    return filled
