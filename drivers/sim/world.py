"""What simulated rail and camera share: where the carriage really is, how it rings, and what was really exposed.

The rail writes legs (motions of the screw, each in one direction); nothing is stepped through time: the truth at any
instant, past or planned, is computed from the leg it falls into. The chain from motor to image:

    screw (motor microsteps) → + periodic error of the motor → backlash of nut and screw → + thermal drift → + ringing

Positions are micrometres in the frame in which the screw's zero, approached upward, is 0.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

import numpy as np

from drivers.base import Limit
from drivers.motion.oscillator import Oscillator, Response
from drivers.motion.profile import REST, Profile
from drivers.sim.options import SimRailOptions
from drivers.sim.truth import CarriageTruth, ExposureLog, Floats, Track

KEPT_LEGS = 256
TRIP_TOLERANCE_S = 1e-9
"""How exactly the moment is found at which a switch closes; far less than a microstep takes."""
ELECTRICAL_CYCLE_STEPS = 4
"""Full steps after which a stepper's currents repeat."""


@dataclass(slots=True)
class _Leg:
    """One motion of the screw in one direction, or a rest, until the next leg begins."""

    start_s: float
    origin_um: float
    profile: Profile
    nut_um: float
    """Where the nut stood at the start: the state of the backlash."""
    response: Response

    def screw_um(self, time_s: float) -> float:
        return self.origin_um + self.profile.position_um(time_s - self.start_s)

    def moving(self, first_s: float, last_s: float) -> bool:
        return first_s < self.start_s + self.profile.duration_s and last_s >= self.start_s


class RailWorld:
    """The mechanics of one simulated rail.

    Args:
        options: of the rail.
        start_s: now.
        start_um: where the screw stands.
        motor_phase: of the motor's periodic error, in radians.
    """

    def __init__(
        self, options: SimRailOptions, *, start_s: float, start_um: float, motor_phase: float
    ) -> None:
        self.exposures = ExposureLog()
        self.ring_coupling = options.ring_coupling
        self._options = options
        self._oscillator = Oscillator(options.ring_hz, options.ring_damping)
        self._phase = motor_phase
        self._switched_on_s = start_s
        self._lock = threading.Lock()
        rest = Response(self._oscillator, REST)
        origin = self.to_lattice(start_um)
        self._legs: deque[_Leg] = deque(
            [_Leg(start_s, origin, REST, self._pushed(origin), rest)], maxlen=KEPT_LEGS
        )
        self.home_switch_um = options.backlash_um - options.pull_off_um
        self.far_switch_um = options.travel_um + options.far_switch_um

    # ---------------------------------------------------------------------------------------------- what the rail does

    def begin(self, start_s: float, profile: Profile, *, from_um: float | None = None) -> None:
        """The screw begins a motion; whatever was planned for later is forgotten.

        Args:
            start_s: when.
            profile: the motion, in one direction. A change of speed at its very start kicks what the carriage carries.
            from_um: where the screw is; by default where it was, and at rest on the nearest microstep.
        """
        with self._lock:
            self._follow(start_s, profile, from_um)

    def halt(self, time_s: float) -> None:
        """The screw stops dead at the nearest microstep: what it carries flies on."""
        self.begin(time_s, REST)

    def speed_um_per_s(self, time_s: float) -> float:
        """Signed speed of the screw."""
        leg = self._leg(time_s)
        return leg.profile.velocity_um_per_s(time_s - leg.start_s)

    def screw_um(self, time_s: float) -> float:
        """Where the motor has turned the screw to."""
        return self._leg(time_s).screw_um(time_s)

    def screw_track(self, times_s: Floats) -> Floats:
        """Where the motor has turned the screw to at ascending times, (n,): what its step pulses say."""
        legs = self._legs_between(float(times_s[0]), float(times_s[-1]))
        index = np.searchsorted([leg.start_s for leg in legs[1:]], times_s, side="right")
        screw = np.empty_like(times_s)
        for at, leg in enumerate(legs):
            chosen = index == at
            screw[chosen] = leg.origin_um + leg.profile.position_um(times_s[chosen] - leg.start_s)
        return screw

    def switch_at(self, time_s: float) -> Limit:
        """Which limit switch the carriage presses."""
        seat = self._seat_um(time_s)
        if seat >= self.far_switch_um:
            return Limit.FAR
        if seat <= self.home_switch_um and not self._options.faults.home_switch_broken:
            return Limit.HOME
        return Limit.NONE

    def trip(self, first_s: float, last_s: float) -> tuple[float, Limit] | None:
        """When, in the motion between these times, the carriage runs into a switch that lies ahead of it, and which."""
        direction = self.screw_um(last_s) - self.screw_um(first_s)
        ahead = Limit.FAR if direction > 0 else Limit.HOME
        if direction == 0 or self.switch_at(last_s) is not ahead:
            return None
        if self.switch_at(first_s) is ahead:
            return first_s, ahead
        before, after = first_s, last_s
        while after - before > TRIP_TOLERANCE_S:
            middle = (before + after) / 2
            before, after = (before, middle) if self.switch_at(middle) is ahead else (middle, after)
        return after, ahead

    def to_lattice(self, screw_um: float) -> float:
        """The nearest whole microstep."""
        return round(screw_um / self._options.microstep_um) * self._options.microstep_um

    # ----------------------------------------------------------------------------------------------------------- truth

    def track(self, times_s: Floats) -> Track:
        """The carriage at ascending times, (n,)."""
        first, last = float(times_s[0]), float(times_s[-1])
        legs = self._legs_between(first, last)
        position, ring = np.empty_like(times_s), np.empty_like(times_s)
        index = np.searchsorted([leg.start_s for leg in legs[1:]], times_s, side="right")
        for at, leg in enumerate(legs):
            chosen = index == at
            t = times_s[chosen]
            ring[chosen] = leg.response.displacement_um(t - leg.start_s)
            screw = leg.origin_um + leg.profile.position_um(t - leg.start_s)
            nut = np.clip(leg.nut_um, *self._play(screw + self._motor_error_um(screw)))
            position[chosen] = nut + self._drift_um(t) + ring[chosen]
        return Track(position, ring, any(leg.moving(first, last) for leg in legs))

    def truth_at(self, time_s: float) -> CarriageTruth:
        """The carriage at one instant."""
        track = self.track(np.array([time_s]))
        return CarriageTruth(
            position_um=float(track.position_um[0]),
            ring_um=float(track.ring_um[0]),
            drift_um=float(self._drift_um(np.array([time_s]))[0]),
            screw_um=self.screw_um(time_s),
            moving=track.moving,
        )

    def ring_amplitude_um(self, time_s: float) -> float:
        """Envelope of the ringing after the last motion."""
        leg = self._leg(time_s)
        return leg.response.amplitude_um(time_s - leg.start_s)

    # ------------------------------------------------------------------------------------------------------- mechanics

    def _follow(self, start_s: float, profile: Profile, from_um: float | None) -> None:
        while len(self._legs) > 1 and self._legs[-1].start_s > start_s:
            self._legs.pop()
        last = self._legs[-1]
        screw, speed = last.screw_um(start_s), last.profile.velocity_um_per_s(start_s - last.start_s)
        onward = profile.velocity_um_per_s(0.0)
        pushed = self._pushed(screw)
        nut = min(max(last.nut_um, pushed), pushed + self._options.backlash_um)
        ring, ring_speed = last.response.state(start_s - last.start_s)
        response = Response(self._oscillator, profile, ring, ring_speed + speed - onward)
        if from_um is None:
            from_um = screw if onward else self.to_lattice(screw)
        if start_s <= last.start_s:
            self._legs.pop()
        self._legs.append(_Leg(start_s, from_um, profile, nut, response))

    def _leg(self, time_s: float) -> _Leg:
        with self._lock:
            return self._leg_of(list(self._legs), time_s)

    @staticmethod
    def _leg_of(legs: list[_Leg], time_s: float) -> _Leg:
        return legs[max(0, bisect_right(legs, time_s, key=lambda leg: leg.start_s) - 1)]

    def _legs_between(self, first_s: float, last_s: float) -> list[_Leg]:
        with self._lock:
            legs = list(self._legs)
        first = max(0, bisect_right(legs, first_s, key=lambda leg: leg.start_s) - 1)
        return [legs[first], *(leg for leg in legs[first + 1 :] if leg.start_s <= last_s)]

    def _motor_error_um(self, screw_um: Floats) -> Floats:
        """Half of it repeats with the electrical cycle, half with the full step (detent torque)."""
        full_step = self._options.full_step_um
        angle = 2 * math.pi * screw_um / (ELECTRICAL_CYCLE_STEPS * full_step) + self._phase
        error: Floats = (np.sin(angle) + np.sin(ELECTRICAL_CYCLE_STEPS * angle)) / 2
        return self._options.microstep_error * full_step * error

    def _pushed(self, screw_um: float) -> float:
        """The nut when the screw pushes it upward."""
        return screw_um + float(self._motor_error_um(np.array([screw_um]))[0])

    def _play(self, turned_um: Floats) -> tuple[Floats, Floats]:
        """Where the nut can be: pushed upward, or pulled downward after the lost motion."""
        return turned_um, turned_um + self._options.backlash_um

    def _drift_um(self, times_s: Floats) -> Floats:
        constant = self._options.thermal_time_constant_s
        rate = self._options.thermal_drift_um_per_hour / 3600.0
        drift: Floats = rate * constant * -np.expm1(-(times_s - self._switched_on_s) / constant)
        return drift

    def _seat_um(self, time_s: float) -> float:
        """What the switches feel: the carriage without its ringing."""
        truth = self.truth_at(time_s)
        return truth.position_um - truth.ring_um
