"""One open rig: its verbs for whoever commands it, and how its stacks begin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from drivers.base import DriverError, RailStatus
from drivers.clock import Clock
from rigd.config import RigConfig, config_hash, to_dict
from rigd.control.controller import Controller
from rigd.control.notices import Closed
from rigd.control.pipeline import Pipeline
from rigd.control.rail import GivenUp
from rigd.control.sessions import complete, opened
from rigd.control.testshot import ShotFailed, TestPicture
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode, Stack, State
from rigd.machine.table import way_to_rest
from rigd.parts import Parts
from rigd.pictures import Decoder
from rigd.plan import Plan
from rigd.planning import Planned, plan_stack, stack_of
from rigd.preview import Preview
from rigd.session import Session, SessionError, reopen
from rigd.session import create as create_session
from rigd.workers import Worker

log = logging.getLogger(__name__)
T = TypeVar("T")

RESTING = (Mode.UNHOMED, Mode.IDLE, Mode.FAULT, Mode.ESTOPPED)
HALTED = (Mode.FAULT, Mode.ESTOPPED)


class RigFault(Exception):
    """The rig stopped with a fault, or a part of it failed: what, and what to do next."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(f"{message}. Next: {next_step}")
        self.code = code


class Refused(Exception):
    """A command that is not possible now."""


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

    @property
    def rail_now(self) -> RailStatus | None:
        """What the rail's driver said last, also while it moves; None before its first word. No I/O.

        Whether the position in it is to be believed is in `state`: after a halt only homing finds it again.
        """
        return self.controller.hands.rail.now

    async def command(self, event: Event) -> None:
        """Put a command to the machine; it has been taken when this returns. Raises `Refused` when it was not."""
        if (reason := await self.controller.command(event)) is not None:
            raise Refused(reason)

    def reconfigure(self, config: RigConfig) -> None:
        """Another plan, settle and capture section, from the next move and stack on.

        Raises:
            Refused: a stack is under way.
            ValueError: another section differs too; that needs a new start.
        """
        if self.state.stack is not None:
            raise Refused("settings cannot change while a stack is under way: wait for it or abort it")
        self._check_same_rig(config)
        self._use(config)

    async def home(self) -> None:
        """Home and wait for it. Raises `Refused` or `RigFault`."""
        await self.command(ev.Home())
        state = await self.controller.reached(*RESTING)
        self.raise_fault(state)
        if not state.homed:
            raise Refused("homing was stopped")

    async def goto(self, position_um: float) -> None:
        """Move and wait for it. Raises `Refused` or `RigFault`."""
        await self.command(ev.Goto(round(position_um / self.parts.rail.capabilities.microstep_um)))
        self.raise_fault(await self.controller.reached(*RESTING))

    def plan(self, config: RigConfig | None = None) -> Planned:
        """The configured plan, or that of another config, checked against the open rail and camera. Raises `PlanError`."""
        capabilities = self.parts.camera.capabilities
        still = self.controller.hands.still
        return plan_stack(
            config or self.config,
            self.parts.rail,
            capabilities,
            self.state.position,
            vibration=still.vibration,
            calibration=still.calibration,
        )

    def settle_s(self, step_um: float) -> float:
        """The wait after a step of this length, as it is known now."""
        vibration, settle = self.controller.hands.still.vibration, self.config.settle
        if vibration is None:
            return settle.fixed_s
        return vibration.wait_alone(settle, vibration.shaping(step_um), step_um).settle_s

    async def start(self, name: str, plan: Plan, config: RigConfig | None = None) -> Session:
        """Begin a new session. Returns when it is on disk.

        Args:
            name: of the session.
            plan: as `plan` gives it, with the same config.
            config: in force from this stack on, as after `reconfigure`; left away: the present one.

        Raises:
            Refused: not possible now; the present config stays.
            OSError: the disk will not have it.
            ValueError: as `reconfigure` does.
        """
        effective = config or self.config
        self._check_same_rig(effective)

        def opener() -> Session:
            return create_session(
                effective.storage.sessions,
                name,
                plan,
                config=to_dict(effective),
                config_hash=config_hash(effective),
                clock=self._clock,
            )

        return await self._start(stack_of(effective, plan), opener, effective)

    async def resume(self, path: Path) -> Session:
        """Go on with an unfinished session: its last good frame is taken again and compared first.

        A session that lacks no frame is only finished. Raises `SessionError`, `Refused`, `RigFault`.
        """
        if self.state.mode is not Mode.IDLE:
            raise Refused(f"a session cannot be resumed while {self.state.mode}: {way_to_rest(self.state)}")
        await self.controller.hands.left()  # the same one may just be being closed
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
        return await self._start(stack, lambda: session, self.config)

    async def test_shot(self, on_taken: Callable[[], None] = lambda: None) -> TestPicture:
        """Take one picture where the rail stands, after the settle, and look at it. No session is made.

        Args:
            on_taken: called when the machine has taken the command, before anybody is told of its new state.

        Raises:
            Refused: not possible now, or stopped.
            RigFault: the rig stopped with a fault, or (`camera`) no picture was to be had from a rig that is well.
        """
        hands = self.controller.hands
        shooting = hands.shooting_with(self._decoder(), self.config.capture.checks)

        def taken() -> None:
            hands.shooting = shooting
            on_taken()

        if (reason := await self.controller.command(ev.TestShot(), taken)) is not None:
            raise Refused(reason)
        await asyncio.wait({shooting.picture})
        await self.controller.reached(*(mode for mode in Mode if mode is not Mode.TESTING))
        try:
            return shooting.picture.result()
        except ShotFailed as error:
            raise RigFault("camera", str(error), "look at the camera, then try again") from error
        except GivenUp:
            self.raise_fault(await self.controller.reached(*RESTING))
            raise Refused("the test shot was stopped") from None

    async def identify(self, seconds: float) -> None:
        """Blink the light. Raises `Refused`, and `RigFault` when the light fails."""
        lamp = self.controller.hands.lamp
        if self.state.stack is not None or self.state.mode in {Mode.TESTING, Mode.OFFLINE}:
            raise Refused(f"the light cannot blink while {self.state.mode}")
        if lamp.problem is not None:
            raise Refused(lamp.problem)
        try:
            await lamp.blink(seconds)
        except DriverError as error:
            raise RigFault("light", str(error), "look at the light and its cable") from error

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

    def _check_same_rig(self, config: RigConfig) -> None:
        old = self.config
        if config.model_copy(update={"plan": old.plan, "settle": old.settle, "capture": old.capture}) != old:
            raise ValueError("only plan, settle and capture can change while the rig is open")

    def _use(self, config: RigConfig) -> None:
        self.config = config
        hands, capture = self.controller.hands, config.capture
        hands.still.use(config.settle)
        hands.camera.exposure_timeout_s = capture.exposure_timeout_s
        hands.camera.transfer_timeout_s = capture.transfer_timeout_s

    async def _start(self, stack: Stack, opener: Callable[[], Session], config: RigConfig) -> Session:
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
                _settle(started, error=error)
                raise
            _settle(started, session)
            return pipeline

        def taken() -> None:
            self._use(config)
            self.controller.hands.open_pipeline = open_pipeline

        if (reason := await self.controller.command(ev.StartStack(stack), taken)) is not None:
            raise Refused(reason)
        return await started

    def _decoder(self) -> Decoder:
        capabilities = self.parts.camera.capabilities
        return Decoder.for_size(capabilities.width, capabilities.height, self.config.preview.max_megapixels)

    def _pipeline(self, session: Session) -> Pipeline:
        decoder = self._decoder()
        return Pipeline(
            session=session,
            preview=Preview(session, decoder, self.config.preview, self._clock),
            camera=self.controller.hands.camera,
            decoder=decoder,
            checks=self.config.capture.checks,
            store=self._store,
            stacker=self._stacker,
            clock=self._clock,
            watched=self.controller.hands.still.watched,
            on_merged=self.controller.merged,
        )

    async def _finish_only(self, session: Session) -> None:
        """Every frame is there; only the results were still to be written."""
        pipeline, hands = self._pipeline(session), self.controller.hands
        try:
            hands.tell(opened(session))
            await self._stacker.run(pipeline.preview.restore)
            hands.results = await complete(pipeline, self._store, "complete", "")
        finally:
            try:
                await pipeline.leave()
            finally:
                session.close()
        frames = len(session.frames)
        hands.tell(Closed("complete", "", hands.results, session_id=session.id, frames=frames))

    @staticmethod
    def raise_fault(state: State) -> None:
        """Raise `RigFault` where there is a fault."""
        if state.fault is not None:
            raise RigFault(state.fault.code, state.fault.message, state.fault.next_step)


def _settle(future: asyncio.Future[T], outcome: T | None = None, *, error: Exception | None = None) -> None:
    """Tell whoever waits how it went; one who has been cancelled waits no more."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(cast("T", outcome))


def changed_parts(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Which settings of rail and camera differ, as paths. Simulated faults are no part of a rig."""
    found = []
    for section in ("rail", "camera"):
        one, other = before.get(section) or {}, now.get(section) or {}
        keys = sorted((one.keys() | other.keys()) - {"faults"})
        found += [f"{section}.{key}" for key in keys if one.get(key) != other.get(key)]
    return found
