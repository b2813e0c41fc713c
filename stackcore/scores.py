"""What a merge knows of focus: 16-bit scores, and the energies that they stand for.

A score is a short float: the energy as float32, of which the exponent and the first 11 bits of the fraction are kept. So it
orders as the energy does, needs 2 bytes, and is exact to 1 part in 2048 at any brightness of texture (a square root rounded to
16 bits would lose the faint ones). Score 0 is energy 0, score 1 is energy 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

LUMA_BINS = 8
"""Noise depends on brightness; its floor is kept for this many equal ranges of luma."""

_CODE_OF_ONE = (0x3F800000 >> 12) - 1


@dataclass(frozen=True)
class Merged:
    """A stack merged so far. The arrays are views: they change with the next frame.

    Attributes:
        picture: (H, W, 3) or (H, W) uint8, each pixel from its sharpest frame.
        frame: (H, W) uint16, the ordinal of that frame (0 for the first one added).
        best: (H, W) uint16, its score.
        before: (H, W) uint16, the score of the frame before it, 0 when there was none.
        after: (H, W) uint16, the score of the frame after it, 0 when there is none yet.
        indices: the index of every frame added; `indices[ordinal]`.
        noise_floor: (`LUMA_BINS`,) float32, the energy that noise alone gives, by luma of the pixel.
        radius: of the window that the energies are pooled over, px.
    """

    picture: npt.NDArray[np.uint8]
    frame: npt.NDArray[np.uint16]
    best: npt.NDArray[np.uint16]
    before: npt.NDArray[np.uint16]
    after: npt.NDArray[np.uint16]
    indices: tuple[int, ...]
    noise_floor: npt.NDArray[np.float32]
    radius: int

    def rows(self, first: int, end: int) -> Merged:
        """The same for some rows only (views)."""
        return self._cut(slice(first, end))

    def every(self, stride: int) -> Merged:
        """The same for every `stride`-th row only (views)."""
        return self._cut(slice(stride // 2, None, stride))

    def _cut(self, cut: slice) -> Merged:
        return replace(
            self,
            picture=self.picture[cut],
            frame=self.frame[cut],
            best=self.best[cut],
            before=self.before[cut],
            after=self.after[cut],
        )

    def floor(self) -> npt.NDArray[np.float32]:
        """Energy of noise alone at every pixel, (H, W) float32."""
        return np.asarray(self.noise_floor[luma_bin_of(self.picture)], np.float32)


def energy_of(score: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Energies (float32, same shape) that 16-bit scores stand for."""
    bits = (score.astype(np.int32) + np.int32(_CODE_OF_ONE)) << np.int32(12)
    return np.where(score > 0, bits.view(np.float32), np.float32(0))


def luma_bin_of(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Which range of luma (0 .. `LUMA_BINS` - 1) each pixel of a (H, W, 3) or (H, W) picture belongs to."""
    if picture.ndim == 2:
        return picture // np.uint8(256 // LUMA_BINS)
    weighted = picture[..., 0].astype(np.uint16) * np.uint16(77)
    weighted += picture[..., 1].astype(np.uint16) * np.uint16(150)
    weighted += picture[..., 2].astype(np.uint16) * np.uint16(29)
    return (weighted // np.uint16(65536 // LUMA_BINS)).astype(np.uint8)


class NoiseFloor:
    """Energy of noise alone, found while the stack goes by.

    In nearly every frame some of each brightness is flat or far out of focus: there the energy is noise. The floor of a bin is the
    lowest of the frames' 10th percentiles in that bin. A bin never seen takes the floor of the nearest seen one.

    Only the middle of the picture counts: an aligned frame that shows less than the others has nothing at its border, not even noise.
    """

    PERCENTILE = 10
    SAMPLES = 32_000
    FEWEST = 100
    BORDER = 6
    """A sixth of height and width is left out at each side: frames that differ by 30 % in size still show the middle."""

    def __init__(self) -> None:
        self._floor = np.full(LUMA_BINS, np.nan, np.float32)

    def add(self, picture: npt.NDArray[np.uint8], score: npt.NDArray[np.uint16]) -> None:
        """Take a frame and its scores into account, sampled on a grid."""
        stride = max(1, int(np.sqrt(score.size / self.SAMPLES)))
        top, left = (size // self.BORDER for size in score.shape)
        grid = (slice(top, score.shape[0] - top, stride), slice(left, score.shape[1] - left, stride))
        bins = luma_bin_of(picture[grid]).ravel()
        energy = energy_of(score[grid]).ravel()
        for k in range(LUMA_BINS):
            here = energy[bins == k]
            if here.size >= self.FEWEST:
                place = here.size * self.PERCENTILE // 100
                self._floor[k] = np.fmin(self._floor[k], np.partition(here, place)[place])

    def by_luma(self) -> npt.NDArray[np.float32]:
        """The floor of every bin, (`LUMA_BINS`,) float32; 0 when nothing was seen."""
        seen = np.flatnonzero(np.isfinite(self._floor))
        if seen.size == 0:
            return np.zeros(LUMA_BINS, np.float32)
        nearest = seen[np.abs(np.arange(LUMA_BINS)[:, None] - seen).argmin(axis=1)]
        return np.asarray(self._floor[nearest], np.float32)
