"""Bringing a frame to the reference, for those who need it as a picture. The fusion folds its own warp in."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import IDENTITY, Matrix

Picture = TypeVar("Picture", npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32])


def warp(image: Picture, matrix: Matrix, beyond: Picture | None = None) -> Picture:
    """Bring a frame to the reference, by bicubic interpolation.

    Bilinear would soften each pixel by where it falls between four, in a lattice over the picture that moves from frame to frame;
    the focus measure sees that, and the depth map shows the lattice (median error 0.16 steps with bilinear, 0.07 with bicubic, 0.06
    with Lanczos at five times the time, on the demonstration's ring).

    Args:
        image: (H, W, 3) or (H, W).
        matrix: 2 x 3, as `Registration.matrix`.
        beyond: what the result shows where the frame shows nothing, same shape; None: its edge pixels, repeated.

    Returns:
        A new array of the same shape; the same array when the matrix is the identity.
    """
    if np.array_equal(matrix, IDENTITY):
        return image
    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    if beyond is None:
        return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[no-any-return]
    result = beyond.copy()
    cv2.warpAffine(image, matrix, size, dst=result, flags=flags, borderMode=cv2.BORDER_TRANSPARENT)
    return result


def softened(picture: npt.NDArray[np.uint8], cell_px: int = 16) -> npt.NDArray[np.uint8]:
    """A picture without detail, for `beyond`: where a frame shows nothing it then has nothing in focus, and no edge either."""
    height, width = picture.shape[:2]
    cells = (max(1, width // cell_px), max(1, height // cell_px))
    small = cv2.resize(picture, cells, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[no-any-return]
