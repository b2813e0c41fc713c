"""Round numbers for legends and scale bars."""

from __future__ import annotations

import math

_ROUND = (1.0, 2.0, 5.0, 10.0)


def round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    share = value / power * (1 + 1e-9)
    return power * max(r for r in _ROUND if r <= share)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from `low` to `high`, equally spaced, at most `most` of them; `low` alone when nothing lies between.

    Raises:
        ValueError: when `high` is below `low`, or fewer than 2 ticks are asked for.
    """
    if high < low or most < 2:
        raise ValueError(f"no {most} ticks from {low} to {high}")
    if high == low:
        return [low]
    step = round_down((high - low) / most)
    while True:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [k * step for k in range(first, last + 1)] or [low]
        step = _next(step)


def _next(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    return round_down(step * 2.5)


def label(value: float, step: float) -> str:
    """A tick's value with the digits that its step needs, and no minus before zero."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def length_label(length_um: float) -> str:
    """A length in the unit that reads best, as "200 \N{MICRO SIGN}m" or "2 mm"."""
    units = (("m", 1e6), ("mm", 1e3), ("\N{MICRO SIGN}m", 1.0))
    fitting = (pair for pair in units if length_um >= pair[1] * (1 - 1e-9))
    unit, size_um = next(fitting, ("nm", 1e-3))
    return f"{length_um / size_um:.4g} {unit}"
