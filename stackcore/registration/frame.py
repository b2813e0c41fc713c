"""A frame at the three sizes at which it is compared, and whether it is fit to be compared at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels
from stackcore.registration.reduced import CELL, Reduced, reduce, rows_of
from stackcore.registration.tiles import Plane

MIN_CONTRAST = 1.5
"""Standard deviation of luma, of 255, below which a frame is blank."""
MAX_CLIPPED = 0.6
"""Share of clipped blocks from which on a frame is overexposed."""
SHAKEN_BELOW = 0.5
SHAKEN_RATIO = 0.55
"""A shake takes the detail out of a frame in one direction only, focus in all. On the stacks we have the direction that lost most
kept at least two thirds of what the other kept; blurred on purpose along a line of 1/80 of the width, about a third."""


@dataclass(frozen=True)
class Planes:
    """A frame at full size and made small twice.

    Attributes:
        shape: height and width, px.
        reduced: of it.
        coarse: luma of the reduced frame's cells.
        middle: luma of its blocks.
        fine: the frame itself, as large as it came.
        small: (h, w) float32: the values of `coarse`.
    """

    shape: tuple[int, int]
    reduced: Reduced
    coarse: Plane
    middle: Plane
    fine: Plane
    small: npt.NDArray[np.float32]

    @classmethod
    def of(cls, pixels: Pixels, cell: int = 1) -> Planes:
        """Of (H, W, 3) RGB or (H, W), uint8 or uint16.

        Args:
            pixels: the frame, or means of `cell` x `cell` px of it.
            cell: how large they are.

        Raises:
            ValueError: for anything else, and for pictures that are too small to be registered.
        """
        values, channels = rows_of(pixels)
        reduced = reduce(pixels, cell)
        cells = reduced.cells
        if min(cells.shape[:2]) < 2:
            raise ValueError(
                f"a frame of {pixels.shape[1]} x {pixels.shape[0]} px is too small to be registered"
            )
        small = np.ascontiguousarray((cells[..., 0] + 2 * cells[..., 1] + cells[..., 2]) * np.float32(0.25))
        unit = 255 / int(np.iinfo(pixels.dtype).max)
        return cls(
            (pixels.shape[0] * cell, pixels.shape[1] * cell),
            reduced,
            Plane(small, 1, 1.0, reduced.factor * CELL),
            Plane(reduced.luma, 1, 1.0, reduced.factor),
            Plane(values, channels, unit, cell),
            small,
        )

    @property
    def structure(self) -> npt.NDArray[np.float64]:
        """(2, 2): how much detail there is in which direction."""
        xx, xy, yy = self.reduced.detail.sum(axis=(0, 1), dtype=np.float64)
        return np.array([[xx, xy], [xy, yy]]) + 1e-6 * np.eye(2)

    def unusable(self) -> str:
        """Why it cannot be used whatever it is compared with; empty if it can."""
        clipped = float(self.reduced.cells[..., 3].mean())
        if clipped > MAX_CLIPPED:
            return f"{clipped:.0%} of it is overexposed"
        if float(self.small.std()) < MIN_CONTRAST:
            return "it is blank: black, or without any detail"
        return ""

    def shaken(self, before: npt.NDArray[np.float64]) -> bool:
        """Whether it has lost its detail in one direction, compared with the `structure` of the frame before."""
        kept = np.linalg.eigvals(np.linalg.solve(before, self.structure)).real
        return bool(kept.min() < SHAKEN_BELOW and kept.min() < SHAKEN_RATIO * kept.max())
