"""What the zoom of a stack's frames says about the lens and the rail.

A thing in focus lies D = `pupil_to_focus` before the entrance pupil, and its image is as large as its distance is small. When the
camera stands k - r steps nearer than at the reference r, the plane in focus now, seen from the reference, lies D + (k - r) away. So a
frame has to be scaled by D / (D + (k - r)) to fit the reference, and the inverse, what `Registration.matrix` magnifies by, is
linear in k. D is in steps; times the step in micrometres it is the distance in micrometres. The same law holds, with D the
image distance over its change a step, for a lens that is refocused by equal moves of its image plane.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Matrix
from stackcore.registration.similarity import zoom_of

Numbers = npt.NDArray[np.float64]

_ROUNDS = 20
_OUTLIER = 2.5
_STEEP = 1e-7
"""A change of 1 / zoom a step below which there is none: D would be ten million steps."""


@dataclass(frozen=True)
class Calibration:
    """The law of a stack's zoom.

    Attributes:
        shrink_per_step: growth of 1 / zoom from one place of the stack to the next, relative to the reference; 0: telecentric. Here
            zoom is that of `Registration.matrix`, from the reference to the frame. Positive when the picture gets smaller.
        reference: place of the reference.
        centre: x and y of the point that does not move, px; None where the zoom is too small to tell.
        scatter: standard deviation of 1 / zoom about the law.
        frames: how many it was found from.
    """

    shrink_per_step: float
    reference: float = 0.0
    centre: tuple[float, float] | None = None
    scatter: float = 0.0
    frames: int = 0

    @property
    def pupil_to_focus_steps(self) -> float:
        """Entrance pupil to focal plane at the reference, in steps, signed as `shrink_per_step`; infinite for a telecentric lens."""
        return 1 / self.shrink_per_step if self.shrink_per_step else float("inf")

    def zoom(self, index: float | Numbers) -> Numbers:
        """How much larger things are in a frame than in the reference: 1 / (1 + (k - r) / D).

        Raises:
            ValueError: for places at or beyond the pupil.
        """
        shrinkage = 1 + (np.asarray(index, np.float64) - self.reference) * self.shrink_per_step
        if np.any(shrinkage <= 0):
            raise ValueError("the law of the zoom does not reach as far as that place of the stack")
        return np.asarray(1 / shrinkage)

    def matrix(self, index: float, shape: tuple[int, int]) -> Matrix:
        """2 x 3 from the reference to a frame of this height and width, as the law predicts it."""
        zoom = float(self.zoom(index))
        x, y = self.centre or ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
        return np.array([[zoom, 0, (1 - zoom) * x], [0, zoom, (1 - zoom) * y]])

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            ValueError: naming the file and what is wrong with it.
        """
        try:
            data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["centre"] is not None:
                data["centre"] = (float(data["centre"][0]), float(data["centre"][1]))
            return cls(**data)
        except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is no calibration: {error!r}") from error


_LEAST_ZOOM = 1e-3
"""Over the whole stack; with less there is no centre to be seen."""


def calibrate(
    indices: Sequence[float], matrices: Sequence[Matrix], reference: float | None = None
) -> Calibration:
    """Find the law from registered frames.

    Args:
        indices: their places in the stack.
        matrices: 2 x 3, from the reference to each.
        reference: place of the reference; None: of the frame whose matrix is the identity, else the first.

    Raises:
        ValueError: with fewer than two different places.
    """
    places = np.asarray(indices, np.float64)
    if len(np.unique(places)) < 2 or len(places) != len(matrices):
        raise ValueError("a calibration needs the matrices of at least two different places")
    if reference is None:
        still = [index for index, m in zip(places, matrices, strict=True) if np.array_equal(m, np.eye(3)[:2])]
        reference = float(still[0]) if still else float(places[0])
    shrinkage = np.array([1 / zoom_of(m) for m in matrices])
    slope, offset, scatter = line(places - reference, shrinkage)
    shrink = slope / offset
    if abs(shrink) < _STEEP:
        shrink = 0.0
    return Calibration(shrink, reference, _centre(matrices), scatter, len(places))


def line(x: Numbers, y: Numbers) -> tuple[float, float, float]:
    """Slope, offset and scatter of a line through points some of which are wrong.

    From the median slope of all pairs and median offset (Theil 1950, Sen 1968) by reweighting; bad frames do not pull.
    """
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] != x[i]
    slope = float(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart]))
    offset = float(np.median(y - slope * x))
    spread = 0.0
    for _ in range(_ROUNDS):
        left = y - slope * x - offset
        spread = 1.4826 * float(np.median(np.abs(left)))
        weights = 1 / (1 + (left / (_OUTLIER * spread + 1e-12)) ** 2) ** 2
        mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
        across = float((weights * (x - mean_x) ** 2).sum())
        if across <= 0:
            break
        slope = float((weights * (x - mean_x) * (y - mean_y)).sum()) / across
        offset = float(mean_y - slope * mean_x)
    return slope, offset, spread


def _centre(matrices: Sequence[Matrix]) -> tuple[float, float] | None:
    """The point that zooms away from nowhere: where a point is moved to grows with zoom - 1 by its distance from the centre.

    A line is fitted through all frames, so jitter averages out. A steady drift cannot be told from a zoom about another point.
    """
    growth = np.array([zoom_of(matrix) - 1 for matrix in matrices])
    if float(np.ptp(growth)) < _LEAST_ZOOM:
        return None
    point = np.zeros(2)
    for _ in range(3):  # the nearer the point is to the centre, the less rotation counts
        moved = np.array([matrix[:, :2] @ point + matrix[:, 2] - point for matrix in matrices])
        point = point - np.array([line(growth, moved[:, axis])[0] for axis in (0, 1)])
    return float(point[0]), float(point[1])
