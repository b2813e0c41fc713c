"""How long a rig must stand still before an exposure. Pure: no clock, no I/O, no drivers.

After a move the image swings as a sum of damped cosines, y(t) = A exp(-ζωt) cos(ω_d t + φ). The motion blur of an exposure that
begins t after the motion and lasts t_e is the range of y within it; φ is not known at that moment, so the worst is taken. It falls
with exp(-ζωt), and the shortest settle follows:

    t = ln(A G / x) / (ζω),   G the range within t_e of the worst-placed exp(-ζωτ) cos(ω_d τ + φ), x the blur allowed

For short exposures and little damping G is 2 |sin(π f t_e)|, and from half a period on it is near 2 (derived, as is the exact value
used here). What is not known exactly is taken on its bad side, as far as the confidence asks: a larger amplitude, less damping,
a lower frequency.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

PHASES = 180
"""Phases that are tried in the search for the worst; the range is smooth in them."""
LEAST_DECAY_PER_S = 1e-3
"""Slower than this nothing rings down that anybody would wait for."""
LEAST_SHARE = 0.2
"""However uncertain a frequency or a damping is, at least this share of it is believed."""


@dataclass(frozen=True, slots=True)
class Ring:
    """One way in which the image swings. Errors are one standard deviation."""

    frequency_hz: float
    """Natural, undamped."""
    damping: float
    """Damping ratio."""
    frequency_error_hz: float = 0.0
    damping_error: float = 0.0

    def decay_per_s(self, sigmas: float = 0.0) -> float:
        """ζω, so many standard deviations on the slow side."""
        damping = max(self.damping - sigmas * self.damping_error, LEAST_SHARE * self.damping)
        frequency = max(self.frequency_hz - sigmas * self.frequency_error_hz, LEAST_SHARE * self.frequency_hz)
        return max(damping * 2.0 * math.pi * frequency, LEAST_DECAY_PER_S)


@dataclass(frozen=True, slots=True)
class Swing:
    """How far the image swings at the moment a motion ends, in one way of ringing. Micrometres on the subject."""

    ring: Ring
    amplitude_um: float
    error_um: float = 0.0

    def at_most_um(self, sigmas: float) -> float:
        """So many standard deviations above what is expected."""
        return max(0.0, self.amplitude_um + sigmas * self.error_um)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an exposure may suffer."""

    exposure_s: float
    """0: not known, taken as long."""
    blur_um: float
    """Largest motion of the image during it, on the subject."""
    confidence: float = 0.95
    """Chance asked for that it stays below; one-sided."""

    @property
    def sigmas(self) -> float:
        """The standard deviations that the confidence asks for."""
        return NormalDist().inv_cdf(self.confidence)


def range_within(exposure_s: float, frequency_hz: float, damping: float) -> float:
    """The largest range that exp(-ζωτ) cos(ω_d τ + φ) has over 0 ≤ τ ≤ `exposure_s`, for the worst φ. 2 at most.

    An exposure of 0 stands for one that is not known: 2.

    Raises:
        ValueError: no frequency above 0, or a damping ratio outside 0 to below 1.
    """
    if not (frequency_hz > 0 and 0 <= damping < 1):
        raise ValueError("a frequency above 0 Hz and a damping from 0 to below 1 are needed")
    return 2.0 if exposure_s <= 0 else _worst_range(exposure_s, frequency_hz, damping)


@functools.lru_cache(maxsize=1024)
def _worst_range(exposure_s: float, frequency_hz: float, damping: float) -> float:
    found = max(
        (_range(exposure_s, frequency_hz, damping, math.pi * k / PHASES), math.pi * k / PHASES)
        for k in range(PHASES)
    )
    # The range repeats with half a turn of the phase; around the best of the coarse ones the maximum is a smooth hill.
    low, high = found[1] - math.pi / PHASES, found[1] + math.pi / PHASES
    for _ in range(40):
        third = (high - low) / 3.0
        if _range(exposure_s, frequency_hz, damping, low + third) < _range(
            exposure_s, frequency_hz, damping, high - third
        ):
            low += third
        else:
            high -= third
    return max(found[0], _range(exposure_s, frequency_hz, damping, (low + high) / 2.0))


def _range(exposure_s: float, frequency_hz: float, damping: float, phase: float) -> float:
    """Highest minus lowest value: at an end, or where the slope is 0, which comes every half period."""
    omega = 2.0 * math.pi * frequency_hz
    decay, omega_d = damping * omega, omega * math.sqrt(1.0 - damping**2)
    # The slope is 0 where tan(ω_d τ + φ) = -ζω / ω_d.
    turn = -math.atan2(decay, omega_d)
    first = math.ceil((phase - turn) / math.pi)
    # The first two turning points inside are the highest and the lowest of all of them.
    times = [
        0.0,
        exposure_s,
        *(t for n in (0, 1) if 0 < (t := (turn + (first + n) * math.pi - phase) / omega_d) < exposure_s),
    ]
    values = [math.exp(-decay * t) * math.cos(omega_d * t + phase) for t in times]
    return max(values) - min(values)


def gain(swing: Swing, allowed: Allowed) -> float:
    """Blur over amplitude of an exposure that begins at once, on the bad side of what is uncertain."""
    ring, sigmas = swing.ring, allowed.sigmas
    spread = sigmas * ring.frequency_error_hz
    frequencies = {ring.frequency_hz, max(ring.frequency_hz - spread, 0.1), ring.frequency_hz + spread}
    return max(range_within(allowed.exposure_s, one, min(ring.damping, 0.99)) for one in frequencies)


def blur_um(swings: Sequence[Swing], settle_s: float, allowed: Allowed) -> float:
    """The most that the image moves during an exposure which begins so long after the motion, at the confidence asked."""
    sigmas = allowed.sigmas
    return sum(
        swing.at_most_um(sigmas) * gain(swing, allowed) * math.exp(-swing.ring.decay_per_s(sigmas) * settle_s)
        for swing in swings
    )


def settle_s(swings: Sequence[Swing], allowed: Allowed) -> float:
    """The shortest wait after which the blur stays within what is allowed, at the confidence asked. Seconds, 0 or more.

    Raises:
        ValueError: no blur is allowed at all, which no wait reaches.
    """
    if not allowed.blur_um > 0:
        raise ValueError("a blur above 0 must be allowed")
    sigmas = allowed.sigmas
    sizes = [
        (swing.at_most_um(sigmas) * gain(swing, allowed), swing.ring.decay_per_s(sigmas)) for swing in swings
    ]
    sizes = [(size, decay) for size, decay in sizes if size > 0]
    if sum(size for size, _ in sizes) <= allowed.blur_um:
        return 0.0
    # Each by itself is short enough; each with its share of the blur is long enough; between them the sum falls steadily.
    low = max(0.0, *(math.log(size / allowed.blur_um) / decay for size, decay in sizes))
    high = max(0.0, *(math.log(size * len(sizes) / allowed.blur_um) / decay for size, decay in sizes))
    if len(sizes) == 1:
        return low
    for _ in range(60):
        middle = (low + high) / 2.0
        total = sum(size * math.exp(-decay * middle) for size, decay in sizes)
        low, high = (middle, high) if total > allowed.blur_um else (low, middle)
    return high


@dataclass(frozen=True, slots=True)
class Wait:
    """How long one frame settles, and why."""

    settle_s: float
    code: str
    """`fixed`, `model`, `measured`, `cap` (more would be needed than `settle.max_s`), `fallback` (nothing is known yet)."""
    why: str
    """In words, with the figures."""
    move_um: float = 0.0
    """Length of the move that led to it, signed."""
    amplitude_um: float | None = None
    """Swing of the image at the end of the motion, as expected, what was left of earlier motions included."""
    blur_um: float | None = None
    """Motion blur expected at the confidence asked; None: nothing is known of it."""


def wait_after(
    swings: Sequence[Swing],
    allowed: Allowed,
    *,
    code: str,
    px_um: float,
    move_um: float,
    min_s: float = 0.0,
    max_s: float = math.inf,
) -> Wait:
    """The shortest settle between two bounds, explained.

    Args:
        swings: of the image when the motion ends.
        allowed: what the exposure may suffer.
        code: how the swings are known: `model` or `measured`.
        px_um: micrometres on the subject that a pixel sees.
        move_um: length of the move.
        min_s: at least this long.
        max_s: at most this long.
    """
    needed_s = settle_s(swings, allowed)
    chosen_s = min(max(needed_s, min_s), max_s)
    left_um = blur_um(swings, chosen_s, allowed)
    total_um = sum(swing.amplitude_um for swing in swings)
    most_um = sum(swing.at_most_um(allowed.sigmas) for swing in swings)
    why = (
        f"{'expected' if code == 'model' else 'measured'} swing {total_um:.3g} um after {abs(move_um):.4g} um, "
        f"at most {most_um:.3g} um at {allowed.confidence:.0%}"
    )
    for swing in swings[:1]:
        why += f"; {swing.ring.frequency_hz:.4g} Hz, damping {swing.ring.damping:.3g}"
    why += f"; blur at most {left_um / px_um:.2g} px after {chosen_s:.3f} s, allowed {allowed.blur_um / px_um:.2g} px"
    if needed_s > max_s:
        code = "cap"
        why += f"; {needed_s:.2f} s would be needed and settle.max_s is {max_s:g} s"
    elif needed_s < min_s:
        why += "; settle.min_s is longer than needed"
    return Wait(chosen_s, code, why, move_um, total_um, left_um)
