"""The zoom from frame to frame: steady on a rail and with a focus motor, so that the frames so far say what the next one does.

A rail that moves by equal steps makes 1 / zoom grow by equal steps (see `geometry`); so does, nearly, a lens that is refocused.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from stackcore.registration.similarity import about_centre, median, zoom_of

_LENGTH = 12
_ENOUGH = 4
_FLOOR = 1e-4
"""Standard deviation of the zoom of a frame that is granted to the steadiest stack. A tighter one (2e-5) was measured: the errors of
the first frames then live on in all others, and those of the whole stack double."""


class ZoomHistory:
    """Shrinkage (1 / zoom) of the last good frames against the reference."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, float]] = deque(maxlen=_LENGTH + 1)

    def add(self, index: int, motion: npt.NDArray[np.float64]) -> None:
        """A good frame's index and motion from the reference."""
        self._frames.append((index, 1 / zoom_of(motion)))

    def expected(self, index: int) -> tuple[float, float] | None:
        """Log zoom from the last good frame to this one, and its standard deviation; None while too little is known."""
        rates = self._rates()
        if len(rates) < _ENOUGH:
            return None
        rate = median(rates)
        spread = 1.48 * median(np.abs(rates - rate))
        last, shrinkage = self._frames[-1]
        steps = index - last
        return self._log_zoom(index, rate), abs(steps) * float(np.hypot(2 * spread / shrinkage, _FLOOR))

    def motion(self, index: int, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
        """3 x 3: the zoom to expect from the last good frame to this one, about the centre."""
        rates = self._rates()
        if not rates.size:
            return np.eye(3)
        zoom = np.exp(self._log_zoom(index, median(rates)))
        return about_centre(np.array([(zoom - 1) * np.hypot(*shape) / 2, 0, 0, 0]), shape)

    def _rates(self) -> npt.NDArray[np.float64]:
        """Growth of the shrinkage per place of the stack, from frame to frame."""
        frames = np.array(self._frames, np.float64).reshape(-1, 2)
        return np.asarray(np.diff(frames[:, 1]) / np.diff(frames[:, 0]), np.float64)

    def _log_zoom(self, index: int, rate: float) -> float:
        last, shrinkage = self._frames[-1]
        return float(-np.log(max(1 + (index - last) * rate / shrinkage, 0.2)))
