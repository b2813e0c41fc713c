"""A first guess where nothing is known: phase correlation at several zooms."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ZOOMS = (1.0, 1.02, 0.98, 1.04, 0.96, 1.07, 0.93, 1.1, 0.9, 1.15, 0.87)


def search(before: Floats, after: Floats) -> npt.NDArray[np.float64]:
    """3 x 3, from pixels of one small picture to pixels of another: the zoom and shift that make them most alike.

    Phase correlation (Kuglin and Hines, 1975) finds any shift but suffers when the zoom is wrong, so several are tried.
    """
    size = (before.shape[1], before.shape[0])
    centre = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    wanted = _detail(after)
    best, found = -1.0, np.eye(3)
    for zoom in ZOOMS:
        turn = np.vstack([cv2.getRotationMatrix2D(centre, 0.0, zoom), [0.0, 0.0, 1.0]])
        seen = cv2.warpAffine(before, turn[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        (x, y), response = cv2.phaseCorrelate(_detail(seen), wanted, window)
        if response > best:
            best = response
            found = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]) @ turn
    return found


def _detail(luma: Floats) -> Floats:
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 4.0)
    contrast = cv2.GaussianBlur(fine * fine, (0, 0), 8.0)
    return np.asarray(fine / np.sqrt(contrast + np.float32(1.0)), np.float32)
