"""What the methods do alike that look at the focus of all frames first, and make the picture when the frames come by again."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stackcore.aligned import AlignedFrame, Pixels, as_pixels
from stackcore.depth import DepthMap
from stackcore.methods import Fused, Setting
from stackcore.methods._focus_volume import FocusVolume
from stackcore.methods._rows import Bands, check_frame
from stackcore.methods._volume_depth import enlarged_map

LARGEST_CELL_PX = 8


class TwoLooks(ABC):
    """The part of such a method that does not depend on how it chooses. It says how in `_begin_again` and `_take_rows`.

    Attributes:
        passes: 2.
    """

    passes = 2
    first_look = None

    def __init__(self, setting: Setting, *, colours: bool, cell_px: int, memory_mb: int) -> None:
        """Start the threads.

        Args:
            setting: of the stack.
            colours: whether the colours of all frames are kept beside their focus.
            cell_px: as `FocusVolume` takes it.
            memory_mb: likewise.

        Raises:
            ValueError: when `cell_px` or `memory_mb` is out of range.
        """
        self._setting = setting
        self._bands = Bands(setting.threads)
        self._volume: FocusVolume | None = FocusVolume(
            setting,
            self._bands,
            colours=colours,
            cell_px=cell_px,
            largest_cell_px=LARGEST_CELL_PX,
            memory_mb=memory_mb,
        )
        self._ordinals: dict[int, int] = {}
        self._cell_px = 1
        self._moved = False
        """Whether any frame has to be resampled."""
        self._found: DepthMap | None = None

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:
        """Take the next frame of a pass.

        Raises:
            ValueError: when it is of another kind than the setting says, out of order, or was not in the first pass.
            TooManyFrames: when the focus of so many frames takes more memory than allowed.
        """
        if pass_number == 0:
            if self._volume is None:
                raise ValueError("the first pass is over")
            self._volume.add(frame)
            self._moved = self._moved or frame.moved
            return
        check_frame(self._setting, frame)
        if self._volume is not None:
            self._end_first_pass()
        if frame.index not in self._ordinals:
            raise ValueError(f"frame {frame.index} was not in the first pass")
        ordinal = self._ordinals[frame.index]
        self._bands.run(self._setting.height, lambda first, end: self._take_rows(frame, ordinal, first, end))

    def preview(self) -> Pixels | None:
        """None: there is no picture before the second pass has ended."""
        return None

    def close(self) -> None:
        """End the threads; safe to call again."""
        self._bands.close()

    @abstractmethod
    def _begin_again(self) -> None:
        """The first pass is over: plan the picture from what it found, `_given_up`."""

    @abstractmethod
    def _take_rows(self, frame: AlignedFrame, ordinal: int, first: int, end: int) -> None:
        """Take some rows of a frame into the picture; on any thread."""

    def _end_first_pass(self) -> None:
        assert self._volume is not None
        if not self._volume.indices:
            raise ValueError("the first pass had no frame")
        self._cell_px = self._volume.cell_px
        self._ordinals = {index: ordinal for ordinal, index in enumerate(self._volume.indices)}
        self._begin_again()

    def _given_up(self) -> FocusVolume:
        """What the first pass found. Nobody else holds it any more: it can be freed before the picture takes memory."""
        assert self._volume is not None
        volume, self._volume = self._volume, None
        return volume

    def _check_it_came_twice(self) -> None:
        """Raise `ValueError` when there was no second pass."""
        if not self._ordinals:
            raise ValueError("no frame has been fused: this method needs two passes")

    def _fused(self, picture: Pixels) -> Fused:
        """(H, W, channels) of the picture, and the depth that was found."""
        depth = None if self._found is None else enlarged_map(self._found, self._cell_px, picture.shape[:2])
        return Fused(picture if picture.shape[2] == 3 else as_pixels(picture[..., 0]), depth)
