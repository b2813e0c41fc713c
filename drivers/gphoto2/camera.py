"""The camera driver for DSLRs and mirrorless cameras that libgphoto2 knows. How and why: `docs/adr/0013`.

The camera is held by a process of its own, which may hang or die; the driver asks, waits no longer than it must, and replaces it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drivers.base import (
    CameraCapabilities,
    CameraTimeout,
    DriverError,
    Exposure,
    Firing,
    FrameData,
    NoResponse,
    NotOpen,
    TransferFailed,
    Unplugged,
)
from drivers.clock import Interrupt
from drivers.gphoto2 import failures, recovery
from drivers.gphoto2.child import Died, GivenUp, Hangs
from drivers.gphoto2.choosing import name_of
from drivers.gphoto2.events import Shot
from drivers.gphoto2.opening import Held, Opener
from drivers.gphoto2.options import Gphoto2Options
from drivers.gphoto2.session import Said, Session
from drivers.registry import Context

log = logging.getLogger(__name__)

CLOSE_LIMIT_S = 1.0
"""For what was given up, and then for letting go: a rig that closes waits no longer."""
GRACE_S = 2.0
"""Beyond its exposure, how long a picture that was given up may take to end by itself before the process is killed."""
CLOSED_LIMIT_S = 60.0
"""Beyond the exposure: a backstop behind the rig's own time-out."""
STORED_LIMIT_S = 60.0
BATTERY_EVERY = 20
"""Pictures between two looks at the battery."""
KEPT_SHOTS = 16


class Gphoto2Camera:
    """A camera on USB.

    Args:
        options: which camera, and how it is to be set.
        context: its clock.
    """

    def __init__(self, options: Gphoto2Options, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._able = options.declared()
        self._interrupt = Interrupt()
        self._wanted = False
        self._opener = Opener(options, self._interrupt)
        self._held: Held | None = None
        self._port = name_of(options)
        self._trouble = 0
        """Sessions in a row that ended badly."""
        self._given_up = False
        """The last verb was cancelled: a close that follows is the rig's answer to a camera that hangs."""
        self._changed = False
        """Somebody has changed a setting."""
        self._sequence = 0
        self._battery_seen = 0
        self._shots: dict[int, tuple[Session, Shot]] = {}

    @property
    def capabilities(self) -> CameraCapabilities:
        """As the options declare; after `open()` with the camera's name and its own exposure time and sensitivity."""
        return self._able

    # ------------------------------------------------------------------------------------------------ opening, closing

    def open(self) -> None:
        """Start the camera's process, find the camera, and lock its settings. `cancel` ends this too.

        Raises:
            DriverError: none or several are there, another program holds it, it cannot be set as the config says, or its
                battery is low.
            CameraTimeout: it does not answer, or `cancel` was called.
        """
        if self._wanted and self._held is not None and self._held.session.child.alive:
            return
        self._interrupt.clear()
        with self._guarded("opening the camera"):
            self._connect()
        self._wanted = True

    def close(self) -> None:
        """Let go of the camera; a process that hangs is killed. Pictures not fetched are lost. Takes three seconds at most."""
        self._wanted = False
        self._shots.clear()
        self._interrupt.clear()
        trouble, given_up, self._given_up = self._trouble, self._given_up, False
        self._drop(CLOSE_LIMIT_S)
        self._trouble = max(self._trouble, trouble + given_up)

    def cancel(self) -> None:
        """End the running verb. The camera's process is given up, not waited for; the next verb sees to it. Any thread."""
        self._interrupt.set()

    def _connect(self) -> Held:
        """Open the camera in a new process."""
        self._drop(CLOSE_LIMIT_S)
        self._held = held = self._opener.connect(self._trouble)
        self._able, self._port, self._changed = held.able, held.session.port, False
        self._battery_seen = self._sequence
        return held

    def _drop(self, limit_s: float) -> None:
        """Part with the session, in order where it lets itself be."""
        held, self._held = self._held, None
        if held is None:
            return
        session = held.session
        owed = session.child.owes
        if not session.child.leave(limit_s):
            log.warning("%s: its process did not end by itself%s", session.port, f" ({owed})" if owed else "")
            self._trouble += 1

    # ----------------------------------------------------------------------------------------------------------- verbs

    def expose(self, not_before_s: float, position_um: float) -> Exposure:  # noqa: ARG002  (it does not care where it is)
        """Take one picture; return when the camera says that the shutter has closed, and its exposure time is over.

        `start_s` is taken right before the call that releases the shutter: it opens later. So the times enclose the exposure.

        Raises:
            CameraTimeout: after `cancel()`, or when the camera hangs.
            Unplugged: it is gone.
            DriverError: it failed, or stored another kind of file than the config says.
        """
        self._begin()
        with self._guarded("taking a picture"):
            held = self._ready()
            try:
                return self._released(held, not_before_s)
            except Said as said:
                if said.code not in failures.USED_UP:
                    raise
                # Nothing was exposed; a new session can.
                log.warning("%s: %s; renewing its session", self._port, said)
            return self._released(self._renewed(held), not_before_s)

    def expose_by(self, fire: Callable[[], Firing], position_um: float) -> Exposure:  # noqa: ARG002
        """As `expose`, while a wired release says when; what `fire` raises goes through.

        Where the release has no proof of its own, the camera's report of a picture is the proof, and the end of the exposure.
        """
        self._begin()
        with self._guarded("taking a picture"):
            held = self._ready()
            with self._new_shot(held) as shot:
                held.session.reports.begin(shot)
                try:
                    firing = fire()
                except CameraTimeout:
                    raise
                except DriverError:
                    # Nothing was exposed, so no file will come.
                    held.session.reports.taken_back()
                    raise
                end_s = firing.end_s if firing.proven else max(firing.end_s, self._seen(held.session, shot))
                return self._exposure(held, shot, firing.start_s, end_s)

    def _seen(self, session: Session, shot: Shot) -> float:
        """When the camera told of the picture that a release took. Raises `DriverError` when it does not."""
        limit_s = self._able.exposure_s + self._options.response_timeout_s
        closed_s = session.reported(shot, limit_s)
        if closed_s is None:
            raise DriverError(
                self._port,
                f"the wired release was pressed, and in {limit_s:g} s the camera told of no picture: look at the release's plug "
                "and its optocoupler, at the focus switch (MF), and at mirror lock-up (shutter.mirror_up_s)",
            )
        return self._here(closed_s)

    def fetch(self, exposure: Exposure) -> FrameData:
        """The picture's data, once the camera has stored them.

        Raises:
            TransferFailed: it was fetched already, the camera was restarted meanwhile, stored nothing, or gave less than it has.
            CameraTimeout: after `cancel()`, or when the camera hangs.
        """
        self._begin()
        session, shot = self._shots.pop(exposure.handle, (None, None))
        if shot is None:
            raise TransferFailed(
                self._port, f"picture {exposure.handle} is no longer there: fetched, or lost with a restart"
            )
        if shot.data is None:
            held = self._held
            if held is None or session is not held.session:
                raise TransferFailed(self._port, "the camera was restarted before this picture was fetched")
            with self._guarded("fetching a picture"):
                if not held.session.settle(self._able.exposure_s + GRACE_S):
                    raise Died("it did not end what was given up before")
                shot.data = self._fetched(held.session, shot)
        self._trouble = 0
        return FrameData(shot.data, self._options.suffix)

    # ---------------------------------------------------------------------------------------------- exposing, inside

    def _begin(self) -> None:
        if not self._wanted:
            raise NotOpen(self._port)
        self._interrupt.clear()

    def _ready(self) -> Held:
        """A session that can take a picture."""
        held = self._held
        if held is None or not held.session.child.alive:
            held = self._connect()
        elif not held.session.settle(self._able.exposure_s + GRACE_S):
            held.session.child.kill()
            held = self._connect()
        elif not self._resolved(held.session):
            log.warning("%s: a picture left no file; a new process", self._port)
            held = self._connect()
        elif held.session.reports.shots >= held.session.cap:
            held = self._renewed(held)
        held.session.drain()
        if self._changed:
            held.lock.restore()
            self._changed = False
        if self._sequence - self._battery_seen >= BATTERY_EVERY:
            self._battery_seen = self._sequence
            self._opener.battery(held.session, held.lock)
        return held

    def _resolved(self, session: Session) -> bool:
        """Wait for the file of the picture before, which would be taken for the next one's. False when it does not come."""
        before = session.reports.last
        if before is None:
            return True
        wanted = before.handle in self._shots
        if before.frame is None:
            try:
                session.until_stored(before, STORED_LIMIT_S if wanted else self._able.exposure_s + GRACE_S)
            except TransferFailed:
                self._shots.pop(before.handle, None)
                return False
        if not wanted:
            self._cleared(session, before)
        return True

    def _renewed(self, held: Held) -> Held:
        """Another process for the same camera; what was not fetched is fetched first."""
        session = held.session
        for owner, shot in self._shots.values():
            if owner is not session or shot.data is not None:
                continue
            try:
                shot.data = self._fetched(session, shot)
            except (Said, DriverError) as error:
                log.warning("a picture is lost when the camera's process is renewed: %s", error)
        log.info("%s: a new process after %d pictures", self._port, session.reports.shots)
        return self._connect()

    @contextmanager
    def _new_shot(self, held: Held) -> Iterator[Shot]:
        """Another picture; one that fails will not be asked for."""
        self._sequence += 1
        shot = Shot(self._sequence)
        self._shots[shot.handle] = (held.session, shot)
        while len(self._shots) > KEPT_SHOTS:
            self._shots.pop(next(iter(self._shots)))
        try:
            yield shot
        except BaseException:
            self._shots.pop(shot.handle, None)
            raise

    def _released(self, held: Held, not_before_s: float) -> Exposure:
        """Release the shutter, and wait until it has closed."""
        session = held.session
        with self._new_shot(held) as shot:
            self._wait_until(max(not_before_s, self._mirror_up(session, not_before_s)))
            asked_s = self._clock.now()
            triggered = session.trigger(shot, self._able.exposure_s)
            start_s = max(asked_s, self._here(triggered.before_s))
            if shot.frame is not None:
                closed_s = triggered.after_s
            else:
                closed_s = session.until_closed(shot, self._able.exposure_s + CLOSED_LIMIT_S)
            end_s = max(self._here(closed_s), start_s + self._able.exposure_s)
            self._wait_until(end_s)
            return self._exposure(held, shot, start_s, end_s)

    def _mirror_up(self, session: Session, not_before_s: float) -> float:
        """Raise the mirror, so early that it is at rest when the shutter may open; when it will be."""
        wait_s = self._options.mirror_up_s
        if wait_s == 0:
            return not_before_s
        self._wait_until(not_before_s - wait_s)
        stray = Shot(-1)
        session.trigger(stray, 0.0)
        up_s = self._clock.now()
        self._wait_until(up_s + wait_s)
        session.drain()
        if stray.frame is not None:
            raise DriverError(
                self._port,
                "it took a picture where it was to raise its mirror: switch mirror lock-up on, or set camera.mirror_up_s: 0",
            )
        session.reports.taken_back()
        return up_s + wait_s

    def _exposure(self, held: Held, shot: Shot, start_s: float, end_s: float) -> Exposure:
        """Read the settings back; the proof of an exposure.

        Raises `DriverError` when a setting has changed that the proof does not show: nobody else would refuse the picture.
        """
        settings, changed = held.lock.look()
        if changed:
            self._changed = True
            what = "; ".join(changed)
            log.warning("%s: somebody changed its %s", self._port, what)
            if settings == self._able.settings:
                raise DriverError(self._port, f"the camera changed its {what}: it is set back")
        return Exposure(start_s, end_s, shot.handle, settings, shot.handle)

    def _fetched(self, session: Session, shot: Shot) -> bytes:
        file = session.until_stored(shot, STORED_LIMIT_S)
        data = session.download(file)
        self._cleared(session, shot)
        return data

    def _cleared(self, session: Session, shot: Shot) -> None:
        """Nothing stays in the camera's memory; what is on its card stays there."""
        if self._options.capture_target == "memory" and shot.frame is not None and not shot.cleared:
            shot.cleared = True
            session.delete(shot.frame)

    # ------------------------------------------------------------------------------------------------------------ time

    def _wait_until(self, when_s: float) -> None:
        while self._clock.now() < when_s:
            if not self._clock.wait_until(when_s, self._interrupt):
                raise GivenUp

    def _here(self, monotonic_s: float) -> float:
        """A moment of the camera's process on the injected clock; both count CLOCK_MONOTONIC on a real rig."""
        return self._clock.now() - max(0.0, time.monotonic() - monotonic_s)

    # ---------------------------------------------------------------------------------------------------------- trouble

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """Turn what becomes of the process into the errors of a driver, and part with one that is of no use any more."""
        asked_s = self._clock.now()
        try:
            yield
            self._given_up = False
        except GivenUp:
            self._given_up = True
            raise CameraTimeout(self._port, self._clock.now() - asked_s) from None
        except Hangs as error:
            log.warning("%s hangs: %s", self._port, error)
            self._abandon()
            raise CameraTimeout(self._port, self._clock.now() - asked_s) from error
        except Died as error:
            self._abandon()
            raise NoResponse(self._port, f"{doing}: the camera's process ended ({error})") from error
        except Said as said:
            if said.code in failures.IO:
                self._abandon()
                if not recovery.present(self._options):
                    raise Unplugged(self._port, doing) from said
            raise said.error from said

    def _abandon(self) -> None:
        """Part with the process; one that owes an answer is killed."""
        held, self._held = self._held, None
        self._trouble += 1
        if held is not None:
            child = held.session.child
            child.leave(0.0 if child.owes else CLOSE_LIMIT_S)
