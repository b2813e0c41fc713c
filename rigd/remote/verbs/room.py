"""What handlers of commands work with, what they answer, and how they refuse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.base import DriverError
from drivers.clock import Clock
from rigd.app import Refused, Rig, RigFault
from rigd.control.testshot import TestPicture
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode
from rigd.messages import events
from rigd.messages.base import Error, ErrorCode, Outward
from rigd.plan import PlanError
from rigd.remote.actions import Action, Actions, code_of_fault
from rigd.remote.leases import LeaseHeld, Leases, NoLease
from rigd.remote.reading import Command
from rigd.remote.reporter import Reporter
from rigd.remote.settings import LiveSettings, SettingsError
from rigd.session import DamagedJournal, JournalInUse, SessionError
from rigd.session.files import explained
from rigd.workers import Worker

log = logging.getLogger(__name__)


class Refusal(Exception):
    """A command that is not acted on, or that failed, with the reason for whoever asked."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.error = Error(code=code, message=message, field=field)


@dataclass(frozen=True, slots=True)
class Job:
    """One command, checked, on its way."""

    command: Command
    source: str
    settings: LiveSettings
    """As they were when it came: one that comes right behind is for the next stack."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is replied."""

    data: Outward | None = None
    action: Action | None = None
    """What goes on: the answer is `accepted`, and its end will be told."""

    @property
    def status(self) -> Literal["ok", "accepted"]:
        """As the reply says it."""
        return "ok" if self.action is None else "accepted"


@dataclass(eq=False, slots=True)
class Room:
    """The rig and everything about it that commands touch. On the loop's thread."""

    rig: Rig
    settings: LiveSettings
    leases: Leases
    actions: Actions
    reporter: Reporter
    clock: Clock
    boot_id: str
    disk: Worker
    """For what reads the disk."""
    on_test: Callable[[TestPicture], None] = lambda _picture: None
    """Shows a test shot."""
    stops: int = 0
    """How often something was stopped: what was asked for before a stop must not begin after it."""
    background: set[asyncio.Task[None]] = field(default_factory=set)
    """What goes on after its command was answered."""
    _starting: bool = False

    @property
    def session(self) -> str | None:
        """Id of the session under way."""
        pipeline = self.rig.controller.hands.pipeline
        return None if pipeline is None else pipeline.session.id

    @property
    def microstep_um(self) -> float:
        """Of the rail."""
        return self.rig.parts.rail.capabilities.microstep_um

    def action(self, job: Job, begins: Callable[[Event], bool], *, hold_s: float | None = None) -> Action:
        """An action that a command is about to begin."""
        held = self.leases.held
        return self.actions.expect(
            Action(
                verb=job.command.name,
                transaction=job.command.transaction,
                source=job.source,
                lease=None if held is None else held.token,
                begins=begins,
                hold_s=hold_s,
            )
        )

    def tell(self, model: type[events.Event], **fields: Any) -> None:
        """Tell an event. That it cannot be told is no reason for anything else to fail."""
        try:
            self.reporter.event(model, **fields)
        except Exception:
            log.exception("%s could not be told", model.__name__)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on beside; it ends with the desk at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("something that was begun by a command failed", exc_info=error)

    def stop_jog(self, why: str) -> None:
        """Stop the jog that is asked for or under way."""
        jog = self.actions.jog
        if jog is not None:
            jog.stops_s = None
            self.rig.controller.post(ev.Stop(why))

    def reconfigure(self) -> None:
        """Have the rig take on the settings, where no stack keeps it from that; the next one is begun with them anyway."""
        with contextlib.suppress(Refused, SettingsError):
            self.rig.reconfigure(self.settings.config())

    def not_stopped_since(self, stops: int) -> None:
        """Raise `Refusal` where something was stopped since `stops` was noted."""
        if self.stops != stops:
            raise Refusal(ErrorCode.INTERRUPTED, "something was stopped before this could begin")

    @contextlib.contextmanager
    def starting(self) -> Iterator[int]:
        """Around the start of a stack, of which there is one at a time; gives how often something was stopped before."""
        if self._starting:
            raise Refusal(ErrorCode.NOT_POSSIBLE, "another stack is being started")
        self._starting = True
        try:
            yield self.stops
        finally:
            self._starting = False


def resting_position_um(room: Room, what: str) -> float:
    """Where the rail stands, from home. Raises `Refusal` where it moves or does not know."""
    state = room.rig.state
    if state.position is None:
        raise Refusal(ErrorCode.NOT_POSSIBLE, f"{what} needs a known position: home first, or give it")
    if state.mode not in {Mode.IDLE, Mode.PAUSED, Mode.TESTING}:
        raise Refusal(ErrorCode.NOT_POSSIBLE, f"{what} needs a rail that stands, and the rig is {state.mode}")
    return round(state.position * room.microstep_um, 4)


def error_of(error: Exception) -> Error:
    """What went wrong, as an answer says it."""
    code, where = ErrorCode.INTERNAL, None
    match error:
        case Refusal():
            return error.error
        case SettingsError():
            code, where = error.code, error.field
        case LeaseHeld():
            code, where = ErrorCode.LEASED, "lease"
        case NoLease():
            code, where = ErrorCode.NO_LEASE, "lease"
        case Refused():
            code = ErrorCode.NOT_POSSIBLE
        case PlanError():
            code = ErrorCode.PLAN_REFUSED
        case RigFault():
            code = code_of_fault(error.code)
        case SessionError() | DamagedJournal() | JournalInUse():
            code = ErrorCode.SESSION
        case DriverError():
            code = ErrorCode.HARDWARE
        case OSError():
            return Error(code=ErrorCode.STORAGE, message=explained(error))
        case _:
            log.error("a command could not be dealt with", exc_info=error)
            return Error(code=code, message=f"a bug in rigd: {type(error).__name__}; its log has more")
    return Error(code=code, message=str(error), field=where)
