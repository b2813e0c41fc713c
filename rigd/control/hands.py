"""The controller's hands: each effect of the machine, carried out on drivers and session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.base import Exposure, FrameData, NoResponse
from drivers.clock import Clock
from rigd.config.model import Checks
from rigd.control.camera import CameraControl
from rigd.control.lamp import Lamp
from rigd.control.notices import Accepted, Closed, Notice, Rejected
from rigd.control.pipeline import Pipeline
from rigd.control.rail import RailControl
from rigd.control.sessions import complete, opened
from rigd.control.still import StillControl
from rigd.control.testshot import ShotFailed, TestShooting
from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.pictures import Decoder
from rigd.preview import Results
from rigd.session import Session
from rigd.workers import Worker

OPEN_LIMIT_S = 300.0
"""Compiling the simulator's kernels on a Pi takes a minute or two; a part that takes longer than this hangs."""

OpenPipeline = Callable[[], Awaitable[Pipeline]]


class Hands:
    """Carries effects out. Each handler answers with an event, or None where nobody waits for one.

    Args:
        rail, camera, lamp: what the effects act on.
        still: says how long each frame settles.
        jog_speed_um_per_s: of jogs.
        store: the worker for slow files.
        clock: of all evidence.
    """

    def __init__(
        self,
        *,
        rail: RailControl,
        camera: CameraControl,
        lamp: Lamp,
        still: StillControl,
        jog_speed_um_per_s: float,
        store: Worker,
        clock: Clock,
    ) -> None:
        self.open_pipeline: OpenPipeline | None = None
        """Makes or opens the session of the next stack."""
        self.shooting: TestShooting | None = None
        """Takes the next test shot, or the one under way."""
        self.pipeline: Pipeline | None = None
        """Of the stack under way."""
        self.results: Results | None = None
        """Of the last stack that was finished."""
        self.rail = rail
        self.camera = camera
        self.lamp = lamp
        self.still = still
        """How long each frame settles, and whether it was still."""
        self._jog_speed_um_per_s = jog_speed_um_per_s
        self.store = store
        self._clock = clock
        self.tell: Callable[[Notice], None] = lambda _notice: None
        """Takes notices, on the loop."""
        self._exposures: dict[int, Exposure] = {}
        self._begun = asyncio.Event()
        self._begun.set()
        self._home_error: int | None = None
        # A cleared e-stop opens what the start may still be opening.
        self._opening = asyncio.Lock()
        # An e-stop leaves a session that may just be being closed, and another stack may be begun before that is done.
        self._leaving = asyncio.Lock()

    def begin(self, effect: fx.Effect) -> Awaitable[Event | None] | None:
        """The coroutine for an effect, None for one that asks for nothing. Which exposure is meant is settled here, at once."""
        match effect:
            case fx.Refuse():
                return None
            case fx.ProcessFrame():
                probe = self.still.probe(effect.exposure)
                return self._process(effect, self._exposures.pop(effect.exposure), probe)
            case fx.RejectFrame():
                self._exposures.pop(effect.exposure, None)
                return self._reject(effect)
            case fx.Expose():
                self._exposures.clear()
                return self._expose(effect)
            case fx.StopRail() | fx.HaltRail():
                self.rail.give_up(halting=isinstance(effect, fx.HaltRail))
                self.still.give_up()
                self.camera.give_up_exposure()
                if self.shooting is not None:
                    self.shooting.give_up()
                return self._stop(effect) if isinstance(effect, fx.StopRail) else self.halt()
            case fx.StartHoming():
                return self._home(effect, self.rail.ticket)
            case fx.MoveRail():
                return self._move(effect, self.rail.ticket)
            case fx.JogRail():
                return self._jog(effect, self.rail.ticket)
            case fx.TakeTestShot():
                return self._test_shot(effect, self.shooting)
            case fx.BeginSession():
                self._begun = asyncio.Event()
                return self._begin_session(effect, self._begun, self.open_pipeline)
            case _:
                handler: Callable[[Any], Awaitable[Event | None]] = self._handlers()[type(effect)]
                return handler(effect)

    def _handlers(self) -> dict[type[fx.Effect], Callable[[Any], Awaitable[Event | None]]]:
        return {
            fx.OpenDrivers: self._open,
            fx.ReleaseRail: self._release,
            fx.WaitSettled: self._settle,
            fx.NoteSession: self._note_session,
            fx.CloseSession: self._close_session,
            fx.SuspendSession: self._suspend_session,
        }

    # ------------------------------------------------------------------------------------------------- the rail's effects

    async def _open(self, effect: fx.OpenDrivers) -> Event:
        opening = asyncio.timeout(OPEN_LIMIT_S)
        try:
            async with opening, self._opening:
                status = await self.rail.open()
                await self.camera.open()
                await self.lamp.open()
                await self.still.opened()
        except TimeoutError:
            if not opening.expired():
                raise
            raise NoResponse("rig", f"opening its parts within {OPEN_LIMIT_S:.0f} s") from None
        return ev.Connected(effect.serial, status.position if status.homed else None)

    async def _home(self, effect: fx.StartHoming, ticket: int) -> Event:
        position = await self.rail.home(ticket)
        self.still.jolted()
        if self.pipeline is not None:
            self._home_error = error = self.rail.home_error
            await self.store.run(self.pipeline.session.note, "homed", error_microsteps=error)
        return ev.Homed(effect.serial, position)

    async def _move(self, effect: fx.MoveRail, ticket: int) -> Event:
        position, ended_s = await self.rail.move(effect.target, ticket)
        self.still.moved(self.rail.travelled, ended_s)
        return ev.MotionEnded(effect.serial, position, ended_s)

    async def _jog(self, effect: fx.JogRail, ticket: int) -> Event:
        position, ended_s = await self.rail.jog(effect.distance, self._jog_speed_um_per_s, ticket)
        self.still.jolted()
        return ev.MotionEnded(effect.serial, position, ended_s)

    async def _stop(self, effect: fx.StopRail) -> Event:
        position = await self.rail.stop()
        self.still.jolted()
        return ev.Stopped(effect.serial, position)

    async def halt(self) -> None:
        """Stop the rail at once."""
        await self.rail.halt()

    async def _release(self, effect: fx.ReleaseRail) -> Event:
        await self.rail.release()
        return ev.Released(effect.serial)

    async def _settle(self, effect: fx.WaitSettled) -> Event:
        wait = self.still.wait(effect)
        settled_s = effect.moved_s + wait.settle_s
        await asyncio.sleep(max(0.0, settled_s - self._clock.now()))
        return ev.Settled(effect.serial, settled_s, wait)

    async def _test_shot(self, effect: fx.TakeTestShot, shooting: TestShooting | None) -> Event:
        if shooting is None or shooting.picture.done():
            raise ShotFailed("nobody waits for the picture")
        await shooting.take(self.rail, effect.position)
        return ev.TestTaken(effect.serial)

    def shooting_with(self, decoder: Decoder, checks: Checks) -> TestShooting:
        """What a test shot is taken with."""
        return TestShooting(
            camera=self.camera,
            lamp=self.lamp,
            decoder=decoder,
            checks=checks,
            store=self.store,
            settle_s=self.still.shot_s(),
            clock=self._clock,
        )

    # ------------------------------------------------------------------------------------------------ the stack's effects

    async def _expose(self, effect: fx.Expose) -> Event:
        if effect.retry:
            # A camera that gave an old picture has it still: let the sensor go round before it is asked again.
            await asyncio.sleep(effect.retry * self.camera.round_s)
        position_um = effect.position * self.rail.rail.capabilities.microstep_um
        exposure = await self.camera.expose(effect.not_before_s, position_um)
        exposure = await self.still.audited(effect, exposure, position_um)
        self._exposures[effect.serial] = exposure
        return ev.ShutterClosed(effect.serial, exposure.start_s, exposure.end_s, exposure.sequence)

    async def _process(self, effect: fx.ProcessFrame, exposure: Exposure, probe: FrameData | None) -> Event:
        pipeline = self.pipeline
        assert pipeline is not None
        decision = await pipeline.process(effect, exposure, probe)
        await self.still.looked(
            pipeline.session,
            effect.frame,
            accepted=decision.accepted,
            suspected=decision.suspected,
            kept=decision.kept,
        )
        if decision.record is not None:
            self.tell(Accepted(decision.record))
        if not decision.accepted:
            self.tell(Rejected(effect.frame, decision.reason, storage=not decision.retake))
        return ev.Verdict(effect.serial, decision.accepted, decision.reason, decision.retake)

    async def _reject(self, effect: fx.RejectFrame) -> None:
        assert self.pipeline is not None
        self.tell(Rejected(effect.frame, effect.reason))
        await self.pipeline.reject(effect)

    async def _begin_session(
        self, effect: fx.BeginSession, begun: asyncio.Event, open_pipeline: OpenPipeline | None
    ) -> Event:
        assert open_pipeline is not None
        self.results = self._home_error = None  # those of an earlier stack are not this one's
        try:
            async with self._leaving:
                self.pipeline = await open_pipeline()
            await self.lamp.on(self.pipeline)
            self.tell(opened(self.pipeline.session))
            await self.still.begin(self.pipeline.session)
        finally:
            begun.set()
        return ev.SessionReady(effect.serial)

    async def _note_session(self, effect: fx.NoteSession) -> None:
        if self.pipeline is not None:
            await self.store.run(self.pipeline.session.note, effect.kind, why=effect.why)

    async def _close_session(self, effect: fx.CloseSession) -> Event:
        await self._begun.wait()
        async with self._leaving:
            if self.pipeline is not None:
                self.results = await complete(
                    self.pipeline,
                    self.store,
                    effect.outcome,
                    effect.why,
                    home_error=self._home_error,
                    warnings=self.still.warnings,
                )
                await self._leave(effect.outcome, effect.why)
        return ev.SessionClosed(effect.serial)

    async def _suspend_session(self, effect: fx.SuspendSession) -> Event:
        await self._begun.wait()
        async with self._leaving:
            if self.pipeline is not None:
                try:
                    await self.store.run(self.pipeline.session.note, "suspended", why=effect.why)
                finally:
                    await self._leave("suspended", effect.why)
        return ev.SessionClosed(effect.serial)

    async def left(self) -> None:
        """Wait until the session that is being left, if any, is closed: only then can it be opened again."""
        async with self._leaving:
            pass

    async def _leave(self, outcome: str, why: str) -> None:
        """Pictures under way decided on, light off, session closed, threads free: whatever the outcome."""
        pipeline, self.pipeline = self.pipeline, None
        assert pipeline is not None
        try:
            await pipeline.leave()
        finally:
            try:
                await self.lamp.off(pipeline)
            finally:
                pipeline.session.close()
                self.tell(self._closed(pipeline.session, outcome, why))

    def _closed(self, session: Session, outcome: str, why: str) -> Closed:
        frames = len(session.frames)
        return Closed(outcome, why, self.results, self._home_error, session_id=session.id, frames=frames)
