"""The simulated rail: a motion controller that counts, and a `RailWorld` that knows what really happened.

Everything is computed when a motion begins: when it ends, whether it runs into a switch, what is true afterwards. `poll`
only looks at the clock. The controller counts what it commands; lost steps, backlash and drift are in the world alone,
and only homing reveals them.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

import numpy as np

from drivers.base import (
    AlarmResponse,
    DriverError,
    Limit,
    NotOpen,
    RailCapabilities,
    RailStatus,
    Shaping,
    Unplugged,
)
from drivers.motion.profile import REST, Profile, braking
from drivers.motion.shaping import impulses, profile_for
from drivers.registry import Context
from drivers.sim import homing
from drivers.sim.options import SimRailOptions
from drivers.sim.truth import WORLD
from drivers.sim.world import RailWorld

PORT = "sim rail"


@dataclass(frozen=True, slots=True)
class _Course:
    """A motion under way, and what is true once it has ended."""

    start_s: float
    ended_s: float
    after: RailStatus
    profile: Profile | None = None
    """As the controller commands it; None while homing."""
    origin: int | None = None
    """Counted position at the start, None when nothing is counted."""
    target: int | None = None
    gone_um: float = 0.0
    """How far from `origin` the profile begins: more than 0 once a motion has been asked to stop."""


class SimRail:
    """A rail with lead screw, backlash, ringing, drift, switches and faults on request.

    Args:
        options: the rail.
        context: its clock; the seed of start position and motor error; `shared["sim.world"]` is where the camera finds
            the truth.
    """

    def __init__(self, options: SimRailOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._lock = threading.RLock()
        self._shaping = options.shaping
        self._open = False
        self._course: _Course | None = None
        self._status = RailStatus(moving=False, homed=False, position=None)
        self._moves = 0
        self._unplugged_s = math.inf
        self._zero_um = 0.0
        random = np.random.default_rng([context.seed, 1])
        start_um = (
            random.uniform(0.05, 0.4) * options.travel_um if options.start_um is None else options.start_um
        )
        self.world = RailWorld(
            options,
            start_s=context.clock.now(),
            start_um=start_um,
            motor_phase=random.uniform(0, 2 * math.pi),
        )
        """The truth, for the camera and for tests."""
        context.shared[WORLD] = self.world

    @property
    def capabilities(self) -> RailCapabilities:
        """As the options declare."""
        return self._options.declared()

    @property
    def shaping(self) -> Shaping:
        """How moves are shaped now."""
        return self._shaping

    def shape_moves(self, shaping: Shaping) -> None:
        """Shape moves like this from the next one on, also when it is opened again."""
        try:
            impulses(shaping.kind, shaping.frequency_hz, shaping.damping)
        except ValueError as error:
            raise DriverError(PORT, str(error)) from error
        with self._lock:
            self._shaping = shaping

    @property
    def last_home_error_microsteps(self) -> int | None:
        """What the last homing revealed: `RailStatus.home_error`."""
        return self.poll().home_error

    def press(self, limit: Limit) -> None:
        """A hand presses a limit switch for a moment: whatever moves stops dead, as when the carriage runs into it."""
        with self._lock:
            now = self._now()
            if self._course is not None:
                self._stand_still(now)
                alarm = f"ran into the {limit.value} switch: home the rail"
                self._status = replace(self._status, limit=limit, alarm=alarm)

    def true_microsteps(self) -> float:
        """Where the motor really stands, in microsteps from where the last homing put zero. For tests."""
        return (self.world.screw_um(self._clock.now()) - self._zero_um) / self._options.microstep_um

    def open(self) -> None:
        """Take the rail into use. The position is not known: the screw may have been turned since."""
        with self._lock:
            if not self._open:
                self._open = True
                self._unplugged_s = math.inf
                self._status = RailStatus(moving=False, homed=False, position=None)

    def close(self) -> None:
        """Stop and let go. The motor stays energised, so the carriage does not sink."""
        with self._lock:
            if self._open:
                self._stand_still(self._clock.now())
                self._open = False

    # ----------------------------------------------------------------------------------------------------------- verbs

    def start_home(self) -> None:
        """Search the home switch, leave it, come back slowly, and count from `pull_off_um` beyond it."""
        with self._lock:
            now = self._ready()
            counted, before_um = self._status.position, self.world.screw_um(now)
            result = homing.run(self.world, self._options, now)
            after = RailStatus(moving=False, homed=result.alarm is None, position=None, alarm=result.alarm)
            if result.alarm is None:
                gone = round((result.zero_um - before_um) / self._options.microstep_um)
                error = None if counted is None else counted + gone
                after = replace(after, position=0, home_error=error)
                self._zero_um = result.zero_um
            else:
                after = replace(after, limit=self.world.switch_at(result.ended_s))
            self._status = replace(self._status, homed=False, position=None, alarm=None)
            self._course = _Course(now, result.ended_s, replace(after, ended_s=result.ended_s))

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin a move to an absolute position.

        Raises:
            AlarmResponse: not homed, outside the travel, or already moving.
            DriverError: the rail is not open or unplugged.
        """
        with self._lock:
            now = self._ready()
            position = self._status.position
            if position is None:
                raise AlarmResponse(PORT, "not homed", "home the rail before it can go to a position")
            self._check_travel(target)
            self._moves += 1
            self._begin(now, target - position, speed_um_per_s, position, self._moves)

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move; before homing only the switches bound it."""
        with self._lock:
            now = self._ready()
            position = self._status.position
            if position is not None:
                self._check_travel(position + distance)
            self._begin(now, distance, speed_um_per_s, position, None)

    def move_time_s(self, distance: int) -> float:
        """Duration of a move at full speed."""
        return self._profile(distance * self._options.microstep_um, None).duration_s

    def poll(self) -> RailStatus:
        """Where the rail is by the controller's count. Raises `NotOpen` or `Unplugged`."""
        with self._lock:
            now = self._now()
            course = self._course
            if course is None:
                return self._status
            position = None
            if course.origin is not None and course.profile is not None:
                gone_um = course.gone_um + course.profile.position_um(now - course.start_s)
                position = course.origin + round(gone_um / self._options.microstep_um)
            return replace(self._status, moving=True, position=position, target=course.target, ended_s=None)

    def stop(self) -> None:
        """Decelerate at the rail's acceleration to a whole microstep. Nothing happens at rest or when closed."""
        with self._lock:
            if self._open:
                now = self._now()
                if self._course is not None:
                    self._brake(now, self._course)

    def halt(self) -> None:
        """Stop dead; the position is unknown afterwards. Nothing happens when closed."""
        with self._lock:
            if self._open:
                self._stand_still(self._now())

    def release(self) -> None:
        """Stop and switch the motor current off; the position is unknown afterwards."""
        with self._lock:
            self._stand_still(self._now())

    # --------------------------------------------------------------------------------------------------------- motions

    def _now(self) -> float:
        """The present; what ended before it has been taken into account."""
        if not self._open:
            raise NotOpen(PORT)
        now = self._clock.now()
        if now >= self._unplugged_s:
            raise Unplugged(PORT)
        if self._course is not None and now >= self._course.ended_s:
            self._status, self._course = self._course.after, None
        return now

    def _ready(self) -> float:
        now = self._now()
        if self._course is not None:
            raise AlarmResponse(PORT, "busy", "the rail is moving: stop it or wait for its end")
        return now

    def _check_travel(self, target: int) -> None:
        end = math.floor(self._options.travel_um / self._options.microstep_um + 1e-9)
        if not 0 <= target <= end:
            um = self._options.microstep_um
            place = f"{target * um:.1f} um lies outside the travel, 0 to {end * um:.1f} um"
            raise AlarmResponse(PORT, "out of travel", place)

    def _profile(self, distance_um: float, speed_um_per_s: float | None) -> Profile:
        limit = self._options.max_speed_um_per_s
        speed = limit if speed_um_per_s is None else min(abs(speed_um_per_s), limit)
        if speed <= 0:
            raise DriverError(PORT, "speed must be more than 0")
        return profile_for(self._shaping, distance_um, speed, self._options.acceleration_um_per_s2)

    def _begin(
        self, now: float, distance: int, speed_um_per_s: float | None, position: int | None, move: int | None
    ) -> None:
        um = self._options.microstep_um
        profile = self._profile(distance * um, speed_um_per_s)
        self._turn_screw(now, distance, profile, speed_um_per_s, move)
        target = None if position is None else position + distance
        self._status = replace(self._status, alarm=None, limit=Limit.NONE)
        self._course = self._guarded(now, profile, position, target)

    def _turn_screw(
        self, now: float, distance: int, profile: Profile, speed_um_per_s: float | None, move: int | None
    ) -> None:
        """What the motor makes of a move, faults included."""
        faults = self._options.faults
        if move is not None and faults.lose_steps and move == faults.lose_steps_at_move:
            kept = int(math.copysign(max(0, abs(distance) - faults.lose_steps), distance))
            self.world.begin(now, self._profile(kept * self._options.microstep_um, speed_um_per_s))
            return
        self.world.begin(now, profile)
        middle = now + profile.duration_s / 2
        if move is not None and faults.stall_after_moves is not None and move == faults.stall_after_moves + 1:
            self.world.halt(middle)
        if (
            move is not None
            and faults.unplug_after_moves is not None
            and move == faults.unplug_after_moves + 1
        ):
            self.world.halt(middle)
            self._unplugged_s = middle

    def _guarded(
        self, now: float, profile: Profile, origin: int | None, target: int | None, gone_um: float = 0.0
    ) -> _Course:
        """The course of a motion that the world has begun, cut short where it runs into a switch."""
        ended_s = now + profile.duration_s
        tripped = self.world.trip(now, ended_s)
        if tripped is None:
            limit = self.world.switch_at(ended_s)
            after = replace(self._status, position=target, ended_s=ended_s, limit=limit)
        else:
            ended_s, limit = tripped
            self.world.halt(ended_s)
            alarm = f"ran into the {limit.value} switch: home the rail"
            after = RailStatus(
                moving=False, homed=False, position=None, ended_s=ended_s, limit=limit, alarm=alarm
            )
        return _Course(now, ended_s, after, profile, origin, target, gone_um)

    def _brake(self, now: float, course: _Course) -> None:
        """Let the controller's count and the screw come to rest, each on a whole microstep."""
        if course.profile is None:
            rest_s = self._brake_screw(now)
            self._course = _Course(now, rest_s, replace(self._status, ended_s=rest_s))
            return
        gone = course.gone_um + course.profile.position_um(now - course.start_s)
        speed = course.profile.velocity_um_per_s(now - course.start_s)
        whole = course.gone_um + course.profile.distance_um
        # A shaper lets a short move rest on its way, between two microsteps: what is left of it tells the direction then.
        end, profile = self._stopping(
            gone, math.copysign(speed, whole - gone if whole != gone else speed), farthest_um=abs(whole)
        )
        if abs(self.world.speed_um_per_s(now) - speed) > 1e-6:
            self._brake_screw(now)
        elif profile is REST:
            self.world.begin(now, REST, from_um=self.world.screw_um(now) + end - gone)
        else:
            self.world.begin(now, profile)
        target = None if course.origin is None else course.origin + round(end / self._options.microstep_um)
        self._course = self._guarded(now, profile, course.origin, target, gone_um=gone)

    def _brake_screw(self, now: float) -> float:
        """Brake a screw that does not follow a counted motion; when it rests."""
        screw, speed = self.world.screw_um(now), self.world.speed_um_per_s(now)
        end, profile = self._stopping(screw, speed, farthest_um=math.inf)
        self.world.begin(now, profile, from_um=end if profile is REST else None)
        return now + profile.duration_s

    def _stopping(
        self, place_um: float, speed_um_per_s: float, *, farthest_um: float
    ) -> tuple[float, Profile]:
        """Where a motion at this place and speed can stop on a whole microstep, and how.

        Within less than a microstep's braking distance a stepper stops on the next microstep at once.
        """
        um = self._options.microstep_um
        sign = math.copysign(1.0, speed_um_per_s)
        needed = speed_um_per_s**2 / (2 * self._options.acceleration_um_per_s2)
        at_once = needed < um
        end = math.ceil((sign * place_um + (0.0 if at_once else needed)) / um - 1e-6) * um
        end = sign * min(end, farthest_um)
        return (end, REST) if at_once or end == place_um else (end, braking(speed_um_per_s, end - place_um))

    def _stand_still(self, now: float) -> None:
        """Stop dead and forget the position."""
        ended_s = self._status.ended_s if self._course is None else now
        self.world.halt(now)
        self._course = None
        limit = self.world.switch_at(now)
        self._status = RailStatus(moving=False, homed=False, position=None, ended_s=ended_s, limit=limit)
