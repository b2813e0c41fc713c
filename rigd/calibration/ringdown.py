"""How a rig rings, from tracks after moves: frequency, damping and amplitudes with errors, or in words why they are not to be had.

Frequencies are looked for far beyond half the rate of the samples, because a rig does not know that limit: a mode of 38 Hz shows as
2 Hz in 40 pictures a second, and fits as well. Of frequencies that fit equally well one is believed only when something tells them
apart: a second rate, or equal moves that were looked at from different moments on, after which only the true frequency has the
same phase each time. Otherwise all of them are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rigd.calibration import ringing
from rigd.calibration.ringing import Floats, Searched, Track

DAMPINGS = (0.004, 0.015, 0.05, 0.15)
"""Tried at every frequency before the search."""
BEYOND = 2.2
"""Frequencies are looked for up to this many times the highest rate."""
HIGHEST_HZ = 400.0
LOOK_S = 1.5
"""Of each track, for the first look at all frequencies."""
STARTS = 14
"""Frequencies that are searched from."""
QUIET, QUIET_SIGMAS = 20.0, 6.0
"""Chance takes this away from chi squared, and one for each number of a wave, and so many of its standard deviations, at the best of some
thousand frequencies; below that there is no ringing to be seen."""
WORSE, WORSE_SHARE = 25.0, 0.005
"""A frequency is told from the best one when its chi squared is higher by this, or by this share of what the best explains."""
ALIAS_SHARE = 0.05
"""A frequency that was not searched, only tried, counts as an alias when it explains nearly as much."""
SAME = 0.01
"""Relative difference below which two searches have found the same frequency."""
COHERENT = 0.8
"""Of what separate phases explain, one phase for equal moves explains at least this share at the true frequency."""
INCOHERENT, INCOHERENT_LEAST = 3.0, 0.1
"""At an alias it leaves this many times as much unexplained, and this share more."""
UNEXPLAINED = 0.25
"""Share of a track's variance above which it is no ringing that damped cosines describe."""
SECOND_SHARE, SECOND_GAIN = 0.03, 0.3
"""A second mode has at least this share of the first one's amplitude, and takes this share of what the first one left beyond noise."""
CYCLES = 1.0
"""A frequency has gone through at least so many cycles within a track, or it is drift."""


class RingDownError(ValueError):
    """No ring-down is to be had from what was measured; why, in words."""


class Ambiguous(RingDownError):
    """Several frequencies fit equally well; `frequencies_hz` are they."""

    def __init__(self, frequencies_hz: Sequence[float], why: str) -> None:
        self.frequencies_hz = tuple(sorted(frequencies_hz))
        super().__init__(why)


class Quiet(RingDownError):
    """Nothing rings above the noise; `below` is the largest amplitude that could hide, in units of the values."""

    def __init__(self, below: float) -> None:
        self.below = below
        super().__init__("nothing rings above the noise")


@dataclass(frozen=True, slots=True)
class Ring:
    """One mode.

    `share` is its largest amplitude over the first mode's in the same track; 1 for the first.
    """

    frequency_hz: float
    frequency_error_hz: float
    damping: float
    damping_error: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Swing:
    """The first mode's amplitude at the end of one motion, in units of the values."""

    move_um: float
    shift: float
    """Of all channels but the last, together; of all where there are no pictures."""
    shift_error: float
    corner: float
    """Of the last channel alone: the change of size, at the corners."""
    corner_error: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What tracks say."""

    modes: tuple[Ring, ...]
    """One or two, the stronger first."""
    swings: tuple[Swing, ...]
    """One for each track."""
    misfit: float
    """Root mean square of what is left, over the noise that was claimed."""
    rates_hz: tuple[float, ...]
    searched: Searched

    def curve(self, track: Track, times_s: Floats) -> Floats:
        """(n, c): what the fit says of a track at these times, without its offset and drift."""
        solved = ringing.solve(track, self.searched.exponents)
        waves = np.exp(np.multiply.outer(times_s, self.searched.exponents))
        return np.asarray((waves @ solved.phasors).real, np.float64)

    def rest(self, track: Track) -> Floats:
        """(n, c): offset and drift of a track at its own times."""
        solved = ringing.solve(track, self.searched.exponents)
        waves = track.waves(self.searched.exponents).T
        left = track.values - (waves @ solved.phasors).real
        return np.asarray(track.still @ (track.still.T @ left), np.float64)


def fit(tracks: Sequence[Track], *, pictures: bool = True, second: bool = True, sure_hz: float = 0.0) -> Fit:
    """Frequency, damping and amplitudes.

    Args:
        tracks: of one rig, carrying the same, after moves of any lengths; those with fewer than 8 samples are left out.
        pictures: the last channel is a change of size, and not one more direction.
        second: look for a second mode.
        sure_hz: frequencies below this need no second rate: what an accelerometer's own filter lets through.

    Raises:
        Quiet: nothing rings above the noise.
        Ambiguous: it cannot be told at which of several frequencies.
        RingDownError: too few samples, or what is seen is no ringing.
    """
    tracks = [track for track in tracks if len(track.middle_s) >= 8]
    if not tracks:
        raise RingDownError("too few pictures after the end of the motion: at least 8 are needed")
    before = sum(float((track.scaled**2).sum()) for track in tracks)
    best, others = _candidates(tracks)
    left = _freedom(tracks, 1)
    unit = max(1.0, best.chi2 / left)
    if (before - best.chi2) / unit < _chance(tracks):
        raise Quiet(_hidden(tracks, best, unit))
    best = _told_apart(tracks, best, others, before, sure_hz)
    searched = _with_second(tracks, best) if second else best
    misfit2 = searched.chi2 / _freedom(tracks, len(searched.frequencies_hz))
    if searched.chi2 > UNEXPLAINED * before and misfit2 > 4:
        raise RingDownError(
            f"what is seen is no ringing: a damped cosine of {best.frequencies_hz[0]:.2f} Hz leaves "
            f"{searched.chi2 / before:.0%} of it; something else moves, or the clamp is loose"
        )
    return _made(tracks, searched, math.sqrt(misfit2), pictures=pictures)


def amplitudes(
    tracks: Sequence[Track], frequency_hz: float, damping: float, *, pictures: bool = True
) -> tuple[Swing, ...]:
    """Amplitudes alone, where frequency and damping are known: also of ringing that is hardly above the noise."""
    exponents = ringing.exponent([frequency_hz], [damping])
    chi2 = sum(float((ringing.solve(track, exponents).residual ** 2).sum()) for track in tracks)
    known = Searched(np.array([frequency_hz]), np.array([damping]), np.zeros((2, 2)), chi2)
    misfit = math.sqrt(chi2 / _freedom(tracks, 1))
    return tuple(_swing(track, known, misfit, pictures=pictures) for track in tracks)


# ---------------------------------------------------------------------------------------------------- one frequency of many


def _freedom(tracks: Sequence[Track], modes: int) -> int:
    """Degrees of freedom that are left."""
    count = sum(track.values.shape[1] * (len(track.middle_s) - 2 - 2 * modes) for track in tracks)
    return max(1, int(count) - 2 * modes)


def _chance(tracks: Sequence[Track]) -> float:
    """Chi squared that the best of many frequencies takes away from mere noise."""
    numbers = 2 * sum(track.values.shape[1] for track in tracks)
    return float(QUIET + numbers + QUIET_SIGMAS * math.sqrt(2 * numbers))


def _candidates(tracks: Sequence[Track]) -> tuple[Searched, list[Searched]]:
    """The frequency that fits best, and all others that were found."""
    look = [track.within(LOOK_S) for track in tracks]
    span_s = max(track.span_s for track in look)
    rate_hz = max(_rate(track) for track in look)
    lowest = CYCLES / max(track.span_s for track in tracks)
    highest = max(2 * lowest, min(BEYOND * rate_hz, HIGHEST_HZ))
    frequencies = np.arange(lowest, highest, 0.2 / span_s)
    gains = np.stack([ringing.explained(look, frequencies, damping) for damping in DAMPINGS])
    over = gains.max(axis=0)
    inner = np.r_[
        over[:1] >= over[1:2], (over[1:-1] >= over[:-2]) & (over[1:-1] > over[2:]), over[-1:] > over[-2:-1]
    ]
    peaks = np.flatnonzero(inner)
    peaks = peaks[np.argsort(over[peaks])[::-1]][:STARTS]
    found: list[Searched] = []
    for peak in peaks:
        if over[peak] < 0.3 * over[peaks[0]]:
            break
        one = ringing.search(tracks, [float(frequencies[peak])], [DAMPINGS[int(gains[:, peak].argmax())]])
        if not lowest * 0.8 <= one.frequencies_hz[0] <= highest * 1.1:
            continue
        same = [o for o in found if abs(math.log(o.frequencies_hz[0] / one.frequencies_hz[0])) < SAME]
        if same and same[0].chi2 <= one.chi2:
            continue
        found = [o for o in found if o not in same] + [one]
    if not found:
        raise RingDownError(
            "what is seen is slower than one swing within the time it was watched: watch for longer"
        )
    found.sort(key=lambda one: one.chi2)
    return found[0], found[1:]


def _rate(track: Track) -> float:
    return track.rate_hz or 1 / float(np.median(np.diff(track.middle_s)))


def _told_apart(
    tracks: Sequence[Track], best: Searched, others: Sequence[Searched], before: float, sure_hz: float
) -> Searched:
    """The one frequency to believe. Raises `Ambiguous`."""
    unit = max(1.0, best.chi2 / _freedom(tracks, 1))
    margin = WORSE * unit + WORSE_SHARE * (before - best.chi2)
    alike = [best, *(one for one in others if one.chi2 < best.chi2 + margin)]
    sure = [one for one in alike if one.frequencies_hz[0] < sure_hz]
    if len(sure) == 1:
        return sure[0]
    # Beyond what was looked at there are aliases too: a single frequency is believed only where the samples leave no room for them.
    if len(alike) == 1 and not _aliased(tracks, best):
        return best
    phases = [(before - ringing.together(tracks, one.exponents)) / (before - one.chi2) for one in alike]
    left = 1 - np.array(phases)
    first = int(left.argmin())
    others_left = np.delete(left, first)
    if (
        left[first] <= 1 - COHERENT
        and (others_left >= INCOHERENT * left[first] + INCOHERENT_LEAST).all()
        and _varied(tracks)
    ):
        return alike[first]
    rates = ", ".join(f"{rate:g}" for rate in sorted({round(_rate(track), 1) for track in tracks}))
    names = sorted(float(one.frequencies_hz[0]) for one in alike)
    listed = ", ".join(f"{name:.2f}" for name in names)
    raise Ambiguous(
        names,
        f"it cannot be told whether it rings at {listed} Hz: at {rates} samples a second they look the same. "
        "Watch at a second rate, or repeat each move",
    )


def _aliased(tracks: Sequence[Track], best: Searched) -> bool:
    """Whether a frequency above those that were looked for would fit as well: the next few aliases of each rate, tried."""
    rate_hz = max(_rate(track) for track in tracks)
    frequency, damping = float(best.frequencies_hz[0]), float(best.dampings[0])
    decay = frequency * damping
    tried = [abs(k * rate_hz + sign * frequency) for k in (1, 2, 3) for sign in (-1, 1)]
    gain = float(ringing.explained(tracks, np.array([frequency]), damping)[0])
    for other in tried:
        if other <= 0 or abs(other / frequency - 1) < 0.05:
            continue
        near = other * (1 + np.linspace(-0.004, 0.004, 9))
        there = ringing.explained(tracks, near, min(ringing.MOST_DAMPING, decay / other))
        if float(there.max()) > (1 - ALIAS_SHARE) * gain:
            return True
    return False


def _varied(tracks: Sequence[Track]) -> bool:
    """Whether some equal moves were looked at from different moments on."""
    for track in tracks:
        period_s = 1 / _rate(track)
        for other in tracks:
            if other is not track and other.move_um == track.move_um:
                apart = (other.middle_s[0] - track.middle_s[0]) / period_s % 1.0
                if min(apart, 1 - apart) > 0.1 or abs(_rate(other) * period_s - 1) > 0.05:
                    return True
    return False


def _hidden(tracks: Sequence[Track], best: Searched, unit: float) -> float:
    """Amplitude that noise would hide: three standard deviations of the best known track's."""
    errors = []
    for track in tracks:
        solved = ringing.solve(track, best.exponents)
        errors.append(math.sqrt(unit * float(np.trace(solved.covariance)) / 2) * float(track.noise[:2].max()))
    return 3 * min(errors)


# ------------------------------------------------------------------------------------------------------ a second one, and figures


def _with_second(tracks: Sequence[Track], first: Searched) -> Searched:
    """Two modes where one leaves what a second explains, else the one."""
    left = []
    for track in tracks:
        solved = ringing.solve(track, first.exponents)
        left.append(
            Track(
                track.starts_s,
                track.ends_s,
                solved.residual * track.noise,
                track.noise,
                track.move_um,
                track.rate_hz,
            )
        )
    rate_hz = max(_rate(track) for track in tracks)
    lowest = CYCLES / max(track.span_s for track in tracks)
    look = [track.within(LOOK_S) for track in left]
    frequencies = np.arange(lowest, rate_hz / 2, 0.2 / max(track.span_s for track in look))
    one = float(first.frequencies_hz[0])
    # Harmonics are what tracking makes of a large swing, not a mode of the rig.
    apart = np.min([np.abs(frequencies / (one * k) - 1) for k in (1, 2, 3)], axis=0) > 0.08
    frequencies = frequencies[apart]
    if not len(frequencies):
        return first
    gains = np.stack([ringing.explained(look, frequencies, damping) for damping in DAMPINGS])
    damping, at = np.unravel_index(int(gains.argmax()), gains.shape)
    unit = max(1.0, first.chi2 / _freedom(tracks, 1))
    if gains[damping, at] < _chance(tracks) * unit:
        return first
    both = ringing.search(
        tracks, [one, float(frequencies[at])], [float(first.dampings[0]), DAMPINGS[int(damping)]]
    )
    second = both.frequencies_hz[1] / both.frequencies_hz[0]
    # Of what the noise does not account for: a mode may be plain in many noisy samples and yet explain little of them.
    excess = max(0.0, first.chi2 - _freedom(tracks, 1))
    gain = first.chi2 - both.chi2
    if gain < SECOND_GAIN * excess or abs(second - 1) < 0.05 or both.dampings[1] > 0.5:
        return first
    return both if _share(tracks, both) >= SECOND_SHARE else first


def _share(tracks: Sequence[Track], searched: Searched) -> float:
    """Of the second mode's amplitude, at most over the tracks that have half the largest swing or more."""
    sizes = []
    for track in tracks:
        phasors = ringing.solve(track, searched.exponents).phasors / track.noise
        sizes.append([ringing.largest(phasors[mode]) for mode in range(len(phasors))])
    swings = np.array(sizes)
    strong = swings[:, 0] >= 0.5 * swings[:, 0].max()
    return float((swings[strong, 1] / swings[strong, 0]).max())


def _made(tracks: Sequence[Track], searched: Searched, misfit: float, *, pictures: bool) -> Fit:
    scale = max(1.0, misfit)
    errors = scale * np.sqrt(np.diag(searched.covariance))
    count = len(searched.frequencies_hz)
    share = _share(tracks, searched) if count > 1 else 0.0
    modes = [
        Ring(
            float(searched.frequencies_hz[k]),
            float(errors[k] * searched.frequencies_hz[k]),
            float(searched.dampings[k]),
            float(errors[count + k] * searched.dampings[k]),
            1.0 if k == 0 else share,
        )
        for k in range(count)
    ]
    swings = tuple(_swing(track, searched, misfit, pictures=pictures) for track in tracks)
    rates = tuple(sorted({round(_rate(track), 2) for track in tracks}, reverse=True))
    return Fit(tuple(modes), swings, misfit, rates, searched)


def _swing(track: Track, searched: Searched, misfit: float, *, pictures: bool) -> Swing:
    scale = max(1.0, misfit)
    count = len(searched.frequencies_hz)

    def sizes(log_damping: float = 0.0) -> tuple[float, float]:
        dampings = searched.dampings * np.exp(log_damping)
        first = ringing.solve(track, ringing.exponent(searched.frequencies_hz, dampings)).phasors[0]
        directions = first[:-1] if pictures else first
        return ringing.largest(directions), float(abs(first[-1])) if pictures else 0.0

    solved = ringing.solve(track, searched.exponents)
    linear = math.sqrt((solved.covariance[0, 0] + solved.covariance[count, count]) / 2) * scale
    shift, corner = sizes()
    # How uncertain the damping is shows most in what the amplitude was at the beginning.
    spread = scale * math.sqrt(max(0.0, float(searched.covariance[count, count])))
    other = sizes(spread)
    directions = track.noise[:-1] if pictures else track.noise
    return Swing(
        track.move_um,
        shift,
        math.hypot(linear * float(directions.max()), other[0] - shift),
        corner,
        math.hypot(linear * float(track.noise[-1]), other[1] - corner) if pictures else 0.0,
    )
