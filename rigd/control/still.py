"""The controller's side of stillness: shapes the rail's moves, says how long each frame settles, has pictures held against each other.

What is known of the ringing is read when the parts are open. What goes against it during a stack is told, noted in the session, and
heeded from the next frame on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from drivers.base import DriverError, Exposure, FrameData, Shaping, ShapingRail
from drivers.clock import Clock
from rigd.calibration.records import Calibration, CalibrationError, calibration_path, load
from rigd.config.model import RigConfig
from rigd.config.settle import Settle
from rigd.control.camera import CameraControl
from rigd.control.notices import Notice, Warned
from rigd.control.rail import RailControl
from rigd.machine import effects as fx
from rigd.session import Session
from rigd.settling import Wait
from rigd.vibration.model import Vibration
from rigd.vibration.stillness import Stillness
from rigd.workers import Worker

log = logging.getLogger(__name__)

NOT_OPEN = "the rig is not open"


class StillControl:
    """Keeps one rig still. On the loop.

    Args:
        config: the rig.
        rail, camera: what rings, and what sees it.
        store: the worker for files.
        clock: of all evidence.
    """

    def __init__(
        self, config: RigConfig, rail: RailControl, camera: CameraControl, store: Worker, clock: Clock
    ) -> None:
        self.tell: Callable[[Notice], None] = lambda _notice: None
        self.warnings: list[str] = []
        """Of the stack under way, for its record."""
        self.settle: Settle = config.settle
        """The section in force."""
        self._config = config
        self._rail = rail
        self._camera = camera
        self._store = store
        self._clock = clock
        self.calibration = Calibration()
        """What was measured; nothing before the parts are open."""
        self._own: Shaping | None = None
        self._stillness: Stillness | None = None
        self._probes: dict[int, FrameData] = {}
        self._given_up = 0

    @property
    def vibration(self) -> Vibration | None:
        """What is known of the ringing; None before the parts are open."""
        return None if self._stillness is None else self._stillness.vibration

    @property
    def watched(self) -> bool:
        """Whether pictures are looked at for shake."""
        return self._stillness is not None and self._stillness.watched

    def use(self, settle: Settle) -> None:
        """Another settle section, from the next move on."""
        self.settle = settle
        if self._stillness is not None:
            self._stillness.settle = settle

    async def opened(self) -> None:
        """The parts are open: take in what they are and what was measured."""
        calibration = self.calibration = await self._store.run(self._calibration)
        rail = self._rail.rail
        shapes = isinstance(rail, ShapingRail)
        if isinstance(rail, ShapingRail) and self._own is None:
            self._own = rail.shaping
        vibration = Vibration(
            self._config,
            calibration,
            rail.capabilities,
            self._camera.camera.capabilities,
            self._own if shapes else None,
        )
        for note in vibration.notes:
            log.warning("%s", note)
        before, self._stillness = self._stillness, Stillness(vibration, self.settle)
        if before is not None:
            self._stillness.scale = before.scale
        # Nobody knows what the rig did until now.
        self._stillness.jolted(self._clock.now())

    def _calibration(self) -> Calibration:
        path = calibration_path(self._config)
        try:
            return load(path)
        except (CalibrationError, OSError) as error:
            log.warning("nothing of the calibration is used: %s", error)
            return Calibration()

    # ------------------------------------------------------------------------------------------------------------ motion

    def moved(self, travelled: int, ended_s: float) -> None:
        """A move over so many microsteps ended by itself."""
        if self._stillness is not None:
            self._stillness.moved(travelled * self._rail.rail.capabilities.microstep_um, ended_s)

    def jolted(self) -> None:
        """A motion ended just now, in some way."""
        if self._stillness is not None:
            self._stillness.jolted(self._clock.now())

    def give_up(self) -> None:
        """What is being exposed is not wanted any more."""
        self._given_up += 1

    # ------------------------------------------------------------------------------------------------------------- stack

    async def begin(self, session: Session) -> None:
        """Shape moves for the stack that begins, and note how and why."""
        assert self._stillness is not None, NOT_OPEN
        self._probes.clear()
        self.warnings = []
        stillness, step_um = self._stillness, session.plan.step_um
        stillness.begin()
        vibration = stillness.vibration
        chosen = vibration.motion(step_um)
        wanted, why = chosen.shaping or vibration.present, chosen.why
        if wanted is not None:
            try:
                await self._rail.shape(wanted)
                stillness.shaping = wanted
            except DriverError as error:
                why = f"{why}; the rail refused: {error}"
                await self.warn(session, "motion", why)
        advice = vibration.advice(step_um)
        if advice is not None:
            why = f"{why}: {advice.text}"
        log.info("motion: %s", why)
        shape = stillness.shaping
        await self._store.run(
            session.note,
            "motion",
            shaping=shape.kind,
            shaping_hz=shape.frequency_hz,
            shaping_damping=shape.damping,
            settle=self.settle.mode,
            why=why,
        )
        if self.settle.mode != "fixed":
            for note in vibration.notes:
                await self.warn(session, "settle", str(note))

    async def warn(self, session: Session, code: str, text: str) -> None:
        """Say it, and keep it with the session."""
        log.warning("%s", text)
        self.warnings.append(text)
        self.tell(Warned(code, text, session.id))
        await self._store.run(session.note, "warning", code=code, message=text)

    def wait(self, effect: fx.WaitSettled) -> Wait:
        """The settle of a frame."""
        assert self._stillness is not None, NOT_OPEN
        move_um = effect.travelled * self._rail.rail.capabilities.microstep_um
        return self._stillness.wait(move_um, effect.frame)

    def shot_s(self) -> float:
        """The settle of a picture outside of any stack."""
        assert self._stillness is not None, NOT_OPEN
        return self._stillness.shot_s()

    # ------------------------------------------------------------------------------------------------------------- audit

    async def audited(self, effect: fx.Expose, exposure: Exposure, position_um: float) -> Exposure:
        """The exposure that becomes the frame: now and then a second one, taken when the rig is surely still.

        The first, which began as any frame's does, is kept to be held against it.
        """
        self._probes.clear()
        if self._stillness is None:
            return exposure
        still_s = self._stillness.audit_at_s(effect.retry)
        if still_s is None or still_s <= exposure.start_s:
            return exposure
        given_up = self._given_up
        try:
            probe = await self._camera.fetch(exposure)
        except DriverError as error:
            log.warning("a picture that was to be held against the frame is lost: %s", error)
        else:
            self._probes[effect.serial] = probe
        if given_up != self._given_up:
            return exposure
        return await self._camera.expose(still_s, position_um)

    def probe(self, exposure: int) -> FrameData | None:
        """What the exposure with this serial is to be held against."""
        return self._probes.pop(exposure, None)

    # -------------------------------------------------------------------------------------------------------------- shake

    async def looked(
        self, session: Session, frame: int, *, accepted: bool, suspected: bool, kept: float | None
    ) -> None:
        """A frame was looked at.

        Args:
            session: the session.
            frame: which.
            accepted: whether it counts.
            suspected: it was refused because it looks shaken.
            kept: where an earlier picture of it was shaken in truth, the share of fine detail that one had.
        """
        stillness = self._stillness
        if stillness is None:
            return
        if suspected:
            stillness.suspected(frame)
        if kept is not None:
            told = stillness.shaken(frame, kept)
            log.warning("%s", told.text)
            await self._store.run(
                session.note, "shaken", frame=frame, kept=round(kept, 3), scale=told.scale, why=told.text
            )
            if told.drifted:
                await self.warn(session, "settle_drift", told.text)
        elif accepted:
            stillness.still(frame)
