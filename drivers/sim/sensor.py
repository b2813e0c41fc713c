"""A free-running sensor: it exposes frame after frame, asked or not, and the driver picks one.

Shared by the simulated and the replay camera. Only times are kept; a picture is made when it is fetched.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from drivers.base import CameraTimeout, NotOpen, TransferFailed
from drivers.clock import Clock, Interrupt

HANGS_S = 1e6
"""A camera that hangs gives up by itself after eleven days: a virtual clock needs a number to jump to."""
KEPT_SHOTS = 16
"""Exposures whose data can still be asked for."""

Shot = TypeVar("Shot")


@dataclass(frozen=True, slots=True)
class Sensor:
    """The times of all frames. Frame n is exposed from `start_s(n)` to `end_s(n)`, counted from 0."""

    origin_s: float
    period_s: float
    exposure_s: float

    def start_s(self, frame: int) -> float:
        """First row exposed."""
        return self.origin_s + frame * self.period_s

    def end_s(self, frame: int) -> float:
        """Last row read."""
        return self.start_s(frame) + self.exposure_s

    def newest_finished(self, now_s: float) -> int:
        """The last frame whose exposure is over; -1 when there is none yet."""
        frame = max(-1, math.floor((now_s - self.origin_s - self.exposure_s) / self.period_s))
        while self.end_s(frame + 1) <= now_s:
            frame += 1
        while frame >= 0 and self.end_s(frame) > now_s:
            frame -= 1
        return frame

    def first_from(self, when_s: float) -> int:
        """The first frame whose exposure begins at `when_s` or later."""
        frame = max(0, math.floor((when_s - self.origin_s) / self.period_s))
        while self.start_s(frame) < when_s:
            frame += 1
        return frame


class Tray(Generic[Shot]):
    """What has been exposed and not fetched yet; the oldest are dropped when nobody comes for them."""

    def __init__(self, port: str, kept: int = KEPT_SHOTS) -> None:
        self._port = port
        self._kept = kept
        self._shots: OrderedDict[int, Shot] = OrderedDict()
        self._next = 0

    def put(self, shot: Shot) -> int:
        """Keep a shot; its handle."""
        handle = self._next
        self._next += 1
        self._shots[handle] = shot
        while len(self._shots) > self._kept:
            self._shots.popitem(last=False)
        return handle

    def take(self, handle: int) -> Shot:
        """Hand it out, once. Raises `TransferFailed`."""
        shot = self._shots.pop(handle, None)
        if shot is None:
            raise TransferFailed(
                self._port, f"picture {handle} is no longer there: it was fetched or dropped"
            )
        return shot

    def clear(self) -> None:
        """Forget all of them."""
        self._shots.clear()


class Shutterwork:
    """Waiting on the sensor: which frame to take, and giving up when asked.

    Args:
        port: for errors.
        clock: to wait on.
        period_s: of the sensor.
        exposure_s: of each frame.
        buffers: finished frames that can still be had.
    """

    def __init__(self, port: str, clock: Clock, *, period_s: float, exposure_s: float, buffers: int) -> None:
        self._port = port
        self._clock = clock
        self._period_s = period_s
        self._exposure_s = exposure_s
        self._buffers = buffers
        self._interrupt = Interrupt()
        self._sensor: Sensor | None = None
        self._base = 0
        self._last = -1

    def start(self) -> None:
        """The sensor begins to run. Running numbers go on from the last session."""
        self._base += self._last + 1
        self._last = -1
        self._sensor = Sensor(self._clock.now(), self._period_s, self._exposure_s)

    def halt(self) -> None:
        """The sensor stands still."""
        self._sensor = None

    @property
    def running(self) -> bool:
        """Whether the sensor runs."""
        return self._sensor is not None

    @property
    def sensor(self) -> Sensor:
        """The running sensor. Raises `NotOpen`."""
        if self._sensor is None:
            raise NotOpen(self._port)
        return self._sensor

    def begin(self) -> float:
        """A verb begins: cancels meant for an earlier one are forgotten. Returns the time. Raises `NotOpen`."""
        _ = self.sensor
        self._interrupt.clear()
        return self._clock.now()

    def cancel(self) -> None:
        """End the running wait."""
        self._interrupt.set()

    def wait(self, until_s: float, asked_s: float) -> None:
        """Wait for a moment. Raises `CameraTimeout` when cancelled, `NotOpen` when closed meanwhile."""
        if not self._clock.wait_until(until_s, self._interrupt):
            raise CameraTimeout(self._port, self._clock.now() - asked_s)
        _ = self.sensor

    def hang(self, asked_s: float) -> None:
        """Never answer. Raises `CameraTimeout` when cancelled at last."""
        self.wait(asked_s + HANGS_S, asked_s)
        raise CameraTimeout(self._port, self._clock.now() - asked_s)

    def fresh(self, not_before_s: float) -> int:
        """The first frame exposed at `not_before_s` or later that was not served yet and is not lost to the buffer."""
        oldest = self.sensor.newest_finished(self._clock.now()) - self._buffers + 1
        return self._serve(max(self.sensor.first_from(not_before_s), self._last + 1, oldest))

    def triggered(self, not_before_s: float) -> tuple[float, float, int]:
        """Start, end and running number of an exposure by a shutter that opens when it is told to."""
        start_s = max(not_before_s, self._clock.now())
        frame = self._serve(self._last + 1)
        return start_s, start_s + self._exposure_s, self.sequence(frame)

    def newest(self) -> int:
        """The newest finished frame, or the next one when that was served already."""
        return self._serve(max(self.sensor.newest_finished(self._clock.now()), self._last + 1))

    def older(self, back: int) -> int:
        """A finished frame from before the newest one, as far as there is one."""
        return max(0, self.sensor.newest_finished(self._clock.now()) - back)

    def sequence(self, frame: int) -> int:
        """The camera's running number of a frame."""
        return self._base + frame

    def _serve(self, frame: int) -> int:
        self._last = frame
        return frame
