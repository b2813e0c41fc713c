"""When the shutter was truly open, from an LED that is switched at known times in the middle of exposures. Pure arithmetic.

Switched on at time u after the exposure is said to begin, an LED is seen for the share (e - u) / (e - s) of it, where s and e are
when it truly began and ended, counted in the same way; switched off at u, for (u - s) / (e - s). So shares and times lie on two
straight lines, which give s and e. A picture's values are no light: a power law between the two is found with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.12, 0.88
"""Shares of light that are used: near none and all the picture's values tell little."""
LEAST = 4
"""So many usable flashes are needed."""
POWERS = np.linspace(0.5, 2.5, 81)
"""Of the picture's linearised values that are tried."""
ENOUGH = 20.0
"""Grey levels between dark and lit that a pixel must have to be looked at."""
FULL = 250.0
"""Above this a pixel is saturated."""


class FlashError(Exception):
    """The LED tells nothing."""


@dataclass(frozen=True, slots=True)
class Flash:
    """One exposure in which the LED was switched."""

    after_s: float
    """From when the exposure is said to begin to the switching."""
    on: bool
    """Switched on; otherwise off."""
    share: float
    """Of the light of an LED that is on throughout, 0 to 1, on the picture's linearised scale."""


@dataclass(frozen=True, slots=True)
class Shutter:
    """When the shutter was truly open, counted from when it is said to open. Seconds."""

    start_s: float
    end_s: float
    error_s: float
    """One standard deviation of either."""
    power: float
    """Of the picture's values that light is: 1 for one that is linear."""
    used: int


def linear(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """sRGB values 0..255 to light 0..1 (IEC 61966-2-1)."""
    share = np.asarray(values, dtype=np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def shares(
    picture: NDArray[np.uint8], dark: NDArray[np.uint8], full: NDArray[np.uint8], parts: int = 1
) -> list[float]:
    """Share of the LED's light in a picture, for equal parts from top to bottom.

    Args:
        picture: (H, W) gray.
        dark: the same with the LED off throughout.
        full: with the LED on throughout.

    Raises:
        FlashError: the LED makes no difference, or saturates all that it does.
    """
    found = []
    for rows in np.array_split(np.arange(picture.shape[0]), parts):
        one, none, whole = picture[rows], dark[rows].astype(np.float64), full[rows].astype(np.float64)
        chosen = (whole - none > ENOUGH) & (whole < FULL)
        if chosen.sum() < 16:
            raise FlashError(
                "the LED hardly changes the picture, or it is all white: move it, or change its resistor"
            )
        low, high = linear(none[chosen]).sum(), linear(whole[chosen]).sum()
        found.append(float((linear(one[chosen]).sum() - low) / (high - low)))
    return found


def shutter(flashes: Sequence[Flash]) -> Shutter:
    """Start and end of exposures by least squares. Raises `FlashError` with too few usable flashes of either kind."""
    share = np.array([flash.share for flash in flashes])
    after = np.array([flash.after_s for flash in flashes])
    on = np.array([flash.on for flash in flashes])
    usable = (share > LOW) & (share < HIGH)
    if (usable & on).sum() < LEAST or (usable & ~on).sum() < LEAST:
        raise FlashError(
            f"only {int((usable & on).sum())} and {int((usable & ~on).sum())} flashes fell into an exposure: "
            f"at least {LEAST} of each kind are needed, take more (numbers.led_frames)"
        )
    share, after, on = share[usable], after[usable], on[usable]
    fits = [(_fit(share**power, after, on), power) for power in POWERS]
    (_, start_s, end_s, error_s), power = min(fits, key=lambda fit: fit[0][0])
    if not end_s > start_s:
        raise FlashError("the flashes make no sense: an exposure that ends before it begins")
    return Shutter(start_s, end_s, error_s, float(power), len(share))


def _fit(
    share: NDArray[np.float64], after_s: NDArray[np.float64], on: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Misfit, start, end and their error for linear shares."""
    of_start = np.where(on, share, 1 - share)
    design = np.stack([of_start, 1 - of_start], axis=1)
    found, *_ = np.linalg.lstsq(design, after_s, rcond=None)
    rest = after_s - design @ found
    misfit = float(np.sqrt((rest**2).sum() / max(1, len(rest) - 3)))
    spread = np.sqrt(np.diag(np.linalg.inv(design.T @ design)).max())
    return misfit, float(found[0]), float(found[1]), misfit * float(spread)
