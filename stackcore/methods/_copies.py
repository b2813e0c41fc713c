"""Small copies of the frames of a stack, all on the reference and equally bright: for what is decided before the second pass."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels, as_pixels, reduced_matrix
from stackcore.methods._blend import evened

Floats = npt.NDArray[np.float32]

MAX_PX = 100_000
"""Of a copy: 0.3 MB."""

MAX_FRAMES = 40
"""Of longer stacks every second, fourth ... copy is kept."""


class Copies:
    """Keeps the copies of one stack, 12 MB at most."""

    def __init__(self) -> None:
        self._kept: list[npt.NDArray[np.uint8]] = []
        self._every = 1
        self.frames = 0
        """Of the stack, so far."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, frame: AlignedFrame, pictures: Sequence[Pixels]) -> None:
        """Keep a copy; `pictures` are those of the frame in cells and smaller, not resampled."""
        place = self.frames
        self.frames += 1
        if place % self._every:
            return
        copy = next((p for p in pictures if p.shape[0] * p.shape[1] <= MAX_PX), pictures[-1])
        if copy.dtype != np.uint8:
            copy = np.right_shift(copy, 4 if frame.pixels.dtype == np.uint8 else 8).astype(np.uint8)
        if frame.moved:
            size = (copy.shape[1], copy.shape[0])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            matrix = reduced_matrix(frame.matrix, frame.shape[1] / size[0])
            copy = as_pixels(cv2.warpAffine(copy, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
        self._kept.append(np.asarray(evened(copy, frame), np.uint8))
        if len(self._kept) > MAX_FRAMES:
            self._kept = self._kept[::2]
            self._every *= 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a copy, px; there has to be one."""
        return self._kept[0].shape[0], self._kept[0].shape[1]

    def stack(self) -> npt.NDArray[np.uint8]:
        """(copies, h, w[, 3])."""
        return np.stack(self._kept)

    def taken(self, place: Floats) -> npt.NDArray[np.uint8]:
        """(h, w[, 3]): each pixel from the copy nearest to its place, (h, w) in frames."""
        number = np.clip(np.rint(place / self._every), 0, len(self._kept) - 1).astype(np.intp)
        picture = np.empty_like(self._kept[0])
        for k, copy in enumerate(self._kept):
            mask = number == k
            picture[mask] = copy[mask]
        return picture
