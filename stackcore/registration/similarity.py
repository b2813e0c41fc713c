"""Similarities between pictures, and the one that many small tiles agree on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stackcore.registration._agreement_kernel import agree

Floats = npt.NDArray[np.float64]

FLOOR_PX = 0.005
"""No tile is trusted to better than this: interpolation and what the model of focus leaves out."""

_ROUNDS = 4
_MIN_SHARED = 0.1
_MIN_TILES = 6
_OUTLIER = 2.0
"""In units of the median deviation: from there on a tile loses its weight fast (Geman and McClure)."""


@dataclass(frozen=True)
class Estimate:
    """A small similarity about the centre of a frame.

    Attributes:
        step: (4,): zoom and rotation in px at the frame's corners, shift in x and y, px.
        information: (4, 4), inverse covariance of the step, from how far the tiles disagree.
        agreeing: how many tiles have kept at least a quarter of their weight, as a share.
    """

    step: Floats
    information: Floats
    agreeing: float

    @property
    def corner_px(self) -> float:
        """How far the step moves the corners, at most."""
        return corner_px(self.step)

    @cached_property
    def variance(self) -> Floats:
        """(4, 4), of the step."""
        return np.asarray(np.linalg.inv(self.information), np.float64)

    @property
    def error_px(self) -> float:
        """Standard deviation of a corner's place."""
        return float(np.sqrt(np.trace(self.variance)))


@dataclass(frozen=True)
class Evidence:
    """What tiles say of a motion.

    Attributes:
        sums: (N, SUMS) of `match_tiles`.
        places: (N, 2): where the tiles' centres lie in the frame, px.
        linear: (2, 2): motion from the tiles' own pixels to the frame's, without the shift.
    """

    sums: Floats
    places: Floats
    linear: Floats

    @classmethod
    def joined(cls, parts: list[Evidence]) -> Evidence:
        """All of them as one; their linear parts must differ little, and the first one's is taken."""
        sums = np.concatenate([part.sums for part in parts])
        return cls(sums, np.concatenate([part.places for part in parts]), parts[0].linear)


def corner_px(step: Floats) -> float:
    """How far a step (see `Estimate`) moves the corners of a frame, at most."""
    return float(np.hypot(step[0], step[1]) + np.hypot(step[2], step[3]))


def median(values: npt.NDArray[np.floating]) -> float:
    """The upper median of a vector; NumPy's own spends more on its generality than on the numbers."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def homogeneous(matrix: Floats) -> Floats:
    """3 x 3 of a 2 x 3."""
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def scaled(matrix: Floats, factor: float) -> Floats:
    """The same motion (3 x 3) in a picture `factor` times larger; pixel centres are at whole numbers in both."""
    grow = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1.0]])
    shrink = np.array(
        [[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2], [0, 0, 1.0]]
    )
    return np.asarray(grow @ matrix @ shrink, np.float64)


def about_centre(step: Floats, shape: tuple[int, int]) -> Floats:
    """3 x 3 of a step (see `Estimate`) in a frame of this height and width."""
    reach = np.hypot(*shape) / 2
    a, b = step[0] / reach, step[1] / reach
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    return np.array(
        [[1 + a, -b, step[2] - a * x + b * y], [b, 1 + a, step[3] - b * x - a * y], [0.0, 0.0, 1.0]]
    )


def step_of(matrix: Floats, shape: tuple[int, int]) -> Floats:
    """(4,): how far a motion (2 x 3 or 3 x 3) is from none, in the terms of `Estimate.step`."""
    reach = np.hypot(*shape) / 2
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    shift = matrix[:2, :2] @ centre + matrix[:2, 2] - centre
    return np.array([(matrix[0, 0] - 1) * reach, matrix[1, 0] * reach, shift[0], shift[1]])


def zoom_of(matrix: Floats) -> float:
    """How much larger a motion makes things."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def solve(
    evidence: Evidence,
    shape: tuple[int, int],
    floor_px: float = FLOOR_PX,
    zoom: tuple[float, float] | None = None,
) -> Estimate | None:
    """The step that the tiles agree on; None when too few of them show anything.

    Gauss-Newton's linear problem in the four numbers of a similarity, tiles weighted by their residuals and by how much of their
    gradients is more than noise, those that disagree (things that hide others as focus moves) left out by reweighting.

    Args:
        evidence: of the tiles.
        shape: of the frame, px.
        floor_px: error that every tile has at least.
        zoom: expected first number of the step and its standard deviation, px, where they are known.
    """
    shared = evidence.sums[:, 7]
    use = shared >= _MIN_SHARED
    if np.count_nonzero(use) < _MIN_TILES:
        return None
    sums, shared = evidence.sums[use], shared[use]
    (a, b), (c, d) = np.linalg.inv(evidence.linear)
    xx, xy, yy = shared * sums[:, 0], shared * sums[:, 1], shared * sums[:, 2]
    tiles = np.empty((len(sums), 7))
    # The gradients were taken in the tiles' own pixels; a displacement there is `linear` times smaller than in the frame.
    tiles[:, 0] = a * a * xx + 2 * a * c * xy + c * c * yy
    tiles[:, 1] = a * b * xx + (a * d + b * c) * xy + c * d * yy
    tiles[:, 2] = b * b * xx + 2 * b * d * xy + d * d * yy
    tiles[:, 3] = a * sums[:, 3] + c * sums[:, 4]
    tiles[:, 4] = b * sums[:, 3] + d * sums[:, 4]
    tiles[:, 5:] = (evidence.places[use] - [(shape[1] - 1) / 2, (shape[0] - 1) / 2]) / (np.hypot(*shape) / 2)
    weights = shared / (sums[:, 5] + 1e-3 + shared * floor_px**2 * (tiles[:, 0] + tiles[:, 2]))
    step, normal, figures = np.zeros(4), np.zeros((4, 4)), np.zeros(2)
    agree(tiles, weights, _ROUNDS, _OUTLIER, *(zoom or (0.0, 0.0)), step, normal, figures)
    normal = (normal + np.tril(normal, -1).T) / (2 * figures[0] ** 2) + 1e-12 * np.eye(4)
    if zoom is not None:
        normal[0, 0] += 1 / zoom[1] ** 2
    return Estimate(step, normal, float(figures[1]))
