"""Complex Daubechies wavelets: filters, and a separable 2-D transform of pictures of any size.

Lina and Mayrand, "Complex Daubechies Wavelets" (Applied and Computational Harmonic Analysis 2, 1995): of the factorisations of
Daubechies' half-band polynomial the one that takes a root together with its reciprocal (not with its conjugate) gives filters that are
symmetric and orthonormal at once, at the price of being complex. Six taps have three vanishing moments. Since they are symmetric a
picture may be reflected at its border, and no coefficient more than pixels is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.methods._wavelet_kernel import FULL, analyse_rows, join_rows

Floats = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex128]

LEAST = 2e-6
"""Float32 has 24 bits; a coefficient is a sum of 36 products."""

MARGIN = 2
"""Rows that one level looks beyond a band, above and below."""


def filters() -> tuple[Complexes, Complexes]:
    """The smoothing and the detail filter, 6 taps each, of norm 1.

    The half-band polynomial with three zeros at z = -1 leaves 1 + 3 y + 6 y^2, y = (2 - z - 1/z) / 4 (Daubechies, "Ten Lectures",
    6.1.12 with N = 3). Its roots in y are (-3 +- i sqrt(15)) / 12; each is a pair z, 1/z. One pair goes into the filter, the other into
    its conjugate.
    """
    y = (-3 - 1j * np.sqrt(15)) / 12
    pair = np.array([1, -(2 - 4 * y), 1])
    smooth = np.convolve([1, 3, 3, 1], pair)
    smooth = smooth * (np.sqrt(2) / smooth.sum())
    detail = np.conj(smooth[::-1]) * np.array([1, -1, 1, -1, 1, -1])
    return smooth, detail


def _analysis_taps() -> Floats:
    return np.array([[f.real, f.imag, -f.imag] for f in filters()], np.float32)


def _synthesis_taps() -> Floats:
    """For even and odd places: what the coefficients before, at and after a place are multiplied by, smoothed ones first."""
    smooth, detail = filters()
    taps = []
    for first in (4, 5):
        places = [first, first - 2, first - 4]
        conjugate = np.conj(np.concatenate([smooth[places], detail[places]]))
        taps.append([conjugate.real, -conjugate.imag, conjugate.imag])
    return np.array(taps, np.float32)


ANALYSIS = _analysis_taps()
SYNTHESIS = _synthesis_taps()


@dataclass(frozen=True)
class Layout:
    """Sizes of a transform.

    Attributes:
        height: of the picture, px.
        width: of the picture, px.
        levels: how often the smoothed picture is split again.
    """

    height: int
    width: int
    levels: int

    def size(self, level: int) -> tuple[int, int]:
        """Height and width of level 1 .. `levels`; of level 0: of the picture, reflected to a multiple of 2^levels."""
        step = 1 << self.levels
        return (-(-self.height // step) * step >> level, -(-self.width // step) * step >> level)

    def most(self, full_scale: int, level: int) -> float:
        """What a detail coefficient of `level` does not exceed, but in pictures made for it.

        On level 1 the sums of the filters' magnitudes bound it to 1.74 times white; smoothing doubles what comes to the next level.
        """
        return full_scale * float(2.0**level)

    def least(self, full_scale: int, level: int) -> float:
        """What rounding may leave of the details of a flat white picture: nothing below it counts."""
        return LEAST * self.most(full_scale, level)


def reflected(at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Places within 0 .. size - 1 for places beyond: d c b a | a b c d | d c b a, again and again."""
    around = np.mod(at, 2 * size)
    return np.asarray(np.minimum(around, 2 * size - 1 - around), np.int64)


def picture_rows(layout: Layout, first: int, end: int) -> npt.NDArray[np.int64]:
    """Rows of the picture that rows `first` to `end` of level 1 are made of, margin included."""
    padded = reflected(np.arange(2 * first - MARGIN, 2 * end + MARGIN), layout.size(0)[0])
    return reflected(padded, layout.height)


def picture_columns(layout: Layout) -> npt.NDArray[np.int64]:
    """Columns of the picture that the columns of level 0 are."""
    return reflected(np.arange(layout.size(0)[1]), layout.width)


def analyse(rows: Floats) -> tuple[Floats, Floats]:
    """Split some rows of one level, (1 or 2, 2 n + 4, W), into (n, 2, W / 2) smoothed ones and (n, 3, 2, W / 2) details."""
    _, count, width = rows.shape
    n = (count - 2 * MARGIN) // 2
    smooth = np.empty((n, 2, width // 2), np.float32)
    detail = np.empty((n, 3, 2, width // 2), np.float32)
    line = np.empty((2, width), np.float32)
    parts = np.empty((4, width // 2 + 2), np.float32)
    analyse_rows(np.ascontiguousarray(rows), ANALYSIS, smooth, detail, line, parts)
    return smooth, detail


def level_rows(smooth: Floats, first: int, end: int) -> Floats:
    """Rows of a smoothed picture (H, 2, W) that rows `first` to `end` of the next level are made of, as `analyse` takes them."""
    at = reflected(np.arange(2 * first - MARGIN, 2 * end + MARGIN), smooth.shape[0])
    return np.ascontiguousarray(smooth[at].transpose(1, 0, 2))


def join(
    smooth: Floats, detail: npt.NDArray[np.int16], most: float, first: int, end: int, *, real: bool
) -> Floats:
    """Rows 2 `first` to 2 `end` of the level below, (rows, 1 or 2, 2 W).

    Args:
        smooth: (H, 2, W), the whole smoothed picture.
        detail: (H, 3, 2, W) int16, its details as `keep_rows` keeps them.
        most: what `FULL` stands for.
        first: row of this level.
        end: the row after the last.
        real: leave the imaginary part out.
    """
    height, _, width = smooth.shape
    wanted = np.arange(first - 1, end + 1)
    at = reflected(wanted, height)
    fine = detail[at]
    fine[(wanted < 0) | (wanted >= height), 1:] *= -1
    out = np.empty((2 * (end - first), 1 if real else 2, 2 * width), np.float32)
    ring = np.empty((3, 2, 2, 2 * width), np.float32)
    wide = np.empty((4, 2, width + 2), np.float32)
    join_rows(
        smooth[at], fine, np.float32(most / FULL), SYNTHESIS, out, ring, wide, np.empty(width, np.float32)
    )
    return out
