"""What the rig says about itself: state, frames, events, pictures, health. From the hardware's loop, never from a request.

All of it runs on the loop's thread and takes microseconds there; what takes longer (files, pictures) has threads of its own.
"""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import datetime
from typing import Protocol

import rigd
from drivers.clock import Clock
from rigd.app import Rig
from rigd.config import config_hash
from rigd.control.notices import Accepted, Changed, Closed, Merged, Notice, Opened, Rejected, Warned
from rigd.control.testshot import TestPicture
from rigd.health import HealthReader
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode, State
from rigd.messages import events, reports, topics
from rigd.messages.base import CONTRACT, Outward
from rigd.preview import PREVIEW
from rigd.preview import Preview as GrowingPreview
from rigd.remote.bus import Outgoing, Switchboard
from rigd.remote.portrait import camera_capabilities, portrait
from rigd.remote.progress import Pace, Underway, forecast
from rigd.remote.reporter import Reporter
from rigd.remote.showing import Showing
from rigd.remote.standing import LeaseView, Standing
from rigd.remote.story import Story
from rigd.remote.summaries import Summaries
from rigd.remote.vitals import Counts, Vitals
from rigd.session import FrameRecord

log = logging.getLogger(__name__)

_PICTURE_TAKEN = (ev.ShutterClosed, ev.TestTaken, ev.Connected)


class SettingsNow(Protocol):
    """What the next stack is taken with."""

    def report(self) -> reports.Settings:
        """As a message."""


class Status:
    """Says what the rig is and does.

    Args:
        rig: the open rig.
        switchboard: where everything goes.
        reporter: of events; counts what has a `seq`.
        settings: of the next stack.
        leases: who commands.
        clock: of times and rates.
        boot_id: of this start of the daemon.
        started: when that was.
        counts: what others count, for `health`.
    """

    def __init__(  # noqa: PLR0917
        self,
        rig: Rig,
        switchboard: Switchboard,
        reporter: Reporter,
        settings: SettingsNow,
        leases: LeaseView,
        clock: Clock,
        *,
        boot_id: str,
        started: datetime,
        counts: Counts | None = None,
    ) -> None:
        self._rig = rig
        self._switchboard = switchboard
        self._reporter = reporter
        self._settings = settings
        self._clock = clock
        self._boot_id = boot_id
        self._started = started
        self._config, self._config_hash = rig.config, config_hash(rig.config)
        self._old = rig.state
        self._info: reports.Info | None = None
        self._open: dict[str, Underway] = {}
        self._preview: GrowingPreview | None = None
        self._standing = Standing(rig, switchboard, reporter, leases, clock=clock, boot_id=boot_id)
        self._standing.camera_connected = _camera_was_opened(rig.state)
        self._story = Story(reporter, rig.state)
        self._showing = Showing(switchboard, clock, rig.config.remote)
        sessions = rig.config.storage.sessions
        self._summaries = Summaries(switchboard, clock, sessions, rig.config.rig.id, self._is_open)
        self._vitals = Vitals(
            switchboard,
            clock,
            HealthReader(sessions),
            counts=counts or Counts(),
            camera_restarts=lambda: rig.controller.hands.camera.restarts,
            refused=lambda: reporter.refused,
            rail_warnings=lambda: rig.rail_now.warnings if rig.rail_now is not None else (),
        )
        reporter.on_error = self.state_changed

    # ------------------------------------------------------------------------------------------------------ from outside

    def announce(self) -> None:
        """Say everything that is retained and known at once; health follows when it has been read."""
        birth = reports.Birth(
            boot_id=self._boot_id, version=rigd.__version__, contract=CONTRACT, started=self._started
        )
        self._retain(topics.BIRTH, birth)
        self._introduce()
        self.settings_changed()
        self._standing.say()

    def notice(self, notice: Notice) -> None:
        """A listener of the controller. Whatever fails here costs one message, not all that come after."""
        try:
            self._take(notice)
        except Exception:
            log.exception("%s could not be told", type(notice).__name__)

    def settings_changed(self) -> None:
        """The settings are others."""
        self._retain(topics.SETTINGS, self._settings.report())

    def state_changed(self) -> None:
        """Something that `state` has and the machine does not know of may be different: the lease, the last error."""
        self._standing.look()

    def fused(self, session: str, ok: bool, why: str, files: list[str]) -> None:
        """A complete session was fused, or could not be; its manifest says so too, so its summary is another one."""
        self._reporter.event(events.SessionFused, session=session, ok=ok, why=why, files=files)
        self._summaries.left(session)

    def show_test(self, picture: TestPicture) -> None:
        """Show a test shot."""
        self._showing.test(picture)

    async def serve(self) -> None:
        """Keep saying until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (
                self._standing.serve(),
                self._showing.serve(),
                self._summaries.serve(),
                self._vitals.serve(),
            ):
                group.create_task(part)

    async def drained(self) -> None:
        """Wait until every summary and picture that is due has been published. Only while `serve` runs."""
        await self._summaries.drained()
        await self._showing.drained()

    # ---------------------------------------------------------------------------------------------------------- notices

    def _take(self, notice: Notice) -> None:
        match notice:
            case Changed():
                self._changed(notice.state, notice.event)
            case Opened():
                self._opened(notice)
            case Accepted():
                self._accepted(notice.record)
            case Rejected():
                self._story.rejected(notice, self._standing.session)
            case Closed():
                self._closed(notice)
            case Warned():
                self._story.warned(notice)
            case Merged():
                self._merged()

    def _changed(self, new: State, event: Event) -> None:
        old, self._old = self._old, new
        if isinstance(event, ev.Failed) and event.code == "camera":
            self._standing.camera_connected = False
        elif isinstance(event, _PICTURE_TAKEN):
            self._standing.camera_connected = True
        if isinstance(event, ev.StartStack):
            self._standing.session = None  # that of an earlier stack, which may still be being closed
        self._keep_time(old, new)
        if isinstance(event, ev.Connected):
            self._introduce()
        self._story.troubles(old, new, event)
        self._standing.look()
        self._story.changed(old, new, event, self._standing.session)

    def _keep_time(self, old: State, new: State) -> None:
        """A pause is no part of a stack's pace."""
        session = self._standing.session
        if session is None or session.pace is None:
            return
        if new.mode is Mode.PAUSED and old.mode is not Mode.PAUSED:
            session.pace.pause(self._clock.now())
        elif old.mode is Mode.PAUSED and new.mode is not Mode.PAUSED:
            session.pace.resume(self._clock.now())

    def _opened(self, notice: Opened) -> None:
        state, rig = self._rig.state, self._rig
        session = Underway(notice.session_id, notice.name, notice.path, notice.frames, notice.done)
        if state.stack is not None:
            expected = forecast(
                state.stack,
                state.position,
                rig.settle_s(state.stack.plan.step_um),
                rig.parts.rail,
                camera_capabilities(rig),
            )
            session.pace = Pace(expected, self._clock.now())
        self._standing.session = self._open[session.id] = session
        pipeline = rig.controller.hands.pipeline
        self._preview = None if pipeline is None else pipeline.preview
        self._summaries.opened(session.id)
        self._standing.look()
        self._story.opened(session)

    def _accepted(self, record: FrameRecord) -> None:
        session = self._standing.session
        self._standing.last_settle_s = record.start_s - record.moved_s
        if session is None:
            return
        session.done += 1
        if session.pace is not None:
            session.pace.accepted(self._clock.now())
        self._switchboard.publish(
            Outgoing.of(
                topics.session_frame(session.id),
                self._frame(session, record),
                qos=0,
                retain=False,
                keep=False,
            )
        )
        self._standing.look()

    def _frame(self, session: Underway, record: FrameRecord) -> reports.Frame:
        return reports.Frame(
            seq=self._reporter.next_seq(),
            time=self._clock.utc(),
            session=session.id,
            index=record.frame,
            frames=session.frames,
            file=record.file,
            bytes=record.bytes,
            sha256=record.sha256,
            position_um=record.position_um,
            asked_um=record.asked_um,
            moved_s=record.moved_s,
            settled_s=record.settled_s,
            start_s=record.start_s,
            end_s=record.end_s,
            settle_s=record.start_s - record.moved_s,
            settle_asked_s=record.settle.get("settle_s"),
            settle_code=record.settle.get("code", ""),
            settle_why=record.settle.get("why", ""),
            retry=record.retry,
            metrics={name: value for name, value in record.metrics.items() if math.isfinite(value)},
            settings=dict(record.settings),
            note=record.note,
        )

    def _merged(self) -> None:
        if self._standing.session is not None and self._preview is not None:
            session = self._standing.session
            path = session.path / PREVIEW
            self._showing.growing(session.id, path, self._preview.written, session.frames)

    def _closed(self, notice: Closed) -> None:
        session = self._open.pop(notice.session_id, None)
        if session is not None:
            self._story.closed(notice, session)
            self._show_left(notice, session)
        self._summaries.left(notice.session_id)

    def _show_left(self, notice: Closed, session: Underway) -> None:
        results, preview, self._preview = notice.results, self._preview, None
        frames = results.frames if results is not None else preview.written if preview is not None else 0
        coverage = "" if results is None else results.text
        self._showing.finished(session.id, session.path / PREVIEW, frames, session.frames, coverage)

    def _is_open(self, session: str) -> bool:
        return session in self._open

    def _introduce(self) -> None:
        """Say what the rig is, if that is something else than before: parts know more of themselves once they are open."""
        info = portrait(self._rig, self._config, self._config_hash)
        if info != self._info:
            self._info = info
            self._retain(topics.INFO, info)

    def _retain(self, topic: str, message: Outward) -> None:
        self._switchboard.publish(Outgoing.of(topic, message, retain=True))


def _camera_was_opened(state: State) -> bool:
    return state.mode is not Mode.OFFLINE and (state.fault is None or state.fault.code != "open")
