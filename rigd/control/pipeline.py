"""From a closed shutter to an accepted frame: fetch, look, judge, store, merge.

It runs beside the rail's next move. Each part has its own thread: data come over the camera's, are looked at and stored on one,
and merged on another. The verdict is given as soon as the frame is on disk; the merge follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from drivers.base import CameraSettings, DriverError, Exposure, FrameData
from drivers.clock import Clock
from rigd import judge
from rigd.compare import differs
from rigd.config.model import Checks
from rigd.control.camera import CameraControl
from rigd.machine.effects import ProcessFrame, RejectFrame
from rigd.pictures import Decoder, Image, Look
from rigd.preview import Preview, Results
from rigd.session import FrameRecord, Session
from rigd.session.files import sha256
from rigd.session.store import frame_name
from rigd.settling import Wait
from rigd.vibration.shake import Seen, ShakeWatch
from rigd.workers import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a picture."""

    accepted: bool
    reason: str = ""
    retake: bool = True
    record: FrameRecord | None = None
    suspected: bool = False
    """It was refused because it looks shaken."""
    kept: float | None = None
    """An earlier picture of this frame was shaken in truth, and had this share of its fine detail."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture's data, as they came from the camera."""

    data: FrameData
    settings: CameraSettings
    data_s: float
    """When they were here, on the monotonic clock."""
    probe: FrameData | None = None
    """Another picture of the same place."""


class Pipeline:
    """The pictures of one session, from shutter to disk.

    Args:
        session: where they go.
        preview: what they are merged into.
        camera: where they come from.
        decoder: to look at them.
        checks: what they must pass.
        store: the worker that looks and stores; `stacker`: the worker that merges.
        clock: of all evidence.
        watched: whether pictures are looked at for shake.
        on_merged: called on the loop with the number of frames in the preview, when there is one more.
    """

    def __init__(
        self,
        *,
        session: Session,
        preview: Preview,
        camera: CameraControl,
        decoder: Decoder,
        checks: Checks,
        store: Worker,
        stacker: Worker,
        clock: Clock,
        watched: bool = False,
        on_merged: Callable[[int], None] = lambda _frames: None,
    ) -> None:
        self.session = session
        self.preview = preview
        self._camera = camera
        self._decoder = decoder
        self._checks = checks
        self._store = store
        self._stacker = stacker
        self._clock = clock
        self._on_merged = on_merged
        self._known = {record.sha256: frame for frame, record in session.frames.items()}
        self._sharpness = {frame: record.metrics.get("sharpness") for frame, record in session.frames.items()}
        self._refused: dict[int, float] = {}
        self._shakes = ShakeWatch() if watched else None
        self._merging: set[asyncio.Task[None]] = set()
        self._processing = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def process(
        self, effect: ProcessFrame, exposure: Exposure, probe: FrameData | None = None
    ) -> Decision:
        """Fetch a picture and decide on it. Accepted ones are on disk when this returns, and on their way into the preview.

        `probe` is another picture of the same place, taken before this one when the rig may have been less still.
        """
        self._processing += 1
        self._idle.clear()
        try:
            return await self._process(effect, exposure, probe)
        finally:
            self._processing -= 1
            if self._processing == 0:
                self._idle.set()

    async def _process(self, effect: ProcessFrame, exposure: Exposure, probe: FrameData | None) -> Decision:
        try:
            data = await self._camera.fetch(exposure)
        except DriverError as error:
            return await self._store.run(self._refuse, effect, f"no data: {error}")
        data_s = self._clock.now()
        if effect.comparison:
            return await self._store.run(self._compare, effect, exposure.settings, data)
        arrived = Arrived(data, exposure.settings, data_s, probe)
        decision, image = await self._store.run(self._take_in, effect, arrived)
        if decision.accepted:
            self._merge_later(effect.frame, image)
        return decision

    async def reject(self, effect: RejectFrame) -> None:
        """Record a picture that was refused on its evidence."""
        await self._store.run(
            self.session.note, "rejected", frame=effect.frame, reason=effect.reason, **_times(effect)
        )

    async def drained(self) -> None:
        """Wait until every picture on its way is decided on, and everything accepted is merged."""
        await self._idle.wait()
        while self._merging:
            await asyncio.wait(set(self._merging))

    async def finish(self) -> Results | None:
        """Write the results. Raises OSError when the disk will not have them.

        Pictures that no result can be made of do not keep a session from being finished: its frames are what counts.
        """
        await self.drained()
        try:
            return await self._stacker.run(self.preview.finish)
        except (ArithmeticError, LookupError, ValueError) as error:
            log.exception("no results could be made of %s", self.session.path)
            await self._store.run(self.session.note, "no_results", why=repr(error))
            return None

    async def leave(self) -> None:
        """Wait for what is under way, bring the preview to disk as it is, and let go."""
        await self.drained()
        try:
            await self._stacker.run(self.preview.flush)
        finally:
            await self._stacker.run(self.preview.close)

    # ------------------------------------------------------------------------------------------ on the store's thread

    def _take_in(self, effect: ProcessFrame, arrived: Arrived) -> tuple[Decision, Image | None]:
        data = arrived.data
        digest = sha256(data.payload)
        look = self._decoder.look(data.payload, data.suffix)
        sharpness = look.metrics.get("sharpness")
        measured = judge.Measured(digest, arrived.settings, look.metrics.get("p99"), sharpness, look.damage)
        expected = self._expected(effect.frame)
        reason = judge.verdict(measured, expected)
        soft = reason is not None and reason == judge.too_soft(measured, expected)
        seen = self._shake_seen(effect, look, arrived.probe, refused=reason is not None, soft=soft)
        if reason is not None or seen.reason is not None:
            if look.damage is None and sharpness is not None:
                self._refused[effect.frame] = sharpness
            refused = self._refuse(effect, reason or seen.reason or "")
            return replace(refused, suspected=soft or seen.reason is not None), None
        record = self._record(effect, arrived, digest, look, seen.note)
        try:
            self.session.accept(record, data.payload)
        except OSError as error:
            why = f"frame {effect.frame + 1} could not be stored: {error}"
            return Decision(False, why, retake=False), None
        self._known[digest] = effect.frame
        self._sharpness[effect.frame] = sharpness
        self._refused.pop(effect.frame, None)
        return Decision(True, record=record, kept=seen.kept), look.image

    def _shake_seen(
        self, effect: ProcessFrame, look: Look, probe: FrameData | None, *, refused: bool, soft: bool
    ) -> Seen:
        if self._shakes is None or look.image is None or (refused and not soft):
            return Seen()
        before = None if probe is None else self._decoder.look(probe.payload, probe.suffix).image
        return self._shakes.look(effect.frame, look.image, before, soft=soft)

    def _record(
        self, effect: ProcessFrame, arrived: Arrived, digest: str, look: Look, note: str
    ) -> FrameRecord:
        plan, evidence = self.session.plan, effect.evidence
        softer = self._refused.get(effect.frame)
        if not note and softer is not None:
            note = "softer than its neighbours, and so again when taken again"
        return FrameRecord(
            frame=effect.frame,
            file=frame_name(effect.frame, arrived.data.suffix),
            bytes=len(arrived.data.payload),
            sha256=digest,
            position=evidence.position,
            position_um=plan.um(evidence.position),
            asked_um=plan.asked_um[effect.frame],
            moved_s=evidence.moved_s,
            settled_s=evidence.settled_s,
            start_s=evidence.start_s,
            end_s=evidence.end_s,
            data_s=arrived.data_s,
            sequence=evidence.sequence,
            retry=effect.retry,
            settings={key: value for key, value in asdict(arrived.settings).items() if value is not None},
            metrics=look.metrics,
            note=note,
            settle=_settle(evidence.wait, twice=arrived.probe is not None),
        )

    def _expected(self, frame: int) -> judge.Expected:
        around = (self._sharpness.get(frame + offset) for offset in (-1, 1))
        return judge.Expected(
            black_level=self._checks.black_level,
            sharpness_ratio=self._checks.sharpness_ratio,
            tolerance=self._checks.exposure_tolerance,
            settings=self._camera.camera.capabilities.settings,
            known=self._known,
            neighbours=tuple(value for value in around if value is not None),
            refused_sharpness=self._refused.get(frame),
        )

    def _compare(self, effect: ProcessFrame, settings: CameraSettings, data: FrameData) -> Decision:
        """Hold a picture taken after an interruption against the stored one of the same position."""
        stored = self.session.frames[effect.frame]
        look = self._decoder.look(data.payload, data.suffix)
        measured = judge.Measured(sha256(data.payload), settings, look.metrics.get("p99"), None, look.damage)
        # A replay serves the very same file again: that is not a fault here.
        reason = judge.verdict(measured, replace(self._expected(effect.frame), known={}))
        if reason is None and look.image is not None:
            before = self._decoder.decode_file(self.session.path / stored.file)
            reason = None if before is None else differs(look.image, before)
        self.session.note(
            "compared", frame=effect.frame, agrees=reason is None, reason=reason or "", **_times(effect)
        )
        if reason is None:
            return Decision(True)
        return Decision(
            False, f"frame {effect.frame + 1} does not look as it did before the interruption: {reason}"
        )

    def _refuse(self, effect: ProcessFrame, reason: str) -> Decision:
        try:
            self.session.note(
                "rejected", frame=effect.frame, reason=reason, retry=effect.retry, **_times(effect)
            )
        except OSError as error:
            return Decision(False, f"the journal cannot be written: {error}", retake=False)
        return Decision(False, reason)

    # ---------------------------------------------------------------------------------------------------- on the loop

    def _merge_later(self, frame: int, image: Image | None) -> None:
        task = asyncio.create_task(self._merge(frame, image))
        self._merging.add(task)
        task.add_done_callback(self._merging.discard)

    async def _merge(self, frame: int, image: Image | None) -> None:
        await self._stacker.run(self.preview.add, frame, image)
        self._on_merged(self.preview.frames)


def _times(effect: ProcessFrame | RejectFrame) -> dict[str, float | int]:
    evidence = effect.evidence
    return {
        "position": evidence.position,
        "moved_s": evidence.moved_s,
        "settled_s": evidence.settled_s,
        "start_s": evidence.start_s,
        "end_s": evidence.end_s,
        "sequence": evidence.sequence,
    }


def _settle(wait: Wait | None, *, twice: bool) -> dict[str, Any]:
    """A settle and its reason, for a record; `twice`: another picture was taken after it, and this one when the rig was surely still."""
    if wait is None:
        return {}
    found = {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in asdict(wait).items()
        if value is not None
    }
    return {**found, "taken_twice": True} if twice else found
