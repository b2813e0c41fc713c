"""The frames of a stack on their way into a method: decoded ahead, held against the first, registered, evened.

What cannot be used is left out and reported, with its reason. Only the frame at hand and those being decoded are in memory.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stackcore.aligned import IDENTITY, AlignedFrame, Pixels
from stackcore.alignment import Alignment, BadAlignment, Placed
from stackcore.files import Cells, Frame, Metadata, Source, StackError, Unreadable, ahead
from stackcore.outcome import FrameReport, FuseOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackcore.registration import Registration

_Item = Frame | Unreadable

AHEAD = 2
"""At most so many frames are decoded, or being decoded, beside the one at hand. Two keep two cores busy also where fusing is quicker than
decoding; each costs its pixels in memory."""

KEPT_BYTES = 80 << 20
"""A stack whose pixels take no more than that is decoded only once, though it comes by twice."""

_UNITY = np.ones(3, np.float32)
_UNITY.flags.writeable = False


class Cancelled(Exception):
    """A fusion was told to stop."""


class Measure(Protocol):
    """Finds how frames lie on the first, one after the other."""

    def add(self, pixels: Pixels, index: int, cell: int = 1) -> Registration:
        """The next frame; its pixels are means of `cell` x `cell` px."""


class Lineup:
    """One stack's frames, pass after pass. Registration is measured when a frame comes by first, and kept.

    Args:
        source: where they come from.
        options: which of them are aligned and evened, and with how many threads.
        cancelled: asked before each frame.
    """

    def __init__(
        self, source: Source, options: FuseOptions, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self.source = source
        self.reports: dict[int, FrameReport] = {}
        self.metadata: Metadata | None = None
        """Of the first frame that can be used."""
        self.shape: tuple[int, ...] = ()
        """Of every frame that can be used."""
        self.dtype: np.dtype[np.uint8] | np.dtype[np.uint16] = np.dtype(np.uint8)
        self.waiting_s = 0.0
        self.register_s = 0.0
        self.passed = 0
        """Frames that came by, good or bad, over all passes."""
        self._options = options
        self._cancelled = cancelled
        self._placed = self._known_places(options.alignment)
        self._measure: Measure | None = None
        self._misfits: list[str] = []
        self._noted: set[str] = set()
        self._kept: deque[_Item] = deque()
        self._kept_part: tuple[int, int | None] | None = None

    def frames(
        self, start: int = 0, stop: int | None = None, cells: Cells | None = None, *, again: bool = False
    ) -> Iterator[AlignedFrame]:
        """The usable frames from index `start` to before `stop`, in order.

        Args:
            start: of the first.
            stop: of the first that does not come by any more; None: they come to the end.
            cells: how small they may be, for who looks at no more of them; by default they come whole.
            again: whether the same frames will be asked for once more, whole; those of a small stack are kept for that.

        Raises:
            StackError: most frames do not fit the first, or a frame is not what it was in the pass before.
            Cancelled: it was told to stop.
        """
        for item in self._items(start, stop, cells, again):
            self.passed += 1
            aligned = self._taken(item)
            del item  # the next frame is decoded while the method works: nothing of this one is to be kept but what it needs
            if aligned is not None:
                yield aligned
            del aligned

    def _items(self, start: int, stop: int | None, cells: Cells | None, again: bool) -> Iterator[_Item]:
        if not again and self._kept_part == (start, stop):
            self._kept_part = None
            while self._kept:
                self._check_cancelled()
                yield self._kept.popleft()
            return
        self._kept.clear()
        self._kept_part = None
        kept: deque[_Item] | None = deque() if again and self._is_small() else None
        decoders = min(AHEAD, self._options.threads)
        part = _part(self.source, start, stop)
        small = None if kept is not None else cells
        with ahead(part, threads=decoders, depth=decoders, cells=small) as decoded:
            while True:
                self._check_cancelled()
                before = time.monotonic()
                item = next(decoded, None)
                self.waiting_s += time.monotonic() - before
                if item is None:
                    break
                if kept is not None:
                    kept.append(item)
                    if cells is not None and isinstance(item, Frame):
                        item = item.in_cells(cells)
                yield item
                del item
        if kept is not None:
            self._kept, self._kept_part = kept, (start, stop)

    def _is_small(self) -> bool:
        kind = self.source.kind
        return kind is not None and kind.nbytes * len(self.source) <= KEPT_BYTES

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise Cancelled

    def alignment(self) -> Alignment:
        """How everything that came by lies on the first, to be kept."""
        placed = tuple(
            Placed(
                report.index,
                report.name,
                report.used,
                report.reason,
                IDENTITY if report.matrix is None else report.matrix,
                _UNITY if report.gain is None else report.gain,
                1.0 if report.correlation is None else report.correlation,
            )
            for _, report in sorted(self.reports.items())
        )
        height, width = self.shape[:2] if self.shape else (0, 0)
        return Alignment(height, width, placed)

    def _taken(self, item: Frame | Unreadable) -> AlignedFrame | None:
        """The frame as a method takes it, or None when it is left out."""
        report = self.reports.get(item.index)
        if isinstance(item, Unreadable):
            if report is not None and report.used:
                raise StackError(
                    f"{item.name} could be read before and cannot now ({item.reason}); leave the frames alone until the end"
                )
            self._report(FrameReport(item.index, item.name, used=False, reason=f"unreadable: {item.reason}"))
            return None
        if report is None:
            report = self._first_seen(item)
            self._report(report)
        elif report.used and (item.shape != self.shape or item.pixels.dtype != self.dtype):
            raise StackError(f"{item.name} changed while it was read; leave the frames alone until the end")
        if not report.used:
            return None
        assert report.matrix is not None
        assert report.gain is not None
        return AlignedFrame(item.index, item.pixels, report.matrix, report.gain, item.cell, item.size)

    def _first_seen(self, frame: Frame) -> FrameReport:
        if not self.shape:
            self._set_reference(frame)
        misfit = self._misfit(frame)
        if misfit:
            self._misfits.append(frame.name)
            self._check_the_first_is_typical(frame)
            return FrameReport(frame.index, frame.name, used=False, reason=misfit)
        self._note(frame)
        before = time.monotonic()
        report = self._registered(frame)
        self.register_s += time.monotonic() - before
        if report.used and self.metadata is None:
            self.metadata = frame.metadata
        return report

    def _note(self, frame: Frame) -> None:
        """What was dropped in reading is told once, not for every frame."""
        for note in frame.notes:
            if note not in self._noted:
                self._noted.add(note)
                self.source.notices.append(f"{frame.name}: {note}; not said again of other frames")

    def _set_reference(self, frame: Frame) -> None:
        self.shape = frame.shape
        self.dtype = frame.pixels.dtype
        alignment = self._options.alignment
        if alignment is not None and (alignment.height, alignment.width) != self.shape[:2]:
            raise BadAlignment(
                f"{alignment.source or 'the registration'} is for frames of {alignment.width} x {alignment.height} px, "
                f"{frame.name} has {self.shape[1]} x {self.shape[0]}: register this stack anew"
            )

    def _misfit(self, frame: Frame) -> str:
        """Why a frame does not fit the first, or nothing."""
        shape, dtype = frame.shape, frame.pixels.dtype
        if shape[:2] != self.shape[:2]:
            return f"{shape[1]} x {shape[0]} px, the stack has {self.shape[1]} x {self.shape[0]}"
        if len(shape) != len(self.shape):
            return "gray in a stack in colour" if len(shape) == 2 else "in colour in a gray stack"
        if dtype != self.dtype:
            return f"{dtype.itemsize * 8} bits a channel, the stack has {self.dtype.itemsize * 8}"
        return ""

    def _check_the_first_is_typical(self, frame: Frame) -> None:
        """A stack in which most frames do not fit is not fused from the few that do: likely the first is the odd one."""
        fitting = sum(report.used for report in self.reports.values())
        if len(self._misfits) >= 2 and len(self._misfits) > fitting:
            first = min(self.reports.values(), key=lambda report: report.index).name
            raise StackError(
                f"most frames do not fit the first, {first}: {frame.name} is {self._misfit(frame)}. "
                f"Name frames of one size and kind, without {first} if that is the odd one"
            )

    def _registered(self, frame: Frame) -> FrameReport:
        if self._placed is not None:
            return _as_placed(frame, self._placed.get(frame.index))
        if not self._options.align and not self._options.even:
            return FrameReport(frame.index, frame.name, used=True, matrix=IDENTITY, gain=_UNITY)
        if self._measure is None:
            self._measure = _make_measure(self._options)
        try:
            found = self._measure.add(frame.pixels, frame.index, cell=frame.cell)
        except ValueError as error:  # of its size, which is that of the whole stack
            raise StackError(f"{frame.name}: {error}; fuse the stack without aligning it") from error
        if not found.found and self._options.align:
            return FrameReport(
                frame.index,
                frame.name,
                used=False,
                reason=f"not registered: {found.reason}",
                correlation=found.correlation,
            )
        matrix = found.matrix if self._options.align else IDENTITY
        gain = found.gain if self._options.even else _UNITY
        return FrameReport(
            frame.index, frame.name, True, found.reason, matrix, gain, correlation=found.correlation
        )

    def _known_places(self, alignment: Alignment | None) -> Mapping[int, Placed] | None:
        if alignment is None:
            return None
        return alignment.for_stack(self.source.names)

    def _report(self, report: FrameReport) -> None:
        self.reports.setdefault(report.index, report)


class Brightness:
    """Measures how bright each frame is, of frames that lie on each other."""

    def __init__(self) -> None:
        from stackcore.registration.gains import Evener  # noqa: PLC0415

        self._evener = Evener()
        self._started = False

    def add(self, pixels: Pixels, index: int, cell: int = 1) -> Registration:  # noqa: ARG002
        """The next frame."""
        from stackcore.registration import Registration  # noqa: PLC0415
        from stackcore.registration.reduced import reduce  # noqa: PLC0415

        reduced = reduce(pixels)
        gain = self._evener.add(reduced, IDENTITY) if self._started else self._evener.start(reduced)
        self._started = True
        return Registration(index, IDENTITY, gain)


def _make_measure(options: FuseOptions) -> Measure:
    """Its kernels are loaded only when something is measured."""
    if not options.align:
        return Brightness()
    from stackcore.registration import Registrar  # noqa: PLC0415

    return Registrar(gains=options.even)


def _as_placed(frame: Frame, placed: Placed | None) -> FrameReport:
    if placed is None:
        return FrameReport(
            frame.index, frame.name, used=False, reason="not in the registration that was given"
        )
    if not placed.found:
        return FrameReport(frame.index, frame.name, used=False, reason=placed.reason)
    return FrameReport(
        frame.index, frame.name, True, placed.reason, placed.matrix, placed.gain, placed.correlation
    )


def _part(source: Source, start: int, stop: int | None) -> Source:
    if start == 0 and stop is None:
        return source
    return source.part(start, stop)
