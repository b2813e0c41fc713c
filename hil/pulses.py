"""Step pulses as a loop-back pin saw them: how many, how fast, how even. Pure arithmetic on times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hil.pins import Edge

REACH = 4
"""A pulse is held against so many on each side of it."""
RATE_PULSES = 16
"""The highest rate is that of so many intervals in a row."""
EVEN = 1.5
"""Pulses belong to the even part of a move where intervals are less than so many times the shortest usual one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pulses:
    """What one move's pulses were like. Times in seconds."""

    count: int
    rate_hz: float
    """Highest, over `RATE_PULSES` intervals; nan with fewer pulses."""
    jitter_s: Floats
    """How far each pulse of the even part came from where its neighbours put it, (n,)."""
    shortest_s: float
    """Shortest of all intervals; nan with less than two pulses."""


def rising(edges: list[Edge], kind: str = "rising") -> Floats:
    """Times of the edges that make steps."""
    level = int(kind == "rising")
    return np.array([edge.at_s for edge in edges if edge.level == level])


def uneven(times_s: Floats) -> Floats:
    """How far each time is from the parabola through its neighbours, `REACH` on each side, itself left out.

    A parabola follows a constant acceleration exactly where speeds change little from pulse to pulse. Needs 2 `REACH` + 1 times.
    """
    if len(times_s) < 2 * REACH + 1:
        return np.empty(0)
    places = np.array([place for place in range(-REACH, REACH + 1) if place])
    design = np.stack([np.ones(2 * REACH), places, places**2], axis=1)
    weights = np.linalg.pinv(design)[0]
    windows = np.lib.stride_tricks.sliding_window_view(times_s, 2 * REACH + 1)
    middle = windows[:, REACH]
    # About the middle, so that seconds since boot cost no digits.
    return -((np.delete(windows, REACH, axis=1) - middle[:, np.newaxis]) @ weights)


def judge(times: ArrayLike) -> Pulses:
    """What the pulses at these times, (n,) ascending seconds, are like."""
    times_s = np.asarray(times, dtype=np.float64)
    gaps = np.diff(times_s)
    if not len(gaps):
        return Pulses(len(times_s), np.nan, np.empty(0), np.nan)
    runs = times_s[RATE_PULSES:] - times_s[:-RATE_PULSES]
    rate_hz = RATE_PULSES / float(runs.min()) if len(runs) else np.nan
    usual = float(np.percentile(gaps, 10))
    even = np.flatnonzero(gaps <= EVEN * usual)
    part = times_s[even[0] : even[-1] + 2] if len(even) else times_s[:0]
    return Pulses(len(times_s), rate_hz, uneven(part), float(gaps.min()))


def last_after(times_s: Floats, asked_s: float) -> float:
    """How long after `asked_s` the last pulse came; 0 where none did."""
    after = times_s[times_s > asked_s]
    return float(after[-1] - asked_s) if len(after) else 0.0
