"""Which end of a stack is nearer to the camera, found in small copies of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.methods._focus_levels import Sharpest, reduced_matrix
from stackcore.methods._unveil_kernels import veil_rows
from stackcore.methods._veil import GAP, surroundings

Floats = npt.NDArray[np.float32]

MAX_PX = 200_000
"""Of a copy: 0.6 MB."""

MAX_FRAMES = 48
"""Of longer stacks every second, fourth ... copy is kept."""

DOUBT = 0.1
"""Correlations that differ by less tell nothing. On rendered scenes with texture they differ by 0.3 to 0.8."""

_EDGE_PX = 1
_FEWEST = 50


class NearSide:
    """Keeps small copies of the frames of one stack, 30 MB at most."""

    def __init__(self) -> None:
        self._copies: list[Pixels] = []
        self._every = 1
        self._frames = 0

    def add(self, frame: AlignedFrame, pictures: Sequence[Pixels]) -> None:
        """Keep a copy; `pictures` are those of the frame at half size and smaller, not resampled."""
        place = self._frames
        self._frames += 1
        if place % self._every:
            return
        copy = next((p for p in pictures if p.shape[0] * p.shape[1] <= MAX_PX), pictures[-1])
        if copy.dtype != np.uint8:
            copy = np.right_shift(copy, 4 if frame.pixels.dtype == np.uint8 else 8).astype(np.uint8)
        if frame.moved:
            size = (copy.shape[1], copy.shape[0])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            matrix = reduced_matrix(frame.matrix, frame.shape[1] / size[0])
            copy = np.asarray(cv2.warpAffine(copy, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
        self._copies.append(copy)
        if len(self._copies) > MAX_FRAMES:
            self._copies = self._copies[::2]
            self._every *= 2

    def first_is_near(self, sharpest: Sharpest, px_per_frame: float) -> bool | None:
        """Whether the stack begins at the near end; None where nothing tells.

        Args:
            sharpest: depths at half size.
            px_per_frame: radius of the blur disc at half size for a distance of one frame.
        """
        if len(self._copies) < 3:
            return None
        height, width = self._copies[0].shape[:2]
        place = cv2.resize(sharpest.place, (width, height), interpolation=cv2.INTER_NEAREST)
        stack = np.stack(self._copies)
        rate = px_per_frame * width / sharpest.place.shape[1]
        last = np.float32(self._frames - 1)
        ahead = self._covered(stack, place, rate, reverse=False)
        back = self._covered(stack, last - place, rate, reverse=True)
        return None if abs(ahead - back) < DOUBT else ahead > back

    def _covered(self, stack: Pixels, place: Floats, rate: float, *, reverse: bool) -> float:
        """How well the light that farther things would have got from nearer ones explains them: a correlation.

        A farther thing takes on light of a nearer one beside it, in the frame in which itself is sharp; the frame in which the
        nearer one is sharp shows what it is without. A nearer thing never takes on anything of what is behind it.
        """
        around = surroundings(place, rate, self._frames)
        wanted = (around.view >= 0).astype(np.uint8)
        if not wanted.any():
            return 0.0
        height, width = place.shape
        taken = self._taken(stack, place, reverse=reverse)
        seen = self._taken(stack, np.where(wanted, around.view, place).astype(np.float32), reverse=reverse)
        cover = np.zeros((height, width), np.float32)
        light = np.zeros((height, width * 3), np.float32)
        blur, gap = np.float32(rate), np.float32(GAP)
        colour = np.ascontiguousarray(taken.reshape(height, width * 3))
        veil_rows(place, colour, wanted, place, around.nearest, blur, gap, 0, height, cover, light)
        # At the very edge depths are wrong by the width of the focus window, and say the opposite.
        nearer = ((wanted == 0) & (cv2.dilate(wanted, _beside(1)) > 0) & (cv2.erode(place, _beside(1)) == place)).astype(np.uint8)
        edge = (wanted > 0) & (cover > np.float32(0.05)) & (cv2.dilate(nearer, _beside(_EDGE_PX)) == 0)
        if edge.sum() < _FEWEST:
            return 0.0
        expected = (light.reshape(height, width, 3) - cover[..., None] * seen)[edge]
        found = cv2.blur(taken - seen, (3, 3))[edge]
        norm = float(np.sqrt(np.square(expected).sum() * np.square(found).sum()))
        return float((expected * found).sum()) / norm if norm > 0 else 0.0

    def _taken(self, stack: Pixels, place: Floats, *, reverse: bool) -> Floats:
        """(h, w, 3) float32: each pixel from the copy nearest to its place."""
        number = (self._frames - 1 - place if reverse else place) / self._every
        number = np.clip(np.rint(number), 0, len(stack) - 1).astype(np.intp)
        rows, columns = np.indices(number.shape)
        values = stack[number, rows, columns].astype(np.float32)
        return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values


def _beside(reach: int) -> npt.NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
