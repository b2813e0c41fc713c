"""The picture that grows during a run: accepted frames, merged in order, on one worker; renewed on disk now and then.

Frames come in the order of capture, but one that is taken again comes late. Those behind it are not kept in memory: they are
read from the session again when their turn has come. So memory holds one frame and the merge, whatever the stack's length.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drivers.clock import Clock
from rigd.config.model import Preview as PreviewConfig
from rigd.pictures import Decoder
from rigd.plan import Plan
from rigd.session import Session

if TYPE_CHECKING:
    from stackcore.merge import StackMerger
    from stackcore.registration import Registrar

log = logging.getLogger(__name__)

PREVIEW = "preview.jpg"
DEPTH = "depth.tif"
CONFIDENCE = "confidence.tif"
COVERAGE = "coverage.json"

LEAST_CONFIDENCE = 0.6
"""Depth below it is left out. On the simulated scenes as JPEG it keeps 70 to 97 % of the pixels and halves the wild ones."""
AHEAD = 0.01
"""The viewpoint of an aligned preview lies this share of its distance ahead, so that every frame is resampled. One that is not
keeps more of its noise than the others; flat parts of the picture would all be taken from it, and seem to be in focus there."""

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Results:
    """What a finished preview says."""

    frames: int
    coverage: dict[str, Any]
    text: str
    """Coverage in plain words."""


class Preview:
    """One stack's preview. Every method runs on the stacking worker, except `__init__`.

    Args:
        session: where frames are read again and results are written.
        decoder: makes images of stored frames.
        config: size, rate and alignment.
        clock: for the rate.
    """

    def __init__(self, session: Session, decoder: Decoder, config: PreviewConfig, clock: Clock) -> None:
        self._session = session
        self._decoder = decoder
        self._config = config
        self._clock = clock
        self._merger: StackMerger | None = None
        self._registrar: Registrar | None = None
        self._waiting: set[int] = set()
        self._next = 0
        self._merged: list[int] = []
        self._written_s: float | None = None
        self._pending_write = False
        self.written = 0
        """How many frames are in the picture on disk. Any thread may look."""

    @property
    def frames(self) -> int:
        """How many frames are merged."""
        return len(self._merged)

    def add(self, frame: int, image: Image | None) -> None:
        """Merge an accepted frame when its turn has come; `image` is None to read it from the session."""
        if frame < self._next or frame in self._waiting:
            return  # taken again after it was merged: the stored frame counts, the preview keeps the first
        if frame != self._next:
            self._waiting.add(frame)
            return
        self._merge(frame, image)
        while self._next in self._waiting:
            self._waiting.discard(self._next)
            self._merge(self._next, None)
        self._write_now_and_then()

    def restore(self) -> None:
        """Merge what an interrupted session has stored already."""
        for frame in sorted(self._session.frames):
            self.add(frame, None)

    def flush(self) -> None:
        """Merge what is left, gaps and all, and bring the picture to disk if it is not there yet."""
        for frame in sorted(self._waiting):
            self._merge(frame, None)
        self._waiting.clear()
        if self._pending_write:
            self._write(durable=False)

    def finish(self) -> Results | None:
        """Write preview, depth map, confidence and coverage; None when no frame could be merged."""
        from stackcore.coverage import coverage  # noqa: PLC0415  (Numba is loaded when a stack is taken, not before)
        from stackcore.depth import depth_map, depth_um, smooth_depth  # noqa: PLC0415
        from stackcore.imageio import write_float_tiff  # noqa: PLC0415

        self.flush()
        if self._merger is None or not self._merged:
            return None
        self._write(durable=True)
        merged = self._merger.merged()
        plan = self._session.plan
        depth = smooth_depth(depth_map(merged, min_confidence=LEAST_CONFIDENCE))
        heights = depth_um(depth.frame_index, [plan.um(position) for position in plan.positions])
        note = {"unit": "um", "zero": "home", "microstep_um": plan.microstep_um, "frames": len(self._merged)}
        for name, values, what in ((DEPTH, heights, note), (CONFIDENCE, depth.confidence, {"unit": "1"})):
            tiff = io.BytesIO()
            write_float_tiff(tiff, values, description=json.dumps(what), compressed=True)
            self._session.add_result(name, tiff.getvalue())
        reached = coverage(merged, self._merger.history)
        text = reached.text(near_first=plan.near_first)
        data = {**asdict(reached), "text": text}
        self._session.add_result(COVERAGE, (json.dumps(data, indent=2) + "\n").encode())
        return Results(len(self._merged), data, text)

    def close(self) -> None:
        """Let go of the merge and its threads. Idempotent."""
        if self._merger is not None:
            self._merger.close()
        self._merger = self._registrar = None

    def _merge(self, frame: int, image: Image | None) -> None:
        """Merge one frame. One that cannot be is safe on disk; a preview that lacks it is a smaller loss than none."""
        self._next = frame + 1
        try:
            self._merge_one(frame, image)
        except (OSError, ValueError) as error:
            log.warning("frame %d is not in the preview: %s", frame + 1, error)

    def _merge_one(self, frame: int, image: Image | None) -> None:
        if image is None:
            image = self._decoder.decode_file(self._session.path / self._session.frames[frame].file)
        if image is None:
            return  # a format that is stored, not decoded
        aligned = self._aligned(image, frame)
        self._merger_for(aligned).add(aligned, frame)
        self._merged.append(frame)
        self._pending_write = True

    def _merger_for(self, image: Image) -> StackMerger:
        from stackcore.merge import StackMerger  # noqa: PLC0415

        if self._merger is None:
            height, width = image.shape[:2]
            self._merger = StackMerger(
                height, width, channels=1 if image.ndim == 2 else 3, threads=self._config.threads
            )
        return self._merger

    def _aligned(self, image: Image, frame: int) -> Image:
        if self._config.align == "off":
            return image
        from stackcore.registration import Registrar  # noqa: PLC0415
        from stackcore.registration.warping import softened, warp  # noqa: PLC0415

        if self._config.align == "rail":
            distance_um = self._config.pupil_to_focus_um
            assert distance_um is not None
            plan = self._session.plan
            behind_um = viewpoint_um(plan, distance_um) - plan.um(plan.positions[frame])
            return warp(image, zoom(image.shape, (distance_um - behind_um) / distance_um)[:2])
        if self._registrar is None:
            self._registrar = Registrar(gains=False)
        registration = self._registrar.add(image, frame)
        if not registration.found:
            raise ValueError(registration.reason)
        tracked = np.vstack([registration.matrix, [0.0, 0.0, 1.0]])
        beyond = image if self._merger is None else self._merger.picture
        return warp(image, (tracked @ zoom(image.shape, 1 / (1 + AHEAD)))[:2], softened(beyond))

    def _write_now_and_then(self) -> None:
        now = self._clock.now()
        last = self._next >= self._session.plan.frames
        if self._merger is None:
            return
        if last or self._written_s is None or now - self._written_s >= self._config.interval_s:
            self._write(durable=False)
            self._written_s = now

    def _write(self, *, durable: bool) -> None:
        from stackcore.imageio import encode_jpeg  # noqa: PLC0415

        assert self._merger is not None
        data = encode_jpeg(self._merger.picture, quality=self._config.jpeg_quality)
        try:
            self._session.add_result(PREVIEW, data, durable=durable)
            self._pending_write = False
            self.written = len(self._merged)
        except OSError as error:
            if durable:
                raise
            log.warning("the preview could not be written: %s", error)


def viewpoint_um(plan: Plan, pupil_to_focus_um: float) -> float:
    """The rail position from which a preview aligned by the rail is seen: a little beyond the foremost frame.

    From there every frame covers the whole preview. What is in focus in a frame lies D = `pupil_to_focus_um` from the entrance
    pupil then, and D - behind seen from the viewpoint; an image is as large as its distance is small.
    """
    return plan.um(max(plan.positions)) + AHEAD * pupil_to_focus_um


def zoom(shape: Sequence[int], scale: float) -> npt.NDArray[np.float64]:
    """3 x 3: scaling by `scale` about the centre of a picture of this shape (rows, columns, ...)."""
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return np.vstack([np.column_stack([np.eye(2) * scale, centre * (1 - scale)]), [0.0, 0.0, 1.0]])
