"""How far the image swings at the moment a move ends: from what was measured, carried over to other lengths and shapes by the model.

The model is exact for one oscillator on a carriage that follows its profile (`drivers.motion`). A measurement gives the factor between
the model and the image. Where the measured lengths do not follow the model, for one that does not hold for this rail, the table
itself is used: straight lines between its points, and caution beyond them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.base import Shaping
from drivers.motion.oscillator import Oscillator, Response
from drivers.motion.shaping import profile_for, residual
from rigd.calibration.records import Amplitude, RingDown
from rigd.settling import Ring, Swing
from rigd.vibration.known import Known

FREQUENCIES = 7
"""Points at which the frequency's uncertainty is looked at."""
NOT_MODELLED = 0.01
"""Share of the unshaped swing that any shape may leave behind: no rail follows its profile exactly."""
FOLLOWS = 0.1
"""Measured swings that stay within this share of the largest one follow the model."""
CAUTION = 0.3
"""Uncertainty of a factor that rests on a model which the measurement does not follow."""
LEAST_SCATTER = 0.02
"""Share of the largest swing that no measurement is trusted better than."""
TRAPEZOID = Shaping("trapezoid")


@dataclass(frozen=True, slots=True)
class Drive:
    """What bounds the rail's moves."""

    speed_um_per_s: float
    acceleration_um_per_s2: float


def move_time_s(shaping: Shaping, drive: Drive, move_um: float) -> float:
    """How long a move of this shape takes."""
    return profile_for(shaping, abs(move_um), drive.speed_um_per_s, drive.acceleration_um_per_s2).duration_s


@functools.lru_cache(maxsize=4096)
def ringing_um(frequency_hz: float, damping: float, shaping: Shaping, drive: Drive, move_um: float) -> float:
    """Amplitude of the ringing along the rail when a move ends that began at rest."""
    if move_um == 0:
        return 0.0
    profile = profile_for(shaping, abs(move_um), drive.speed_um_per_s, drive.acceleration_um_per_s2)
    oscillator = Oscillator(frequency_hz, min(max(damping, 1e-4), 0.99))
    return Response(oscillator, profile).amplitude_um(profile.duration_s)


def worst_ringing_um(ring: Ring, shaping: Shaping, drive: Drive, move_um: float, sigmas: float) -> float:
    """The largest amplitude within the uncertainty of the frequency; a length at which ringing cancels is not relied on."""
    spread = sigmas * ring.frequency_error_hz
    steps = [2.0 * k / (FREQUENCIES - 1) - 1.0 for k in range(FREQUENCIES)]
    lowest = 0.2 * ring.frequency_hz
    return max(
        ringing_um(max(ring.frequency_hz + step * spread, lowest), ring.damping, shaping, drive, move_um)
        for step in steps
    )


@dataclass(frozen=True, slots=True)
class Factor:
    """Image shift on the subject for each micrometre of ringing along the rail."""

    value: float
    error: float
    follows: bool
    """Whether the measured swings follow the model."""


@functools.lru_cache(maxsize=64)
def factor_of(found: RingDown, drive: Drive) -> Factor | None:
    """The factor that fits a measurement with unshaped moves best; None where it has no swings that tell."""
    shape = Shaping("trapezoid")
    pairs = [
        (entry, ringing_um(found.frequency_hz, found.damping, shape, drive, entry.move_um))
        for entry in found.amplitudes
    ]
    largest = max((entry.amplitude_um for entry, _ in pairs), default=0.0)
    loudest = max((model for _, model in pairs), default=0.0)
    if largest <= 0 or loudest <= 0:
        return None
    weights = [1.0 / (entry.error_um**2 + (LEAST_SCATTER * largest) ** 2) for entry, _ in pairs]
    power = sum(weight * model**2 for weight, (_, model) in zip(weights, pairs, strict=True))
    value = (
        sum(w * entry.amplitude_um * model for w, (entry, model) in zip(weights, pairs, strict=True)) / power
    )
    off = [abs(entry.amplitude_um - value * model) for entry, model in pairs]
    if all(
        miss <= max(3.0 * entry.error_um, FOLLOWS * largest)
        for miss, (entry, _) in zip(off, pairs, strict=True)
    ):
        return Factor(value, max(power**-0.5, max(off) / loudest / 2.0), follows=True)
    ratios = [entry.amplitude_um / model for entry, model in pairs if model > 0.2 * loudest]
    return Factor(max(ratios), CAUTION * max(ratios), follows=False)


def interpolated(table: Sequence[Amplitude], move_um: float) -> tuple[float, float]:
    """Swing and its error from a table: straight between its points, never less than its ends beyond them would lead to expect."""
    move_um = abs(move_um)
    rows = sorted(table, key=lambda entry: entry.move_um)
    largest = max(rows, key=lambda entry: entry.amplitude_um)
    first, last = rows[0], rows[-1]
    if move_um < first.move_um:
        # No swing is larger than the way that caused it, times what couples the one to the other.
        coupling = max(entry.amplitude_um / entry.move_um for entry in rows)
        return coupling * move_um, first.error_um + CAUTION * coupling * move_um
    if move_um > last.move_um:
        value = largest.amplitude_um * max(1.0, move_um / last.move_um) ** 0.5
        return value, largest.error_um + CAUTION * value
    for below, above in itertools.pairwise(rows):
        if below.move_um <= move_um <= above.move_um:
            share = (move_um - below.move_um) / (above.move_um - below.move_um)
            value = below.amplitude_um + share * (above.amplitude_um - below.amplitude_um)
            between = 4.0 * share * (1.0 - share) * abs(above.amplitude_um - below.amplitude_um) / 2.0
            return value, max(below.error_um, above.error_um) + between
    return first.amplitude_um, first.error_um


def swings(known: Known, shaping: Shaping, drive: Drive, move_um: float, sigmas: float) -> tuple[Swing, ...]:
    """How the image swings when a move ends that began at rest, in each way in which the rig rings.

    Args:
        known: the ringing.
        shaping: shape of the move.
        drive: what bounds it.
        move_um: its length.
        sigmas: how far on the bad side uncertain frequencies are looked at.
    """
    value, error = _amplitude(known, shaping, drive, move_um, sigmas)
    first = Swing(known.ring, value, error)
    if known.second is None:
        return (first,)
    ring, share = known.second
    plain, plain_error = (
        (value, error)
        if shaping.kind == "trapezoid"
        else _amplitude(known, TRAPEZOID, drive, move_um, sigmas)
    )
    passed = 1.0
    if shaping.kind not in {"trapezoid", "quintic"}:
        passed = residual(shaping.kind, shaping.frequency_hz, shaping.damping, ring.frequency_hz)
    return first, Swing(ring, share * plain * passed, share * plain_error * passed)


def _amplitude(
    known: Known, shaping: Shaping, drive: Drive, move_um: float, sigmas: float
) -> tuple[float, float]:
    if move_um == 0:
        return 0.0, 0.0
    same = known.measured_with(shaping)
    if same is not None and same.amplitudes and shaping.kind != "trapezoid":
        return interpolated(same.amplitudes, move_um)
    factor = None if known.unshaped is None else factor_of(known.unshaped, drive)
    if same is not None and same.amplitudes and not (factor is not None and factor.follows):
        return interpolated(same.amplitudes, move_um)
    if factor is None:
        factor = Factor(known.coupling, 0.0, follows=True)
    ringing = worst_ringing_um(known.ring, shaping, drive, move_um, sigmas)
    error = factor.error * ringing
    if shaping.kind != "trapezoid":
        plain = worst_ringing_um(known.ring, TRAPEZOID, drive, move_um, sigmas)
        error += NOT_MODELLED * factor.value * plain
    return factor.value * ringing, error
