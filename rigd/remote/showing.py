"""Pictures for those who watch: the growing preview and test shots, made small enough for a message.

One at a time, on a thread of its own; decoding, scaling and encoding let go of Python's lock, so nobody waits for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drivers.clock import Clock
from rigd.config.remote import Remote
from rigd.control.testshot import TestPicture
from rigd.messages import topics
from rigd.messages.reports import PreviewMeta
from rigd.remote.bus import Outgoing, Switchboard
from rigd.session.files import sha256
from rigd.workers import Worker

log = logging.getLogger(__name__)

QUALITIES = (85, 70, 50, 30)
"""Tried in turn. Below the last, fewer pixels look better than worse ones."""
SMALLER = 0.7
"""How much shorter the sides get when no quality was enough."""

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is published."""

    jpeg: bytes
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Shot:
    """Something to show."""

    make: Callable[[], Picture]
    session: str | None
    frames: int
    total: int
    coverage: str = ""
    final: bool = True
    """Whether it is shown whatever the rate. A growing one gives way to a newer one."""


def from_file(path: Path, max_px: int, max_bytes: int) -> Picture:
    """A JPEG on disk, made to fit; one that fits is left as it is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    import simplejpeg  # noqa: PLC0415  (as stackcore: loaded when a picture is made, not when rigd starts)

    from stackcore.imageio import decode_jpeg  # noqa: PLC0415

    data = path.read_bytes()
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    longer = max(height, width)
    if longer <= max_px and len(data) <= max_bytes:
        return Picture(data, width, height, sha256(data))
    reduce = next(factor for factor in (8, 4, 2, 1) if factor == 1 or longer >= factor * max_px)
    return fitted(decode_jpeg(data, reduce=reduce), max_px, max_bytes)


def fitted(image: Image, max_px: int, max_bytes: int) -> Picture:
    """An image (H, W, 3) RGB or (H, W) uint8 as a JPEG: longer side at most `max_px`, size at most `max_bytes`.

    The quality is lowered first, then the size. Raises ValueError when even one pixel is too much.
    """
    from stackcore.imageio import encode_jpeg  # noqa: PLC0415

    side = max_px
    while side >= 1:
        small = shrunk(image, side)
        for quality in QUALITIES:
            jpeg = encode_jpeg(small, quality=quality)
            if len(jpeg) <= max_bytes:
                return Picture(jpeg, small.shape[1], small.shape[0], sha256(jpeg))
        side = int(max(small.shape[:2]) * SMALLER)
    raise ValueError(f"no picture fits into {max_bytes} bytes")


def shrunk(image: Image, max_px: int) -> Image:
    """The image with its longer side at most so long; each pixel the mean of those it covers. Never enlarged."""
    import cv2  # noqa: PLC0415

    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= max_px:
        return image
    size = (max(1, round(width * max_px / longer)), max(1, round(height * max_px / longer)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


class Showing:
    """Publishes pictures on `preview/image`, and what they are on `preview/meta`.

    Args:
        switchboard: where they go.
        clock: of their rate and their times.
        config: how large, and how often.
    """

    def __init__(self, switchboard: Switchboard, clock: Clock, config: Remote) -> None:
        self._switchboard = switchboard
        self._clock = clock
        self._interval_s = config.preview_interval_s
        self._max_px = config.preview_max_px
        self._max_bytes = config.preview_max_kb * 1000
        self._line: list[_Shot] = []
        self._more = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()
        self._shown: tuple[str | None, int] | None = None
        self._shown_s: float | None = None

    # ---------------------------------------------------------------------------------------------- what there is to show

    def growing(self, session: str, path: Path, frames: int, total: int) -> None:
        """A session's preview has grown. Shown when its turn comes, unless a newer one is there by then."""
        if frames > 0 and self._shown != (session, frames):
            self._put(_Shot(self._file(path), session, frames, total, final=False))

    def finished(self, session: str, path: Path, frames: int, total: int, coverage: str) -> None:
        """A session was left with this preview. Always shown."""
        if frames > 0:
            self._put(_Shot(self._file(path), session, frames, total, coverage))

    def test(self, picture: TestPicture) -> None:
        """A test shot. One whose format is not decoded cannot be shown."""
        if picture.image is None:
            log.info("the test shot is %s: it is not shown", picture.data.suffix or "not a picture")
            return
        self._put(_Shot(partial(fitted, picture.image, self._max_px, self._max_bytes), None, 1, 1))

    def _file(self, path: Path) -> Callable[[], Picture]:
        return partial(from_file, path, self._max_px, self._max_bytes)

    def _put(self, shot: _Shot) -> None:
        """A picture takes the place of one of its kind that still waits: the line never has more than three."""
        waiting = [
            other for other in self._line if other.session != shot.session or (other.final and not shot.final)
        ]
        self._line = [*waiting, shot][-3:]
        self._done.clear()
        self._more.set()

    # ------------------------------------------------------------------------------------------------------------ showing

    async def serve(self) -> None:
        """Make and publish pictures until cancelled."""
        worker = Worker("showing", self._clock)
        try:
            while True:
                await self._turn()
                shot = self._line.pop(0)
                await self._show(shot, worker)
                if not self._line:
                    self._done.set()
        finally:
            worker.close()

    async def drained(self) -> None:
        """Wait until everything that was to be shown has been."""
        await self._done.wait()

    async def _turn(self) -> None:
        """Wait until the first in line may be shown."""
        while True:
            self._more.clear()
            left_s = self._left_s()
            if left_s is not None and left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await self._more.wait()
            except TimeoutError:
                continue

    def _left_s(self) -> float | None:
        """How long the first in line has to wait; None when there is none."""
        if not self._line:
            return None
        if self._line[0].final or self._shown_s is None:
            return 0.0
        return self._shown_s + self._interval_s - self._clock.now()

    async def _show(self, shot: _Shot, worker: Worker) -> None:
        try:
            picture = await worker.run(shot.make)
        except (OSError, ValueError) as error:
            log.warning("a picture could not be shown: %s", error)
            return
        self._shown, self._shown_s = (shot.session, shot.frames), self._clock.now()
        meta = PreviewMeta(
            session=shot.session,
            frames=shot.frames,
            total=shot.total,
            width=picture.width,
            height=picture.height,
            bytes=len(picture.jpeg),
            sha256=picture.sha256,
            coverage=shot.coverage,
            time=self._clock.utc(),
        )
        self._switchboard.publish(Outgoing(topics.PREVIEW_IMAGE, picture.jpeg, qos=0, retain=True))
        self._switchboard.publish(Outgoing.of(topics.PREVIEW_META, meta, qos=0, retain=True))
