"""How focus falls off with distance, learned from the parts of a stack that peak inside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_PROMINENT = 3.0
"""A tile's highest energy must be this many times the noise floor of its level."""


def log_signals(energies: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Logarithm of the energies less noise, and where they stand clear of it.

    The noise floor of a level is the 5th percentile, over the tiles, of their quietest frame.

    Args:
        energies: (frames, levels, tiles).

    Returns:
        Logarithms, same shape; and for (levels, tiles) whether the peak is clear of noise.
    """
    floor = np.percentile(energies.min(axis=0), 5, axis=1).astype(np.float32)[None, :, None]
    signal = np.maximum(energies - floor, np.float32(0.05) * energies + np.float32(1e-6))
    clear = energies.max(axis=0) > _PROMINENT * np.maximum(floor[0], np.float32(1e-6))
    return np.log(signal), clear


def find_peaks(
    log_signal: Floats, clear: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where each tile peaks (frame number, (tiles,)), judged at its finest clear level, and whether it has one."""
    level = clear.argmax(axis=0)
    peak = log_signal[:, level, np.arange(clear.shape[1])].argmax(axis=0)
    return np.asarray(peak, np.int64), np.asarray(clear.any(axis=0))


class FalloffCurve:
    """Logarithm of the signal over its peak against distance from the peak, and its scatter, for every level of detail."""

    BIN = 0.5
    """Width of a bin of distance, frames."""

    FEWEST = 20
    """A bin with fewer samples is left out: its neighbours are joined by a straight line."""

    def __init__(self, indices: Floats, log_signal: Floats, clear: npt.NDArray[np.bool_]) -> None:
        """Learn it from frames at `indices` (m,), signals (m, levels, tiles) and where they are clear (levels, tiles)."""
        self.step = np.float32(np.median(np.diff(indices)))
        self.levels = clear.shape[0]
        peak, known = find_peaks(log_signal, clear)
        inside = np.flatnonzero(known & (peak > 0) & (peak < len(indices) - 1))
        finest = log_signal[:, clear.argmax(axis=0)[inside], inside]
        at = indices[peak[inside]] + _offset_of_peak(indices, finest, peak[inside])
        place = np.rint(np.abs(indices[:, None] - at[None, :]) / self.step / self.BIN).astype(int)
        self._curves = [self._of_level(log_signal[:, level, inside], place) for level in range(self.levels)]
        self._strengths = [
            _middle_and_scatter(log_signal[:, level, inside].max(axis=0)) for level in range(self.levels)
        ]

    def reach(self, level: int) -> float:
        """The largest distance known, frames; negative when nothing is."""
        return float(self._curves[level][0].max(initial=-1))

    def at(self, level: int, distance: Floats) -> tuple[Floats, Floats]:
        """Logarithm of signal over peak, and scatter, at distances in frames."""
        known, middle, scatter = self._curves[level]
        return (
            np.asarray(np.interp(distance, known, middle), np.float32),
            np.asarray(np.interp(distance, known, scatter), np.float32),
        )

    def strength(self, level: int) -> tuple[float, float]:
        """Logarithm of the signal at a peak: usual value and scatter from tile to tile."""
        return self._strengths[level]

    def _of_level(self, log_signal: Floats, place: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        drop = log_signal - log_signal.max(axis=0)
        bins = []
        for k in range(int(place.max(initial=-1)) + 1):
            values = drop[place == k]
            if values.size >= self.FEWEST:
                bins.append((k * self.BIN, *_middle_and_scatter(values)))
        table = np.asarray(bins, np.float32).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


def _middle_and_scatter(values: Floats) -> tuple[float, float]:
    """Median, and the standard deviation that the median absolute deviation stands for."""
    if values.size == 0:
        return 0.0, 0.0
    middle = float(np.median(values))
    return middle, 1.48 * float(np.median(np.abs(values - middle)))


def _offset_of_peak(indices: Floats, curve: Floats, peak: npt.NDArray[np.int64]) -> Floats:
    """From the sampled to the true peak by a parabola, in units of `indices`; `curve` is (m, tiles), `peak` inside it."""
    tiles = np.arange(len(peak))
    left, top, right = curve[peak - 1, tiles], curve[peak, tiles], curve[peak + 1, tiles]
    bend = np.minimum(left - 2 * top + right, np.float32(-1e-6))
    steps = np.clip((left - right) / (2 * bend), -0.5, 0.5)
    return np.asarray(steps * (indices[peak + 1] - indices[peak - 1]) / 2, np.float32)
