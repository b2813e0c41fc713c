"""A picture outside of any session: taken where the rail stands, looked at as a frame is, and kept nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from drivers.base import DriverError, Exposure, FrameData
from drivers.clock import Clock
from rigd import judge
from rigd.config.model import Checks
from rigd.control.camera import CameraControl
from rigd.control.lamp import Lamp
from rigd.control.rail import GivenUp, RailControl
from rigd.pictures import Decoder, Image
from rigd.session.files import sha256
from rigd.workers import Worker

TRIES = 4
"""How often a camera that hands out old pictures is asked."""


class ShotFailed(Exception):
    """No picture was to be had; the rig itself is well."""


@dataclass(frozen=True, slots=True)
class TestPicture:
    """A test shot. Times are seconds on the rig's monotonic clock."""

    __test__ = False

    data: FrameData
    """As the camera gave it."""
    metrics: Mapping[str, float]
    """Levels and sharpness of the reduced image; empty where the format is not decoded or the data are damaged."""
    settings: Mapping[str, Any]
    """As read back from the camera; what it does not tell is left away."""
    width: int
    height: int
    """Of the picture as taken, in pixels."""
    sha256: str
    """Of the data."""
    image: Image | None
    """RGB uint8, shape (H, W, 3), reduced to preview size; None where the format is not decoded or the data are damaged."""
    note: str = ""
    """Why a stack would refuse it: damaged, black, another exposure than was set. Empty: it would not."""
    position_um: float | None = None
    """Where it was taken, from home; None when not known."""
    settled_s: float = 0.0
    """End of the settle."""
    start_s: float = 0.0
    """Of the exposure."""


class TestShooting:
    """One test shot: what it is taken with, and who waits for it. On the loop.

    Args:
        camera: takes it; `lamp`: is on meanwhile.
        decoder: at the preview's size; `checks`: what a frame would have to pass.
        store: the worker that looks at it.
        settle_s: how long the rig stands still before the exposure begins.
        clock: of all evidence.
    """

    __test__ = False

    def __init__(
        self,
        *,
        camera: CameraControl,
        lamp: Lamp,
        decoder: Decoder,
        checks: Checks,
        store: Worker,
        settle_s: float,
        clock: Clock,
    ) -> None:
        self._camera = camera
        self._lamp = lamp
        self._decoder = decoder
        self._checks = checks
        self._store = store
        self._settle_s = settle_s
        self._clock = clock
        self._over = asyncio.Event()
        self.picture: asyncio.Future[TestPicture] = asyncio.get_running_loop().create_future()
        """The outcome. Raises `ShotFailed`; `GivenUp` when the machine knows why: a stop, or a fault."""
        # Whoever asked may have gone away, and nobody hears how it ended.
        self.picture.add_done_callback(lambda outcome: outcome.cancelled() or outcome.exception())

    def give_up(self) -> None:
        """A stop or halt: no exposure begins any more, and nobody waits. One that has begun is ended by the camera's control."""
        self._over.set()
        if not self.picture.done():
            self.picture.set_exception(GivenUp())

    async def take(self, rail: RailControl, position: int | None) -> None:
        """Take the picture of a rail that stands; `picture` hears of the outcome first.

        Raises `GivenUp`, `ShotFailed`, and what the rail's driver raises.
        """
        try:
            picture = await self._take(rail, position)
            if not self.picture.done():
                self.picture.set_result(picture)
        except ShotFailed as error:
            if not self.picture.done():
                self.picture.set_exception(error)
            raise
        finally:
            self.give_up()

    async def _take(self, rail: RailControl, position: int | None) -> TestPicture:
        self._go_on()
        # Behind whatever the rail was told before: a motor that is being switched off may jerk.
        status = await rail.poll()
        self._go_on()
        if status.moving:
            raise ShotFailed("the rail moves: wait until it stands")
        counted = position if position is not None else status.position
        microstep_um = rail.rail.capabilities.microstep_um
        try:
            exposure, settled_s = await self._exposed((counted or 0) * microstep_um)
            data = await self._camera.fetch(exposure)
        except DriverError as error:
            self._go_on()  # a camera that was told to give up is not a broken one
            raise ShotFailed(str(error)) from error
        self._go_on()
        position_um = None if position is None else position * microstep_um
        return await self._store.run(self._look, data, exposure, settled_s, position_um)

    async def _exposed(self, position_um: float) -> tuple[Exposure, float]:
        """An exposure that began after the settle, and the end of that. The settle counts from when the light is on."""
        try:
            await self._lamp.on(self)
            settled_s = self._clock.now() + self._settle_s
            early_s = 0.0
            for tried in range(TRIES):
                # A camera that gave a picture so much too old is asked again when it must have a newer one.
                again_s = early_s + tried * self._camera.round_s
                await self._wait(again_s if tried else settled_s - self._clock.now())
                self._go_on()
                exposure = await self._camera.expose(settled_s, position_um)
                self._go_on()
                early_s = settled_s - exposure.start_s
                if early_s <= 0:
                    return exposure, settled_s
            raise ShotFailed(
                f"exposure began {1e3 * early_s:.1f} ms before the rig had settled, {TRIES} times: the camera gives old pictures"
            )
        finally:
            await self._lamp.off(self)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._over.wait()
        except TimeoutError:
            return

    def _go_on(self) -> None:
        if self._over.is_set():
            raise GivenUp

    def _look(
        self, data: FrameData, exposure: Exposure, settled_s: float, position_um: float | None
    ) -> TestPicture:
        """On the store's thread."""
        capabilities = self._camera.camera.capabilities
        digest = sha256(data.payload)
        look = self._decoder.look(data.payload, data.suffix)
        measured = judge.Measured(digest, exposure.settings, look.metrics.get("p99"), None, look.damage)
        expected = judge.Expected(
            black_level=self._checks.black_level,
            sharpness_ratio=0.0,
            tolerance=self._checks.exposure_tolerance,
            settings=capabilities.settings,
            known={},
        )
        return TestPicture(
            data=data,
            metrics=look.metrics,
            settings={key: value for key, value in asdict(exposure.settings).items() if value is not None},
            width=capabilities.width,
            height=capabilities.height,
            sha256=digest,
            image=None if look.image is None else _rgb(look.image),
            note=judge.verdict(measured, expected) or "",
            position_um=position_um,
            settled_s=settled_s,
            start_s=exposure.start_s,
        )


def _rgb(image: Image) -> Image:
    return image if image.ndim == 3 else np.repeat(image[:, :, np.newaxis], 3, axis=2)
