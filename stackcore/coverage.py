"""Did the stack reach the near and the far end of the subject, and if not, how many frames are missing?

Parts of the subject that are sharpest in the first (last) frame may have their true peak beyond it. How focus falls off with
distance is learned, at every scale of detail, from the tiles that peak inside the stack (`stackcore.falloff`). Each tile at an
end is then matched to that curve by its first (last) few energies: by how they change, and, more loosely, by how large they are.
Neighbouring tiles are matched together, since one alone is easily mistaken.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.depth import fit_peaks, sampled
from stackcore.falloff import FalloffCurve, find_peaks, log_signals
from stackcore.focus_history import FocusHistory
from stackcore.scores import Merged

Floats = npt.NDArray[np.float32]

PERCENTILE = 95
"""Of the tiles at an end, how many are to be covered by the frames that are asked for."""

REACHED_WITHIN = 0.75
"""Frames. Peaks no farther beyond the last frame than this are as sharp as the stack shows any."""

_FEWEST_TILES = 3
_FEWEST_SHARE = 0.005
_SAMPLES_AT_END = 6
_LEAST_SCATTER = 0.05
_GUESS_STEP = 0.1
_NEIGHBOURHOOD = (5, 5)

_COST_PER_FRAME = 2.0
"""Of two distances that fit alike the nearer one is believed: a factor e in likelihood a frame."""

_KEPT_SHARE = 0.75
"""Tiles that hold several depths fit badly; this share, the best fitting, is used."""


@dataclass(frozen=True)
class End:
    """One end of a stack.

    Attributes:
        reached: whether the subject ends within the stack.
        extend_frames: how many more frames would reach it, 0 when reached; None when that cannot be told.
    """

    reached: bool
    extend_frames: float | None

    def text(self, name: str) -> str:
        """In plain words, as "near end reached" or "extend near by about 3 frames"."""
        if self.reached:
            return f"{name} end reached"
        if self.extend_frames is None:
            return f"{name} end not reached; how far it is cannot be told"
        frames = max(1, round(self.extend_frames))
        return f"extend {name} by about {frames} frame{'' if frames == 1 else 's'}"


@dataclass(frozen=True)
class Coverage:
    """What a stack covers.

    Attributes:
        first: the end at the first frame.
        last: the end at the last frame.
        confident_share: 0..1, share of the pixels whose focus stands above noise.
    """

    first: End
    last: End
    confident_share: float

    def text(self, near_first: bool = True) -> str:
        """Both ends in plain words; `near_first` says whether the first frame is the near one."""
        if self.confident_share == 0:
            return "nothing in this stack is sharp anywhere"
        near, far = (self.first, self.last) if near_first else (self.last, self.first)
        return f"{near.text('near')}, {far.text('far')}"


def coverage(merged: Merged, history: FocusHistory) -> Coverage:
    """Judge a stack.

    Args:
        merged: the merged stack.
        history: of the same stack, as its merger kept it.

    Returns:
        Both ends and the share of confident pixels.
    """
    share = float((fit_peaks(sampled(merged)).prominence > 0).mean())
    indices, energies = history.energies()
    if share == 0 or len(indices) < 2:
        unknown = End(reached=False, extend_frames=None)
        return Coverage(unknown, unknown, share)
    log_signal, clear = log_signals(energies)
    curve = FalloffCurve(indices, log_signal, clear)
    # The history of a long stack keeps only every second (fourth, ...) frame, and steps are counted in what it kept.
    frames_per_step = float(curve.step / np.median(np.diff(merged.indices)))
    first, last = (
        _judge(distance, signal, clear, curve, history.tiles, frames_per_step=frames_per_step)
        for distance, signal in (
            (indices - indices[0], log_signal),
            (indices[-1] - indices[::-1], log_signal[::-1]),
        )
    )
    return Coverage(first, last, share)


def _judge(
    distance: Floats,
    log_signal: Floats,
    clear: npt.NDArray[np.bool_],
    curve: FalloffCurve,
    tiles: tuple[int, int],
    *,
    frames_per_step: float,
) -> End:
    """One end: `distance` of each kept frame from it, and the signals in the same order."""
    peak, known = find_peaks(log_signal, clear)
    at_end = np.flatnonzero(known & (peak == 0))
    if len(at_end) < max(_FEWEST_TILES, _FEWEST_SHARE * known.sum()):
        return End(reached=True, extend_frames=0.0)
    near_end = min(_SAMPLES_AT_END, len(distance))
    guesses, cost = _mismatch(distance[:near_end] / curve.step, log_signal[:near_end, :, at_end], curve)
    if len(guesses) == 0:
        return End(reached=False, extend_frames=None)
    nearer = np.float32(_COST_PER_FRAME) * np.maximum(guesses, np.float32(0))
    cost = np.asarray(_with_neighbours(cost, at_end, tiles) + nearer[:, None], np.float32)
    beyond, misfit = guesses[cost.argmin(axis=0)], cost.min(axis=0)
    missing = float(np.percentile(beyond[misfit <= np.quantile(misfit, _KEPT_SHARE)], PERCENTILE))
    missing *= frames_per_step
    if missing <= REACHED_WITHIN:
        return End(reached=True, extend_frames=0.0)
    return End(reached=False, extend_frames=missing)


def _mismatch(distance: Floats, log_signal: Floats, curve: FalloffCurve) -> tuple[Floats, Floats]:
    """How badly each guess of the distance beyond the end fits each tile.

    Args:
        distance: of the samples from the end, frames, (k,).
        log_signal: (k, levels, tiles).
        curve: how focus falls off.

    Returns:
        Guesses (g,), frames, none when the curve is not known far enough; and minus twice their log likelihood (g, tiles).
    """
    reach = max(curve.reach(level) for level in range(curve.levels))
    guesses = np.arange(-0.5, reach - float(distance[1]), _GUESS_STEP, dtype=np.float32)
    cost = np.zeros((len(guesses), log_signal.shape[2]), np.float32)
    for level in range(curve.levels if len(guesses) else 0):
        if curve.reach(level) < reach:
            continue
        expected, scatter = curve.at(level, np.abs(guesses[:, None] + distance[None, :]))
        weight = (1 / (scatter**2 + _LEAST_SCATTER**2))[:, :, None]
        residual = log_signal[None, :, level] - expected[:, :, None]
        strength = (weight * residual).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        cost += (weight * (residual - strength) ** 2).sum(axis=1)
        usual, spread = curve.strength(level)
        cost += (strength[:, 0] - usual) ** 2 / (spread**2 + _LEAST_SCATTER)
    return guesses, cost


def _with_neighbours(cost: Floats, at_end: npt.NDArray[np.int64], tiles: tuple[int, int]) -> Floats:
    """Mean cost of each tile and its neighbours at the same end; (g, tiles at the end)."""

    def pooled(values: Floats) -> Floats:
        plane = np.zeros(tiles, np.float32)
        plane.reshape(-1)[at_end] = values
        total = cv2.boxFilter(plane, -1, _NEIGHBOURHOOD, normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(total.reshape(-1)[at_end], np.float32)

    count = pooled(np.ones(len(at_end), np.float32))
    return np.stack([pooled(values) / count for values in cost])
