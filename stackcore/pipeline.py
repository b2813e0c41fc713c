"""A whole stack into one picture: decode, register, even out, fuse, in memory that does not grow with the stack.

Frames are decoded ahead while the one before is fused, each is registered when it comes by first, and the method resamples it while
it fuses. A method that needs the stack twice gets it decoded again, with the registration of the first time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from stackcore.files import Cells, Source, StackError
from stackcore.lineup import Cancelled, Lineup
from stackcore.memory import give_back
from stackcore.methods import Fused, Method, Setting
from stackcore.methods.registry import class_of, make
from stackcore.outcome import FrameReport, FuseOptions, Progress, Result, Timings

if TYPE_CHECKING:
    from stackcore.aligned import AlignedFrame, Pixels
    from stackcore.growing import GrowingPreview

__all__ = ["Cancelled", "FrameReport", "FuseOptions", "Progress", "Result", "Timings", "fuse"]

Tell = Callable[[Progress], None]
Show = Callable[["Pixels"], None]

_RATE_FRAMES = 12
"""The time left is told from the rate of so many frames."""
_REASONS = 5
"""So many frames are named when none can be used."""


def fuse(
    source: Source,
    options: FuseOptions | None = None,
    *,
    progress: Tell | None = None,
    preview: Show | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Fuse a stack.

    Args:
        source: its frames, in order; `stackcore.files.open_source` makes one.
        options: how.
        progress: told of every frame.
        preview: given the picture so far, now and then, by methods that have one before the end.
        cancelled: asked before each frame; True stops.

    Returns:
        Picture, depth map and what became of each frame.

    Raises:
        StackError: no frame can be used, most do not fit the first, positions are too few or too many, or frames changed while they
            were read.
        BadAlignment: the alignment that was given is not of this stack.
        UnknownMethod, BadOption, MissingLibrary: as `stackcore.methods.registry.make` says.
        Cancelled: `cancelled` said so.
    """
    chosen = options or FuseOptions()
    lineup = Lineup(source, chosen, cancelled)
    return Fusion(lineup, chosen, progress, preview).run()


class Fusion:
    """One call of `fuse`: the stack, its method, and what is told on the way."""

    def __init__(self, lineup: Lineup, options: FuseOptions, tell: Tell | None, show: Show | None) -> None:
        self.lineup = lineup
        self.options = options
        self.fuse_s = 0.0
        self.finish_s = 0.0
        self.near_first: bool | None = None
        self.passes = 1
        self._growing: GrowingPreview | None = None
        self._grown_to = -1
        self.overlapping = 0
        """Frames that come by more than once a pass, because slabs share them."""
        self._tell = tell
        self._show = show
        self._shown_s = time.monotonic()
        self._shown = False
        self._times: deque[float] = deque(maxlen=_RATE_FRAMES + 1)

    def run(self) -> Result:
        started_s, cpu_s = time.monotonic(), time.process_time()
        if self.count is not None:
            positions_um(self.lineup.source, self.options)  # that there are as many is known before the work
        try:
            fused = self._as_seen()
        finally:
            if self._growing is not None:
                self._growing.close()
        self.tell("done", left_s=0.0)
        reports = tuple(report for _, report in sorted(self.lineup.reports.items()))
        assert self.lineup.metadata is not None
        return Result(
            fused.picture,
            fused.depth,
            positions_um(self.lineup.source, self.options),
            reports,
            self.lineup.alignment(),
            self.lineup.metadata,
            Timings(
                total_s=time.monotonic() - started_s,
                waiting_s=self.lineup.waiting_s,
                register_s=self.lineup.register_s,
                fuse_s=self.fuse_s,
                finish_s=self.finish_s,
                cpu_s=time.process_time() - cpu_s,
            ),
            self.near_first,
        )

    def _as_seen(self) -> Fused:
        """In the perspective that was asked for."""
        fused = self._fused()
        if not self.options.orthographic:
            return fused
        from stackcore.perspective import from_infinity  # noqa: PLC0415  (few ask for it)

        self.tell("orthographic")
        return from_infinity(fused, self.lineup.reports.values())

    def _fused(self) -> Fused:
        if self.options.slab_frames is None:
            fused = self.part(0, None)
            if fused is None:
                raise StackError(self.nothing_usable())
            return fused
        from stackcore.slabs import fuse_slabs  # noqa: PLC0415  (few ask for it)

        return fuse_slabs(self, self.options.slab_frames, self.options.overlap)

    @property
    def count(self) -> int | None:
        """Frames of the stack, good or bad; None where nobody knows yet."""
        return _count(self.lineup.source)

    def part(self, start: int, stop: int | None) -> Fused | None:
        """Fuse the frames from `start` to before `stop`; None when none of them can be used."""
        method: Method | None = None
        try:
            for pass_number in (0, 1):
                if pass_number and (method is None or method.passes == 1):
                    break
                again = pass_number == 0 and class_of(self.options.method).passes > 1
                cells = self._first_look() if pass_number == 0 else None
                for frame in self.lineup.frames(start, stop, cells, again=again):
                    if method is None:
                        method = self.make_method(self._expected(start, stop))
                    before = time.monotonic()
                    method.add(frame, pass_number)
                    self.fuse_s += time.monotonic() - before
                    self._after_a_frame(method, pass_number, frame)
                    del frame
                give_back()  # what decoding and the pass left over, before the method needs memory for what comes next
            if method is None:
                return None
            self.tell("finishing")
            before = time.monotonic()
            fused = method.finish()
            self.finish_s += time.monotonic() - before
            self.near_first = getattr(method, "near_first", None)  # of methods that find out
            return fused
        finally:
            if method is not None:
                method.close()
                give_back()

    def _first_look(self) -> Cells | None:
        """How small frames may come by first: a preview wants them whole."""
        first_look = class_of(self.options.method).first_look
        return first_look if self._show is None else None

    def make_method(self, expected: int | None) -> Method:
        """The method for frames as they come from the line-up."""
        shape = self.lineup.shape
        setting = Setting(
            shape[0],
            shape[1],
            channels=1 if len(shape) == 2 else 3,
            dtype=self.lineup.dtype,
            threads=self.options.threads,
            expected=expected,
            depth=self.options.depth or self.options.orthographic,
        )
        method = make(self.options.method, setting, **self.options.settings)
        self.passes = method.passes
        return method

    def nothing_usable(self) -> str:
        """Why there is no picture."""
        reports = [report for _, report in sorted(self.lineup.reports.items())]
        if not reports:
            return "there are no frames to fuse; name files, or a folder with pictures in it"
        lines = [f"{report.name}: {report.reason}" for report in reports[:_REASONS]]
        more = len(reports) - len(lines)
        rest = f"; and {more} more" if more > 0 else ""
        return f"none of {len(reports)} frames can be used: " + "; ".join(lines) + rest

    def _expected(self, start: int, stop: int | None) -> int | None:
        count = self.count
        if count is None:
            return None
        return max(0, min(count, count if stop is None else stop) - start)

    def _after_a_frame(self, method: Method, pass_number: int, frame: AlignedFrame) -> None:
        self._times.append(time.monotonic())
        self.tell("fusing" if pass_number == 0 else "second pass")
        if self._show is None or pass_number:
            return
        if self._growing is not None and frame.index > self._grown_to:  # slabs show some frames twice
            self._growing.add(frame)
            self._grown_to = frame.index
        if time.monotonic() - self._shown_s < self.options.preview_s and self._shown:
            return
        picture = method.preview()
        if picture is None:
            picture = self._grown(frame)
        self._show(picture)
        self._shown = True
        self._shown_s = time.monotonic()

    def _grown(self, frame: AlignedFrame) -> Pixels:
        """For methods that have no picture before the end: a small one, begun with the first frame that asks for it."""
        if self._growing is None:
            from stackcore.growing import GrowingPreview  # noqa: PLC0415  (few methods need it)

            channels: Literal[1, 3] = 1 if frame.channels == 1 else 3
            self._growing = GrowingPreview(*frame.shape, channels, self.options.threads)
            self._growing.add(frame)
            self._grown_to = frame.index
        return self._growing.picture()

    def tell(self, phase: str, left_s: float | None = None) -> None:
        """Say how far it is."""
        if self._tell is None:
            return
        count = self.count
        total = None if count is None else (count + self.overlapping) * self.passes
        done = self.lineup.passed
        if left_s is None and total is not None and len(self._times) > 1:
            rate_s = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            left_s = max(0, total - done) * rate_s
        self._tell(Progress(phase, done, total, left_s))


def positions_um(source: Source, options: FuseOptions) -> tuple[float, ...] | None:
    """Where each frame of the stack was taken: as the options say, else as the source knows. None: unknown."""
    frames = _count(source)
    if options.positions_um is not None:
        if frames is not None and len(options.positions_um) != frames:
            raise StackError(
                f"{len(options.positions_um)} positions were given for {frames} frames; give one for each, in order"
            )
        return options.positions_um
    if options.step_um is not None:
        return tuple(index * options.step_um for index in range(frames or len(source.names)))
    known = getattr(source, "positions_um", None)
    return None if known is None else tuple(known)


def _count(source: Source) -> int | None:
    """How many frames a source has; None where nobody knows yet."""
    try:
        return len(source)
    except TypeError:
        return None
