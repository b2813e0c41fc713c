"""One frame with where it lies and how bright it is against the reference: what every fusion method is fed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, 3) RGB or (H, W), as decoded."""

Matrix = npt.NDArray[np.float64]
"""2 x 3, maps pixels (x, y) of the reference to pixels of a frame; pixel centres are at whole numbers."""

IDENTITY: Matrix = np.eye(3)[:2]
IDENTITY.flags.writeable = False


def upright(matrix: Matrix) -> bool:
    """Whether what is to the right, or below, stays there; the kernels that resample rely on it."""
    across, down = matrix[0, 0], matrix[1, 1]
    return bool(min(across, down) > max(abs(matrix[0, 1]), abs(matrix[1, 0])))


def reduced_matrix(matrix: Matrix, factor: float) -> Matrix:
    """The same map between pictures whose pixels are blocks of `factor` x `factor` px.

    Args:
        matrix: 2 x 3, between the pictures at full size.
        factor: size of a block, px.
    """
    reduced = matrix.copy()
    middle = (factor - 1) / 2  # of a block, in whole pixels
    reduced[:, 2] = (matrix[:, 2] + (matrix[:, :2].sum(axis=1) - 1) * middle) / factor
    return reduced


def in_cells(pixels: Pixels, cell: int) -> Pixels:
    """Means of `cell` x `cell` px; what is left at the right and below is left out, unless there is nothing else. Same type."""
    if cell == 1:
        return pixels
    rows, columns = (max(1, length // cell) for length in pixels.shape[:2])
    whole = pixels[: cell * rows, : cell * columns]
    return as_pixels(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))


def as_pixels(picture: Any) -> Pixels:
    """What OpenCV gave back, as what it is."""
    return cast("Pixels", picture)


def _unity() -> npt.NDArray[np.float32]:
    return np.ones(3, np.float32)


@dataclass(frozen=True)
class AlignedFrame:
    """A frame of a stack, not yet resampled.

    Attributes:
        index: its place in the stack; larger than that of every frame before.
        pixels: (H, W, 3) RGB or (H, W), uint8 or uint16, as the camera gave it. Read only.
        matrix: from pixels of the reference to pixels of this frame.
        gain: (3,) float32 for RGB; for gray only the first counts. Pixels times gain are as bright as the reference.
        cell: more than 1 where `pixels` are only means of `cell` x `cell` px: for methods that asked for no more.
        size: height and width of the frame, px, where `pixels` are such means. The matrix is always between whole pixels.
    """

    index: int
    pixels: Pixels
    matrix: Matrix = field(default_factory=IDENTITY.copy)
    gain: npt.NDArray[np.float32] = field(default_factory=_unity)
    cell: int = 1
    size: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.size or (self.pixels.shape[0], self.pixels.shape[1])

    def in_cells(self, cell: int) -> Pixels:
        """Means of `cell` x `cell` px: `pixels` themselves where they are those already."""
        return self.pixels if self.cell == cell else in_cells(self.pixels, cell)

    @property
    def channels(self) -> int:
        """3 or 1."""
        return 1 if self.pixels.ndim == 2 else 3

    @property
    def full_scale(self) -> int:
        """255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    @property
    def moved(self) -> bool:
        """Whether the frame has to be resampled at all."""
        return not np.array_equal(self.matrix, IDENTITY)

    @property
    def upright(self) -> bool:
        """Whether the frame lies as frames of one stack do: neither mirrored nor turned by 45 degrees or more."""
        return upright(self.matrix)

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """(H, W): which pixels of the reference this frame shows, with the 2 px that bicubic interpolation reaches."""
        height, width = self.shape
        if not self.moved:
            return np.ones((height, width), np.bool_)
        a, b, c = self.matrix[0]
        d, e, f = self.matrix[1]
        x = np.arange(width)[None, :]
        y = np.arange(height)[:, None]
        u, v = a * x + b * y + c, d * x + e * y + f
        return np.asarray((u >= 1) & (u <= width - 2) & (v >= 1) & (v <= height - 2), np.bool_)

    @cached_property
    def warped(self) -> npt.NDArray[np.float32]:
        """Resampled to the reference (bicubic, edge pixels repeated) and evened: float32, same shape, in the pixels' own scale."""
        values = self.pixels
        if self.moved:
            size = (values.shape[1], values.shape[0])
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            resampled: Any = cv2.warpAffine(
                values.astype(np.float32), self.matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        else:
            resampled = values.astype(np.float32)
        gain = self.gain if self.channels == 3 else self.gain[0]
        return np.asarray(resampled * gain, np.float32)
