"""The lens of a Pi camera as a rail: the plane in focus moves through the subject, and the camera stands.

Positions are those of the plane in focus (`LensOptions`). The lens is led along by whoever polls: a rail that nobody watches stands still. It has arrived
when a frame shows it at its place; the control takes some frames to get there.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from drivers.base import DriverError, NotOpen, RailCapabilities, RailStatus
from drivers.picamera2.options import LensOptions
from drivers.picamera2.seat import Sighting, seat_of
from drivers.registry import Context

PORT = "lens"
LOST_LIMIT_S = 30.0
"""A camera that is being started again may take so long before a lens under way counts as lost."""


@dataclass(slots=True)
class Motion:
    """One way of the plane in focus, at constant speed."""

    from_um: float
    to_um: float
    began_s: float
    lasts_s: float
    homing: bool = False
    stopped: bool = False
    led_s: float | None = None
    """When the lens was told its last position."""

    def at_um(self, now_s: float) -> float:
        """Where the plane is to be."""
        if now_s >= self.began_s + self.lasts_s:
            return self.to_um
        return self.from_um + (self.to_um - self.from_um) * (now_s - self.began_s) / self.lasts_s


class LensRail:
    """The axis. It needs no switch: a lens position is absolute. Homing parks the lens at its nearest focus and sees it arrive.

    Args:
        options: which distances, and how they are counted.
        context: its clock; `shared` holds the camera.
    """

    def __init__(self, options: LensOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._seat = seat_of(context)
        self._lock = threading.Lock()
        self._open = False
        self._homed = False
        self._at_um = options.travel_um
        """Where the plane in focus was sent last."""
        self._motion: Motion | None = None
        self._target: int | None = None
        self._ended_s: float | None = None
        self._alarm: str | None = None
        self._awaited_s = 0.0

    @property
    def capabilities(self) -> RailCapabilities:
        """As the options declare."""
        return self._options.declared()

    def open(self) -> None:
        """Take the lens over. Raises `DriverError` when the rig has no camera with one."""
        with self._lock:
            if self._open:
                return
            if not self._seat.has_camera:
                raise DriverError(
                    PORT, "the rail `lens` moves the lens of a Pi camera: camera.driver must be picamera2"
                )
            self._open, self._homed = True, False
            self._motion, self._target, self._ended_s, self._alarm = None, None, None, None
            # From now on the camera holds its lens where the axis wants it.
            self._steer(self._options.travel_um)

    def close(self) -> None:
        """Leave the lens where it is."""
        with self._lock:
            self._settle_here()
            self._open = self._homed = False

    # ----------------------------------------------------------------------------------------------------------- verbs

    def start_home(self) -> None:
        """Lead the lens to its nearest focus, from the farthest: always from the same side."""
        with self._lock:
            self._free()
            options = self._options
            self._homed, self._alarm = False, None
            lasts_s = (options.near_dioptres - options.far_dioptres) / options.park_dioptres_per_s
            self._begin(Motion(options.travel_um, 0.0, self._clock.now(), lasts_s, homing=True), None)

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin to move the plane in focus. Raises `DriverError` when not homed or outside the travel."""
        with self._lock:
            self._free()
            if not self._homed:
                raise DriverError(PORT, "home first")
            self._begin(self._way(self._checked(target), speed_um_per_s), target)

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move. Before homing it ends at the end of the travel where it would go beyond."""
        with self._lock:
            self._free()
            step_um, travel_um = self._options.microstep_um, self._options.travel_um
            if self._homed:
                target = round(self._at_um / step_um) + distance
                self._begin(self._way(self._checked(target), speed_um_per_s), target)
            else:
                to_um = min(max(self._at_um + distance * step_um, 0.0), travel_um)
                self._begin(self._way(to_um, speed_um_per_s), None)

    def move_time_s(self, distance: int) -> float:
        """The way at full speed, and the frames until the lens is seen there."""
        way_um = abs(distance) * self._options.microstep_um
        return way_um / self._options.max_speed_um_per_s + self._options.arrival_s

    def poll(self) -> RailStatus:
        """Where the plane in focus is; leads the lens along."""
        with self._lock:
            if not self._open:
                raise NotOpen(PORT)
            if self._motion is not None:
                self._lead(self._motion)
            known = self._homed and self._alarm is None
            position = round(self._at_um / self._options.microstep_um) if known else None
            return RailStatus(
                moving=self._motion is not None,
                homed=known,
                position=position,
                target=self._target,
                ended_s=self._ended_s,
                alarm=self._alarm,
            )

    def stop(self) -> None:
        """Hold the lens where it has been led to. Any thread."""
        with self._lock:
            motion = self._motion
            if motion is None or motion.stopped:
                return
            step_um, now_s = self._options.microstep_um, self._clock.now()
            here_um = motion.at_um(now_s)
            if self._homed:
                # A whole number of microsteps, and none beyond where it was going.
                whole_um = round(here_um / step_um) * step_um
                low_um, high_um = sorted((motion.from_um, motion.to_um))
                here_um = min(max(whole_um, low_um), high_um)
            self._motion = Motion(here_um, here_um, now_s, 0.0, homing=motion.homing, stopped=True)
            self._steer(here_um)

    def halt(self) -> None:
        """Hold the lens; the position is unknown until it has been homed. Any thread."""
        with self._lock:
            self._settle_here()
            self._homed = False

    def release(self) -> None:
        """A lens cannot be let go of; as `halt`."""
        self.halt()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _free(self) -> None:
        if not self._open:
            raise NotOpen(PORT)
        if self._motion is not None:
            raise DriverError(PORT, "it moves already")

    def _checked(self, target: int) -> float:
        um = target * self._options.microstep_um
        if not 0.0 <= um <= self._options.travel_um:
            raise DriverError(PORT, f"{um:g} µm is outside its travel of {self._options.travel_um:g} µm")
        return um

    def _way(self, to_um: float, speed_um_per_s: float | None) -> Motion:
        most = self._options.max_speed_um_per_s
        speed = most if speed_um_per_s is None else min(speed_um_per_s, most)
        return Motion(self._at_um, to_um, self._clock.now(), abs(to_um - self._at_um) / speed)

    def _begin(self, motion: Motion, target: int | None) -> None:
        self._motion, self._target, self._ended_s = motion, target, None
        self._lead(motion)

    def _steer(self, um: float) -> None:
        self._at_um = um
        self._seat.steer(self._options.dioptres_at(um))

    def _settle_here(self) -> None:
        motion, self._motion = self._motion, None
        self._target = None
        if motion is not None:
            self._steer(motion.at_um(self._clock.now()))

    def _lead(self, motion: Motion) -> None:
        """Tell the lens where it should be by now, and at the end look whether it is there."""
        now_s = self._clock.now()
        if motion.led_s is None:
            self._steer(motion.at_um(now_s))
            if now_s >= motion.began_s + motion.lasts_s:
                motion.led_s = self._awaited_s = now_s
            return
        seen = self._seat.look()
        if seen is not None and self._there(seen):
            self._arrived(motion, seen, now_s)
        elif not self._seat.connected and now_s < motion.led_s + LOST_LIMIT_S:
            self._awaited_s = now_s
        elif now_s > self._awaited_s + self._options.arrival_timeout_s:
            self._fail(seen)

    def _there(self, seen: Sighting) -> bool:
        wanted = self._options.dioptres_at(self._at_um)
        return abs(seen.dioptres - wanted) <= self._options.tolerance_dioptres

    def _arrived(self, motion: Motion, seen: Sighting, now_s: float) -> None:
        self._motion = None
        assert motion.led_s is not None
        self._ended_s = min(now_s, max(motion.led_s, now_s - (time.monotonic() - seen.at_s)))
        if motion.homing:
            self._homed = not motion.stopped

    def _fail(self, seen: Sighting | None) -> None:
        wanted = self._options.dioptres_at(self._at_um)
        self._motion, self._target, self._homed = None, None, False
        if seen is None:
            self._alarm = (
                "no frame shows the lens: the camera gives none, or is not open, or its lens does not move"
            )
        else:
            self._alarm = (
                f"the lens was sent to {wanted:.2f} dioptres and frames show it at {seen.dioptres:.2f}"
            )
