"""An open rig as calibration uses it: moves it through its machine, watches over its camera, keeps the evidence.

Every move goes through the state machine, so limits, stops and the e-stop hold as they always do. The camera is used directly, because
no stack is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.base import BurstCamera, BurstFrame, Shaping, ShapingRail
from drivers.clock import Clock
from rigd.calibration.records import FOLDER, calibration_path
from rigd.config import RigConfig
from rigd.pictures import Decoder
from rigd.plan import Plan, PlanError
from rigd.rig import Refused, Rig
from rigd.session.files import to_json, write_atomic

Gray = npt.NDArray[np.float32]

LOOK_FRAMES = 4
"""Frames of a burst whose mean is one look: half the noise of one."""
LOOK_MEGAPIXELS = 1.0
"""Stills are reduced to this before they are looked at."""
BEFORE_S = 0.05
"""A burst begins so long before the motion it watches."""


class CalibrationRefused(Exception):
    """A calibration that cannot be had, or is not believed: why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A move and what was seen of it."""

    ended_s: float
    """When the motion ended, on the clock of the frames."""
    frames: tuple[BurstFrame | Still, ...]
    move_um: float


@dataclass(frozen=True, slots=True)
class Still:
    """A picture and when it was exposed, on the clock of all evidence."""

    start_s: float
    end_s: float
    image: Gray


@dataclass(slots=True)
class Progress:
    """How far a calibration is. `total` grows when it turns out to need more."""

    total: int = 0
    done: int = 0
    on_change: Callable[[int, int, str], None] = lambda _done, _total, _what: None

    def expect(self, steps: int) -> None:
        """So many steps more are to come."""
        self.total += steps

    def step(self, what: str) -> None:
        """One is done."""
        self.done += 1
        self.on_change(self.done, self.total, what)


class Stand:
    """One open rig, homed.

    Args:
        rig: whose machine is idle.
        clock: of all evidence.
        progress: told of every step.
    """

    def __init__(self, rig: Rig, clock: Clock, progress: Progress | None = None) -> None:
        self.rig = rig
        self.clock = clock
        self.progress = progress or Progress()
        self.check: Callable[[], None] = lambda: None
        """Called before anything moves or is looked at; raises when the calibration is to be stopped."""
        self._camera = rig.controller.hands.camera
        self._lamp = rig.controller.hands.lamp

    # ------------------------------------------------------------------------------------------------------ what it is

    @property
    def config(self) -> RigConfig:
        """The rig's."""
        return self.rig.config

    @property
    def microstep_um(self) -> float:
        """Of the rail."""
        return self.rig.parts.rail.capabilities.microstep_um

    @property
    def backlash_um(self) -> float:
        """As the rail declares it."""
        return self.rig.parts.rail.capabilities.backlash_um

    @property
    def bursts(self) -> BurstCamera | None:
        """The camera, where it gives bursts."""
        camera = self.rig.parts.camera
        return camera if isinstance(camera, BurstCamera) and camera.burst_capabilities.rates_hz else None

    @property
    def still_px_um(self) -> float | None:
        """Micrometres on the subject that a pixel of a still sees; None where nobody says so."""
        width = self.rig.parts.camera.capabilities.width
        told = self.config.optics.object_px_um(width) or self.config.finish.um_per_px
        if told is not None:
            return told
        options = self.config.camera.options  # a simulated lens knows itself
        pitch, magnification = (
            getattr(options, "pixel_pitch_um", None),
            getattr(options, "magnification", None),
        )
        return pitch / magnification if pitch and magnification else None

    @property
    def look_px(self) -> float:
        """Pixels of a still along one pixel of what `look` gives."""
        if self.bursts is not None:
            return self.bursts.burst_capabilities.still_px
        return float(self._decoder().reduce)

    @property
    def objective(self) -> str:
        """Name of the objective; empty where the config names none."""
        return self.config.optics.objective or ""

    @property
    def shaping(self) -> Shaping | None:
        """How moves are shaped now; None where the rail does not say."""
        rail = self.rig.parts.rail
        return rail.shaping if isinstance(rail, ShapingRail) else None

    @property
    def plan(self) -> Plan | None:
        """The configured plan; None where there is none that the rail can do."""
        try:
            return self.rig.plan().plan
        except PlanError:
            return None

    @property
    def middle_um(self) -> float | None:
        """The middle of the configured plan, where something is in focus; None without one."""
        plan = self.plan
        return None if plan is None else (plan.near + plan.far) / 2 * plan.microstep_um

    def utc(self) -> str:
        """Now, for records."""
        return self.clock.utc().strftime("%Y-%m-%dT%H:%M:%SZ")

    # ----------------------------------------------------------------------------------------------------- what it does

    @contextlib.asynccontextmanager
    async def lit(self) -> AsyncIterator[None]:
        """The light is on meanwhile."""
        await self._lamp.on(self)
        try:
            yield
        finally:
            await self._lamp.off(self)

    @contextlib.asynccontextmanager
    async def shaped(self, shaping: Shaping) -> AsyncIterator[None]:
        """Moves are shaped like this meanwhile; afterwards as before."""
        before = self.shaping
        await self.rig.controller.hands.rail.shape(shaping)
        try:
            yield
        finally:
            if before is not None:
                await self.rig.controller.hands.rail.shape(before)

    async def rest(self, seconds: float) -> None:
        """Let the rig come to rest."""
        self.check()
        await asyncio.sleep(seconds)

    async def go(self, position_um: float) -> float:
        """Move; when the motion ended. Raises `Refused` (outside the limits, stopped) or `RigFault`."""
        self.check()
        if abs(position_um - self.position_um) < self.microstep_um / 2:
            return self.clock.now()
        await self.rig.goto(position_um)
        if abs(self.position_um - position_um) > self.microstep_um:
            raise Refused("the rail was stopped")
        status = self.rig.rail_now
        ended_s = None if status is None else status.ended_s
        return self.clock.now() if ended_s is None else ended_s

    @property
    def position_um(self) -> float:
        """Where the rail is, counted. Raises `Refused` when nobody knows."""
        position = self.rig.state.position
        if position is None:
            raise Refused("the rail's position is not known: home it")
        return position * self.microstep_um

    async def approach(self, position_um: float, *, upward: bool, beyond_um: float) -> float:
        """Go to a position from one side, with backlash and all taken up; when the motion ended."""
        await self.go(position_um - beyond_um if upward else position_um + beyond_um)
        return await self.go(position_um)

    async def watch(self, to_um: float, rate_hz: float, watch_s: float, phase: float) -> Watched:
        """Move, and watch from before the motion until long after it.

        Args:
            to_um: where to.
            rate_hz: of the burst.
            watch_s: how long, after the end of the motion.
            phase: part of a frame's time by which the burst begins later: equal moves are then seen at different moments.
        """
        origin_um = self.position_um
        distance = round(to_um / self.microstep_um) - round(origin_um / self.microstep_um)
        move_s = self.rig.parts.rail.move_time_s(distance)
        begins_s = self.clock.now() + phase / rate_hz
        count = int(np.ceil((BEFORE_S + move_s + watch_s) * rate_hz))
        burst = asyncio.create_task(self._camera.burst(count, rate_hz, begins_s, to_um))
        try:
            await asyncio.sleep(BEFORE_S)
            ended_s = await self.go(to_um)
            frames = await burst
        finally:
            if not burst.done():
                self._camera.give_up_exposure()
                await asyncio.wait({burst})
        return Watched(ended_s, tuple(frames), abs(distance) * self.microstep_um)

    async def look(self, *, not_before_s: float | None = None) -> Gray:
        """The picture here and now, gray, (H, W) of 0..255. Raises `DriverError`, or `CalibrationRefused` for what is no picture."""
        from stackcore.tracking import mean_of  # noqa: PLC0415  (Numba is loaded with the first look)

        self.check()
        when_s = self.clock.now() if not_before_s is None else not_before_s
        if self.bursts is not None:
            rate_hz = self.bursts.burst_capabilities.rates_hz[0]
            frames = await self._camera.burst(LOOK_FRAMES, rate_hz, when_s, self.position_um)
            return mean_of([frame.image for frame in frames])
        return (await self.still(when_s)).image

    async def still(self, not_before_s: float) -> Still:
        """A picture that is exposed from then on, and when it was. Raises as `look` does."""
        self.check()
        exposure = await self._camera.expose(not_before_s, self.position_um)
        data = await self._camera.fetch(exposure)
        look = await self.rig.controller.hands.store.run(self._decoder().look, data.payload, data.suffix)
        if look.image is None:
            raise CalibrationRefused(
                f"pictures of this camera ({data.suffix}) cannot be looked at: {look.damage or 'no decoder for them'}"
            )
        image = look.image.astype(np.float32)
        gray = (image[..., 0] + 2 * image[..., 1] + image[..., 2]) / 4 if image.ndim == 3 else image
        return Still(exposure.start_s, exposure.end_s, np.ascontiguousarray(gray))

    def _decoder(self) -> Decoder:
        capabilities = self.rig.parts.camera.capabilities
        return Decoder.for_size(capabilities.width, capabilities.height, LOOK_MEGAPIXELS)

    # --------------------------------------------------------------------------------------------------------- evidence

    def evidence(self, what: str) -> Path:
        """A new folder for the evidence of one measurement. Raises OSError."""
        name = f"{self.clock.utc().strftime('%Y%m%dT%H%M%SZ')}-{what}"
        folder = calibration_path(self.config).parent / FOLDER / name
        number = 1
        while folder.exists():
            number += 1
            folder = folder.with_name(f"{name}-{number}")
        folder.mkdir(parents=True)
        return folder


def keep(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], notes: Mapping[str, Any]) -> None:
    """Write evidence: arrays as `tracks.npz`, the rest as `notes.json`. Raises OSError."""
    buffer = io.BytesIO()
    stored: dict[str, Any] = dict(arrays)
    np.savez_compressed(buffer, **stored)
    write_atomic(folder / "tracks.npz", buffer.getvalue(), durable=False)
    write_atomic(folder / "notes.json", to_json(dict(notes)))


def kept(folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """What `keep` wrote. Raises OSError or ValueError when it is not there or damaged."""
    notes = json.loads((folder / "notes.json").read_bytes())
    with np.load(folder / "tracks.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, notes


def whole_steps(lengths_um: Sequence[float], microstep_um: float) -> tuple[float, ...]:
    """Lengths as the rail can go them, each once, shortest first."""
    return tuple(sorted({max(1, round(length / microstep_um)) * microstep_um for length in lengths_um}))
