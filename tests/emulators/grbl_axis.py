"""The mechanics behind an emulated motion controller: steps in time, and a carriage with switches that counts for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Trapezoid:
    """A motion from one speed to rest, over a distance in steps; times in seconds, speeds in steps/s."""

    distance: float
    speed: float
    acceleration: float
    entry: float = 0.0

    @property
    def peak(self) -> float:
        reachable = math.sqrt((2 * self.acceleration * self.distance + self.entry**2) / 2)
        return max(self.entry, min(self.speed, reachable))

    @property
    def _parts(self) -> tuple[float, float, float]:
        up = (self.peak**2 - self.entry**2) / (2 * self.acceleration)
        down = self.peak**2 / (2 * self.acceleration)
        return (
            (self.peak - self.entry) / self.acceleration,
            max(0.0, self.distance - up - down) / self.peak if self.peak else 0.0,
            self.peak / self.acceleration,
        )

    @property
    def duration(self) -> float:
        return sum(self._parts)

    def at(self, t: float) -> tuple[float, float]:
        """Distance gone and speed."""
        up, even, down = self._parts
        if t >= up + even + down:
            return self.distance, 0.0
        if t < up:
            return self.entry * t + self.acceleration * t * t / 2, self.entry + self.acceleration * t
        gone = self.entry * up + self.acceleration * up * up / 2
        if t < up + even:
            return gone + self.peak * (t - up), self.peak
        left = up + even + down - t
        return self.distance - self.acceleration * left * left / 2, self.acceleration * left


class Carriage:
    """Where things really are: steps from the point at which the home switch changes, growing away from it.

    Pulses that the controller sends move it; nothing that is reset or cut off makes it forget.
    """

    def __init__(self, start: int, length: int, home_sign: int) -> None:
        self.place = start
        self.length = length
        self.home_sign = home_sign
        """Sign of machine motion that leads to the home switch."""
        self.pulses = 0
        """Every step pulse ever, either way."""

    def move(self, machine_steps: int) -> None:
        self.place -= machine_steps * self.home_sign
        self.pulses += abs(machine_steps)

    @property
    def at_home(self) -> bool:
        return self.place <= 0

    @property
    def at_far(self) -> bool:
        return self.place >= self.length

    def room(self, machine_sign: int, *, until_free: bool = False) -> int | None:
        """Steps until a switch changes when going this way; None: nothing in the way."""
        toward_home = machine_sign == self.home_sign
        if toward_home:
            return self.place if self.place > 0 else None
        if until_free and self.place <= 0:
            return 1 - self.place
        return self.length - self.place if self.place < self.length else None


class Mover:
    """One axis of the controller: its step counter and the motion under way."""

    def __init__(self, carriage: Carriage) -> None:
        self.carriage = carriage
        self.count = 0
        """The controller's step counter."""
        self.motion: Trapezoid | None = None
        self.began = 0.0
        self.origin = 0
        self.sign = 1
        self.hit = False
        """The motion ran onto a switch that it was to notice."""
        self.watch = False

    @property
    def moving(self) -> bool:
        return self.motion is not None

    @property
    def speed(self) -> float:
        return 0.0 if self.motion is None else self.motion.at(self._now - self.began)[1]

    _now = 0.0

    def start(self, now: float, steps: int, speed: float, acceleration: float, *, watch: bool) -> None:
        self.sign = 1 if steps >= 0 else -1
        self.motion = Trapezoid(abs(steps), max(speed, 1e-3), acceleration)
        self.began, self.origin, self.hit, self.watch = now, self.count, False, watch
        self._now = now

    def brake(self, now: float) -> None:
        """Slow down to rest on a step."""
        self.update(now)
        if self.motion is None:
            return
        gone, speed = self.motion.at(now - self.began)
        end = min(self.motion.distance, math.ceil(gone + speed**2 / (2 * self.motion.acceleration) - 1e-9))
        left = end - gone
        self.origin_gone = abs(self.count - self.origin)
        deceleration = speed**2 / (2 * left) if left > 1e-9 and speed > 0 else self.motion.acceleration
        self.motion = Braking(end, gone, speed, deceleration)
        self.began = now

    def kill(self, now: float) -> None:
        """No step after this."""
        self.update(now)
        self.motion = None

    def update(self, now: float) -> bool:
        """Count the steps until now; True when the motion has just ended."""
        self._now = now
        if self.motion is None:
            return False
        gone, _ = self.motion.at(now - self.began)
        over = now - self.began >= self.motion.duration
        target = self.origin + self.sign * (round(self.motion.distance) if over else math.floor(gone + 1e-6))
        way = target - self.count
        if self.watch and way:
            room = self.carriage.room(self.sign)
            if room is not None and abs(way) >= room:
                way, self.hit, over = self.sign * room, True, True
        self.count += way
        self.carriage.move(way)
        if over:
            self.motion = None
        return over


@dataclass(frozen=True)
class Braking(Trapezoid):
    """From a place on the way (`gone` already) to rest at `distance`."""

    def __init__(self, distance: float, gone: float, speed: float, deceleration: float) -> None:
        object.__setattr__(self, "distance", distance)
        object.__setattr__(self, "speed", speed)
        object.__setattr__(self, "acceleration", deceleration)
        object.__setattr__(self, "entry", speed)
        object.__setattr__(self, "gone", gone)

    @property
    def duration(self) -> float:
        return self.speed / self.acceleration if self.speed > 0 else 0.0

    def at(self, t: float) -> tuple[float, float]:
        if t >= self.duration:
            return self.distance, 0.0
        left = self.duration - t
        return self.distance - self.acceleration * left * left / 2, self.acceleration * left
