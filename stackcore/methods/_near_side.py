"""Which end of a stack is nearer to the camera, found in small copies of its frames."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.methods._copies import Copies
from stackcore.methods._rows import Bands
from stackcore.methods._sharpest import Sharpest
from stackcore.methods._veil import as_rgb8, lain_over, surroundings

Floats = npt.NDArray[np.float32]

DOUBT = 0.1
"""Correlations that differ by less tell nothing. On rendered scenes with texture they differ by 0.1 to 0.8."""

SURPRISE = 0.45
"""Cameras and rails go from near to far: the opposite must be plain. On plain ground beside near things depth is often that of the
near thing, and what is then seen speaks for the opposite, by up to 0.35."""

_BESIDE = np.ones((3, 3), np.uint8)
_FEWEST = 50


class NearSide:
    """Looks at the copies of one stack."""

    def __init__(self, bands: Bands, copies: Copies) -> None:
        self._bands = bands
        self._copies = copies

    def first_is_near(self, sharpest: Sharpest, px_per_frame: float) -> bool | None:
        """Whether the stack begins at the near end; None where nothing tells.

        Args:
            sharpest: depths of the cells.
            px_per_frame: radius of the blur disc in cells for a distance of one frame.
        """
        if len(self._copies) < 3:
            return None
        height, width = self._copies.shape
        place = cv2.resize(sharpest.place, (width, height), interpolation=cv2.INTER_NEAREST)
        rate = px_per_frame * width / sharpest.place.shape[1]
        last = np.float32(self._copies.frames - 1)
        fine = cv2.resize(sharpest.fine.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        ahead = self._covered(place, rate, fine, reverse=False)
        back = self._covered(last - place, rate, fine, reverse=True)
        if ahead - back > DOUBT:
            return True
        return False if back - ahead > SURPRISE else None

    def _covered(self, place: Floats, rate: float, fine: npt.NDArray[np.uint8], *, reverse: bool) -> float:
        """How well the light that farther things would have got from nearer ones explains them: a correlation.

        A farther thing takes on light of a nearer one beside it, in the frame in which itself is sharp; the frame in which the
        nearer one is sharp shows what it is without. A nearer thing never takes on anything of what is behind it.
        """
        around = surroundings(place, rate, self._copies.frames)
        taken = self._taken(place, reverse=reverse)
        cells, cover, light = lain_over(as_rgb8(taken), around, rate, self._bands)
        # At the very edge depths are wrong by the width of the focus window, and say the opposite.
        wanted = (around.view >= 0).astype(np.uint8)
        nearer = (wanted == 0) & (cv2.dilate(wanted, _BESIDE) > 0) & (cv2.erode(place, _BESIDE) == place)
        clear = cv2.dilate(nearer.astype(np.uint8), _BESIDE).reshape(-1)[cells] == 0
        # So they are where no fine detail says them.
        keep = clear & (cover > np.float32(0.05)) & (fine.reshape(-1)[cells] > 0)
        if keep.sum() < _FEWEST:
            return 0.0
        seen = self._taken(np.where(wanted, around.view, place).astype(np.float32), reverse=reverse)
        difference = cv2.blur(taken.astype(np.float32) - seen, (3, 3)).reshape(-1, 3)[cells[keep]]
        expected = light[keep] - cover[keep, None] * seen.reshape(-1, 3)[cells[keep]]
        norm = float(np.sqrt(np.square(expected).sum() * np.square(difference).sum()))
        return float((expected * difference).sum()) / norm if norm > 0 else 0.0

    def _taken(self, place: Floats, *, reverse: bool) -> npt.NDArray[np.uint8]:
        """(h, w, 3): each pixel from the copy nearest to its place."""
        values = self._copies.taken(np.float32(self._copies.frames - 1) - place if reverse else place)
        return np.asarray(np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values, np.uint8)
