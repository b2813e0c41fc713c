"""From no camera to one that is open, runs, and shows the settings that it was told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.base import BurstCapabilities, CameraCapabilities, CameraSettings, DriverError
from drivers.clock import Interrupt
from drivers.picamera2 import failures, locking
from drivers.picamera2 import messages as m
from drivers.picamera2.options import Picamera2Options
from drivers.picamera2.seat import LensSeat
from drivers.picamera2.session import Died, Session
from drivers.picamera2.timestamps import Meaning, Stamped, WrongClock

log = logging.getLogger(__name__)

SYSTEM_PYTHON = "/usr/bin/python3"
FRAMES_TO_LOCK = 24
"""Controls take three to eleven frames, and are told twice."""
TELL_AGAIN = 12
LEAVE_LIMIT_S = 1.0
TWO_RATES = 0.81
"""The second of two rates, where the sensor is slower than both that were asked for."""
BURST_BUFFERS = 6
NO_BURSTS = BurstCapabilities((), 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Held:
    """An open camera."""

    session: Session
    able: CameraCapabilities
    wanted: locking.Wanted
    """What every frame must show."""
    buffers: int
    readout_s: float
    """From the first row's end to the last row's, at most."""
    most_gain: float
    bursts: BurstCapabilities
    burst_readout_s: float


def stamped(
    told: dict[str, float], frame_s: float, readout_s: float, arrived_ns: int, ahead_ns: int
) -> Stamped:
    """What is known of a frame's time. Raises `KeyError` when it is told no timestamp."""
    exposure_s = told.get("ExposureTime", 0) / 1e6
    stamp_s, arrived_s = told["SensorTimestamp"] * 1e-9, arrived_ns * 1e-9
    return Stamped(stamp_s, exposure_s, frame_s, readout_s, arrived_s, ahead_ns * 1e-9)


class Opener:
    """Opens the camera that the options mean.

    Args:
        options: which camera, and how it is to be set.
        interrupt: gives up; `connect` then raises `GivenUp`.
        seat: where the lens is wanted.
    """

    def __init__(self, options: Picamera2Options, interrupt: Interrupt, seat: LensSeat) -> None:
        self._options = options
        self._interrupt = interrupt
        self._seat = seat
        self._python: str | None = None
        self._buffers = options.buffers
        self.meaning = Meaning(options.timestamp, options.timestamp_clock)

    @property
    def lens(self) -> float | None:
        """Where the lens should be, in dioptres; None where it does not matter."""
        wanted = self._seat.wanted
        return wanted if wanted is not None else self._options.lens_position

    def connect(self) -> Held:
        """A new process with the camera running. Takes fewer frames in memory where there is none for all.

        Raises:
            DriverError, failures.Said, Hangs, Died: it cannot be.
        """
        # A held picture must not stop the sensor while its lens is moved: frames show where it is.
        least = 1 if self._seat.wanted is None else 2
        self._buffers = max(self._buffers, least)
        while True:
            try:
                return self._opened(self._buffers)
            except failures.Said as said:
                if said.code != m.NO_MEMORY or self._buffers <= least:
                    raise
                self._buffers -= 1
                log.warning("%s; trying with %d", said, self._buffers)

    def still(self, buffers: int) -> m.Run:
        """The streams of pictures."""
        options = self._options
        return m.Run(
            use="still",
            width=options.width,
            height=options.height,
            raw=options.format == "dng",
            sensor=None,
            buffers=buffers,
            controls=locking.controls(options, self.lens),
            quality=options.jpeg_quality,
        )

    def burst(self, rate_hz: float, most_gain: float, *, start: bool = True) -> m.Run:
        """The streams of small frames."""
        options = self._options
        return m.Run(
            use="burst",
            width=options.burst_width,
            height=options.burst_height,
            raw=False,
            sensor=None,
            buffers=BURST_BUFFERS,
            controls=locking.burst_controls(options, rate_hz, most_gain, self.lens),
            start=start,
        )

    # -------------------------------------------------------------------------------------------------------- the steps

    def _opened(self, buffers: int) -> Held:
        session, opened = self._started()
        try:
            bursts, burst_readout_s = self._bursts(session)
            running = session.run(self.still(buffers))
            self._check(session, opened, running)
            first = self._locked(session)
            self._seat.connect(session.line)
            readout_s = _shortest_s(running, session.frame_s)
            self._check_clock(session, first, readout_s)
            session.let_go(first.handle)
            if running.crop is not None and bursts.rates_hz:
                own_px = running.crop[2] / running.width
                bursts = replace(bursts, still_px=bursts.still_px / own_px)
            locked = locking.read(first.told)
            able = self._able(opened, locked, session.frame_s)
        except BaseException:
            self._seat.disconnect()
            session.leave(0.0 if session.child.owes else LEAVE_LIMIT_S)
            raise
        log.info("%s is open (picamera2 %s, %d in memory)", session.port, opened.version, buffers)
        wanted = locking.Wanted(locked, locking.HELD)
        most_gain = float(running.limits.get("AnalogueGain", (1.0, 1.0))[1])
        return Held(session, able, wanted, buffers, readout_s, most_gain, bursts, burst_readout_s)

    def _started(self) -> tuple[Session, m.Opened]:
        """A process of the first Python that has picamera2."""
        tried: list[str] = []
        for python in self._pythons():
            session = None
            try:
                session = Session(self._options, self._interrupt, python, self._options.declared().name)
                opened = session.open()
            except failures.Said as said:
                _left(session, LEAVE_LIMIT_S)
                if said.code != m.NO_LIBRARY:
                    raise
                tried.append(f"{python} cannot import picamera2 ({said.words})")
            except Died as died:
                _left(session, 0.0)
                if self._python is not None:
                    raise
                tried.append(f"{python} does not run it ({died})")
            except BaseException:
                _left(session, 0.0)
                raise
            else:
                self._python = python
                return session, opened
        raise failures.not_installed(tried)

    def _pythons(self) -> Iterator[str]:
        if self._python is not None:
            yield self._python
        elif self._options.python is not None:
            yield str(self._options.python)
        else:
            yield sys.executable
            if sys.executable != SYSTEM_PYTHON and Path(SYSTEM_PYTHON).exists():
                yield SYSTEM_PYTHON

    def _bursts(self, session: Session) -> tuple[BurstCapabilities, float]:
        """What bursts there can be; `still_px` is in pixels of the sensor still. None where they cannot be had."""
        wanted = self._options.burst_rates_hz
        if not wanted:
            return NO_BURSTS, 0.0
        try:
            running = session.run(self.burst(min(wanted), 1.0, start=False))
        except failures.Said as said:
            log.warning("no bursts: %s", said)
            return NO_BURSTS, 0.0
        shortest_s = _shortest_s(running, 1 / max(wanted))
        rates = tuple(sorted((rate for rate in wanted if rate * shortest_s <= 1.001), reverse=True))
        if len(rates) < min(2, len(wanted)):
            most_hz = 1 / shortest_s
            rates = (most_hz, TWO_RATES * most_hz)[: len(wanted)]
        px = running.crop[2] / running.width if running.crop is not None else 1.0
        return BurstCapabilities(rates, running.width, running.height, px), shortest_s

    def _check(self, session: Session, opened: m.Opened, running: m.Running) -> None:
        """Raises `DriverError` for what the camera cannot give."""
        options = self._options
        if (running.width, running.height) != (options.width, options.height):
            raise DriverError(
                session.port,
                f"it gives {running.width} x {running.height}, not {options.width} x {options.height}: change camera.width and "
                f"camera.height; the whole sensor is {opened.native[0]} x {opened.native[1]}",
            )
        wrong = locking.beyond(options, running.limits, self.lens)
        if self._seat.wanted is not None and not opened.autofocus:
            wrong = ["the rail `lens` needs a module with autofocus, and the lens of this one does not move"]
        elif self._seat.wanted is not None and options.lens_position is not None:
            wrong = ["the rail `lens` moves its lens: take camera.lens_position away"]
        if wrong:
            raise DriverError(session.port, "; ".join(wrong))

    def _locked(self, session: Session) -> m.Seen:
        """A frame that shows what was asked for."""
        asked = locking.as_asked(self._options)
        wrong: list[str] = []
        for number in range(1, FRAMES_TO_LOCK + 1):
            seen = session.next()
            # A lens that an axis moves may still be under way.
            wrong = asked.differences(locking.read(seen.told), asked.settings.lens_position)
            if not wrong:
                return seen
            session.let_go(seen.handle)
            if number == TELL_AGAIN:
                session.change(locking.controls(self._options, self.lens))
        raise DriverError(session.port, f"it does not take its settings: {'; '.join(wrong)}")

    def _check_clock(self, session: Session, seen: m.Seen, readout_s: float) -> None:
        try:
            frame = stamped(seen.told, session.frame_s, readout_s, seen.arrived_ns, seen.boot_ahead_ns)
            self.meaning.exposed(frame)
        except (KeyError, WrongClock) as error:
            raise DriverError(session.port, clock_words(error)) from error

    def _able(self, opened: m.Opened, locked: CameraSettings, frame_s: float) -> CameraCapabilities:
        options = self._options
        settings = locked if self._seat.wanted is None else replace(locked, lens_position=None)
        passed = 0.5 if self.meaning.settled else 1.5
        return replace(
            options.declared(),
            name=opened.model,
            exposure_s=locked.exposure_s or options.exposure_s,
            overhead_s=passed * max(frame_s, options.exposure_s),
            settings=settings,
        )


def _left(session: Session | None, limit_s: float) -> None:
    if session is not None:
        session.leave(limit_s)


def clock_words(error: Exception) -> str:
    """What is wrong with the timestamps, and what to do."""
    if isinstance(error, KeyError):
        return "its frames have no SensorTimestamp: none can be proved to be new"
    return f"{error}: camera.timestamp_clock names the wrong clock, or the camera is far behind"


def _shortest_s(running: m.Running, otherwise_s: float) -> float:
    """The shortest frame of this mode, which the readout is a part of."""
    limits = running.limits.get("FrameDurationLimits")
    return float(limits[0]) / 1e6 if limits else otherwise_s
