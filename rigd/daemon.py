"""The daemon: opens the rig, says when it is ready, serves everybody until it is told to stop, and leaves the rig safe."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

from drivers.clock import SystemClock
from rigd.app import RESTING, Refused, Rig, RigFault, open_rig, warm_up
from rigd.config import RigConfig
from rigd.control.notices import Changed, Closed, Notice
from rigd.finish import DONE, Finished
from rigd.finishing import Finisher, serve
from rigd.health import HealthReader
from rigd.machine import events as ev
from rigd.machine.state import Fault, Mode, State
from rigd.remote.status import Status
from rigd.serving import kept_in, reachable
from rigd.session import Overview, SessionError, survey
from rigd.sole import only_one
from rigd.watchdog import Notifier, ProgressWatchdog, watchdog_interval_s

log = logging.getLogger(__name__)

OPEN = "open"
"""The fault of a rig of which a part is not there; it is told of beside the next try."""
REOPEN_S = 10.0
"""Between two looks for a part that is not there."""
BUSY = frozenset({Mode.HOMING, Mode.MOVING, Mode.TESTING, Mode.CAPTURING, Mode.STOPPING})
"""What fusing must not disturb."""
IDLE_TICK_S = 1.0
"""How often an idle control loop goes round when no watchdog asks for more."""


async def live(config: RigConfig) -> None:
    """The daemon's life, from opening the rig to leaving it safe after SIGTERM, SIGINT or SIGHUP.

    Raises:
        AnotherDaemon: this rig is served already; no part of it was touched.
        OSError: the folder for what outlives a restart cannot be used, or another daemon serves this rig.
        DriverError: a driver cannot be made.
    """
    with only_one(kept_in(config)):
        await _live(config)


async def _live(config: RigConfig) -> None:
    clock = SystemClock()
    notifier = Notifier.from_environ()
    watchdog = ProgressWatchdog(notifier, clock, watchdog_interval_s())
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    notifier.status("compiling kernels")
    warm_up()
    notifier.status("opening the rig")
    fusing: list[asyncio.Task[None]] = []
    try:
        async with open_rig(
            config,
            clock,
            on_progress=watchdog.progress,
            progress_s=watchdog.tick_s or IDLE_TICK_S,
            strict=False,
        ) as rig:
            rig.controller.listen(_Announcer(notifier))
            async with reachable(rig, clock) as reach:
                finishing = _Finishing(rig, reach.status)
                rig.controller.listen(finishing)
                fusing.append(asyncio.create_task(finishing.serve()))
                await _serve(rig, notifier, stopped)
    finally:
        # The rail stands by now: nothing had to wait for this.
        for task in fusing:
            task.cancel()
        await asyncio.gather(*fusing, return_exceptions=True)


async def _serve(rig: Rig, notifier: Notifier, stopped: asyncio.Event) -> None:
    unfinished = _unfinished(rig.config)
    words = _words(rig.state, unfinished)
    notifier.ready(words)
    log.info("ready: %s", words)
    beginning = asyncio.create_task(_begin_when_open(rig, unfinished))
    await stopped.wait()
    notifier.stopping()
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    # While the rig can still be heard: who watches is told that the stack was left, and can be resumed.
    await rig.suspend("rigd was stopped")


def _unfinished(config: RigConfig) -> list[Overview]:
    """This rig's sessions that can be gone on with. The folder may be shared: what another rig was taking stands in front of that one."""
    found = survey(config.storage.sessions)
    return [seen for seen in found if seen.unfinished and seen.is_of(config.rig.id)]


async def _begin_when_open(rig: Rig, unfinished: list[Overview]) -> None:
    """Wait for a rig that can be opened, then do what the config wants done at the start.

    A part that was not there at the start may come: it is looked for again and again. A pressed e-stop is for a person to clear;
    what the config wants is not done behind their back then.
    """
    while rig.state.fault is not None and rig.state.fault.code == OPEN:
        log.warning("%s; trying again in %.0f s", rig.state.fault.message, REOPEN_S)
        await asyncio.sleep(REOPEN_S)
        # Somebody else may have cleared it meanwhile, and the rig may do something already: then this is refused.
        await rig.controller.command(ev.ClearFault())
        await rig.controller.reached(*RESTING)
    if rig.state.fault is None:
        await _begin(rig, unfinished)
    else:
        log.warning("%s; %s", rig.state.fault.message, rig.state.fault.next_step)


async def _begin(rig: Rig, unfinished: list[Overview]) -> None:
    """What the config wants done at the start. A rig that cannot do it stays up and says why."""
    service = rig.config.service
    try:
        if service.home_on_start or (unfinished and service.unfinished == "resume"):
            await rig.home()
        if service.unfinished == "resume":
            for seen in unfinished:
                await rig.resume(seen.path)
                if (await rig.ended()).mode is not Mode.IDLE:
                    log.warning("%s is not finished; the rig waits", seen.path.name)
                    break
    except (RigFault, Refused, SessionError, OSError) as error:
        log.warning("%s", error)
        return
    for seen in unfinished:
        if service.unfinished == "report":
            log.warning(
                "%s is unfinished (%d of %d frames): rigctl resume %s, after homing",
                seen.path.name,
                seen.frames,
                seen.planned,
                seen.path.name,
            )


class _Finishing:
    """Fuses complete sessions while the rig rests, and stands still while it does not."""

    def __init__(self, rig: Rig, status: Status) -> None:
        self._rig = rig
        self._status = status
        self._more = asyncio.Event()
        self._finisher = Finisher(HealthReader(rig.config.storage.sessions).read, self._busy)

    def __call__(self, notice: Notice) -> None:
        if isinstance(notice, Changed):
            self._finisher.look()
        elif isinstance(notice, Closed):
            self._more.set()

    async def serve(self) -> None:
        """Until cancelled. That nothing can be fused is no reason for a rig to stop."""
        try:
            await serve(self._finisher, self._rig.config.storage.sessions, self._more, self._tell)
        except Exception:
            log.exception("fusing has ended; sessions stay as they are, and rigd finish does it by hand")

    def _busy(self) -> str:
        return f"the rig is {self._rig.state.mode}" if self._rig.state.mode in BUSY else ""

    def _tell(self, session: Path, done: Finished) -> None:
        self._status.fused(session.name, done.outcome == DONE, done.why, list(done.files))


class _Announcer:
    """Tells the service manager what the rig does, when that changes, and the log when it stops with a fault."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._said = ""
        self._fault: Fault | None = None

    def __call__(self, notice: Notice) -> None:
        if isinstance(notice, Changed):
            words = _words(notice.state, [])
            if words != self._said:
                self._said = words
                self._notifier.status(words)
            fault = notice.state.fault
            if fault is not None and fault != self._fault and fault.code != OPEN:
                log.warning("%s; next: %s", fault.message, fault.next_step)
            self._fault = fault


def _words(state: State, unfinished: list[Overview]) -> str:
    words = str(state.mode)
    if state.stack is not None:
        words += f": {state.stack.accepted} of {state.stack.plan.frames} frames"
    if state.fault is not None:
        words += f": {state.fault.message}; {state.fault.next_step}"
    if unfinished:
        words += f"; {len(unfinished)} unfinished session{'s' if len(unfinished) > 1 else ''}"
    return words
