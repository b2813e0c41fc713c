"""The asyncio shell round the state machine: one queue of events, effects carried out on drivers, results fed back.

One event is handled at a time, and nothing else changes the state. Effects run as tasks; each ends in an answer that carries its
serial number. Whatever goes wrong in one becomes a `Failed` answer: nothing dies quietly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from drivers.base import CameraTimeout, DriverError, Exposure, Light
from drivers.clock import Clock
from rigd.control.camera import CameraControl
from rigd.control.pipeline import Pipeline
from rigd.control.rail import RailAlarm, RailControl
from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine import refusal, step
from rigd.machine.state import Mode, Stack, State
from rigd.preview import Results
from rigd.session import FrameRecord
from rigd.workers import Worker

log = logging.getLogger(__name__)

WATCH_S = 0.5
"""How often a rail at rest is looked at: an unplugged port is named within a second."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The state is another one."""

    state: State
    event: ev.Event


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame is on disk."""

    record: FrameRecord


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture was refused."""

    frame: int
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A session was left: complete, aborted or suspended."""

    outcome: str
    why: str
    results: Results | None


Notice = Changed | Accepted | Rejected | Closed
Listener = Callable[[Notice], None]
OpenPipeline = Callable[[], Awaitable[Pipeline]]


class Controller:
    """Runs one rig.

    Args:
        state: the machine's first state.
        rail, camera, light: what the effects act on.
        settle_s: the settle after each move.
        jog_speed_um_per_s: of jogs.
        store: the worker for slow files.
        clock: of all evidence.
        on_progress: called each time the loop has gone round; feeds the watchdog.
        progress_s: the longest that the loop may rest between two calls of it.
    """

    def __init__(
        self,
        state: State,
        *,
        rail: RailControl,
        camera: CameraControl,
        light: Light | None,
        settle_s: float,
        jog_speed_um_per_s: float,
        store: Worker,
        clock: Clock,
        on_progress: Callable[[], None] = lambda: None,
        progress_s: float = 1.0,
    ) -> None:
        self.state = state
        self.rail = rail
        self.camera = camera
        self.results: Results | None = None
        self._light = light
        self._settle_s = settle_s
        self._jog_speed_um_per_s = jog_speed_um_per_s
        self.store = store
        self._clock = clock
        self._on_progress = on_progress
        self._progress_s = progress_s
        self._queue: asyncio.Queue[tuple[ev.Event, asyncio.Future[str | None] | None]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._changed = asyncio.Condition()
        self._exposures: dict[int, Exposure] = {}
        self._open_pipeline: OpenPipeline | None = None
        self.pipeline: Pipeline | None = None

    # ------------------------------------------------------------------------------------------------------ from outside

    def listen(self, listener: Listener) -> None:
        """Have every notice handed to this function, on the loop."""
        self._listeners.append(listener)

    async def command(self, event: ev.Event) -> str | None:
        """Put a command to the machine; why it was refused, or None when it was taken."""
        reply: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((event, reply))
        return await reply

    def post(self, event: ev.Event) -> None:
        """Put an event to the machine and wait for nothing. On the loop's thread."""
        self._queue.put_nowait((event, None))

    async def start_stack(self, stack: Stack, open_pipeline: OpenPipeline) -> str | None:
        """Capture a stack; `open_pipeline` makes or opens its session when the machine says so. Why refused, or None."""
        self._open_pipeline = open_pipeline
        return await self.command(ev.StartStack(stack))

    async def reached(self, *modes: Mode) -> State:
        """Wait until the machine is in one of these modes."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.mode in modes)
        return self.state

    async def drained(self) -> None:
        """Wait until every effect under way has ended: nothing is written to a session any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # ---------------------------------------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Handle events until cancelled. Anything unexpected ends it, halted, and the process with it."""
        watch = asyncio.create_task(self._watch_rail())
        try:
            while True:
                await self._handle_next()
                self._on_progress()
        finally:
            watch.cancel()
            pending = {watch, *self._tasks}
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _handle_next(self) -> None:
        try:
            async with asyncio.timeout(self._progress_s):
                event, reply = await self._queue.get()
        except TimeoutError:
            return
        before = self.state
        self.state, effects = step(before, event)
        reason = refusal(effects)
        if reason is not None:
            log.info("refused: %s", reason)
        for effect in effects:
            self._begin(effect)
        if reply is not None and not reply.cancelled():
            reply.set_result(reason)
        if self.state is not before:
            await self._tell(Changed(self.state, event))

    def _begin(self, effect: fx.Effect) -> None:
        act = self._act(effect)
        if act is None:
            return
        task = asyncio.create_task(self._carry_out(effect, act))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, effect: fx.Effect, act: Awaitable[ev.Event | None]) -> None:
        try:
            answer = await act
        except CameraTimeout as error:
            answer = ev.Failed(effect.serial, str(error), "camera", frame_only=True)
        except RailAlarm as error:
            answer = ev.LimitHit(str(error))
        except (DriverError, OSError) as error:
            answer = self._failure(effect, error)
        except Exception as error:  # a bug must stop the rig in a known state, not leave it waiting for ever
            log.exception("%s failed", type(effect).__name__)
            answer = ev.Failed(effect.serial, f"internal error: {error!r}", "internal")
        if answer is not None:
            self.post(answer)

    def _failure(self, effect: fx.Effect, error: Exception) -> ev.Event:
        what = str(error)
        if isinstance(effect, fx.Expose):
            return ev.Failed(effect.serial, what, "camera", frame_only=True)
        if isinstance(effect, fx.BeginSession | fx.CloseSession | fx.SuspendSession | fx.NoteSession):
            return ev.Failed(effect.serial, what, "storage")
        if isinstance(effect, fx.OpenDrivers):
            return ev.Failed(effect.serial, what, "open")
        return ev.RailLost(what)

    def _act(self, effect: fx.Effect) -> Awaitable[ev.Event | None] | None:
        """The coroutine for an effect. What must be in order (which exposure is meant) is settled here, at once."""
        match effect:
            case fx.Refuse():
                return None
            case fx.ProcessFrame():
                return self._process(effect, self._exposures.pop(effect.exposure))
            case fx.RejectFrame():
                self._exposures.pop(effect.exposure, None)
                return self._reject(effect)
            case fx.Expose():
                self._exposures.clear()
                return self._expose(effect)
            case fx.StopRail() | fx.HaltRail():
                self.camera.give_up_exposure()
                return self._stop(effect) if isinstance(effect, fx.StopRail) else self._halt()
            case _:
                handler: Callable[[Any], Awaitable[ev.Event | None]] = self._handlers()[type(effect)]
                return handler(effect)

    def _handlers(self) -> dict[type[fx.Effect], Callable[[Any], Awaitable[ev.Event | None]]]:
        return {
            fx.OpenDrivers: self._open,
            fx.StartHoming: self._home,
            fx.MoveRail: self._move,
            fx.JogRail: self._jog,
            fx.ReleaseRail: self._release,
            fx.WaitSettled: self._settle,
            fx.BeginSession: self._begin_session,
            fx.NoteSession: self._note_session,
            fx.CloseSession: self._close_session,
            fx.SuspendSession: self._suspend_session,
        }

    async def _tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener(notice)
        async with self._changed:
            self._changed.notify_all()

    async def _watch_rail(self) -> None:
        """Notice what happens to a rail at rest: unplugged, reset, a limit pressed by hand."""
        known = {Mode.IDLE, Mode.PAUSED}
        while True:
            await asyncio.sleep(WATCH_S)
            if self.state.mode not in known:
                continue
            try:
                status = await self.rail.poll()
            except DriverError as error:
                self.post(ev.RailLost(str(error)))
                continue
            if self.state.mode in known and status.alarm is not None:
                self.post(ev.LimitHit(status.alarm))
            elif self.state.mode in known and self.state.homed and status.position is None:
                self.post(ev.RailLost("the rail has lost its position"))

    # ------------------------------------------------------------------------------------------------- the rail's effects

    async def _open(self, effect: fx.OpenDrivers) -> ev.Event:
        status = await self.rail.open()
        await self.camera.open()
        if self._light is not None:
            await self.store.run(self._light.open)
        return ev.Connected(effect.serial, status.position if status.homed else None)

    async def _home(self, effect: fx.StartHoming) -> ev.Event:
        position = await self.rail.home()
        if self.pipeline is not None:
            error = self.rail.home_error
            await self.store.run(self.pipeline.session.note, "homed", error_microsteps=error)
        return ev.Homed(effect.serial, position)

    async def _move(self, effect: fx.MoveRail) -> ev.Event:
        position, ended_s = await self.rail.move(effect.target)
        return ev.MotionEnded(effect.serial, position, ended_s)

    async def _jog(self, effect: fx.JogRail) -> ev.Event:
        position, ended_s = await self.rail.jog(effect.distance, self._jog_speed_um_per_s)
        return ev.MotionEnded(effect.serial, position, ended_s)

    async def _stop(self, effect: fx.StopRail) -> ev.Event:
        return ev.Stopped(effect.serial, await self.rail.stop())

    async def _halt(self) -> None:
        await self.rail.halt()

    async def _release(self, effect: fx.ReleaseRail) -> ev.Event:
        await self.rail.release()
        return ev.Released(effect.serial)

    async def _settle(self, effect: fx.WaitSettled) -> ev.Event:
        settled_s = effect.moved_s + self._settle_s
        await asyncio.sleep(max(0.0, settled_s - self._clock.now()))
        return ev.Settled(effect.serial, settled_s)

    # ------------------------------------------------------------------------------------------------ the stack's effects

    async def _expose(self, effect: fx.Expose) -> ev.Event:
        position_um = effect.position * self.rail.rail.capabilities.microstep_um
        exposure = await self.camera.expose(effect.not_before_s, position_um)
        if self.state.awaiting == effect.serial:
            self._exposures[effect.serial] = exposure
        return ev.ShutterClosed(effect.serial, exposure.start_s, exposure.end_s, exposure.sequence)

    async def _process(self, effect: fx.ProcessFrame, exposure: Exposure) -> ev.Event:
        assert self.pipeline is not None
        decision = await self.pipeline.process(effect, exposure)
        if decision.record is not None:
            await self._tell(Accepted(decision.record))
        if not decision.accepted:
            await self._tell(Rejected(effect.frame, decision.reason))
        return ev.Verdict(effect.serial, decision.accepted, decision.reason, decision.retake)

    async def _reject(self, effect: fx.RejectFrame) -> None:
        assert self.pipeline is not None
        await self._tell(Rejected(effect.frame, effect.reason))
        await self.pipeline.reject(effect)

    async def _begin_session(self, effect: fx.BeginSession) -> ev.Event:
        assert self._open_pipeline is not None
        self.pipeline = await self._open_pipeline()
        if self._light is not None:
            await self.store.run(self._light.on)
        return ev.SessionReady(effect.serial)

    async def _note_session(self, effect: fx.NoteSession) -> None:
        if self.pipeline is not None:
            await self.store.run(self.pipeline.session.note, effect.kind, why=effect.why)

    async def _close_session(self, effect: fx.CloseSession) -> ev.Event:
        pipeline = self.pipeline
        assert pipeline is not None
        self.results = await pipeline.finish()
        summary = {"why": effect.why, "home_error_microsteps": self.rail.home_error}
        if self.results is not None:
            summary["coverage"] = self.results.text
        await self.store.run(pipeline.session.finish, effect.outcome, summary)
        await self._leave(effect.outcome, effect.why)
        return ev.SessionClosed(effect.serial)

    async def _suspend_session(self, effect: fx.SuspendSession) -> ev.Event:
        if self.pipeline is not None:
            try:
                await self.store.run(self.pipeline.session.note, "suspended", why=effect.why)
            finally:
                await self._leave("suspended", effect.why)
        return ev.SessionClosed(effect.serial)

    async def _leave(self, outcome: str, why: str) -> None:
        """Light off, session closed, threads free: whatever the outcome."""
        pipeline, self.pipeline = self.pipeline, None
        try:
            if self._light is not None:
                await self.store.run(self._light.off)
            if pipeline is not None:
                await pipeline.leave()
        finally:
            if pipeline is not None:
                pipeline.session.close()
            await self._tell(Closed(outcome, why, self.results))
