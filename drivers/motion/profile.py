"""How a rail moves: profiles in closed form.

A profile is a chain of segments, each with an acceleration that is a polynomial of time (constant for the trapezoid, cubic
for the quintic).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Time = TypeVar("Time", float, Floats)
"""One time or an array of times, in seconds from the start of the motion."""


def polynomial(coefficients: Sequence[Any], t: Any) -> Any:
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
            return polynomial(list(self._columns[:, index]), times - self._starts[index])
        inside = min(max(float(t), 0.0), self.duration_s)
        at = bisect_right(self.starts_s, inside) - 1
        return polynomial(self.rows[at], inside - self.starts_s[at])


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
            x, v = polynomial(place, duration), polynomial(speed, duration)
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
