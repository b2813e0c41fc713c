"""What happened: events, told by holding each state of the machine against the one before."""

from __future__ import annotations

from rigd.control.notices import Closed, Rejected, Warned
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Fault, Mode, Stack, State
from rigd.messages import events
from rigd.remote.progress import Underway
from rigd.remote.reporter import Reporter


class Story:
    """Tells faults, pauses, retakes and the beginning and end of sessions, each once.

    Args:
        reporter: publishes them.
        state: the machine's at the start; a fault of before is not told again.
    """

    def __init__(self, reporter: Reporter, state: State) -> None:
        self._reporter = reporter
        self._fault = state.fault
        self._retaken: set[int] = set()
        if state.fault is not None:
            reporter.note_error(state.fault.message)

    def troubles(self, old: State, new: State, event: Event) -> None:
        """Note what went wrong, so that the state that shows it has the words too."""
        if new.fault is not None and new.fault != self._fault:
            self._reporter.note_error(new.fault.message)
        elif isinstance(event, ev.Verdict | ev.Failed | ev.ShutterClosed) and (why := _halted_by(old, new)):
            self._reporter.note_error(why)

    def changed(self, old: State, new: State, event: Event, session: Underway | None) -> None:
        """The machine is in another state."""
        self._faults(new)
        if session is None:
            return
        if old.stack is not None and new.stack is not None:
            self._retakes(old.stack, new.stack, event, session)
        if new.mode is Mode.PAUSED and old.mode is not Mode.PAUSED and new.stack is not None:
            self._paused(new.stack, session)
        if old.mode is Mode.PAUSED and new.mode is Mode.CAPTURING:
            self._reporter.event(
                events.SessionResumed, session=session.id, frame=session.done, frames=session.frames
            )

    def opened(self, session: Underway) -> None:
        """A session is begun, or gone on with after an interruption."""
        self._retaken.clear()
        self._reporter.event(
            events.SessionBegun,
            session=session.id,
            name=session.name,
            frames=session.frames,
            done=session.done,
        )

    def rejected(self, notice: Rejected, session: Underway | None) -> None:
        """A picture was refused. Whether it is taken again the machine has said by then, where it was refused on its evidence."""
        if session is not None and notice.frame in self._retaken:
            self._retaken.discard(notice.frame)
            self._retried(session, notice.frame, notice.reason)

    def warned(self, notice: Warned) -> None:
        """Something is not as it should be."""
        self._reporter.event(
            events.Warned, session=notice.session_id, code=notice.code, message=notice.message
        )

    def closed(self, notice: Closed, session: Underway) -> None:
        """A session was left."""
        self._reporter.event(
            events.SessionFinished,
            session=session.id,
            outcome=notice.outcome,
            why=notice.why,
            frame=notice.frames,
            frames=session.frames,
        )

    def _faults(self, new: State) -> None:
        if new.fault is None:
            # It is cleared when the parts are open again, not when somebody says so: until then the same one may come back.
            if self._fault is not None and new.mode is not Mode.OFFLINE:
                self._fault = None
                self._reporter.event(events.FaultCleared)
            return
        if new.fault == self._fault:
            return
        self._fault = new.fault
        self._raised(new.mode, new.fault)

    def _raised(self, mode: Mode, fault: Fault) -> None:
        if mode is Mode.ESTOPPED:
            self._reporter.event(events.EStopped, why=fault.message)
            return
        self._reporter.event(
            events.FaultRaised, code=fault.code, message=fault.message, next_step=fault.next_step
        )

    def _paused(self, stack: Stack, session: Underway) -> None:
        self._reporter.event(
            events.SessionPaused, session=session.id, why=stack.why, frame=session.done, frames=session.frames
        )

    def _retakes(self, old: Stack, new: Stack, event: Event, session: Underway) -> None:
        """Frames that are to be taken once more than before."""
        if new.tries == old.tries:
            return
        for frame, tries in new.tries:
            if tries <= old.tries_of(frame):
                continue
            match event:
                case ev.Verdict():
                    self._retried(session, frame, event.reason)
                case ev.Failed():
                    self._retried(session, frame, event.what)
                case _:
                    self._retaken.add(frame)  # refused on its evidence; why is on its way

    def _retried(self, session: Underway, frame: int, reason: str) -> None:
        self._reporter.event(events.FrameRetried, session=session.id, index=frame, reason=reason)


def _halted_by(old: State, new: State) -> str:
    """Why a stack that was going on stops or is to stop now; an empty text when it goes on, or was to stop already."""
    if old.stack is None or new.stack is None or old.stack.pause_asked or old.stack.why:
        return ""
    return new.stack.pause_asked or new.stack.why
