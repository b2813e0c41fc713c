"""A stack under way, as a program follows it: progress as an async iterator, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from rigd.client.actions import Action
from rigd.client.errors import ActionFailed, RigError, RigRestarted
from rigd.client.hub import Hub, Restarted, WayDown, WayUp
from rigd.client.reading import SummaryCleared
from rigd.client.view import View
from rigd.messages.base import ErrorCode
from rigd.messages.events import FrameRetried, SessionFinished, SessionFused
from rigd.messages.reports import Frame, SessionNow, SessionStarted, State, Summary

FINAL = ("complete", "aborted")
"""Outcomes after which no session is gone on with."""
SUMMARY_S = 3.0
"""When a stack is over, its summary comes within this time, unless it was missed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stack is."""

    session: str
    frame: int
    """Frames accepted."""
    frames: int
    mode: str = "capturing"
    phase: str = ""
    eta_s: float | None = None
    """Time left, as the rig reckons."""
    why: str = ""
    """Why it is paused."""
    last_settle_s: float | None = None
    """Stillness before the last frame."""
    retried: int = 0
    """Pictures refused and taken again, of those heard of."""
    last_refusal: str = ""
    reachable: bool = True
    """False: the way to the rig is lost; it goes on, and so does this when the way is back."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a stack."""

    session: str
    outcome: str
    """`complete`, `aborted`, or `suspended`: that one can be resumed."""
    frames: int
    """Frames accepted."""
    planned: int
    why: str = ""
    rejected: int = 0
    coverage: str = ""
    """Whether near and far were reached, in words."""
    code: str | None = None
    """Why it is not complete, as an `ErrorCode`, where the rig said so."""
    summary: Summary | None = None
    """The digest of its manifest; None where it was not seen."""

    @property
    def complete(self) -> bool:
        """Every frame is there."""
        return self.outcome == "complete"


class Run:
    """One stack. Made by `RigClient.start`, `resume` and `run`.

    `async for progress in run` ends with the stack. Several may read one run.

    Args:
        action: the command that began it, where it was this client's.
        started: which stack.
        view: what is known of the rig.
        hub: what is heard of it.
    """

    def __init__(
        self,
        action: Action | None,
        started: SessionStarted,
        view: View,
        hub: Hub,
    ) -> None:
        self.session = started.session
        self.frames = started.frames
        self.fused: SessionFused | None = None
        """What became of the fused picture, when that was told."""
        self._verb = "run" if action is None else action.verb
        self._hub = hub
        self._progress = Progress(self.session, started.done, started.frames)
        self._changed = asyncio.Event()
        self._seen = False
        """Whether a state named this session: from then on, one that does not says that it is over."""
        self._left = False
        """Whether such a one has come."""
        self._finished: SessionFinished | None = None
        self._over: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._over.add_done_callback(self._leave)
        self._giving_up: asyncio.TimerHandle | None = None
        hub.handle(self._hear)
        if view.state is not None:
            self._state(view.state)
        self._action = action
        self._summary: Summary | None = None
        """How it ended."""
        self._old: Summary | None = None
        """A summary that was there, or came, while it was under way: most likely of an earlier time that it was left."""
        if (summary := view.summaries.get(self.session)) is not None:
            self._summed_up(summary)
        if action is not None:
            action.end.add_done_callback(self._ended)

    @property
    def progress(self) -> Progress:
        """The newest."""
        return self._progress

    @property
    def over(self) -> bool:
        """Whether the stack has ended, and how is known."""
        return self._over.done()

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """The progress now, then whenever it has changed. Raises as `result` when how the stack ended is not known."""
        said: Progress | None = None
        while True:
            changed = self._changed
            if self._progress != said:
                said = self._progress
                yield said
                continue
            if self._over.done():
                self._over.result()
                return
            await changed.wait()

    async def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the end. A stack that was aborted or suspended has a result too.

        Raises:
            RigRestarted: the daemon was started anew; the stack can be resumed.
            ActionFailed: it is over, and how is not known.
            NotReachable: the client was closed.
            TimeoutError: not over in time; the stack goes on.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._over)

    def _hear(self, said: object) -> None:
        match said:
            case State():
                self._state(said)
            case Frame(session=self.session):
                self._tell(frame=max(self._progress.frame, said.index + 1), last_settle_s=said.settle_s)
            case FrameRetried(session=self.session):
                self._tell(retried=self._progress.retried + 1, last_refusal=said.reason)
            case SessionFinished(session=self.session):
                self._finished = said
                self._give_up_later()
            case SessionFused(session=self.session):
                self.fused = said
            case Summary(session=self.session):
                self._summed_up(said)
            case SummaryCleared(session=self.session):
                self._old = None
            case Restarted():
                self._fail(RigRestarted(self._verb, f"rigd was started anew; {self.session} can be resumed"))
            case WayDown():
                self._tell(reachable=False)
            case WayUp():
                self._tell(reachable=True)

    def _summed_up(self, summary: Summary) -> None:
        """It is over, unless the summary is an old one; why, in a code, is told by the end of the command, which may come later."""
        if summary.outcome not in FINAL and not self._left and not self._ended_already:
            self._old = summary
            return
        if summary == self._old:
            return
        self._summary = summary
        if summary.outcome == "complete" or self._action is None or self._action.over:
            self._conclude()
        else:
            self._give_up_later()

    @property
    def _ended_already(self) -> bool:
        """Whether something other than a summary has told that it is over."""
        return self._finished is not None or (self._action is not None and self._action.over)

    def _state(self, state: State) -> None:
        now = state.session
        if now is not None and now.id == self.session:
            self._seen = True
            self._capturing(state, now)
        elif self._seen:
            self._left = True
            self._tell(mode=state.mode)
            self._give_up_later()

    def _capturing(self, state: State, now: SessionNow) -> None:
        settle_s = self._progress.last_settle_s if state.last_settle_s is None else state.last_settle_s
        self._tell(
            frame=now.frame,
            frames=now.frames,
            mode=state.mode,
            phase=now.phase,
            eta_s=now.eta_s,
            why=now.why,
            last_settle_s=settle_s,
            reachable=True,
        )

    def _ended(self, end: asyncio.Future[dict[str, Any]]) -> None:
        """The command that began it is over: so is the stack."""
        if end.cancelled() or self._over.done():
            return
        match end.exception():
            case RigRestarted():
                self._fail(RigRestarted(self._verb, f"rigd was started anew; {self.session} can be resumed"))
            case RigError() as error if not isinstance(error, ActionFailed):
                self._fail(error)
            case _:
                self._give_up_later()

    def _told(self) -> tuple[ActionFailed | None, dict[str, Any]]:
        """What the end of the command told: why it failed, and its data."""
        if self._action is None or not self._action.over or self._action.end.cancelled():
            return None, {}
        error = self._action.end.exception()
        if error is None:
            return None, self._action.end.result()
        return (error if isinstance(error, ActionFailed) else None), {}

    def _give_up_later(self) -> None:
        """It is over; the rest of what tells how is on its way, or was missed."""
        if self._summary is not None and (self._action is None or self._action.over):
            self._conclude()
        if self._giving_up is None and not self._over.done():
            self._giving_up = asyncio.get_running_loop().call_later(SUMMARY_S, self._conclude)

    def _conclude(self) -> None:
        if self._over.done():
            return
        result = self._result(self._summary)
        if result is None:
            missed = f"{self.session} is over, but how was not heard; look at the list of sessions"
            self._fail(self._told()[0] or ActionFailed(self._verb, ErrorCode.INTERRUPTED, missed))
            return
        self._tell(frame=result.frames, eta_s=None, why=result.why)
        self._over.set_result(result)
        self._wake()

    def _result(self, summary: Summary | None) -> Result | None:
        """From the best that was heard of the end."""
        failed, data = self._told()
        code = None if failed is None else failed.code
        if summary is not None:
            return self._of_summary(summary, code)
        if self._finished is not None:
            told = self._finished
            return Result(self.session, told.outcome, told.frame, told.frames, told.why, code=code)
        if isinstance(outcome := data.get("outcome"), str):
            return Result(self.session, outcome, self._progress.frame, self._progress.frames)
        if self._old is not None and self._old.frames >= self._progress.frame:
            return self._of_summary(self._old, code)
        return None

    def _of_summary(self, summary: Summary, code: str | None) -> Result:
        return Result(
            self.session,
            summary.outcome,
            summary.frames,
            summary.planned,
            summary.why,
            summary.rejected,
            summary.coverage,
            code,
            summary,
        )

    def _fail(self, error: RigError) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._wake()

    def _tell(self, **changed: object) -> None:
        progress = replace(self._progress, **changed)  # type: ignore[arg-type]  # fields of Progress, by name
        if progress != self._progress and not self._over.done():
            self._progress = progress
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _leave(self, over: asyncio.Future[Result]) -> None:
        if not over.cancelled():
            over.exception()  # whoever does not ask for the result is not to be warned about it
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._hub.forget(self._hear)
