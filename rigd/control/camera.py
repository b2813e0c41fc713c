"""The camera's side of the controller: exposures and transfers with deadlines, and a new start for a camera that hangs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from drivers.base import (
    BurstCamera,
    BurstFrame,
    Camera,
    CameraCapabilities,
    CameraTimeout,
    DriverError,
    Exposure,
    FrameData,
)
from drivers.clock import Clock
from rigd.workers import Worker

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
LET_GO_S = 3.0
"""How long a cancelled driver may take to come back before its thread is abandoned."""

BURST_FRAME_S = 0.1
"""How long a frame of a burst may take to come in, beyond its exposure."""

ROUND_S = 0.02
"""Beyond exposure and overhead, before a camera is asked for a picture again."""


class CameraControl:
    """Takes pictures with one camera.

    Args:
        camera: the driver; opened and closed by the one who made it.
        clock: of all evidence.
        exposure_timeout_s: beyond the exposure itself.
        transfer_timeout_s: for a picture's data.
    """

    def __init__(
        self, camera: Camera, clock: Clock, *, exposure_timeout_s: float, transfer_timeout_s: float
    ) -> None:
        self.camera = camera
        self._clock = clock
        self._worker = Worker("camera", clock)
        self.exposure_timeout_s = exposure_timeout_s
        self.transfer_timeout_s = transfer_timeout_s
        # A deadline counts from when the camera is free: an exposure behind a slow transfer is not a hanging camera.
        self._turn = asyncio.Lock()
        self._exposing = False
        self._given_up = 0
        self._is_open = False
        self.restarts = 0
        """How often a hung camera was closed and opened again."""

    async def open(self) -> None:
        """Open the driver, unless it is."""
        if not self._is_open:
            await self._worker.run(self.camera.open)
            self._is_open = True

    @property
    def round_s(self) -> float:
        """A time in which the camera surely finishes another picture."""
        capabilities = self.camera.capabilities
        return _longest_s(capabilities) + ROUND_S

    async def expose(self, not_before_s: float, position_um: float) -> Exposure:
        """One exposure. Raises `CameraTimeout` after the deadline; the camera has been restarted by then."""
        capabilities = self.camera.capabilities
        ahead_s = max(0.0, not_before_s - self._clock.now())
        limit_s = ahead_s + _longest_s(capabilities) + self.exposure_timeout_s
        asked = self._given_up
        async with self._turn:
            if asked != self._given_up:
                raise CameraTimeout(capabilities.name, 0.0)
            await self.open()
            self._exposing = True
            try:
                return await self._within(limit_s, self.camera.expose, not_before_s, position_um)
            finally:
                self._exposing = False

    async def fetch(self, exposure: Exposure) -> FrameData:
        """A picture's data. Raises `CameraTimeout` after the deadline; the camera has been restarted by then."""
        async with self._turn:
            return await self._within(self.transfer_timeout_s, self.camera.fetch, exposure)

    async def burst(
        self, frames: int, rate_hz: float, not_before_s: float, position_um: float
    ) -> Sequence[BurstFrame]:
        """A burst. Raises `CameraTimeout` as `expose` does, `DriverError` of a camera that gives none."""
        camera = self.camera
        if not isinstance(camera, BurstCamera):
            raise DriverError(camera.capabilities.name, "gives no bursts of small frames")
        ahead_s = max(0.0, not_before_s - self._clock.now())
        limit_s = ahead_s + frames * (1 / rate_hz + BURST_FRAME_S) + self.exposure_timeout_s
        async with self._turn:
            await self.open()
            self._exposing = True
            try:
                return await self._within(limit_s, camera.burst, frames, rate_hz, not_before_s, position_um)
            finally:
                self._exposing = False

    def give_up_exposure(self) -> None:
        """End a running exposure, or one that waits for a transfer to end; transfers go on. Returns at once."""
        self._given_up += 1
        if self._exposing:
            self.camera.cancel()

    async def close(self) -> None:
        """Close the driver and end its thread; a hanging one is left behind. Raises `DriverError`."""
        self.camera.cancel()
        self._is_open = False
        if await self._within_reason(self.camera.close):
            self._worker.close()

    async def _within(self, limit_s: float, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        job = asyncio.ensure_future(self._worker.run(verb, *args, **kwargs))
        done, _ = await asyncio.wait({job}, timeout=limit_s)
        if done:
            return job.result()
        log.warning("the camera hangs: no answer for %.1f s; starting it again", limit_s)
        self.camera.cancel()
        await asyncio.wait({job}, timeout=LET_GO_S)
        if not job.done():
            job.cancel()
            self._worker = Worker("camera", self._clock)
        elif job.exception() is None:
            log.info("the camera answered after all, too late")
        await self._restart()
        raise CameraTimeout(self.camera.capabilities.name, limit_s)

    async def _restart(self) -> None:
        """Close it and open it again. One that cannot be is opened at the next exposure, or fails then."""
        self.restarts += 1
        self._is_open = False
        if not await self._within_reason(self.camera.close):
            self._worker = Worker("camera", self._clock)
            return
        await self.open()

    async def _within_reason(self, verb: Callable[[], None]) -> bool:
        """Run a verb that should be quick; False when it hangs, and its thread with it."""
        job = asyncio.ensure_future(self._worker.run(verb))
        done, _ = await asyncio.wait({job}, timeout=LET_GO_S)
        if not done:
            log.warning("the camera hangs; leaving its thread behind")
            job.cancel()
            return False
        job.result()
        return True


def _longest_s(camera: CameraCapabilities) -> float:
    """From asking to the end of an exposure, when a flash was fired only just before."""
    return camera.overhead_s + camera.recycle_s + camera.exposure_s
