"""From no camera to one that is open and locked: find it, open it, set it; where it will not, climb the ladder of `recovery`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from drivers.base import CameraCapabilities, DriverError
from drivers.clock import Interrupt
from drivers.gphoto2 import failures, recovery
from drivers.gphoto2 import widgets as w
from drivers.gphoto2.child import Died, Hangs
from drivers.gphoto2.choosing import Absent, Found, candidates, name_of, only
from drivers.gphoto2.locking import Lock
from drivers.gphoto2.options import Gphoto2Options
from drivers.gphoto2.session import Said, Session

log = logging.getLogger(__name__)

VIRTUAL_MAKER, VIRTUAL_CAP = "GP", 25
"""libgphoto2's virtual camera gives 26 pictures a process, and then none."""
LEAVE_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """An open camera."""

    session: Session
    lock: Lock
    able: CameraCapabilities


class Opener:
    """Opens the camera that the options mean.

    Args:
        options: which camera, and how it is to be set.
        interrupt: gives up; `connect` then raises `GivenUp`.
    """

    def __init__(self, options: Gphoto2Options, interrupt: Interrupt) -> None:
        self._options = options
        self._interrupt = interrupt
        self._warned = False
        self._locked = False

    def connect(self, trouble: int) -> Held:
        """Climb from a new process over a USB reset to a power cycle, as far as it takes.

        Args:
            trouble: how many sessions in a row ended badly; the ladder is begun so far up.

        Raises:
            DriverError, Said, Hangs, Died: of the last step; at once where no step would help.
        """
        todo = recovery.steps(trouble, self._options)
        for step in todo[:-1]:
            recovery.carry_out(step, self._options, self._interrupt)
            try:
                return self._opened()
            except (Said, Hangs, Died, Absent) as error:
                if _hopeless(error, trouble):
                    raise
                log.warning("the camera cannot be opened after %s: %s", step.value, error)
        recovery.carry_out(todo[-1], self._options, self._interrupt)
        return self._opened()

    def battery(self, session: Session, lock: Lock) -> None:
        """Look at the battery. Raises `DriverError` when it is too low for another picture."""
        options, level = self._options, lock.battery()
        if level is None:
            return
        if level < options.battery_min_percent:
            raise DriverError(
                session.port,
                f"its battery is at {level:g} %, below battery_min_percent: {options.battery_min_percent:g}; charge it, or "
                "feed the camera from the mains",
            )
        low = level < options.battery_warn_percent
        if low and not self._warned:
            log.warning("%s: its battery is at %g %%", session.port, level)
        self._warned = low

    def _opened(self) -> Held:
        options = self._options
        session = Session(options, self._interrupt, name_of(options))
        try:
            fitting = candidates(session.detect(), options)
            model, port = only(fitting, options) if options.serial is None else self._by_serial(fitting)
            described = session.open(model, port)
            lock = Lock(session, options, described, self._interrupt, again=self._locked)
            lock.apply()
            self._locked = True
            if lock.word(w.MAKER) == VIRTUAL_MAKER:
                session.cap = min(session.cap, VIRTUAL_CAP)
            self.battery(session, lock)
            locked = lock.settings()
            able = replace(
                options.declared(),
                name=model,
                exposure_s=locked.exposure_s or options.exposure_s,
                settings=locked,
                max_frames=lock.shots_left() if options.capture_target == "card" else None,
            )
        except BaseException:
            session.child.leave(0.0 if session.child.owes else LEAVE_LIMIT_S)
            raise
        return Held(session, lock, able)

    def _by_serial(self, fitting: list[Found]) -> Found:
        """The camera of this serial number. Each is opened in a process of its own to be asked."""
        seen = []
        for model, port in fitting:
            session = Session(self._options, self._interrupt, name_of(self._options))
            try:
                number = w.Settings(session.open(model, port)).find(w.SERIAL)
            except Said as said:
                seen.append(str(said))
                continue
            finally:
                session.child.leave(0.0 if session.child.owes else LEAVE_LIMIT_S)
            if number is not None and number.value.lstrip("0") == str(self._options.serial).lstrip("0"):
                return model, port
            seen.append(f"{model} ({port}) {'tells none' if number is None else 'has ' + number.value}")
        raise Absent(
            name_of(self._options),
            f"no camera has the serial number {self._options.serial}: {'; '.join(seen)}",
        )


def _hopeless(error: Exception, trouble: int) -> bool:
    """Whether neither a reset nor a power cycle would help."""
    if isinstance(error, Absent):
        return trouble == 0
    if isinstance(error, Said):
        if error.code in failures.CLAIMED:
            return trouble == 0
        return error.code not in failures.IO | failures.USED_UP
    return False
