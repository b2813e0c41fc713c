"""How a rail moves and how what it carries rings: profiles in closed form, and the exact answer of an oscillator to them.

A profile is a chain of segments, each with an acceleration that is a polynomial of time (constant for the trapezoid, cubic
for the quintic). The camera on its mount is a mass-spring-damper on the moving carriage: its displacement y from where the
carriage carries it obeys

    y'' + 2 ζ ω y' + ω² y = -a(t)

which has, for a polynomial a(t), a polynomial particular solution; so every segment is solved exactly, state is handed
from segment to segment and from move to move, and no time step is needed. After the last segment what is left is a damped
cosine.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Time = TypeVar("Time", float, Floats)
"""One time or an array of times, in seconds from the start of the motion."""


def _polynomial(coefficients: Sequence[Any], t: Any) -> Any:
    """Lowest power first. Coefficients and t may be numbers or equally long arrays."""
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * t + coefficient
    return value


class _Chain:
    """Polynomials that follow each other in time, the first from 0, the last for ever after."""

    def __init__(self, durations_s: Sequence[float], rows: Sequence[Sequence[float]]) -> None:
        self.starts_s = [0.0]
        for duration_s in durations_s[:-1]:
            self.starts_s.append(self.starts_s[-1] + duration_s)
        self.duration_s = self.starts_s[-1] + durations_s[-1]
        self.rows = [tuple(row) for row in rows]
        self._columns = np.asarray(rows, dtype=np.float64).T
        self._starts = np.asarray(self.starts_s)

    def at(self, t: Any) -> Any:
        """The value at one time or at an array of times; before 0 as at 0, after the end as at the end."""
        if isinstance(t, np.ndarray):
            times = np.clip(t, 0.0, self.duration_s)
            index = np.searchsorted(self._starts, times, side="right") - 1
            return _polynomial(list(self._columns[:, index]), times - self._starts[index])
        inside = min(max(float(t), 0.0), self.duration_s)
        at = bisect_right(self.starts_s, inside) - 1
        return _polynomial(self.rows[at], inside - self.starts_s[at])


class Profile:
    """One motion along the rail, from a speed (mostly 0) to rest. Distances are signed, relative to its start.

    Args:
        pieces: for each segment its duration in seconds and its acceleration in µm/s² as polynomial coefficients of
            the time within the segment, lowest power first.
        start_speed_um_per_s: speed at time 0.
        distance_um: where it ends; the computed end is replaced by it, so that rounding does not add up.
    """

    def __init__(
        self,
        pieces: Sequence[tuple[float, Sequence[float]]],
        *,
        distance_um: float,
        start_speed_um_per_s: float = 0.0,
    ) -> None:
        self.distance_um = distance_um
        self.pieces = [(duration, tuple(acceleration)) for duration, acceleration in pieces if duration > 0]
        durations = [duration for duration, _ in self.pieces] or [0.0]
        accelerations = [acceleration for _, acceleration in self.pieces] or [(0.0,)]
        width = max(len(acceleration) for acceleration in accelerations)
        a_rows, v_rows, x_rows = [], [], []
        x, v = 0.0, start_speed_um_per_s
        for duration, short in zip(durations, accelerations, strict=True):
            acceleration = tuple(short) + (0.0,) * (width - len(short))
            speed = (v, *(a / (k + 1) for k, a in enumerate(acceleration)))
            place = (x, *(c / (k + 1) for k, c in enumerate(speed)))
            a_rows.append(acceleration)
            v_rows.append(speed)
            x_rows.append(place)
            x, v = _polynomial(place, duration), _polynomial(speed, duration)
        self._acceleration = _Chain(durations, a_rows)
        self._speed = _Chain(durations, v_rows)
        self._place = _Chain(durations, x_rows)
        self.duration_s = self._place.duration_s

    def position_um(self, t_s: Time) -> Time:
        """Distance gone after `t_s` seconds."""
        if isinstance(t_s, np.ndarray):
            return np.where(t_s >= self.duration_s, self.distance_um, self._place.at(t_s))
        return self.distance_um if t_s >= self.duration_s else self._place.at(t_s)

    def velocity_um_per_s(self, t_s: Time) -> Time:
        """Signed speed after `t_s` seconds; 0 from the end on."""
        if isinstance(t_s, np.ndarray):
            return np.where(t_s >= self.duration_s, 0.0, self._speed.at(t_s))
        return 0.0 if t_s >= self.duration_s else self._speed.at(t_s)

    def acceleration_um_per_s2(self, t_s: Time) -> Time:
        """Signed acceleration after `t_s` seconds; 0 from the end on and before the start."""
        if isinstance(t_s, np.ndarray):
            outside = (t_s >= self.duration_s) | (t_s < 0)
            return np.where(outside, 0.0, self._acceleration.at(t_s))
        return 0.0 if t_s >= self.duration_s or t_s < 0 else self._acceleration.at(t_s)


REST = Profile([], distance_um=0.0)
"""Standing still."""


def trapezoid(distance_um: float, speed_um_per_s: float, acceleration_um_per_s2: float) -> Profile:
    """Constant acceleration, constant speed, constant deceleration; a triangle when the way is short."""
    way, sign = abs(distance_um), math.copysign(1.0, distance_um)
    if way == 0:
        return REST
    a = acceleration_um_per_s2
    peak = min(speed_um_per_s, math.sqrt(way * a))
    ramp_s = peak / a
    cruise_s = max(0.0, way / peak - ramp_s)
    return Profile(
        [(ramp_s, (sign * a,)), (cruise_s, (0.0,)), (ramp_s, (-sign * a,))], distance_um=distance_um
    )


def quintic(
    distance_um: float, speed_um_per_s: float, acceleration_um_per_s2: float, *, min_duration_s: float = 0.0
) -> Profile:
    """The polynomial 10τ³ - 15τ⁴ + 6τ⁵: speed and acceleration are 0 at both ends.

    Its peak speed is 15/8 of the mean, its peak acceleration 10/√3 of distance over duration squared; the duration is the
    shortest that keeps both limits, and at least `min_duration_s`.
    """
    way = abs(distance_um)
    if way == 0:
        return REST
    by_speed = 1.875 * way / speed_um_per_s
    by_acceleration = math.sqrt(10.0 / math.sqrt(3.0) * way / acceleration_um_per_s2)
    duration = max(by_speed, by_acceleration, min_duration_s)
    d2, d3, d4, d5 = (distance_um / duration**k for k in (2, 3, 4, 5))
    # Second derivative of D(10τ³ - 15τ⁴ + 6τ⁵), τ = t/T; the powers of T make 60t, -180t², 120t³.
    return Profile([(duration, (0.0, 60 * d3, -180 * d4, 120 * d5))], distance_um=distance_um) if d2 else REST


def braking(velocity_um_per_s: float, distance_um: float) -> Profile:
    """Constant deceleration from `velocity_um_per_s` to rest over exactly `distance_um` (same sign)."""
    if distance_um == 0 or velocity_um_per_s == 0:
        return Profile([], distance_um=distance_um)
    duration = 2.0 * distance_um / velocity_um_per_s
    return Profile(
        [(duration, (-velocity_um_per_s / duration,))],
        distance_um=distance_um,
        start_speed_um_per_s=velocity_um_per_s,
    )


@dataclass(frozen=True, slots=True)
class Oscillator:
    """The camera on its mount: natural frequency and damping ratio (0 < ζ < 1)."""

    frequency_hz: float
    damping: float

    @property
    def omega(self) -> float:
        """Undamped angular frequency, rad/s."""
        return 2.0 * math.pi * self.frequency_hz

    def particular(self, acceleration: Sequence[float]) -> tuple[float, ...]:
        """Polynomial that solves the equation of motion for a polynomial acceleration, lowest power first."""
        w2, c = self.omega**2, 2.0 * self.damping * self.omega
        solution = [0.0] * (len(acceleration) + 2)
        for k in reversed(range(len(acceleration))):
            higher = c * (k + 1) * solution[k + 1] + (k + 1) * (k + 2) * solution[k + 2]
            solution[k] = (-acceleration[k] - higher) / w2
        return tuple(solution[: len(acceleration)])


class Response:
    """How the oscillator answers one profile, given where it stands and how it moves at the start.

    Args:
        oscillator: the mount.
        profile: what the carriage does.
        displacement_um: y at time 0.
        velocity_um_per_s: y' at time 0.
    """

    def __init__(
        self,
        oscillator: Oscillator,
        profile: Profile,
        displacement_um: float = 0.0,
        velocity_um_per_s: float = 0.0,
    ) -> None:
        self._decay = oscillator.damping * oscillator.omega
        self._omega_d = oscillator.omega * math.sqrt(1.0 - oscillator.damping**2)
        self._starts_s: list[float] = []
        self._forced: list[tuple[float, ...]] = []
        self._free: list[tuple[float, float]] = []
        y, v, start = displacement_um, velocity_um_per_s, 0.0
        # The piece of length 0 at the end is the free ringing that lasts for ever.
        for duration, acceleration in [*profile.pieces, (0.0, (0.0,))]:
            forced = oscillator.particular((*acceleration, *(0.0,) * (4 - len(acceleration))))
            cosine = y - forced[0]
            sine = (v - forced[1] + self._decay * cosine) / self._omega_d
            self._starts_s.append(start)
            self._forced.append(forced)
            self._free.append((cosine, sine))
            start += duration
            y, v = self.state(start)
        self._starts = np.asarray(self._starts_s)
        self._forced_columns = np.asarray(self._forced).T
        self._free_columns = np.asarray(self._free).T

    def state(self, t_s: float) -> tuple[float, float]:
        """Displacement in µm and its speed in µm/s after `t_s` seconds."""
        at = max(0, bisect_right(self._starts_s, t_s) - 1)
        t = t_s - self._starts_s[at]
        forced, (cosine, sine) = self._forced[at], self._free[at]
        fade = math.exp(-self._decay * t)
        c, s = math.cos(self._omega_d * t), math.sin(self._omega_d * t)
        y = fade * (cosine * c + sine * s)
        v = fade * self._omega_d * (sine * c - cosine * s) - self._decay * y
        slope = tuple(k * p for k, p in enumerate(forced))[1:]
        return y + _polynomial(forced, t), v + _polynomial(slope, t)

    def displacement_um(self, t_s: Floats) -> Floats:
        """Displacement at an array of times, in seconds from the start of the profile."""
        index = np.maximum(0, np.searchsorted(self._starts, t_s, side="right") - 1)
        t = t_s - self._starts[index]
        cosine, sine = self._free_columns[:, index]
        ringing = cosine * np.cos(self._omega_d * t) + sine * np.sin(self._omega_d * t)
        forced = _polynomial(list(self._forced_columns[:, index]), t)
        displacement: Floats = np.exp(-self._decay * t) * ringing + forced
        return displacement

    def amplitude_um(self, t_s: float) -> float:
        """Size of the free ringing at `t_s`, at or after the end of the profile: the envelope, not the momentary value."""
        cosine, sine = self._free[-1]
        return math.hypot(cosine, sine) * math.exp(-self._decay * (t_s - self._starts_s[-1]))
