"""Where along the axis a picture was taken, told by pictures taken at known places: by what is sharp in it, and by how large things are.

A rail that comes from the other side stands elsewhere than it counts, by its backlash. A picture taken then looks like one taken on the
way up at another count, and that difference is what is measured here, twice over:

- sharpness: every block of the picture has a curve of sharpness over the position, known from the sweep; the place is where all blocks
  together fit best. Blocks away from their own best focus tell most. Needs a subject with depth or texture, and no lens data.
- size: things grow as the camera comes nearer, by 1 part in D for each micrometre (D: entrance pupil to the plane in focus). The growth
  for each micrometre is found from the sweep itself. A telecentric lens has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.tracking import Sighting, Tracker

Floats = npt.NDArray[np.float64]
Pictures = Sequence[npt.NDArray[Any]]

BLOCK_PX = 16
SMOOTHING_PX = 1.0
"""Of the picture before its gradients: pixel noise is not sharpness."""
MEDIUM = 128.0
FLOOR = 0.02
"""Of the median energy, added to each: the logarithm of noise tells nothing."""
LEAST_TEXTURE = 0.3
"""Blocks whose logarithmic energy changes by less over the sweep are left out."""
SCAN = 8
"""Places that are tried in each interval of the sweep."""
OUTLIER = 3.0
NEIGHBOURS = 2
"""Pictures of the sweep on each side that a picture's size is compared with."""
BASELINES = (1, 2, 3, 5)
"""Intervals over which the growth in size is measured."""
LEAST_GROWTH = 4.0
"""In standard deviations: below it the size tells nothing."""


def sharpness(picture: npt.NDArray[Any], block_px: int = BLOCK_PX) -> Floats:
    """(h, w): energy of the gradients in each block of a picture (H, W)."""
    smooth = cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), SMOOTHING_PX)
    across, down = np.diff(smooth, axis=1)[:-1], np.diff(smooth, axis=0)[:, :-1]
    energy = across**2 + down**2
    rows, columns = energy.shape[0] // block_px, energy.shape[1] // block_px
    blocks = energy[: rows * block_px, : columns * block_px].reshape(rows, block_px, columns, block_px)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)


def _evened(picture: npt.NDArray[Any]) -> Floats:
    """Sharpness for a picture of medium brightness: light that changes from one to the next is no focus."""
    mean = float(np.mean(picture, dtype=np.float64))
    return sharpness(picture) * (MEDIUM / max(mean, 1.0)) ** 2


@dataclass(frozen=True)
class Place:
    """Where a picture was taken, in the sweep's own positions; nan where it cannot be said.

    Attributes:
        sharpness_um, sharpness_error_um: by what is sharp.
        size_um, size_error_um: by how large things are.
    """

    sharpness_um: float
    sharpness_error_um: float
    size_um: float
    size_error_um: float

    @property
    def best_um(self) -> float:
        """The one that claims the smaller error."""
        return self.size_um if self._size_counts else self.sharpness_um

    @property
    def best_error_um(self) -> float:
        """Its error."""
        return self.size_error_um if self._size_counts else self.sharpness_error_um

    @property
    def _size_counts(self) -> bool:
        return bool(np.isfinite(self.size_error_um)) and not self.sharpness_error_um < self.size_error_um


class Sweep:
    """Pictures at known places along the axis, each approached from the same side.

    Args:
        positions_um: (n,), ascending; n at least 4.
        pictures: (H, W) each.

    Raises:
        ValueError: too few, not ascending, of different shapes, or with nothing to be seen in them.
    """

    def __init__(self, positions_um: Sequence[float], pictures: Pictures) -> None:
        if len(positions_um) < 4 or len(positions_um) != len(pictures):
            raise ValueError("a sweep needs 4 pictures or more, and a position for each")
        self.positions_um = np.asarray(positions_um, np.float64)
        if (np.diff(self.positions_um) <= 0).any():
            raise ValueError("the positions of a sweep must ascend")
        if len({picture.shape for picture in pictures}) != 1:
            raise ValueError("the pictures of a sweep must have one shape")
        self._pictures = list(pictures)
        self._trackers: dict[int, Tracker] = {}
        energies = np.stack([_evened(picture) for picture in pictures])
        self._floor = FLOOR * float(np.median(energies))
        curves = np.log(energies.reshape(len(energies), -1) + self._floor + 1e-9)
        self._tells = np.ptp(curves, axis=0) >= LEAST_TEXTURE
        self._curves = curves[:, self._tells]

    @cached_property
    def growth(self) -> tuple[float, float]:
        """How far the corners move outward for each micrometre toward the subject, px, and its error."""
        moves, grown, errors = [], [], []
        for baseline in BASELINES:
            for k in range(0, len(self._pictures) - baseline, max(1, baseline // 2)):
                seen = self._sighting(k, self._pictures[k + baseline])
                if seen is not None and seen.found:
                    moves.append(self.positions_um[k + baseline] - self.positions_um[k])
                    grown.append(seen.corner_px)
                    errors.append(seen.errors_px[2])
        if len(moves) < 3:
            return float("nan"), float("inf")
        x, y, weights = np.array(moves), np.array(grown), 1 / np.array(errors) ** 2
        power = float((weights * x * x).sum())
        slope = float((weights * x * y).sum()) / power
        left = y - slope * x
        misfit = max(1.0, float(np.sqrt((weights * left**2).sum() / (len(x) - 1))))
        # Pairs share pictures: the errors of neighbours are not independent.
        return slope, misfit * float(power**-0.5) * float(np.sqrt(len(BASELINES)))

    @property
    def pupil_to_focus_um(self) -> tuple[float, float]:
        """1 / D in 1/um, and its error: how much larger things become, relatively, for each micrometre."""
        slope, error = self.growth
        reach = float(np.hypot(*self._pictures[0].shape)) / 2
        return slope / reach, error / reach

    def place(self, picture: npt.NDArray[Any]) -> Place:
        """Where a picture was taken."""
        sharp_um, sharp_error_um = self._by_sharpness(picture)
        size_um, size_error_um = self._by_size(picture, sharp_um)
        return Place(sharp_um, sharp_error_um, size_um, size_error_um)

    # ------------------------------------------------------------------------------------------------------- by sharpness

    def _by_sharpness(self, picture: npt.NDArray[Any]) -> tuple[float, float]:
        if np.count_nonzero(self._tells) < 6:
            return float("nan"), float("inf")
        curve = np.log(_evened(picture).ravel()[self._tells] + self._floor + 1e-9)
        tried = np.linspace(
            self.positions_um[0], self.positions_um[-1], SCAN * (len(self.positions_um) - 1) + 1
        )
        costs = []
        for at in tried:
            left = curve - self._at(float(at))[0]
            costs.append(float(np.abs(left - np.median(left)).sum()))
        at = float(tried[int(np.argmin(costs))])
        error = float("inf")
        for _ in range(12):
            expected, slope = self._at(at)
            left = curve - expected
            spread = 1.4826 * float(np.median(np.abs(left - np.median(left)))) + 1e-9
            weights = 1 / (1 + ((left - np.median(left)) / (OUTLIER * spread)) ** 2) ** 2
            # A change of light raises all blocks alike.
            left = left - np.average(left, weights=weights)
            slope = slope - np.average(slope, weights=weights)
            power = float((weights * slope**2).sum())
            if power <= 0:
                return float("nan"), float("inf")
            step = float((weights * slope * left).sum()) / power
            error = float(np.sqrt((weights * left**2).sum() / max(1.0, weights.sum() - 2) / power))
            interval = float(np.diff(self.positions_um).max())
            at += float(np.clip(step, -interval, interval))
            if abs(step) < 1e-3:
                break
        if not self.positions_um[0] <= at <= self.positions_um[-1]:
            return float("nan"), float("inf")
        return at, error

    def _at(self, at_um: float) -> tuple[Floats, Floats]:
        """Curves and their slopes between the sweep's own places: a cubic through the four nearest."""
        x = self.positions_um
        first = int(np.clip(np.searchsorted(x, at_um) - 2, 0, len(x) - 4))
        nodes = x[first : first + 4]
        powers = np.vander(nodes - nodes[0], increasing=True)
        u = at_um - nodes[0]
        value = np.linalg.solve(powers.T, np.array([1, u, u**2, u**3]))
        slope = np.linalg.solve(powers.T, np.array([0, 1, 2 * u, 3 * u**2]))
        part = self._curves[first : first + 4]
        return np.asarray(value @ part, np.float64), np.asarray(slope @ part, np.float64)

    # ------------------------------------------------------------------------------------------------------------ by size

    def _by_size(self, picture: npt.NDArray[Any], near_um: float) -> tuple[float, float]:
        slope, error = self.growth
        if not np.isfinite(slope) or abs(slope) < LEAST_GROWTH * error:
            return float("nan"), float("inf")
        if not np.isfinite(near_um):
            near_um = self._nearest_by_size(picture, slope)
        around = np.argsort(np.abs(self.positions_um - near_um))[: 2 * NEIGHBOURS]
        places, errors = [], []
        for k in around:
            seen = self._sighting(int(k), picture)
            if seen is None or not seen.found:
                continue
            off_um = seen.corner_px / slope
            places.append(self.positions_um[k] + off_um)
            errors.append(np.hypot(seen.errors_px[2] / abs(slope), off_um * error / slope))
        if not places:
            return float("nan"), float("inf")
        weights = 1 / np.array(errors) ** 2
        mean = float((weights * np.array(places)).sum() / weights.sum())
        # All compare the same picture: its own noise does not average out.
        scatter = float(np.std(places)) if len(places) > 1 else 0.0
        return mean, max(float(np.min(errors)), scatter / 2)

    def _nearest_by_size(self, picture: npt.NDArray[Any], slope: float) -> float:
        middle = len(self._pictures) // 2
        seen = self._sighting(middle, picture)
        if seen is None or not seen.found:
            return float(self.positions_um[middle])
        return float(self.positions_um[middle] + seen.corner_px / slope)

    def _sighting(self, k: int, picture: npt.NDArray[Any]) -> Sighting | None:
        if k not in self._trackers:
            try:
                self._trackers[k] = Tracker(self._pictures[k])
            except ValueError:
                return None
        return self._trackers[k].find(picture)


def best_focus(positions_um: Floats, energies: Floats) -> tuple[Floats, Floats]:
    """Where each block is sharpest, and how much it stands out.

    Args:
        positions_um: (n,), ascending.
        energies: (n, h, w), as of `sharpness`.

    Returns:
        (h, w) each: positions by a parabola through the logarithms of the five energies round the largest, nan where that is at an end
        of the sweep; and the largest energy over the median one.
    """
    count = len(positions_um)
    flat = energies.reshape(count, -1)
    logs = np.log(flat + 1e-9)
    top = flat.argmax(axis=0)
    found = np.full(flat.shape[1], np.nan)
    for block in range(flat.shape[1]):
        k = int(top[block])
        if not 0 < k < count - 1:
            continue
        first, last = max(0, k - 2), min(count, k + 3)
        x, y = positions_um[first:last] - positions_um[k], logs[first:last, block]
        # Energies far below the peak are noise and the neighbours' blur: what lies near the top counts.
        weights = np.exp(np.minimum(y - y.max(), 0.0))
        a, b, _ = np.polyfit(x, y, 2, w=weights)
        if a < 0:
            found[block] = positions_um[k] + float(np.clip(-b / (2 * a), x[0], x[-1]))
    stands_out = flat.max(axis=0) / (np.median(flat, axis=0) + 1e-9)
    shape = energies.shape[1:]
    return found.reshape(shape), stands_out.reshape(shape)
