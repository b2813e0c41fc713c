"""When each pulse of a motion is due, and how the motion can be stopped early.

A pulse is due when the profile passes the middle between two microsteps, so that the motor is never more than half a microstep
from the profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.motion.profile import Profile, braking
from drivers.stepdir.kernels import crossings_us

SLACK = 1e-6
"""In microsteps: what rounding makes of a whole number."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The pulses of one motion in one direction, from time 0."""

    sign: int
    """+1 toward the subject, -1 toward home."""
    times_us: NDArray[np.int64]
    """(pulses,) when STEP rises, in microseconds since the start, growing."""
    profile: Profile
    """In microsteps, toward growing numbers whatever the direction; for the speed at any time."""
    profile_begins_us: int = 0
    """Where the profile's time 0 is."""
    gone: float = 0.0
    """Where the profile begins, in microsteps from the start of the motion."""

    def pulses_before(self, time_us: float) -> int:
        """How many are due before then."""
        return int(np.searchsorted(self.times_us, time_us, side="left"))

    def pulses_until(self, time_us: float) -> int:
        """How many are due then or before."""
        return int(np.searchsorted(self.times_us, time_us, side="right"))

    def speed_at(self, time_us: float) -> float:
        """Microsteps a second."""
        return self.profile.velocity_um_per_s((time_us - self.profile_begins_us) * 1e-6)

    def place_at(self, time_us: float) -> float:
        """Microsteps from the start of the motion."""
        return self.gone + self.profile.position_um((time_us - self.profile_begins_us) * 1e-6)


def planned(sign: int, profile: Profile, gap_us: int) -> Schedule:
    """The pulses of a whole motion.

    Args:
        sign: its direction.
        profile: in microsteps, forward, over a whole number of them.
        gap_us: least time between pulses.
    """
    return Schedule(sign, _times(profile, 0.5, round(profile.distance_um), gap_us), profile)


def stopped(schedule: Schedule, from_us: int, deceleration: float, gap_us: int) -> Schedule:
    """The same motion with constant deceleration from `from_us` on; what is due before then stays.

    Args:
        schedule: as it was.
        from_us: everything before is on its way already.
        deceleration: microsteps/s².
        gap_us: least time between pulses.
    """
    sent = schedule.pulses_before(from_us)
    place, speed = schedule.place_at(from_us), schedule.speed_at(from_us)
    needed = speed**2 / (2.0 * deceleration)
    end = min(math.ceil(place + needed - SLACK), len(schedule.times_us))
    kept = schedule.times_us[:sent]
    # Within less than a microstep of braking distance a stepper stops on the microstep that it is at.
    if end <= sent or needed < 0.5:
        rest = Profile([], distance_um=sent - place)
        return Schedule(schedule.sign, kept, rest, from_us, place)
    profile = braking(speed, end - place)
    tail = from_us + _times(profile, sent + 0.5 - place, end - sent, gap_us)
    late = 0 if sent == 0 else max(0, int(kept[-1]) + gap_us - int(tail[0]))
    return Schedule(schedule.sign, np.concatenate([kept, tail + late]), profile, from_us, place)


def _times(profile: Profile, first: float, pulses: int, gap_us: int) -> NDArray[np.int64]:
    times = np.zeros(pulses, dtype=np.int64)
    if pulses:
        durations = np.array([duration for duration, _ in profile.pieces] or [0.0])
        crossings_us(durations, _positions(profile), first, gap_us, times)
    return times


def _positions(profile: Profile) -> NDArray[np.float64]:
    """(pieces, powers) position polynomials, each of the time within its piece, lowest power first."""
    powers = 2 + max((len(acceleration) for _, acceleration in profile.pieces), default=1)
    rows = np.zeros((max(1, len(profile.pieces)), powers))
    place, speed = 0.0, profile.velocity_um_per_s(0.0)
    for row, (duration, acceleration) in zip(rows, profile.pieces, strict=False):
        row[0], row[1] = place, speed
        for power, coefficient in enumerate(acceleration):
            row[power + 2] = coefficient / ((power + 1) * (power + 2))
        steps = duration ** np.arange(powers)
        place = float(row @ steps)
        speed = float((row[1:] * np.arange(1, powers)) @ steps[:-1])
    return rows


def warm_up() -> None:
    """Compile, or read what was compiled before, so that no move waits for it."""
    crossings_us(np.ones(1), np.zeros((1, 3)), 0.5, 1, np.zeros(1, dtype=np.int64))
    crossings_us(np.ones(2), np.zeros((2, 6)), 0.5, 1, np.zeros(2, dtype=np.int64))
