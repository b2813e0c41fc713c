"""The camera driver for Raspberry Pi cameras. How and why: `docs/adr/0015`.

The sensor runs freely; a picture is the first of its frames that is proved to have begun late enough and has the settings it should. The
camera is held by a process of its own, which may hang or die; the driver asks, waits no longer than it must, and replaces it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from drivers.base import (
    BurstCapabilities,
    BurstFrame,
    CameraCapabilities,
    CameraTimeout,
    DriverError,
    Exposure,
    FrameData,
    NoResponse,
    NotOpen,
    TransferFailed,
)
from drivers.clock import Interrupt
from drivers.picamera2 import failures, locking
from drivers.picamera2 import messages as m
from drivers.picamera2.opening import TELL_AGAIN, Held, Opener, clock_words, stamped
from drivers.picamera2.options import Picamera2Options
from drivers.picamera2.seat import seat_of
from drivers.picamera2.session import Died, GivenUp, Hangs, Session
from drivers.picamera2.timestamps import WrongClock
from drivers.registry import Context

log = logging.getLogger(__name__)

CLOSE_LIMIT_S = 1.5
"""For what was given up, and then for letting go: a rig that closes waits no longer."""
WRONG_FRAMES = 24
"""So many frames with other settings than they should have, and the picture fails."""
OLD_FRAMES = 100
"""So many frames that are not new, and the picture fails: the sensor's clock does not run."""
KEPT_SHOTS = 4
BURST_LEAD_S = 0.2
"""Before a burst, when its process begins to look at frames."""
ENDINGS = {".jpg": (b"\xff\xd8", b"\xff\xd9"), ".dng": (b"II*\x00", b"")}


@dataclass(slots=True)
class Shot:
    """A picture that has been taken and not fetched."""

    session: Session
    held: int
    """Its handle in the camera process."""
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: the injected one, and CLOCK_MONOTONIC. On a real rig they are the same clock."""

    here_s: float
    monotonic_s: float

    def here(self, monotonic_s: float) -> float:
        """On the injected clock."""
        return self.here_s + (monotonic_s - self.monotonic_s)

    def monotonic(self, here_s: float) -> float:
        """On CLOCK_MONOTONIC."""
        return self.monotonic_s + (here_s - self.here_s)


class Picamera2Camera:
    """A camera on a Pi's ribbon.

    Args:
        options: which camera, and how it is to be set.
        context: its clock; `shared` may hold an axis that moves its lens.
    """

    def __init__(self, options: Picamera2Options, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._able = options.declared()
        self._interrupt = Interrupt()
        self._seat = seat_of(context)
        self._seat.has_camera = True
        self._opener = Opener(options, self._interrupt, self._seat)
        self._held: Held | None = None
        self._port = self._able.name
        self._wanted = False
        self._handles = 0
        self._shots: dict[int, Shot] = {}

    @property
    def capabilities(self) -> CameraCapabilities:
        """As the options declare; after `open()` with the module's name and its own exposure time and gain."""
        return self._able

    @property
    def burst_capabilities(self) -> BurstCapabilities:
        """Rates are empty where the config wants no bursts, or the camera has no memory for them."""
        if self._held is None:
            raise NotOpen(self._port)
        return self._held.bursts

    # ------------------------------------------------------------------------------------------------ opening, closing

    def open(self) -> None:
        """Start the camera's process, and wait for a frame that has the settings it should. `cancel` ends this too.

        Raises:
            DriverNotAvailable: picamera2 is not installed.
            DriverError: no such camera, another program has it, no memory for it, or it cannot be set as the config says.
            CameraTimeout: it gives no frames, or `cancel` was called.
        """
        if self._wanted and self._held is not None and self._held.session.child.alive:
            return
        self._interrupt.clear()
        with self._guarded("opening the camera"):
            self._connect()
        self._wanted = True

    def close(self) -> None:
        """Let go of the camera; a process that hangs is killed. Pictures not fetched are lost."""
        self._wanted = False
        self._shots.clear()
        self._interrupt.clear()
        self._drop(CLOSE_LIMIT_S)

    def cancel(self) -> None:
        """End the running verb. The camera's process is not waited for; the next verb sees to it. Any thread."""
        self._interrupt.set()

    def _connect(self) -> Held:
        self._drop(CLOSE_LIMIT_S)
        self._held = held = self._opener.connect()
        self._able, self._port = held.able, held.session.port
        return held

    def _drop(self, limit_s: float) -> None:
        held, self._held = self._held, None
        self._seat.disconnect()
        if held is not None and not held.session.leave(limit_s):
            log.warning("%s: its process did not end by itself", held.session.port)

    # ----------------------------------------------------------------------------------------------------------- verbs

    def expose(self, not_before_s: float, position_um: float) -> Exposure:  # noqa: ARG002  (it does not care where it is)
        """Take the first frame that began late enough; return when all its rows are in.

        `start_s` and `end_s` enclose the exposure of every row, whatever the sensor's timestamp means (`timestamps`). With a lens that is moved
        as an axis, the frame shows the lens where it was sent.

        Raises:
            CameraTimeout: after `cancel()`, or when the camera hangs.
            DriverError: its frames keep having other settings than they should; `NoResponse`: its process died.
        """
        self._begin()
        with self._guarded("taking a picture"):
            held = self._ready()
            self._wait_until(not_before_s)
            moment = self._now()
            seen, start_s, end_s = self._new_frame(held, moment.monotonic(not_before_s))
            self._handles += 1
            self._shots[self._handles] = Shot(held.session, seen.handle)
            while len(self._shots) > KEPT_SHOTS:
                self._shots.pop(next(iter(self._shots)))
            end_s = moment.here(end_s)
            self._wait_until(end_s)
            number = int(seen.told["SensorTimestamp"]) // 1000
            return Exposure(moment.here(start_s), end_s, number, locking.read(seen.told), self._handles)

    def fetch(self, exposure: Exposure) -> FrameData:
        """The picture's data: JPEG, or the sensor's own as DNG.

        Raises:
            TransferFailed: it was fetched already, the camera was restarted meanwhile, or it could not be written.
            CameraTimeout: after `cancel()`, or when the camera hangs.
        """
        self._begin()
        shot = self._shots.pop(exposure.handle, None)
        if shot is None:
            raise TransferFailed(
                self._port, f"picture {exposure.handle} is no longer there: fetched, or lost with a restart"
            )
        if shot.data is None:
            with self._guarded("fetching a picture"):
                shot.data = self._fetched(shot)
        return FrameData(shot.data, self._options.suffix)

    def burst(
        self,
        frames: int,
        rate_hz: float,
        not_before_s: float,
        position_um: float,  # noqa: ARG002
    ) -> Sequence[BurstFrame]:
        """Take many small gray frames in quick succession, from the sensor's fastest mode.

        Their exposure is that of a picture where the rate leaves time for it, otherwise shorter with more gain. The next picture switches back.

        Raises:
            CameraTimeout: after `cancel()`, or when the camera hangs.
            DriverError: it has no such rate, or fails.
        """
        self._begin()
        with self._guarded("taking a burst"):
            held = self._usable()
            if not any(abs(rate_hz - rate) <= 1e-3 * rate for rate in held.bursts.rates_hz):
                rates = ", ".join(f"{rate:g}" for rate in held.bursts.rates_hz) or "none"
                raise DriverError(self._port, f"no bursts at {rate_hz:g} Hz; its rates are: {rates}")
            self._keep_pictures(held.session)
            held.session.run(self._opener.burst(rate_hz, held.most_gain))
            self._wait_until(not_before_s - BURST_LEAD_S)
            moment = self._now()
            return self._collected(held, frames, rate_hz, moment, not_before_s)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _begin(self) -> None:
        if not self._wanted:
            raise NotOpen(self._port)
        self._interrupt.clear()

    def _usable(self) -> Held:
        """A process that answers."""
        held = self._held
        if held is None or not held.session.child.alive:
            return self._connect()
        if not held.session.settle():
            log.warning("%s: it did not end what was given up; a new process", self._port)
            return self._connect()
        return held

    def _ready(self) -> Held:
        """A sensor that runs for pictures, with no frame of it held."""
        held = self._usable()
        self._keep_pictures(held.session)
        if held.session.use != "still":
            held.session.run(self._opener.still(held.buffers))
        return held

    def _keep_pictures(self, session: Session) -> None:
        """Fetch what was not fetched: its memory is the sensor's."""
        for handle, shot in tuple(self._shots.items()):
            if shot.session is not session or shot.data is not None:
                continue
            try:
                shot.data = self._fetched(shot)
            except TransferFailed as error:
                log.warning("a picture is lost: %s", error)
                del self._shots[handle]

    def _fetched(self, shot: Shot) -> bytes:
        held = self._held
        if held is None or shot.session is not held.session:
            raise TransferFailed(self._port, "the camera was restarted before this picture was fetched")
        if not shot.session.settle():
            raise Died("it did not end what was given up before")
        try:
            data = shot.session.fetch(shot.held)
        except failures.Said as said:
            raise TransferFailed(self._port, f"the picture cannot be read: {said.words}") from said
        head, tail = ENDINGS[self._options.suffix]
        if not (data.startswith(head) and data.endswith(tail)):
            raise TransferFailed(self._port, f"what came is no whole picture ({len(data)} bytes)")
        return data

    def _new_frame(self, held: Held, not_before_s: float) -> tuple[m.Seen, float, float]:
        """The first frame that is new and as it should be, and when it was exposed, on CLOCK_MONOTONIC."""
        session, old, wrong_frames = held.session, 0, 0
        while True:
            seen = session.next()
            try:
                frame = stamped(
                    seen.told, session.frame_s, held.readout_s, seen.arrived_ns, seen.boot_ahead_ns
                )
                new = self._opener.meaning.is_new(frame, not_before_s)
            except (KeyError, WrongClock) as error:
                session.let_go(seen.handle)
                raise DriverError(self._port, clock_words(error)) from error
            wrong = held.wanted.differences(locking.read(seen.told), self._opener.lens) if new else []
            if new and not wrong:
                return seen, *self._opener.meaning.exposed(frame)
            session.let_go(seen.handle)
            if new:
                wrong_frames += 1
                self._tell_again(held, wrong, wrong_frames)
            else:
                old += 1
                if old > OLD_FRAMES and seen.arrived_ns * 1e-9 > not_before_s + OLD_FRAMES * session.frame_s:
                    raise DriverError(self._port, "it gives old frames only: its clock stands, or is another")

    def _tell_again(self, held: Held, wrong: list[str], count: int) -> None:
        """The camera has changed its settings, or not yet taken them: say them again, and wait, for so long."""
        if count > WRONG_FRAMES:
            raise DriverError(self._port, f"it does not keep its settings: {'; '.join(wrong)}")
        if count % TELL_AGAIN == 1:
            log.warning("%s: %s; setting it again", self._port, "; ".join(wrong))
            held.session.change(locking.controls(self._options, self._opener.lens))

    def _collected(
        self, held: Held, frames: int, rate_hz: float, moment: Moment, not_before_s: float
    ) -> Sequence[BurstFrame]:
        meaning, frame_s = self._opener.meaning, 1 / rate_hz
        ahead_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
        first_s = meaning.stamp_of(moment.monotonic(not_before_s), frame_s, frame_s, ahead_s)
        limit_s = max(0.0, first_s - moment.monotonic_s) + 2 * frames * frame_s
        got, raw = held.session.collect(frames, round(first_s * 1e9), limit_s)
        images = np.frombuffer(raw, np.uint8).reshape(frames, got.height, got.width)
        taken = []
        for told, arrived_ns, image in zip(got.frames, got.arrived_ns, images, strict=True):
            frame = stamped(told, frame_s, held.burst_readout_s, arrived_ns, got.boot_ahead_ns)
            try:
                start_s, end_s = meaning.exposed(frame)
            except WrongClock as error:
                raise DriverError(self._port, clock_words(error)) from error
            taken.append(BurstFrame(moment.here(start_s), moment.here(end_s), image))
        self._wait_until(taken[-1].end_s)
        return taken

    # ------------------------------------------------------------------------------------------------------------ time

    def _now(self) -> Moment:
        return Moment(self._clock.now(), time.monotonic())

    def _wait_until(self, when_s: float) -> None:
        while self._clock.now() < when_s:
            if not self._clock.wait_until(when_s, self._interrupt):
                raise GivenUp

    # ---------------------------------------------------------------------------------------------------------- trouble

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """Turn what becomes of the process into the errors of a driver, and part with one that is of no use any more."""
        asked_s = self._clock.now()
        try:
            yield
        except GivenUp:
            raise CameraTimeout(self._port, self._clock.now() - asked_s) from None
        except Hangs as error:
            held = self._held
            words = held.session.child.last_words() if held is not None else ""
            log.warning("%s hangs: %s%s", self._port, error, f"; it said: {words}" if words else "")
            self._drop(0.0)
            raise CameraTimeout(self._port, self._clock.now() - asked_s) from error
        except Died as error:
            self._drop(0.0)
            raise NoResponse(self._port, f"{doing}: the camera's process ended ({error})") from error
        except failures.Said as said:
            # A pipeline that failed once is not trusted again.
            self._drop(CLOSE_LIMIT_S)
            raise said.error from said
