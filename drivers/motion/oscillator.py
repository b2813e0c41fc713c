"""How what a rail carries rings: the exact answer of an oscillator to a profile.

The camera on its mount is a mass-spring-damper on the moving carriage: its displacement y from where the carriage carries it
obeys

    y'' + 2 ζ ω y' + ω² y = -a(t)

which has, for a polynomial a(t), a polynomial particular solution; so every segment of a profile is solved exactly, state is
handed from segment to segment and from move to move, and no time step is needed. After the last segment what is left is a
damped cosine.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.motion.profile import Floats, Profile, polynomial


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
        return y + polynomial(forced, t), v + polynomial(slope, t)

    def displacement_um(self, t_s: Floats) -> Floats:
        """Displacement at an array of times, in seconds from the start of the profile."""
        index = np.maximum(0, np.searchsorted(self._starts, t_s, side="right") - 1)
        t = t_s - self._starts[index]
        cosine, sine = self._free_columns[:, index]
        ringing = cosine * np.cos(self._omega_d * t) + sine * np.sin(self._omega_d * t)
        forced = polynomial(list(self._forced_columns[:, index]), t)
        displacement: Floats = np.exp(-self._decay * t) * ringing + forced
        return displacement

    def amplitude_um(self, t_s: float) -> float:
        """Size of the free ringing at `t_s`, at or after the end of the profile: the envelope, not the momentary value."""
        cosine, sine = self._free[-1]
        return math.hypot(cosine, sine) * math.exp(-self._decay * (t_s - self._starts_s[-1]))
