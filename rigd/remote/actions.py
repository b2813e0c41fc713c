"""Actions under way: what was begun by a command that was answered `accepted`, and how it ended.

Listens to the controller. A notice comes in the very step of the machine that it tells of, so nothing happens between an action's
end and its being noted here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from drivers.clock import Clock
from rigd.control.notices import Changed, Closed, Notice, Opened
from rigd.machine.events import Resume
from rigd.machine.kinds import Event
from rigd.machine.state import Fault, Mode, Stack, State
from rigd.messages.base import Error, ErrorCode

log = logging.getLogger(__name__)

_FAULTS = {
    "estop": ErrorCode.INTERRUPTED,
    "storage": ErrorCode.STORAGE,
    "internal": ErrorCode.INTERNAL,
}
"""What a fault's code is called in an answer; every other is `hardware`."""


def code_of_fault(code: str) -> ErrorCode:
    """A fault's code, as an answer says it."""
    return _FAULTS.get(code, ErrorCode.HARDWARE)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an action ended; with an error, or well."""

    data: dict[str, Any] = field(default_factory=dict)
    error: Error | None = None


@dataclass(eq=False, slots=True)
class Action:
    """Something that takes its time."""

    verb: str
    transaction: str | None
    source: str
    """Which way it was asked for."""
    lease: str | None
    """Token of the lease that was held."""
    begins: Callable[[Event], bool]
    """Whether this event is its beginning."""
    hold_s: float | None = None
    """A jog: it stops so long after it was begun or last renewed."""
    on_begun: Callable[[], None] = lambda: None
    begun: bool = False
    answered: bool = False
    """Its command has been answered; its end is told after that."""
    ending: Ending | None = None
    stops_s: float | None = None
    """A jog: when it stops, monotonic, unless it is renewed."""
    stopped: str | None = None
    """Why it was stopped."""
    stack: Stack | None = None
    """The stack as it was last seen."""
    session: str = ""
    opened: bool = False
    """Its session is on disk, and will be closed."""
    fault: Fault | None = None
    """What ended its stack. Its end is told when the session is closed: pictures that are on their way by then still count."""


class Actions:
    """The actions of one rig. On the loop's thread; to be given to `Controller.listen`.

    Args:
        clock: of jogs.
        microstep_um: of the rail.
        on_end: told how an action ended, after its command was answered.
        on_begun: told that one has begun.
    """

    def __init__(
        self,
        clock: Clock,
        microstep_um: float,
        on_end: Callable[[Action, Ending], None],
        on_begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._microstep_um = microstep_um
        self._on_end = on_end
        self._on_begun = on_begun
        self._under_way: list[Action] = []
        self._open = ""
        """Id of the session that was opened last."""
        self._closed: Closed | None = None
        """How the last one that was left was closed."""

    @property
    def jog(self) -> Action | None:
        """The jog that is asked for or under way."""
        return next((action for action in self._under_way if action.hold_s is not None), None)

    @property
    def under_way(self) -> tuple[Action, ...]:
        """All that are asked for or under way."""
        return tuple(self._under_way)

    def expect(self, action: Action) -> Action:
        """Its command is put to the machine now."""
        self._under_way.append(action)
        return action

    def forget(self, action: Action) -> None:
        """Its command was refused; nothing is told of it."""
        if action in self._under_way:
            self._under_way.remove(action)

    def answered(self, action: Action) -> None:
        """Its command has been answered: from now on its end may be told."""
        action.answered = True
        if action.ending is not None:
            self._on_end(action, action.ending)

    def finish(self, action: Action, ending: Ending) -> None:
        """It is over. For what the machine's state does not tell."""
        if action in self._under_way:
            self._under_way.remove(action)
            action.ending = ending
            if action.answered:
                self._on_end(action, ending)

    def renew(self, action: Action, hold_s: float | None = None) -> float:
        """A jog is still wanted; in how many seconds it stops unless renewed again."""
        assert action.hold_s is not None
        action.hold_s = action.hold_s if hold_s is None else hold_s
        if action.begun:
            action.stops_s = self._clock.now() + action.hold_s
        return action.hold_s

    def __call__(self, notice: Notice) -> None:
        """A notice of the controller. A listener that fails hears no more, and this one has jogs to stop: it does not fail."""
        try:
            self._take(notice)
        except Exception:
            log.exception("what became of an action could not be told")

    def _take(self, notice: Notice) -> None:
        match notice:
            case Opened():
                self._opened(notice)
            case Closed():
                self._close(notice)
            case Changed():
                self._change(notice)

    def _opened(self, notice: Opened) -> None:
        self._open = notice.session_id
        if self._closed is not None and self._closed.session_id == notice.session_id:
            self._closed = None  # it goes on
        for action in self._under_way:
            if action.stack is not None and action.fault is None:
                action.session, action.opened = notice.session_id, True

    def _close(self, notice: Closed) -> None:
        self._closed = notice
        for action in tuple(self._under_way):
            if action.fault is not None and action.session == notice.session_id:
                data = {"session": notice.session_id, "outcome": notice.outcome, "frames": notice.frames}
                self.finish(action, Ending(data, _error_of(action.fault)))

    def _change(self, notice: Changed) -> None:
        for action in tuple(self._under_way):
            if action.begun:
                self._look(action, notice)
            elif action.begins(notice.event):
                self._begin(action, notice)

    def _begin(self, action: Action, notice: Changed) -> None:
        action.begun = True
        action.stack = notice.state.stack
        if isinstance(notice.event, Resume):
            action.session, action.opened = self._open, True
        if action.hold_s is not None:
            action.stops_s = self._clock.now() + action.hold_s
        action.on_begun()
        self._on_begun()

    def _look(self, action: Action, notice: Changed) -> None:
        state = notice.state
        if action.stack is not None:
            if action.fault is not None:
                return
            if state.stack is not None:
                action.stack = state.stack
            elif state.fault is not None and action.opened and self._closing(action) is None:
                action.fault = state.fault
            else:
                self.finish(action, self._stack_ended(action, state))
        elif state.mode is Mode.STOPPING:
            action.stopped = getattr(notice.event, "why", "stopped")
        elif state.mode not in {Mode.HOMING, Mode.MOVING, Mode.TESTING}:
            self._motion_ended(action, state)

    def _motion_ended(self, action: Action, state: State) -> None:
        if action.verb == "capture.test":
            return  # its picture tells
        position = state.position
        data = {"position_um": None if position is None else round(position * self._microstep_um, 4)}
        error = None
        if state.fault is not None:
            error = _error_of(state.fault)
        elif action.stopped is not None:
            error = Error(code=ErrorCode.INTERRUPTED, message=action.stopped)
        self.finish(action, Ending(data, error))

    def _closing(self, action: Action) -> Closed | None:
        """How its session was closed, where it was."""
        closed = self._closed
        return closed if closed is not None and closed.session_id == action.session else None

    def _stack_ended(self, action: Action, state: State) -> Ending:
        assert action.stack is not None
        data = {"session": action.session, "outcome": "suspended", "frames": action.stack.accepted}
        closed = self._closing(action)
        if closed is not None:
            data |= {"outcome": closed.outcome, "frames": closed.frames}
        if state.fault is not None:
            return Ending(data, _error_of(state.fault))
        if closed is None:
            message = "the session was left, and its results could not be written"
            return Ending(data, Error(code=ErrorCode.STORAGE, message=message))
        if closed.outcome == "complete":
            return Ending(data)
        return Ending(data, Error(code=ErrorCode.INTERRUPTED, message=closed.why or closed.outcome))


def _error_of(fault: Fault) -> Error:
    return Error(code=code_of_fault(fault.code), message=f"{fault.message}; next: {fault.next_step}")
