"""Damped cosines in tracks of a picture or an accelerometer: the linear part of the fit, and its Gauss-Newton.

A track is what was seen after the end of one motion, at times that need not be even. Each of its channels (shift right, shift down,
change of size; or three accelerations) is

    Re(Z e^{λt}) + offset + drift t,    λ = -ζω + iω√(1-ζ²),

averaged over each exposure: e^{λt} times sinh(λT/2)/(λT/2) at the middle of an exposure of length T. Only λ is not linear, and it
is the same in all tracks and channels; Z, offset and drift are each track's and channel's own and are solved for and left out of
the search (variable projection, Golub and Pereyra 1973), so that two numbers are searched for however many tracks there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]

LEAST_DAMPING, MOST_DAMPING = 1e-4, 0.7
RIDGE = 1e-9
ROUNDS = 40
STEP = 1e-5
"""For differences, of the logarithms that are searched."""
CONVERGED = 1e-9
CHUNK = 400_000
"""Frequencies times samples that are looked at in one go."""


@dataclass(frozen=True)
class Track:
    """What was seen after one motion.

    Attributes:
        starts_s: (n,), of exposures, from the end of the motion.
        ends_s: (n,); the same as the starts for samples that take no time.
        values: (n, c), in px or any other unit.
        noise: (c,), standard deviation that one value is claimed to have.
        move_um: length of the motion; tracks of equal motions are expected to ring alike.
        rate_hz: how often it was looked.
    """

    starts_s: Floats
    ends_s: Floats
    values: Floats
    noise: Floats
    move_um: float = 0.0
    rate_hz: float = 0.0

    @cached_property
    def middle_s(self) -> Floats:
        """(n,): middles of the exposures."""
        return np.asarray((self.starts_s + self.ends_s) / 2, np.float64)

    @cached_property
    def length_s(self) -> Floats:
        """(n,): lengths of the exposures."""
        return np.asarray(self.ends_s - self.starts_s, np.float64)

    @cached_property
    def still(self) -> Floats:
        """(n, 2), orthonormal: offset and drift."""
        t = self.middle_s
        q, _ = np.linalg.qr(np.stack([np.ones_like(t), t - t.mean()], axis=1))
        return np.asarray(q, np.float64)

    @cached_property
    def scaled(self) -> Floats:
        """(n, c): values over their noise, without offset and drift."""
        values = self.values / self.noise
        return np.asarray(values - self.still @ (self.still.T @ values), np.float64)

    @property
    def span_s(self) -> float:
        """From the first to the last sample."""
        return float(self.middle_s[-1] - self.middle_s[0]) if len(self.middle_s) else 0.0

    def waves(self, exponents: Complexes) -> Complexes:
        """(g, n): e^{λt} averaged over each exposure, for exponents (g,)."""
        if not self.length_s.any():
            return np.asarray(np.exp(np.multiply.outer(exponents, self.middle_s)), np.complex128)
        half = np.multiply.outer(exponents, self.length_s / 2)
        small = np.abs(half) < 1e-6
        averaged = np.where(small, 1.0, np.sinh(np.where(small, 1.0, half)) / np.where(small, 1.0, half))
        return np.asarray(np.exp(np.multiply.outer(exponents, self.middle_s)) * averaged, np.complex128)

    def within(self, span_s: float) -> Track:
        """Its beginning."""
        keep = self.middle_s <= self.middle_s[0] + span_s
        return Track(
            self.starts_s[keep], self.ends_s[keep], self.values[keep], self.noise, self.move_um, self.rate_hz
        )


def exponent(frequency_hz: npt.ArrayLike, damping: npt.ArrayLike) -> Complexes:
    """λ of natural frequencies and damping ratios."""
    omega, zeta = 2 * math.pi * np.asarray(frequency_hz, float), np.asarray(damping, float)
    return np.asarray(omega * (-zeta + 1j * np.sqrt(1 - zeta**2)), np.complex128)


def explained(tracks: Sequence[Track], frequencies_hz: Floats, damping: float) -> Floats:
    """(g,): how much of chi squared a damped cosine of each frequency takes away, all tracks and channels together."""
    total = np.zeros(len(frequencies_hz))
    for track in tracks:
        chunk = max(1, CHUNK // max(1, len(track.middle_s)))
        for first in range(0, len(frequencies_hz), chunk):
            part = slice(first, first + chunk)
            total[part] += _explained(track, exponent(frequencies_hz[part], damping))
    return total


def _explained(track: Track, exponents: Complexes) -> Floats:
    waves = track.waves(exponents)
    waves = waves - (waves @ track.still) @ track.still.T
    c, s = waves.real, waves.imag
    cc, cs, ss = (c * c).sum(1), (c * s).sum(1), (s * s).sum(1)
    cy, sy = c @ track.scaled, s @ track.scaled
    ridge = RIDGE * (cc + ss)
    determinant = (cc + ridge) * (ss + ridge) - cs * cs
    numerator = ss * (cy * cy).sum(1) - 2 * cs * (cy * sy).sum(1) + cc * (sy * sy).sum(1)
    return np.asarray(numerator / np.maximum(determinant, 1e-300), np.float64)


@dataclass(frozen=True)
class Solved:
    """One track with given exponents.

    Attributes:
        phasors: (m, c) complex: Z of each mode and channel, in units of the values.
        residual: (n, c), over the noise.
        covariance: (2m, 2m) of real and negative imaginary parts, for a noise of 1.
    """

    phasors: Complexes
    residual: Floats
    covariance: Floats


def solve(track: Track, exponents: Complexes) -> Solved:
    """The linear part: what each mode contributes to a track."""
    waves = track.waves(exponents)
    columns = np.concatenate([waves.real, -waves.imag]).T
    columns = columns - track.still @ (track.still.T @ columns)
    normal = columns.T @ columns
    inverse = np.linalg.inv(normal + RIDGE * np.trace(normal) * np.eye(len(normal)))
    found = inverse @ (columns.T @ track.scaled)
    count = len(exponents)
    phasors = (found[:count] + 1j * found[count:]) * track.noise
    return Solved(phasors, track.scaled - columns @ found, inverse)


def together(tracks: Sequence[Track], exponents: Complexes) -> float:
    """Chi squared when tracks of equal motions ring alike, phase and all, each with its own offset and drift."""
    total = 0.0
    for length in sorted({track.move_um for track in tracks}):
        alike = [track for track in tracks if track.move_um == length]
        noise = np.mean([track.noise for track in alike], axis=0)
        columns, values = [], []
        for track in alike:
            waves = track.waves(exponents)
            part = np.concatenate([waves.real, -waves.imag]).T
            columns.append(part - track.still @ (track.still.T @ part))
            values.append(track.scaled * (track.noise / noise))
        a, y = np.concatenate(columns), np.concatenate(values)
        found, *_ = np.linalg.lstsq(a, y, rcond=None)
        total += float(((y - a @ found) ** 2).sum())
    return total


@dataclass(frozen=True)
class Searched:
    """Where the search ended.

    Attributes:
        frequencies_hz, dampings: (m,).
        covariance: (2m, 2m) of their logarithms, frequencies first, for a noise of 1.
        chi2: of all residuals over their claimed noise.
    """

    frequencies_hz: Floats
    dampings: Floats
    covariance: Floats
    chi2: float

    @property
    def exponents(self) -> Complexes:
        """(m,)."""
        return exponent(self.frequencies_hz, self.dampings)


def search(tracks: Sequence[Track], frequencies_hz: Sequence[float], dampings: Sequence[float]) -> Searched:
    """Gauss-Newton, damped, in the logarithms of frequencies and damping ratios, from a first guess."""
    count = len(frequencies_hz)
    at = np.log(np.array([*frequencies_hz, *dampings], float))
    left, slopes = _residuals(tracks, at, count), np.empty((0, 0))
    chi2, trust = float(left @ left), 1e-3
    for _ in range(ROUNDS):
        slopes = _slopes(tracks, at, count)
        normal, gradient = slopes.T @ slopes, slopes.T @ left
        step = -np.linalg.solve(
            normal + trust * np.diag(np.diag(normal)) + 1e-12 * np.eye(2 * count), gradient
        )
        step = np.clip(step, -0.3, 0.3)
        there = _bounded(at + step, count)
        tried = _residuals(tracks, there, count)
        if float(tried @ tried) <= chi2:
            moved = float(np.abs(there - at).max())
            at, left, trust = there, tried, trust / 5
            chi2 = float(left @ left)
            if moved < CONVERGED:
                break
        elif trust > 1e6:
            break
        else:
            trust *= 8
    slopes = _slopes(tracks, at, count)
    normal = slopes.T @ slopes
    covariance = np.asarray(np.linalg.pinv(normal + 1e-12 * np.eye(2 * count)), np.float64)
    return Searched(np.exp(at[:count]), np.exp(at[count:]), covariance, chi2)


def _bounded(at: Floats, count: int) -> Floats:
    bounded = at.copy()
    bounded[count:] = np.clip(bounded[count:], math.log(LEAST_DAMPING), math.log(MOST_DAMPING))
    return bounded


def _residuals(tracks: Sequence[Track], at: Floats, count: int) -> Floats:
    exponents = exponent(np.exp(at[:count]), np.exp(at[count:]))
    return np.concatenate([solve(track, exponents).residual.ravel() for track in tracks])


def _slopes(tracks: Sequence[Track], at: Floats, count: int) -> Floats:
    columns = []
    for k in range(len(at)):
        change = np.zeros_like(at)
        change[k] = STEP
        after, before = _residuals(tracks, at + change, count), _residuals(tracks, at - change, count)
        columns.append((after - before) / (2 * STEP))
    return np.stack(columns, axis=1)


def largest(phasors: Complexes) -> float:
    """Largest excursion of a point whose coordinates are Re(Z e^{iφ}): the long half axis of its ellipse.

    Args:
        phasors: (c,), one for each coordinate.
    """
    size, turn = float((np.abs(phasors) ** 2).sum()), float(abs((phasors**2).sum()))
    return math.sqrt(max(0.0, (size + turn) / 2))
