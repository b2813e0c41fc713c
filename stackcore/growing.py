"""A small picture that grows with the stack, for methods that have none before their end."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels, reduced_matrix
from stackcore.merge import StackMerger

MEGAPIXELS = 1.5
"""Frames are made this small, or smaller: a preview must not cost what the fusion costs."""


class GrowingPreview:
    """Merges reduced frames, each pixel from the sharpest, as `stackcore.merge` does.

    Args:
        height: of the frames, px.
        width: likewise.
        channels: 3 or 1.
        threads: of the merge.
    """

    def __init__(self, height: int, width: int, channels: Literal[1, 3], threads: int) -> None:
        self._factor = max(1, math.ceil(math.sqrt(height * width / (MEGAPIXELS * 1e6))))
        self._size = max(1, width // self._factor), max(1, height // self._factor)
        self._merger = StackMerger(self._size[1], self._size[0], channels=channels, threads=threads)

    def add(self, frame: AlignedFrame) -> None:
        """Take the next frame."""
        self._merger.add(self._reduced(frame), frame.index)

    def picture(self) -> Pixels:
        """As far as it has grown: 8 bits."""
        return self._merger.picture

    def close(self) -> None:
        """End its threads. Idempotent."""
        self._merger.close()

    def _reduced(self, frame: AlignedFrame) -> npt.NDArray[np.uint8]:
        """The frame at the preview's size, where it lies on the reference, evened, 8 bits."""
        side = self._factor
        width, height = self._size
        whole = frame.pixels[: height * side, : width * side]
        small = cv2.resize(whole, self._size, interpolation=cv2.INTER_AREA) if side > 1 else whole
        if frame.moved:
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            matrix = reduced_matrix(frame.matrix, side)
            small = cv2.warpAffine(small, matrix, self._size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        gain = frame.gain if frame.channels == 3 else frame.gain[0]
        scale = np.float32(255 / frame.full_scale) * gain
        if frame.full_scale == 255 and (gain == 1).all():
            return np.ascontiguousarray(small, np.uint8)
        return np.clip(np.rint(small * scale), 0, 255).astype(np.uint8)
