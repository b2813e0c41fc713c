"""Whether a stack moves at all. Resampling costs sharpness and time, so frames that lie still are left as they are."""

from __future__ import annotations

import numpy as np

from stackcore.registration.similarity import Estimate, Floats, corner_px

STEP_PX, DRIFT_PX = 0.1, 0.15
"""Motion of the corners below which a stack counts as still, from one frame to the next and in the long run."""
_CERTAIN = 25.0
"""Mahalanobis distance, squared, of four numbers: 1 in 20 000 by chance."""
MOST_ERROR_PX = 0.15
"""Errors count no higher than this: a stack of which nothing is known exactly has no claim to lie still."""
_KEEP = 0.9
"""Of the drift so far, from frame to frame: errors add up to about twice one frame's, a real drift to ten times."""


class Stillness:
    """Holds until motion shows that chance does not explain; then never again."""

    def __init__(self) -> None:
        self.holds = True
        self._drift = np.zeros(4)
        self._variance = np.zeros((4, 4))

    def add(self, step: Floats, estimate: Estimate) -> None:
        """Judge by one more frame.

        Args:
            step: (4,), its motion against the frame before, as `Estimate.step`.
            estimate: with the information that it rests on.
        """
        believed = min(1.0, MOST_ERROR_PX / estimate.error_px) ** 2
        variance = np.asarray(believed * estimate.variance, np.float64)
        self._drift = _KEEP * self._drift + step
        self._variance = np.asarray(_KEEP**2 * self._variance + variance, np.float64)
        if _moves(step, variance, STEP_PX) or _moves(self._drift, self._variance, DRIFT_PX):
            self.holds = False


def _moves(step: Floats, variance: Floats, least_px: float) -> bool:
    return corner_px(step) > least_px and float(step @ np.linalg.solve(variance, step)) > _CERTAIN
