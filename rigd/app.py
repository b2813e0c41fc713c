"""The composition root: from a config to drivers, controller and pictures, and back to a rig that is safe.

This is the one room that knows all others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.base import DriverError, Switch
from drivers.clock import Clock
from rigd.config import RigConfig, config_hash, to_dict
from rigd.control.camera import CameraControl
from rigd.control.controller import Controller
from rigd.control.hands import Hands, complete
from rigd.control.notices import Closed
from rigd.control.pipeline import Pipeline
from rigd.control.rail import RailControl
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode, Stack, State
from rigd.parts import Parts, make_parts
from rigd.pictures import Decoder
from rigd.plan import Plan
from rigd.planning import Planned, plan_stack, rail_facts, stack_of
from rigd.preview import Preview
from rigd.session import Session, SessionError, reopen
from rigd.session import create as create_session
from rigd.workers import Worker

log = logging.getLogger(__name__)

ESTOP_SWITCH = "estop"
"""The name under `switches:` whose contact is an emergency stop."""
SWITCH_WATCH_S = 0.02
RESTING = (Mode.UNHOMED, Mode.IDLE, Mode.FAULT, Mode.ESTOPPED)
HALTED = (Mode.FAULT, Mode.ESTOPPED)


class RigFault(Exception):
    """The rig stopped with a fault: what, and what to do next."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(f"{message}. Next: {next_step}")
        self.code = code


class Refused(Exception):
    """A command that is not possible now."""


def warm_up() -> None:
    """Load or compile every kernel that a run needs, so that no frame waits for it."""
    from stackcore import merge, quality  # noqa: PLC0415  (Numba is loaded here, and not when rigd is imported)

    merge.warm_up()
    quality.warm_up()


class Rig:
    """One rig, open. Made by `open_rig`."""

    def __init__(self, config: RigConfig, parts: Parts, controller: Controller, clock: Clock) -> None:
        self.config = config
        self.parts = parts
        self.controller = controller
        self._clock = clock
        self._store = controller.hands.store
        self._stacker = Worker("stack", clock)

    @property
    def state(self) -> State:
        """What the machine knows."""
        return self.controller.state

    async def home(self) -> None:
        """Home and wait for it. Raises `Refused` or `RigFault`."""
        await self._do(ev.Home())
        state = await self.controller.reached(*RESTING)
        self._raise_fault(state)
        if not state.homed:
            raise Refused("homing was stopped")

    async def goto(self, position_um: float) -> None:
        """Move and wait for it. Raises `Refused` or `RigFault`."""
        await self._do(ev.Goto(round(position_um / self.parts.rail.capabilities.microstep_um)))
        self._raise_fault(await self.controller.reached(*RESTING))

    def plan(self) -> Planned:
        """The configured plan, checked against the open rail and camera. Raises `PlanError`."""
        return plan_stack(self.config, self.parts.rail, self.parts.camera.capabilities, self.state.position)

    async def start(self, name: str, plan: Plan) -> Session:
        """Begin a new session. Raises `Refused`, `RigFault`; OSError when the disk will not have it."""

        def opener() -> Session:
            return create_session(
                self.config.storage.sessions,
                name,
                plan,
                config=to_dict(self.config),
                config_hash=config_hash(self.config),
                clock=self._clock,
            )

        return await self._start(stack_of(self.config, plan), opener)

    async def resume(self, path: Path) -> Session:
        """Go on with an unfinished session: its last good frame is taken again and compared first.

        A session that lacks no frame is only finished. Raises `SessionError`, `Refused`, `RigFault`.
        """
        if self.state.mode is not Mode.IDLE:
            raise Refused(f"a session cannot be resumed while {self.state.mode}; home first")
        session = await self._store.run(reopen, path, self._clock)
        try:
            return await self._go_on(session)
        except Exception:
            session.close()  # and so lets go of its lock
            raise

    async def _go_on(self, session: Session) -> Session:
        changed = changed_parts(session.manifest["config"], to_dict(self.config))
        if changed:
            raise SessionError(session.path, f"taken with another rig; these differ: {', '.join(changed)}")
        done = frozenset(session.frames)
        if len(done) == session.plan.frames:
            await self._finish_only(session)
            return session
        stack = stack_of(self.config, session.plan, done, max(done) if done else None)
        return await self._start(stack, lambda: session)

    async def ended(self) -> State:
        """Wait until a stack is over, paused or halted."""
        return await self.controller.reached(*RESTING, Mode.PAUSED)

    async def suspend(self, why: str) -> None:
        """Stop safely whatever goes on; a stack is left to be resumed."""
        if self.state.stack is not None and await self.controller.command(ev.Suspend(why)) is None:
            await self.controller.reached(*RESTING)
        await self.controller.command(ev.Stop(why))
        await self.controller.reached(*RESTING, Mode.OFFLINE)

    async def close(self) -> None:
        """Leave every part safe. What fails in one does not keep the next from being closed."""
        light = self.parts.light
        closings: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("rail", self.controller.hands.rail.close),
            ("camera", self.controller.hands.camera.close),
        ]
        if light is not None:
            closings.append(("light", lambda: self._store.run(light.close)))
        for what, closing in closings:
            try:
                await closing()
            except (DriverError, OSError) as error:
                log.warning("closing the %s: %s", what, error)
        self._stacker.close()
        self._store.close()

    async def _do(self, command: Event) -> None:
        if (reason := await self.controller.command(command)) is not None:
            raise Refused(reason)

    async def _start(self, stack: Stack, opener: Callable[[], Session]) -> Session:
        started: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

        async def open_pipeline() -> Pipeline:
            session = None
            try:
                session = await self._store.run(opener)
                pipeline = self._pipeline(session)
                if session.frames:
                    await self._stacker.run(pipeline.preview.restore)
            except Exception as error:
                if session is not None:
                    session.close()
                started.set_exception(error)
                raise
            started.set_result(session)
            return pipeline

        if (reason := await self.controller.start_stack(stack, open_pipeline)) is not None:
            raise Refused(reason)
        return await started

    def _pipeline(self, session: Session) -> Pipeline:
        capabilities = self.parts.camera.capabilities
        preview_config = self.config.preview
        decoder = Decoder.for_size(capabilities.width, capabilities.height, preview_config.max_megapixels)
        return Pipeline(
            session=session,
            preview=Preview(session, decoder, preview_config, self._clock),
            camera=self.controller.hands.camera,
            decoder=decoder,
            checks=self.config.capture.checks,
            store=self._store,
            stacker=self._stacker,
            clock=self._clock,
            on_merged=self.controller.merged,
        )

    async def _finish_only(self, session: Session) -> None:
        """Every frame is there; only the results were still to be written."""
        pipeline, hands = self._pipeline(session), self.controller.hands
        try:
            await self._stacker.run(pipeline.preview.restore)
            hands.results = await complete(pipeline, self._store, "complete", "", None)
        finally:
            try:
                await pipeline.leave()
            finally:
                session.close()
        hands.tell(Closed("complete", "", hands.results))

    @staticmethod
    def _raise_fault(state: State) -> None:
        if state.fault is not None:
            raise RigFault(state.fault.code, state.fault.message, state.fault.next_step)


@asynccontextmanager
async def open_rig(
    config: RigConfig,
    clock: Clock,
    *,
    on_progress: Callable[[], None] = lambda: None,
    progress_s: float = 1.0,
    strict: bool = True,
) -> AsyncIterator[Rig]:
    """Make a rig, open its drivers, and leave it safe at the end, whatever happens.

    `strict` False: a rig that cannot be opened, or whose e-stop is pressed, is given all the same, in its fault.

    Raises:
        DriverError: a driver cannot be made.
        RigFault: a driver cannot be opened.
    """
    parts = make_parts(config, clock)
    controller = Controller(
        State(rail=rail_facts(config, parts.rail.capabilities.microstep_um)),
        Hands(
            rail=RailControl(parts.rail, clock),
            camera=CameraControl(
                parts.camera,
                clock,
                exposure_timeout_s=config.capture.exposure_timeout_s,
                transfer_timeout_s=config.capture.transfer_timeout_s,
            ),
            light=parts.light,
            settle_s=config.settle.fixed_s,
            jog_speed_um_per_s=config.jog.speed_um_per_s,
            store=Worker("store", clock),
            clock=clock,
        ),
        on_progress=on_progress,
        progress_s=progress_s,
    )
    rig = Rig(config, parts, controller, clock)
    running = asyncio.create_task(controller.run())
    watching = asyncio.create_task(_watch_switches(parts.switches, controller, clock))
    tie = _Tie(asyncio.current_task(), running, watching)
    try:
        await rig._do(ev.Connect())  # noqa: SLF001
        state = await controller.reached(*RESTING)
        if strict:
            rig._raise_fault(state)  # noqa: SLF001
        yield rig
    finally:
        tie.cut()
        await _leave(rig, running, watching)


async def _leave(rig: Rig, running: asyncio.Task[None], watching: asyncio.Task[None]) -> None:
    """Stop, then end the tasks, then close the parts: each whatever became of the one before."""
    try:
        suspending = asyncio.create_task(rig.suspend("rigd was stopped"))
        waits: set[asyncio.Task[None]] = {suspending, running}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        suspending.cancel()
    finally:
        try:
            watching.cancel()
            running.cancel()
            outcomes = await asyncio.gather(running, watching, return_exceptions=True)
        finally:
            await rig.close()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def changed_parts(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Which settings of rail and camera differ, as paths. Simulated faults are no part of a rig."""
    found = []
    for section in ("rail", "camera"):
        one, other = before.get(section) or {}, now.get(section) or {}
        keys = sorted((one.keys() | other.keys()) - {"faults"})
        found += [f"{section}.{key}" for key in keys if one.get(key) != other.get(key)]
    return found


class _Tie:
    """Cancels whoever uses the rig when a background task dies; the cause is raised when the rig is closed."""

    def __init__(self, body: asyncio.Task[Any] | None, *tasks: asyncio.Task[None]) -> None:
        self._body = body
        for task in tasks:
            task.add_done_callback(self._ended)

    def cut(self) -> None:
        """The rig is being closed: nobody is to be cancelled any more."""
        self._body = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._body is not None and not task.cancelled() and task.exception() is not None:
            self._body.cancel()


async def _watch_switches(switches: dict[str, Switch], controller: Controller, clock: Clock) -> None:
    """Look at the e-stop contact; pressed, it stops everything for as long as it is."""
    estop = switches.get(ESTOP_SWITCH)
    if estop is None:
        return
    worker = Worker("switches", clock)
    try:
        await worker.run(estop.open)
        while True:
            if await worker.run(estop.pressed) and controller.state.mode is not Mode.ESTOPPED:
                controller.post(ev.EStop("the e-stop is pressed"))
            await asyncio.sleep(SWITCH_WATCH_S)
    finally:
        await asyncio.shield(worker.run(estop.close))
        worker.close()
