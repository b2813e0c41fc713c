"""A fused stack as seen from infinitely far away: by the law that its own registration shows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stackcore.depth import DepthMap
from stackcore.files import StackError
from stackcore.methods import Fused
from stackcore.outcome import FrameReport

_FULL = np.float32(65535)


def from_infinity(fused: Fused, reports: Iterable[FrameReport]) -> Fused:
    """Picture, depth and confidence resampled so that equal things are equally large at every depth.

    Args:
        fused: in the perspective of the reference.
        reports: of the stack's frames, with their matrices.

    Raises:
        StackError: no depth is known, or too few frames to tell the law of the zoom.
    """
    from stackcore.registration.geometry import calibrate  # noqa: PLC0415  (brings kernels with it)
    from stackcore.registration.orthographic import orthographic  # noqa: PLC0415

    if fused.depth is None:
        raise StackError("an orthographic view needs depth, which this method does not know; use another")
    placed = [(report.index, report.matrix) for report in reports if report.matrix is not None]
    try:
        law = calibrate([index for index, _ in placed], [matrix for _, matrix in placed])
        view = orthographic(fused.picture, fused.depth.frame_index, law)
        # The same way for the confidence; 0 stands for holes, which the view fills to be able to trace.
        known = np.isfinite(fused.depth.frame_index)
        levels = np.where(known, np.maximum(np.rint(fused.depth.confidence * _FULL), 1), 0).astype(np.uint16)
        sure = orthographic(levels, fused.depth.frame_index, law).picture
    except ValueError as error:
        raise StackError(f"there is no orthographic view of this stack: {error}; fuse it without") from error
    frame_index = np.where(view.seen & (sure > 0), view.depth, np.float32(np.nan)).astype(np.float32)
    confidence = np.where(view.seen, sure / _FULL, np.float32(0)).astype(np.float32)
    return Fused(view.picture, DepthMap(frame_index, confidence, fused.depth.focus_width))
