"""Where a small picture has moved to: for cameras that are watched while they swing, and for rails that are watched while they step.

One reference, many pictures of nearly the same. The change of size that is expected (a rail's geometry says it) is taken out first,
because a phase correlation suffers from it; the peak of the phase correlation is the first guess, a pixel or two good. What counts is
the similarity that many small tiles of the reference then agree on, as in registration: shift, size and turn with their errors,
pixels that differ in sharpness or brightness allowed for.

Tiles read pictures between their pixels by straight lines, which blurs most half-way and so draws small shifts away from none:
by up to an eighth of them where there is fine texture. A swing that fades would seem to fade more slowly. So the reference is
last laid where the picture is, by a filter that keeps its detail, and what is left to be read is next to whole pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.registration.frame import Planes
from stackcore.registration.similarity import about_centre, median, solve, step_of
from stackcore.registration.tiles import Comparison, Plane, Tiles, choose

Pixels = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

TILE_PX = 32
UNIT = 256
TILES = 60
ROUNDS = 4
CONVERGED_PX = 0.01
MIN_CORRELATION = 0.4
"""Of the tiles with what they are compared with, in the median; below it a picture shows something else."""
FLOOR_PX = 0.002
"""No place is claimed to be known better: resampling and the sensor's own pixels leave a few thousandths."""
MIN_CONTRAST = 1.5
"""Standard deviation of luma, of 255, below which a picture is blank."""
WORTHWHILE_PX = 0.25
"""An expected change of size that moves the corners by less is left to the tiles."""
LOBES = 8
"""Of the filter that shifts by parts of a pixel, on each side."""
FINE_ROUNDS = 2


@dataclass(frozen=True)
class Sighting:
    """How a picture lies on the reference.

    Attributes:
        shift_px: (2,): where the reference's centre is seen, to the right and down.
        corner_px: how far the corners have moved outward, by the change of size alone.
        errors_px: (3,): standard deviations of both shifts and of `corner_px`.
        correlation: of the tiles, in the median, -1..1.
        problem: why nothing can be said, in plain words; empty if it can.
    """

    shift_px: Floats
    corner_px: float
    errors_px: Floats
    correlation: float
    problem: str = ""

    @property
    def found(self) -> bool:
        """Whether it could be placed."""
        return not self.problem

    @property
    def values_px(self) -> Floats:
        """(3,): both shifts and `corner_px`."""
        return np.array([*self.shift_px, self.corner_px])


@dataclass
class _Fit:
    """How a picture lies on the reference, as far as it is known."""

    motion: Floats
    correlation: float = 0.0
    errors: Floats = field(default_factory=lambda: np.zeros(3))
    problem: str = ""

    def improve(self, tiles: Tiles, plane: Plane, shape: tuple[int, int], rounds: int) -> None:
        """By so many rounds at most of what tiles of the reference say."""
        comparison = Comparison(tiles, plane, self.motion)
        for _ in range(rounds):
            evidence = comparison.at(self.motion)
            estimate = solve(evidence, shape, floor_px=FLOOR_PX)
            if estimate is None or not np.isfinite(estimate.corner_px):
                self.problem = "too little of it is seen in the reference"
                return
            seen = evidence.sums[:, 7] > 0
            self.correlation = median(evidence.sums[seen, 6]) if seen.any() else 0.0
            self.motion = about_centre(estimate.step, shape) @ self.motion
            self.errors = np.sqrt(np.diag(estimate.variance))[[2, 3, 0]]
            if estimate.corner_px < CONVERGED_PX:
                return


class Tracker:
    """Finds pictures on one reference. Not for use by two threads at once.

    Args:
        reference: (H, W), uint8, uint16 or float32 of 0..255; a mean of several still pictures has less noise than one.

    Raises:
        ValueError: it is not gray, too small, or shows nothing that could be followed.
    """

    def __init__(self, reference: Pixels) -> None:
        luma = _luma(reference)
        if min(luma.shape) < 2 * TILE_PX:
            raise ValueError(f"a picture of {luma.shape[1]} x {luma.shape[0]} px is too small to be followed")
        if float(luma.std()) < MIN_CONTRAST:
            raise ValueError("there is nothing to be seen in it: black, or without any detail")
        self.shape = (luma.shape[0], luma.shape[1])
        self.reach_px = float(np.hypot(*self.shape)) / 2
        planes = Planes.of(np.clip(np.rint(luma), 0, 255).astype(np.uint8))
        self._corners = choose(planes.reduced, TILES, TILE_PX)
        self._tiles = Tiles.of(_plane(luma), self._corners, TILE_PX)
        self._luma = luma
        self._window = cv2.createHanningWindow((self.shape[1], self.shape[0]), cv2.CV_32F)

    def find(self, picture: Pixels, expected_corner_px: float = 0.0) -> Sighting:
        """Place a picture.

        Args:
            picture: of the reference's shape.
            expected_corner_px: how far the change of size is expected to move the corners outward.

        Raises:
            ValueError: it is not gray, or has another shape.
        """
        luma = _luma(picture)
        if luma.shape != self.shape:
            raise ValueError(
                f"a picture of {luma.shape[1]} x {luma.shape[0]} px cannot be followed on one of "
                f"{self.shape[1]} x {self.shape[0]} px"
            )
        if float(luma.std()) < MIN_CONTRAST:
            return _lost("it is blank", 0.0)
        motion = about_centre(
            np.array([expected_corner_px, 0.0, *self._guess(luma, expected_corner_px)]), self.shape
        )
        plane = _plane(luma)
        fit = _Fit(motion)
        fit.improve(self._tiles, plane, self.shape, ROUNDS)
        for _ in range(FINE_ROUNDS):
            if fit.problem:
                break
            self._improve_between_pixels(fit, plane)
        if not fit.problem and fit.correlation < MIN_CORRELATION:
            fit.problem = "it shows something else"
        if fit.problem:
            return _lost(fit.problem, fit.correlation)
        step = step_of(fit.motion, self.shape)
        errors = np.hypot(fit.errors, FLOOR_PX)
        return Sighting(step[2:].copy(), float(step[0]), errors, fit.correlation)

    def _improve_between_pixels(self, fit: _Fit, plane: Plane) -> None:
        """Once more, with the reference shifted by the part of a pixel by which the picture is."""
        shift = step_of(fit.motion, self.shape)[2:]
        part = shift - np.rint(shift)
        there = _plane(cv2.sepFilter2D(self._luma, -1, _shifting(part[0]), _shifting(part[1])))
        fit.motion = fit.motion @ _translation(-part)
        fit.improve(Tiles.of(there, self._corners, TILE_PX), plane, self.shape, 1)
        fit.motion = fit.motion @ _translation(part)

    def _guess(self, luma: npt.NDArray[np.float32], expected_corner_px: float) -> tuple[float, float]:
        """Shift of the phase correlation's peak, px, once the expected change of size is taken out."""
        before = self._luma
        if abs(expected_corner_px) > WORTHWHILE_PX:
            zoom = about_centre(np.array([expected_corner_px, 0.0, 0.0, 0.0]), self.shape)[:2]
            before = cv2.warpAffine(
                before, zoom, (self.shape[1], self.shape[0]), borderMode=cv2.BORDER_REPLICATE
            )
        # It multiplies what it is given with the window, in place, where no padding is needed.
        (x, y), _ = cv2.phaseCorrelate(before.copy(), luma.copy(), self._window)
        return float(x), float(y)


def follow(pictures: list[Pixels], reference: Pixels) -> list[Sighting]:
    """Place pictures one after the other. Raises `ValueError` as `Tracker` does."""
    tracker = Tracker(reference)
    return [tracker.find(picture) for picture in pictures]


def mean_of(pictures: list[Pixels]) -> npt.NDArray[np.float32]:
    """Mean of several pictures of the same, (H, W) float32 of 0..255. Raises `ValueError` for none."""
    if not pictures:
        raise ValueError("there is no picture to take the mean of")
    total = np.zeros(pictures[0].shape[:2], np.float64)
    for picture in pictures:
        total += _luma(picture)
    return (total / len(pictures)).astype(np.float32)


def _luma(picture: Pixels) -> npt.NDArray[np.float32]:
    """(H, W) float32 of 0..255."""
    if picture.ndim != 2:
        raise ValueError(f"a picture to follow is (H, W), not {picture.shape}")
    values = picture.astype(np.float32)
    return np.ascontiguousarray(values / 257 if picture.dtype == np.uint16 else values)


def _plane(luma: npt.NDArray[np.float32]) -> Plane:
    """In 16 bits: tiles are read from whole numbers, and a mean of several pictures lies between those of 8."""
    return Plane(np.rint(np.clip(luma, 0, 255) * UNIT).astype(np.uint16), 1, 1 / UNIT, 1)


def _shifting(part_px: float) -> Floats:
    """A filter that shifts by part of a pixel to the right or down, and leaves detail as it is: a windowed sinc."""
    x = np.arange(-LOBES, LOBES + 1) + part_px
    taps = np.where(np.abs(x) < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)
    return np.asarray(taps / taps.sum(), np.float64)


def _translation(shift_px: Floats) -> Floats:
    return np.array([[1.0, 0.0, shift_px[0]], [0.0, 1.0, shift_px[1]], [0.0, 0.0, 1.0]])


def _lost(problem: str, correlation: float) -> Sighting:
    nowhere = np.full(3, np.nan)
    return Sighting(nowhere[:2], float("nan"), nowhere, correlation, problem)
