"""Which end of a stack is nearer to the camera, found in small copies of its frames."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.methods._focus_levels import Sharpest, reduced_matrix
from stackcore.methods._veil import GAP, surroundings

Floats = npt.NDArray[np.float32]

MAX_PX = 100_000
"""Of a copy: 0.3 MB."""

MAX_FRAMES = 64
"""Of longer stacks every second, fourth ... copy is kept."""

_BESIDE_PX = 6
_EDGE_PX = 2
_LEAST_SHARE = 0.02


class NearSide:
    """Keeps small copies of the frames of one stack."""

    def __init__(self) -> None:
        self._copies: list[Pixels] = []
        self._every = 1
        self._frames = 0

    def add(self, frame: AlignedFrame, small: Pixels) -> None:
        """Keep a copy; `small` is the frame at half size, not resampled."""
        place = self._frames
        self._frames += 1
        if place % self._every:
            return
        shrink = max(1.0, float(np.sqrt(small.shape[0] * small.shape[1] / MAX_PX)))
        size = (max(1, round(small.shape[1] / shrink)), max(1, round(small.shape[0] / shrink)))
        copy = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        if frame.moved:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            matrix = reduced_matrix(frame.matrix, frame.shape[1] / size[0])
            copy = cv2.warpAffine(copy, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if copy.dtype != np.uint8:
            copy = np.right_shift(copy, 8).astype(np.uint8)
        self._copies.append(np.asarray(copy, np.uint8))
        if len(self._copies) > MAX_FRAMES:
            self._copies = self._copies[::2]
            self._every *= 2

    def first_is_near(self, sharpest: Sharpest, px_per_frame: float) -> bool:
        """Whether the stack begins at the near end; yes, where nothing tells.

        Args:
            sharpest: depths at half size.
            px_per_frame: radius of the blur disc at half size for a distance of one frame.
        """
        if len(self._copies) < 3:
            return True
        height, width = self._copies[0].shape[:2]
        place = cv2.resize(sharpest.place, (width, height), interpolation=cv2.INTER_NEAREST)
        stack = np.stack(self._copies)
        rate = px_per_frame * width / sharpest.place.shape[1]
        last = np.float32(self._frames - 1)
        return self._covered(stack, place, rate, reverse=False) >= self._covered(stack, last - place, rate, reverse=True)

    def _covered(self, stack: Pixels, place: Floats, rate: float, *, reverse: bool) -> float:
        """How much farther things beside nearer ones have taken on of their colour: 0, or less, when they are not farther.

        A farther thing takes on the colour of a nearer one beside it, in the frame in which itself is sharp; the frame in which
        the nearer one is sharp shows what it is without. A nearer thing never takes on anything of what is behind it.
        """
        around = surroundings(place, rate, self._frames)
        wanted = around.view >= 0
        if not wanted.any():
            return 0.0
        taken = self._taken(stack, place, reverse=reverse)
        seen = self._taken(stack, np.where(wanted, around.view, place).astype(np.float32), reverse=reverse)
        side = 2 * _BESIDE_PX + 1
        mask = wanted.astype(np.float32)
        share = cv2.blur(mask, (side, side))
        behind = cv2.blur(place * mask, (side, side)) / np.maximum(share, np.float32(1e-3))
        nearer = (~wanted & (share > 0) & (place < behind - np.float32(GAP))).astype(np.float32)
        weight = cv2.blur(nearer, (side, side))
        # At the very edge depths are wrong by the width of the focus window, and say the opposite.
        touching = cv2.dilate(nearer, np.ones((2 * _EDGE_PX + 1, 2 * _EDGE_PX + 1), np.uint8)) > 0
        edge = wanted & (weight > _LEAST_SHARE) & ~touching
        if not edge.any():
            return 0.0
        other = cv2.blur(taken * nearer[..., None], (side, side)).reshape(taken.shape)
        contrast = (other / np.maximum(weight, np.float32(1e-3))[..., None] - seen)[edge]
        size = float(np.square(contrast).sum())
        return float(((taken - seen)[edge] * contrast).sum()) / size if size > 0 else 0.0

    def _taken(self, stack: Pixels, place: Floats, *, reverse: bool) -> Floats:
        """(h, w, channels) float32: each pixel from the copy nearest to its place."""
        number = (self._frames - 1 - place if reverse else place) / self._every
        number = np.clip(np.rint(number), 0, len(stack) - 1).astype(np.intp)
        rows, columns = np.indices(number.shape)
        values = stack[number, rows, columns].astype(np.float32)
        return np.asarray(values[..., None] if values.ndim == 2 else values, np.float32)
