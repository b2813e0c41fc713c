"""When a profile crosses from one microstep to the next: compiled, without the interpreter lock, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])

TOLERANCE = 1e-7
"""Of a crossing, in microsteps: less than a nanosecond at any speed that matters."""
TRIES = 80
"""Newton's method takes a handful; bisection, where it fails, halves a day to a nanosecond in fewer."""


def _kernel(function: Function) -> Function:
    compiled: Function = njit(cache=True, nogil=True)(function)
    return compiled


@_kernel
def _value(row: NDArray[np.float64], t: float) -> float:
    value: float = row[row.shape[0] - 1]
    for power in range(row.shape[0] - 2, -1, -1):
        value = value * t + row[power]
    return value


@_kernel
def _slope(row: NDArray[np.float64], t: float) -> float:
    value = 0.0
    for power in range(row.shape[0] - 1, 0, -1):
        value = value * t + power * row[power]
    return value


@_kernel
def _crossing(row: NDArray[np.float64], target: float, low: float, high: float) -> float:
    """Where the growing polynomial reaches `target` between `low` and `high`."""
    t = 0.5 * (low + high)
    for _ in range(TRIES):
        miss = _value(row, t) - target
        if abs(miss) < TOLERANCE:
            return t
        if miss > 0:
            high = t
        else:
            low = t
        speed = _slope(row, t)
        t = t - miss / speed if speed > 0 else low
        if not low < t < high:
            t = 0.5 * (low + high)
    return t


@_kernel
def crossings_us(
    durations: NDArray[np.float64],
    rows: NDArray[np.float64],
    first: float,
    gap_us: int,
    times_us: NDArray[np.int64],
) -> None:
    """Fill `times_us` (n,) with when the position passes `first`, `first` + 1, ...

    Args:
        durations: (pieces,) seconds.
        rows: (pieces, powers) position in microsteps since the start, as a polynomial of the time within the piece, lowest power first;
            nowhere falling.
        first: position of the first crossing, in microsteps.
        gap_us: pulses are nowhere closer; those that would be come later.
        times_us: filled, in microseconds since the start; what the end does not reach is due at the end.
    """
    piece, begun, low = 0, 0.0, 0.0
    pieces = durations.shape[0]
    for at in range(times_us.shape[0]):
        target = first + at
        while piece < pieces and _value(rows[piece], durations[piece]) < target:
            begun += durations[piece]
            piece += 1
            low = 0.0
        due = begun
        if piece < pieces:
            low = (
                _crossing(rows[piece], target, low, durations[piece])
                if _value(rows[piece], low) < target
                else low
            )
            due = begun + low
        due_us = int(np.floor(due * 1e6 + 0.5))
        if at > 0 and due_us < times_us[at - 1] + gap_us:
            due_us = times_us[at - 1] + gap_us
        times_us[at] = due_us
