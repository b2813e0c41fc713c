"""What a simulated camera sees of a carriage that step pulses move: the nut's play, and the ringing that every step adds to.

A step of the base by dx at time t_i leaves the camera on its mount behind by -dx Re(c exp(λ(t - t_i))), with λ = -ζω + iω_d and
c = 1 + iζω/ω_d, which is the mount's answer to a change of place at once. So one complex number carries all steps before.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.truth import CarriageTruth, ExposureLog, Track
from tests.emulators.stepdir import Carriage, Motor

RING_HZ, RING_DAMPING = 15.0, 0.03
BACKLASH_UM = 25.0
COUPLING = 0.3
"""Sideways shift of the image, in subject micrometres per micrometre of ringing."""
MOVING_S = 0.02
"""A step so short before means that the carriage moves."""

Floats = NDArray[np.float64]


class NotedMotor(Motor):
    """A motor that keeps the time of every step."""

    def __init__(self, microsteps: int) -> None:
        super().__init__(microsteps)
        self.path: list[tuple[float, int]] = []
        """(seconds, microsteps), one for each step."""

    def step(self, sign: int, at_s: float) -> None:
        super().step(sign, at_s)
        self.path.append((at_s, self.shaft))


class CarriageWorld:
    """The world of a simulated camera on an emulated rail.

    Args:
        carriage: asked to catch up with the present.
        motor: the one on it.
        microstep_um: length of a step.
        zero_um: position of the motor's 0, negated.
    """

    ring_coupling = COUPLING

    def __init__(self, carriage: Carriage, motor: NotedMotor, microstep_um: float, zero_um: float) -> None:
        self.exposures = ExposureLog()
        self._carriage = carriage
        self._motor = motor
        self._um = microstep_um
        self._zero_um = zero_um
        omega = 2 * math.pi * RING_HZ
        damped = omega * math.sqrt(1 - RING_DAMPING**2)
        self._rate = complex(-RING_DAMPING * omega, damped)
        self._kick = complex(1, RING_DAMPING * omega / damped)
        self._taken = 0
        self._times: list[float] = [-math.inf]
        self._nut: list[float] = [-zero_um]
        self._ring: list[complex] = [0j]

    def track(self, times_s: Floats) -> Track:
        """The carriage at these times."""
        self._take()
        index = np.searchsorted(self._times, times_s, side="right") - 1
        since = np.where(index > 0, times_s - np.asarray(self._times)[index], 0.0)
        ring = -(np.asarray(self._ring)[index] * np.exp(self._rate * since)).real
        moving = bool(np.any((index > 0) & (since < MOVING_S))) or bool(index[-1] > index[0])
        return Track(np.asarray(self._nut)[index] + ring, ring, moving)

    def truth_at(self, time_s: float) -> CarriageTruth:
        """The carriage at one instant."""
        track = self.track(np.array([time_s]))
        screw_um = self._motor.shaft * self._um - self._zero_um
        return CarriageTruth(
            float(track.position_um[0]), float(track.ring_um[0]), 0.0, screw_um, track.moving
        )

    def _take(self) -> None:
        """Take in the steps that have come since."""
        self._carriage.lgpio.catch_up()
        for at_s, shaft in self._motor.path[self._taken :]:
            screw = shaft * self._um - self._zero_um
            nut = min(max(self._nut[-1], screw), screw + BACKLASH_UM)
            faded = self._ring[-1] * cmath.exp(self._rate * (at_s - self._times[-1])) if self._taken else 0j
            self._ring.append(faded + (nut - self._nut[-1]) * self._kick)
            self._nut.append(nut)
            self._times.append(at_s)
            self._taken += 1
