"""The rail driver for STEP, DIR and ENABLE on the Pi's own pins. How pulses are timed, and what that is good for: `docs/hardware.md`.

Each motion has a thread, which feeds lgpio's queue and looks at the switches; verbs only start it or leave it a word. `stop`
adds a deceleration to what is queued, `halt` switches the motor off and throws the queue away.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from drivers.base import (
    AlarmResponse,
    DriverError,
    Limit,
    NotOpen,
    RailCapabilities,
    RailStatus,
    Shaping,
)
from drivers.motion.shaping import profile_for
from drivers.registry import Context
from drivers.stepdir import schedule
from drivers.stepdir.homing import Homing, HomingFailed, Stopped
from drivers.stepdir.hurry import hurry
from drivers.stepdir.legs import Legs, limits_of
from drivers.stepdir.options import StepDirOptions
from drivers.stepdir.slow import SlowPins
from drivers.stepdir.statistics import Statistics, Trace
from drivers.stepdir.train import Cancelled, Train
from drivers.stepdir.transmitter import Transmitter
from drivers.stepdir.words import alarm_of, lost, warnings

log = logging.getLogger(__name__)

START_S = 0.02
"""From a motion being asked for to its first pulse: lgpio looks for new waves every 20 ms, and a lead of 6 ms comes first."""
ENDS_S = 5.0
"""Real seconds that a motion's thread has to end in: it needs a few milliseconds."""


@dataclass(slots=True, eq=False)
class _Motion:
    """A motion under way."""

    token: int
    target: int | None = None
    homing: bool = False
    thread: threading.Thread | None = None


class StepDirRail:
    """A rail on the Pi's own pins.

    Args:
        options: pins, screw and motor.
        context: its clock.
    """

    def __init__(self, options: StepDirOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._able = options.declared()
        self._shaping = options.shaping
        self._limits = limits_of(options)
        self._lock = threading.RLock()
        self._line = Transmitter(options.step_pin, options.gpiochip)
        self._pins = SlowPins(options, context.clock, self._woken)
        self._train = Train(self._line, context.clock, self._limits, self._lock)
        self._open = False
        self._zero: int | None = None
        """The train's count at position 0."""
        self._status = RailStatus(moving=False, homed=False, position=None)
        self._motion: _Motion | None = None

    @property
    def capabilities(self) -> RailCapabilities:
        """As the options declare."""
        return self._able

    @property
    def shaping(self) -> Shaping:
        """How moves are shaped now."""
        return self._shaping

    @property
    def statistics(self) -> Statistics:
        """What can be said of the pulses since the rail was opened; a copy."""
        with self._lock:
            return replace(self._train.statistics)

    @property
    def trace(self) -> Trace | None:
        """When the pulses of the last motion should have gone out."""
        return self._train.trace

    # ------------------------------------------------------------------------------------------------ opening, closing

    def open(self) -> None:
        """Take the pins, the motor off. The position is not known.

        Raises:
            DriverNotAvailable: lgpio or gpiozero is not installed.
            DriverError: no such chip, no right to use it, or a pin is in use; none is taken then.
        """
        if self._open:
            return
        schedule.warm_up()
        try:
            self._line.open()
            self._pins.open()
        except Exception:
            self._let_go()
            raise
        with self._lock:
            self._train = Train(self._line, self._clock, self._limits, self._lock)
            self._zero = None
            self._status = RailStatus(moving=False, homed=False, position=None)
            self._open = True

    def close(self) -> None:
        """Stop dead, leave the motor as `when_closed` says, and let go of the pins."""
        with self._lock:
            motion, was_open, self._open = self._motion, self._open, False
            self._forget()
            try:
                if was_open:
                    self._train.cancel()
            except DriverError as error:
                log.warning("closing: %s", error)
        if motion is not None and motion.thread is not None:
            motion.thread.join(ENDS_S)
        self._let_go()

    def _let_go(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._line.close)
            stack.callback(self._pins.close)

    # ----------------------------------------------------------------------------------------------------------- verbs

    def start_home(self) -> None:
        """Begin homing. Raises `AlarmResponse` when moving, `NotOpen`."""
        with self._lock:
            self._ready()
            counted, self._zero = self._zero, None
            self._begin(lambda token: self._home(token, counted), homing=True)

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin a move to an absolute position.

        Raises:
            AlarmResponse: not homed, outside the travel, already moving, or toward a switch that is pressed.
            DriverError: no positive speed; the rail is not open.
        """
        with self._lock:
            self._ready()
            position = self._position()
            if position is None:
                raise AlarmResponse(
                    self._line.name, "not homed", "home the rail before it can go to a position"
                )
            speed = self._able.max_speed_um_per_s if speed_um_per_s is None else speed_um_per_s
            self._go(target - position, speed, position)

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move; before homing only the switches bound it. Raises as `start_move`."""
        with self._lock:
            self._ready()
            self._go(distance, speed_um_per_s, self._position())

    def move_time_s(self, distance: int) -> float:
        """Duration of a move at full speed, from asking for it to its last pulse."""
        if distance == 0:
            return 0.0
        return START_S + self._profile_s(abs(distance))

    def shape_moves(self, shaping: Shaping) -> None:
        """Shape moves like this from the next one on. Raises `DriverError`: a shaper without a frequency, or no damping ratio."""
        try:
            profile_for(shaping, 1.0, 1.0, 1.0)
        except ValueError as error:
            raise DriverError(self._line.name, str(error)) from error
        with self._lock:
            self._shaping = shaping

    def poll(self) -> RailStatus:
        """Where the rail is by the pulses that are out. Raises `NotOpen`, or `DriverError` when a switch cannot be read."""
        with self._lock:
            if not self._open:
                raise NotOpen(self._line.name)
            motion = self._motion
            if motion is not None:
                position = None if motion.homing else self._position()
                return replace(
                    self._status,
                    moving=True,
                    position=position,
                    target=motion.target,
                    ended_s=None,
                    limit=Limit.NONE,
                )
            pressed = self._pins.pressed()
            limit = Limit.HOME if Limit.HOME in pressed else Limit.FAR if Limit.FAR in pressed else Limit.NONE
            return replace(self._status, limit=limit, warnings=warnings(self._train.statistics))

    def stop(self) -> None:
        """Decelerate behind what is queued, at most 14 ms of it. Nothing happens at rest or when closed. Any thread."""
        with self._lock:
            if self._motion is not None:
                self._train.stop()

    def halt(self) -> None:
        """Motor off, and no pulse more; the position is unknown afterwards. Nothing happens when closed. Any thread."""
        with self._lock:
            if self._open:
                self._drop()

    def release(self) -> None:
        """Stop, and switch the motor off where ENABLE is wired; the position is unknown afterwards. Raises `NotOpen`."""
        with self._lock:
            if not self._open:
                raise NotOpen(self._line.name)
            self._drop()

    # --------------------------------------------------------------------------------------------------------- motions

    def _ready(self) -> None:
        if not self._open:
            raise NotOpen(self._line.name)
        if self._motion is not None:
            raise AlarmResponse(self._line.name, "busy", "the rail is moving: stop it or wait for its end")

    def _position(self) -> int | None:
        return None if self._zero is None else self._train.position - self._zero

    def _go(self, distance: int, speed_um_per_s: float, position: int | None) -> None:
        name, um = self._line.name, self._able.microstep_um
        if not speed_um_per_s > 0:
            raise DriverError(name, "speed must be more than 0")
        target = None if position is None else position + distance
        last = math.floor(self._able.travel_um / um + 1e-9)
        if target is not None and not 0 <= target <= last:
            place = f"{target * um:.1f} um lies outside the travel, 0 to {last * um:.1f} um"
            raise AlarmResponse(name, "out of travel", place)
        pressed = self._pins.pressed()
        toward = Limit.FAR if distance > 0 else Limit.HOME
        if distance and toward in pressed:
            raise AlarmResponse(name, "limit", f"the {toward.value} switch is pressed: move away from it")
        if distance == 0:
            self._status = replace(self._status, alarm=None, target=target, ended_s=self._clock.now())
            return
        self._begin(lambda token: self._move(token, distance, speed_um_per_s), target=target)

    def _begin(
        self, act: Callable[[int], RailStatus], *, target: int | None = None, homing: bool = False
    ) -> None:
        motion = self._motion = _Motion(self._train.begin(), target, homing)
        self._train.statistics.motions += 1
        self._status = replace(
            self._status,
            homed=self._zero is not None,
            position=None,
            alarm=None,
            target=None,
            home_error=None if homing else self._status.home_error,
        )
        motion.thread = threading.Thread(target=self._work, args=(motion, act), name="stepdir", daemon=True)
        self._clock.work_begins()
        motion.thread.start()

    def _work(self, motion: _Motion, act: Callable[[int], RailStatus]) -> None:
        """On the motion's thread."""
        after: RailStatus | None = None
        try:
            with hurry():
                after = act(motion.token)
        except Cancelled:
            pass
        except DriverError as error:
            log.error("%s", error)  # noqa: TRY400  (its words say it all)
            after = lost(f"{error}: home the rail", self._clock.now())
        finally:
            with self._lock:
                if self._motion is motion:
                    self._status = after or lost("the driver failed: home the rail", self._clock.now())
                    self._zero = self._zero if self._status.homed else None
                    self._motion = None
            self._clock.work_ends()

    def _move(self, token: int, distance: int, speed_um_per_s: float) -> RailStatus:
        legs = self._legs()
        if not legs.ready(token):
            return self._at_rest(self._clock.now())
        end = legs.go(token, distance, speed_um_per_s, shaping=self._shaping)
        alarm = alarm_of(end, legs.met)
        return self._at_rest(end.ended_s) if alarm is None else lost(alarm, end.ended_s)

    def _home(self, token: int, counted: int | None) -> RailStatus:
        try:
            zero = Homing(self._options, self._legs(), token).run()
        except Stopped:
            return RailStatus(moving=False, homed=False, position=None, ended_s=self._clock.now())
        except HomingFailed as error:
            return lost(str(error), self._clock.now())
        with self._lock:
            self._train.check(token)
            self._zero = zero
        missed = None if counted is None else zero - counted
        return replace(self._at_rest(self._clock.now()), home_error=missed)

    def _at_rest(self, ended_s: float) -> RailStatus:
        with self._lock:
            position = self._position()
            return replace(
                self._status, moving=False, homed=position is not None, position=position, ended_s=ended_s
            )

    def _legs(self) -> Legs:
        return Legs(self._options, self._train, self._pins, self._clock, self._lock)

    def _profile_s(self, pulses: int) -> float:
        rate = self._options.step_rate_hz
        return profile_for(self._shaping, float(pulses), rate, self._limits.deceleration).duration_s

    def _drop(self) -> None:
        """No pulse more, motor off, position unknown."""
        self._forget()
        try:
            self._pins.enable(on=False)
        finally:
            self._train.cancel()

    def _forget(self) -> None:
        ended_s = self._status.ended_s if self._motion is None else self._clock.now()
        self._motion = None
        self._zero = None
        self._status = RailStatus(moving=False, homed=False, position=None, ended_s=ended_s)

    def _woken(self) -> None:
        self._train.wake.set()
