"""Input shapers: a move made of delayed, scaled copies of itself, so that the ringing each copy starts cancels that of the others.

The impulses are those of the textbook shapers (Singer and Seering 1990 for ZV and ZVD, Singhose for EI); MZV is the
three-impulse shaper of 0.75 periods that 3D printers know by this name. With K = exp(-ζπ/√(1-ζ²)) and the damped period T_d
they lie at half and whole periods; each is normalised, so that a shaped move ends exactly where the unshaped one does.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence

from drivers.base import ShapeKind, Shaping
from drivers.motion.profile import REST, Profile, quintic, trapezoid

Impulses = tuple[tuple[float, float], ...]
"""Time in seconds and share of the move, in order of time; the shares add up to 1."""

EI_TOLERANCE = 0.05
"""Residual that the EI shaper allows at its own frequency, to be less sensitive beside it."""
SAME_TIME_S = 1e-12
"""Corners of a profile that lie closer are one: rounding, not motion."""
UNSHAPED: Impulses = ((0.0, 1.0),)


def impulses(kind: ShapeKind, frequency_hz: float, damping: float) -> Impulses:
    """The impulses of a shaper; one of 1 at time 0 for the kinds that are none.

    Raises:
        ValueError: a shaper needs a frequency above 0 and a damping ratio from 0 to below 1.
    """
    if kind in {"trapezoid", "quintic"}:
        return UNSHAPED
    if not (frequency_hz > 0 and 0 <= damping < 1):
        raise ValueError(f"a {kind} shaper needs a frequency above 0 Hz and a damping of 0 to 1")
    root = math.sqrt(1.0 - damping**2)
    period_s = 1.0 / (frequency_hz * root)
    times, shares = _shape(kind, damping / root)
    total = sum(shares)
    return tuple((time * period_s, share / total) for time, share in zip(times, shares, strict=True))


def _shape(kind: ShapeKind, loss: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times in damped periods, and amplitudes before they are normalised; `loss` is ζ/√(1-ζ²)."""
    half = math.exp(-math.pi * loss)
    if kind == "zv":
        return (0.0, 0.5), (1.0, half)
    if kind == "zvd":
        return (0.0, 0.5, 1.0), (1.0, 2.0 * half, half**2)
    if kind == "ei":
        outer, middle = (1.0 + EI_TOLERANCE) / 4.0, (1.0 - EI_TOLERANCE) / 2.0
        return (0.0, 0.5, 1.0), (outer, middle * half, outer * half**2)
    part = math.exp(-0.75 * math.pi * loss)
    outer = 1.0 - 1.0 / math.sqrt(2.0)
    return (0.0, 0.375, 0.75), (outer, (math.sqrt(2.0) - 1.0) * part, outer * part**2)


def residual(kind: ShapeKind, frequency_hz: float, damping: float, true_frequency_hz: float) -> float:
    """Share of the ringing that is left when the shaper ends, against one impulse of the same size given at that moment.

    Args:
        kind: the shaper.
        frequency_hz: what it is made for, with `damping`.
        damping: what it is made for, and the truth.
        true_frequency_hz: of what rings.
    """
    shaper = impulses(kind, frequency_hz, damping)
    decay = damping * 2.0 * math.pi * true_frequency_hz
    omega_d = 2.0 * math.pi * true_frequency_hz * math.sqrt(1.0 - damping**2)
    last_s = shaper[-1][0]
    weights = [(share * math.exp(decay * (time - last_s)), omega_d * time) for time, share in shaper]
    cosine = sum(weight * math.cos(angle) for weight, angle in weights)
    sine = sum(weight * math.sin(angle) for weight, angle in weights)
    return math.hypot(cosine, sine)


def shaped(profile: Profile, shaper: Impulses) -> Profile:
    """The sum of delayed, scaled copies of a profile that starts at rest: exact, again piecewise polynomial.

    Its speed and acceleration are nowhere above those of `profile`, and it lasts longer by the shaper's last time.

    Raises:
        ValueError: `profile` starts with a speed; only a whole move can be shaped.
    """
    if len(shaper) == 1 or profile.distance_um == 0:
        return profile
    if profile.velocity_um_per_s(0.0) != 0 and profile.duration_s > 0:
        raise ValueError("only a move that starts at rest can be shaped")
    corners = _corners(profile, shaper)
    pieces = [
        (after - before, _sum_at(profile, shaper, (before + after) / 2.0, before))
        for before, after in itertools.pairwise(corners)
    ]
    return Profile(pieces, distance_um=profile.distance_um)


def _corners(profile: Profile, shaper: Impulses) -> list[float]:
    """Times at which any copy changes its polynomial, in order."""
    ends = [0.0]
    for duration_s, _ in profile.pieces:
        ends.append(ends[-1] + duration_s)
    corners: list[float] = []
    for time in sorted(delay + end for delay, _ in shaper for end in ends):
        if not corners or time - corners[-1] > SAME_TIME_S:
            corners.append(time)
    return corners


def _sum_at(profile: Profile, shaper: Impulses, inside_s: float, origin_s: float) -> tuple[float, ...]:
    """Acceleration polynomial of the sum around `inside_s`, in powers of the time since `origin_s`."""
    starts = [0.0]
    for duration_s, _ in profile.pieces:
        starts.append(starts[-1] + duration_s)
    total = [0.0] * max(len(acceleration) for _, acceleration in profile.pieces)
    for delay_s, share in shaper:
        at = bisect.bisect_right(starts, inside_s - delay_s) - 1
        if not 0 <= at < len(profile.pieces):
            continue
        moved = _moved(profile.pieces[at][1], origin_s - delay_s - starts[at])
        for power, coefficient in enumerate(moved):
            total[power] += share * coefficient
    return tuple(total)


def _moved(coefficients: Sequence[float], by: float) -> list[float]:
    """Coefficients of p(t + by), by repeated synthetic division."""
    moved = list(coefficients)
    for first in range(len(moved) - 1):
        for power in reversed(range(first, len(moved) - 1)):
            moved[power] += by * moved[power + 1]
    return moved


def profile_for(
    shaping: Shaping, distance_um: float, speed_um_per_s: float, acceleration_um_per_s2: float
) -> Profile:
    """The profile of a move that keeps both limits.

    Raises:
        ValueError: a shaper without a frequency.
    """
    if distance_um == 0:
        return REST
    if shaping.kind == "quintic":
        shortest_s = shaping.quintic_periods / shaping.frequency_hz if shaping.frequency_hz > 0 else 0.0
        return quintic(distance_um, speed_um_per_s, acceleration_um_per_s2, min_duration_s=shortest_s)
    plain = trapezoid(distance_um, speed_um_per_s, acceleration_um_per_s2)
    return shaped(plain, impulses(shaping.kind, shaping.frequency_hz, shaping.damping))
