"""Fusion in complex wavelets: every coefficient from the frame in which it is strongest, made consistent before it is used.

Forster, Van De Ville, Berent, Sage and Unser, "Complex Wavelets for Extended Depth-of-Field: A New Method for the Fusion of Multichannel
Microscopy Images" (Microscopy Research and Technique 65, 2004): the transform, the choice by magnitude, the vote of the three subbands
and the majority of the neighbourhood. What differs:

- Colour. They fuse luma and then look up, for every pixel, the colour of the frame of the nearest gray value; on colourful texture that
  costs 6 dB. Here luma decides, and the coefficients of all three channels are taken from the frame that it decided for.
- The coarsest smoothed picture is taken from the frames that the coarsest details decided for. The strongest would be the brightest.
- The stack goes by twice, since a coefficient's frame is known only after the checks: memory is that of one transform, not one a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.focus_measures import LUMA_MAX, luma_of
from stackcore.methods import Fused, Setting
from stackcore.methods._complex_wavelet import (
    Layout,
    analyse,
    join,
    level_rows,
    picture_columns,
    picture_rows,
)
from stackcore.methods._rows import Bands, check, check_frame, shown, warped_rows
from stackcore.methods._wavelet_kernel import FULL, choose_rows, keep_rows

Floats = npt.NDArray[np.float32]
Ordinals = npt.NDArray[np.uint16]

DEFAULT_LEVELS = 3
"""Measured on five scenes: 3 and 2 are within 0.7 dB of each other, 6 is 0.1 to 4 dB worse: coarse coefficients reach across depth
edges, and blur spreads with them."""

MAX_FRAMES = 65_535
NEIGHBOURHOOD = 5

_BAND_ROWS = 48
"""Of the level that is made, twice as many of the one below."""


def consistent(frame: Ordinals, best: Floats) -> Ordinals:
    """One frame for the three subbands of every place: two outvote the third, and where all differ the strongest decides.

    Args:
        frame: (H, 3, W), the ordinal of the frame in which each subband is strongest.
        best: (H, 3, W), how strong that is.

    Returns:
        (H, W).
    """
    a, b, c = (frame[:, k] for k in range(3))
    strongest = np.take_along_axis(frame, best.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where((a == b) | (a == c), a, np.where(b == c, b, strongest)).astype(np.uint16)


def majority(frame: Ordinals, frames: int, size: int = NEIGHBOURHOOD) -> Ordinals:
    """The frame that more than half of the places of a `size` x `size` neighbourhood are from; where none is, it stays.

    Args:
        frame: (H, W), ordinals.
        frames: how many there are.
        size: of the neighbourhood, odd; beyond its border the map is reflected.

    Returns:
        (H, W), a new array.
    """
    result = frame.copy()
    needed = size * size // 2
    for ordinal in range(frames):
        here = (frame == ordinal).view(np.uint8)
        if here.any():
            count = cv2.boxFilter(here, -1, (size, size), normalize=False, borderType=cv2.BORDER_REFLECT)
            result[count > needed] = ordinal
    return result


class Wavelet:
    """Fuses a stack that comes by twice.

    State of the first pass: 6 bytes a pixel; of the second: 4 for each channel, and 1.

    Attributes:
        passes: 2.
    """

    passes = 2
    first_look = None

    def __init__(self, setting: Setting, *, levels: int = DEFAULT_LEVELS) -> None:
        """Reserve the state of the first pass and start the threads.

        Args:
            setting: of the stack.
            levels: how often the picture is halved, 1..10; fewer when it is small.

        Raises:
            ValueError: when the setting or `levels` cannot be.
        """
        check(setting)
        if not 1 <= levels <= 10:
            raise ValueError(f"{levels} levels are not within 1..10")
        self._setting = setting
        possible = max(1, int(np.log2(max(2, min(setting.height, setting.width)))) - 1)
        self._layout = Layout(setting.height, setting.width, min(levels, possible))
        self._columns = picture_columns(self._layout)
        self._best: list[Floats] = []
        self._frame: list[Ordinals] = []
        for level in range(1, self._layout.levels + 1):
            height, width = self._layout.size(level)
            self._best.append(
                np.full((height, 3, width), self._layout.least(LUMA_MAX, level) ** 2, np.float32)
            )
            self._frame.append(np.zeros((height, 3, width), np.uint16))
        self._chosen: list[Ordinals] = []
        self._kept: list[list[npt.NDArray[np.int16]]] = []
        self._smooth: list[Floats] = []
        self._indices: list[int] = []
        self._again = 0
        self._bands = Bands(setting.threads)

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:
        """Take the next frame of a pass.

        Raises:
            ValueError: when it is of another kind than the setting says, out of order, or when the second pass differs from the first.
        """
        check_frame(self._setting, frame)
        if pass_number == 0:
            ordinal = self._check_first(frame.index)
            self._transform(frame, [_luma], partial(self._choose, frame, ordinal))
            self._indices.append(frame.index)
            return
        ordinal = self._check_again(frame.index)
        if ordinal == 0:
            self._decide()
        channels = [partial(_channel, which=k) for k in range(self._setting.channels)]
        smooth = self._transform(frame, channels, partial(self._keep, ordinal))
        mine = self._chosen[-1] == ordinal
        for kept, new in zip(self._smooth, smooth, strict=True):
            np.copyto(kept, new, where=mine[:, None])
        self._again += 1

    def preview(self) -> Pixels | None:
        """None: there is no picture before the end."""
        return None

    def finish(self) -> Fused:
        """The picture; this method knows no depth.

        Raises:
            ValueError: when there was no frame, or not every frame came twice.
        """
        if not self._indices or self._again != len(self._indices):
            raise ValueError(f"{len(self._indices)} frames came by, and {self._again} of them again")
        setting = self._setting
        picture = np.empty((setting.height, setting.width, setting.channels), np.dtype(setting.dtype))
        for channel in range(setting.channels):
            self._reconstruct(channel, picture)
        return Fused(picture[..., 0] if setting.channels == 1 else picture, None)

    def close(self) -> None:
        """End the threads; safe to call again."""
        self._bands.close()

    def _check_first(self, index: int) -> int:
        if self._again:
            raise ValueError(f"frame {index} comes for the first time after others came again")
        if self._indices and index <= self._indices[-1]:
            raise ValueError(f"frame {index} comes after frame {self._indices[-1]}")
        if len(self._indices) == MAX_FRAMES:
            raise ValueError(f"a stack has at most {MAX_FRAMES} frames")
        return len(self._indices)

    def _check_again(self, index: int) -> int:
        if self._again >= len(self._indices) or index != self._indices[self._again]:
            raise ValueError(f"frame {index} is not what came in the first pass at this place")
        return self._again

    def _transform(self, frame: AlignedFrame, planes: Sequence[_Plane], use: _Use) -> list[Floats]:
        """Transform some planes of a frame; every band of details goes to `use`. Returns the coarsest smoothed pictures."""
        layout = self._layout
        height, width = layout.size(1)
        smooth = [np.empty((height, 2, width), np.float32) for _ in planes]

        def finest(first: int, end: int) -> None:
            rows = picture_rows(layout, first, end)
            top = int(rows.min())
            values = warped_rows(frame, top, int(rows.max()) + 1)
            for k, plane in enumerate(planes):
                wide = plane(values, frame.full_scale)[rows - top][:, self._columns]
                smooth[k][first:end], detail = analyse(wide[None])
                use(k, 1, first, detail)

        self._bands.run(height, finest, _BAND_ROWS)
        for level in range(2, layout.levels + 1):
            smooth = self._coarser(smooth, level, use)
        return smooth

    def _coarser(self, finer: list[Floats], level: int, use: _Use) -> list[Floats]:
        height, width = self._layout.size(level)
        smooth = [np.empty((height, 2, width), np.float32) for _ in finer]

        def split(first: int, end: int) -> None:
            for k, below in enumerate(finer):
                smooth[k][first:end], detail = analyse(level_rows(below, first, end))
                use(k, level, first, detail)

        self._bands.run(height, split, _BAND_ROWS)
        return smooth

    def _choose(
        self, frame: AlignedFrame, ordinal: int, _plane: int, level: int, first: int, detail: Floats
    ) -> None:
        rows, _, _, width = detail.shape
        half = 0.5 * (1 << level)
        down = np.minimum((2 * np.arange(first, first + rows) + 1) * half - 0.5, self._layout.height - 1)
        across = np.minimum((2 * np.arange(width) + 1) * half - 0.5, self._layout.width - 1)
        shows = shown(frame, down, across)
        choose_rows(
            detail,
            np.ones((rows, width), np.uint8) if shows is None else shows.view(np.uint8),
            np.uint16(ordinal),
            self._best[level - 1][first : first + rows],
            self._frame[level - 1][first : first + rows],
        )

    def _decide(self) -> None:
        """Between the passes: one frame for every place of every level, and room for the coefficients."""
        pairs = zip(self._frame, self._best, strict=True)
        self._chosen = [majority(consistent(frame, best), len(self._indices)) for frame, best in pairs]
        self._frame, self._best = [], []
        channels = range(self._setting.channels)
        self._kept = [
            [np.zeros((height, 3, 2, width), np.int16) for height, width in (c.shape for c in self._chosen)]
            for _ in channels
        ]
        height, width = self._chosen[-1].shape
        self._smooth = [np.zeros((height, 2, width), np.float32) for _ in channels]

    def _keep(self, ordinal: int, channel: int, level: int, first: int, detail: Floats) -> None:
        rows = slice(first, first + len(detail))
        keep_rows(
            detail,
            self._chosen[level - 1][rows],
            np.uint16(ordinal),
            np.float32(FULL / self._most(level)),
            self._kept[channel][level - 1][rows],
        )

    def _most(self, level: int) -> float:
        return self._layout.most(np.iinfo(np.dtype(self._setting.dtype)).max, level)

    def _reconstruct(self, channel: int, picture: Pixels) -> None:
        smooth = self._smooth[channel]
        for level in range(self._layout.levels, 1, -1):
            smooth = self._finer(smooth, self._kept[channel][level - 1], level)
        detail, most = self._kept[channel][0], self._most(1)
        height, width = picture.shape[:2]
        full_scale = np.iinfo(picture.dtype).max

        def finest(first: int, end: int) -> None:
            rows = join(smooth, detail, most, first, end, real=True)[: height - 2 * first, 0, :width]
            picture[2 * first : 2 * first + len(rows), :, channel] = np.clip(np.rint(rows), 0, full_scale)

        self._bands.run(len(smooth), finest, _BAND_ROWS)

    def _finer(self, smooth: Floats, detail: npt.NDArray[np.int16], level: int) -> Floats:
        height, _, width = smooth.shape
        below = np.empty((2 * height, 2, 2 * width), np.float32)

        def joined(first: int, end: int) -> None:
            below[2 * first : 2 * end] = join(smooth, detail, self._most(level), first, end, real=False)

        self._bands.run(height, joined, _BAND_ROWS)
        return below


_Plane = Callable[[Floats, int], Floats]
_Use = Callable[[int, int, int, Floats], None]


def _luma(values: Floats, full_scale: int) -> Floats:
    return luma_of(values, full_scale)


def _channel(values: Floats, _full_scale: int, which: int) -> Floats:
    return values if values.ndim == 2 else np.ascontiguousarray(values[..., which])
