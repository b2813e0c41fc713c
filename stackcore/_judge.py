"""Figures of merit of a picture and of a depth map that lie on their truth: the arithmetic of `stackcore.compare`."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

MAX_PSNR_DB = 120.0
JUMP_FRAMES = 2.0
NEAR_PX = 24.5
"""Of whole pixels: a disc of 24 px about the middle of one, whatever it touches counted."""

_WINDOW_PX = 11
_WINDOW_SIGMA = 1.5
_BLUR_PX = 33
_GRID_PX = 16
_FEWEST_SAMPLES = 16
_BEYOND = np.float32(1e30)


@dataclass(frozen=True)
class DepthErrors:
    """Of a depth map against the true one.

    Attributes:
        mae: mean absolute error, in the unit of the maps, as all of these.
        median: of the absolute error.
        rmse: root of the mean square.
        within_1: share of the known pixels that are wrong by less than 1.
        known_share: how many of the pixels that have a truth are no holes.
    """

    mae: float
    median: float
    rmse: float
    within_1: float
    known_share: float


def unit_plane(picture: Pixels, channel: int) -> Floats:
    """One channel, 0..1."""
    return _plane(picture, channel, int(np.iinfo(picture.dtype).max))


def luma(picture: Pixels) -> Floats:
    """Weighted sum of the channels, 0..1, not rounded."""
    return luma_of(picture, int(np.iinfo(picture.dtype).max))


def luma_of(picture: Pixels | Floats, full_scale: int) -> Floats:
    """The same of any numbers, of which `full_scale` is 1."""
    if picture.ndim == 2:
        return _plane(picture, 0, full_scale)
    result = np.zeros(picture.shape[:2], np.float32)
    for channel, weight in enumerate(LUMA):
        result += np.float32(weight) * _plane(picture, channel, full_scale)
    return result


def _plane(picture: Pixels | Floats, channel: int, full_scale: int) -> Floats:
    plane = picture if picture.ndim == 2 else picture[..., channel]
    return np.asarray(plane * np.float32(1 / full_scale), np.float32)


def psnr_of(mean_square: float) -> float:
    """Of pictures 0..1, dB; at most `MAX_PSNR_DB`."""
    return float(-10 * np.log10(max(mean_square, 10 ** (-MAX_PSNR_DB / 10))))


def fit_gain(reference: Floats, result: Floats, judged: Mask) -> tuple[float, float]:
    """Gain and offset that bring a plane of the result to that of the reference, by least squares on blurred pictures.

    On pictures as they are, noise in the result would pull the gain below 1, and so would blur in the reference.
    """
    grid = (slice(_GRID_PX // 2, None, _GRID_PX),) * 2
    use = judged[grid]
    if use.sum() < _FEWEST_SAMPLES:
        grid, use = (slice(None),) * 2, judged
    x, y = (
        cv2.blur(plane, (_BLUR_PX, _BLUR_PX))[grid][use].astype(np.float64) for plane in (result, reference)
    )
    spread = float(((x - x.mean()) ** 2).mean())
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 1e-9 else 1.0
    return gain, float(y.mean() - gain * x.mean())


class PlaneJudge:
    """Takes one pair of planes after the other, so that only one is held in float."""

    def __init__(self, judged: Mask, jumps: Mask | None) -> None:
        """Of (h, w): what is judged, and what of the picture is near depth jumps."""
        self.gain: list[float] = []
        self.offset: list[float] = []
        self._judged = judged
        self._near = None if jumps is None else judged & jumps
        self._square = 0.0
        self._fitted_square = 0.0
        self._near_square = 0.0

    def add(self, reference: Floats, result: Floats) -> Floats:
        """Take a pair of planes, 0..1; the fitted plane of the result."""
        gain, offset = fit_gain(reference, result, self._judged)
        self.gain.append(gain)
        self.offset.append(offset)
        self._square += _sum(np.square(result - reference), self._judged)
        fitted = np.asarray(result * np.float32(gain) + np.float32(offset), np.float32)
        error = np.square(fitted - reference)
        self._fitted_square += _sum(error, self._judged)
        if self._near is not None:
            self._near_square += _sum(error, self._near)
        return fitted

    @property
    def psnr_db(self) -> float:
        """As is."""
        return self._psnr(self._square, int(self._judged.sum())) or 0.0

    @property
    def fitted_db(self) -> float:
        """After the fit."""
        return self._psnr(self._fitted_square, int(self._judged.sum())) or 0.0

    @property
    def near_jumps_db(self) -> float | None:
        """After the fit, near jumps; None when there are none."""
        return None if self._near is None else self._psnr(self._near_square, int(self._near.sum()))

    @property
    def elsewhere_db(self) -> float | None:
        """After the fit, away from jumps; None when nothing is."""
        if self._near is None:
            return None
        count = int(self._judged.sum()) - int(self._near.sum())
        return self._psnr(self._fitted_square - self._near_square, count)

    @property
    def near_share(self) -> float | None:
        """How much of what is judged is near jumps."""
        return None if self._near is None else float(self._near.sum() / self._judged.sum())

    def _psnr(self, square: float, pixels: int) -> float | None:
        return psnr_of(square / (pixels * len(self.gain))) if pixels else None


def mean_ssim(reference: Floats, result: Floats, judged: Mask) -> float:
    """Mean structural similarity of two lumas 0..1 (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13, 2004, section III.B)."""

    def local(plane: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(plane, (_WINDOW_PX, _WINDOW_PX), _WINDOW_SIGMA), np.float32)

    c1, c2 = np.float32(0.01**2), np.float32(0.03**2)
    mean_a, mean_b = local(reference), local(result)
    product = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    variances = local(reference * reference) + local(result * result) - squares
    covariance = local(reference * result) - product
    value = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return _sum(np.asarray(value, np.float32), judged) / int(judged.sum())


def sum_modified_laplacian(plane: Floats, radius_px: int) -> Floats:
    """Modified Laplacian of a plane, a mean over a window of 2 `radius_px` + 1 px."""
    p = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    twice = 2 * plane
    laplacian = np.abs(twice - p[1:-1, :-2] - p[1:-1, 2:])
    laplacian += np.abs(twice - p[:-2, 1:-1] - p[2:, 1:-1])
    return np.asarray(cv2.blur(laplacian, (2 * radius_px + 1,) * 2), np.float32)


def detail_spread(plane: Floats, judged: Mask) -> float:
    """Standard deviation of the Laplacian."""
    return float(cv2.Laplacian(plane, cv2.CV_32F)[judged].std(dtype=np.float64))


def near_jumps(depth: Floats, jump: float = JUMP_FRAMES, distance_px: float = NEAR_PX) -> Mask:
    """Which pixels lie within `distance_px` of one whose neighbourhood of 3 x 3 spans more than `jump`; holes are no jumps."""
    known = np.isfinite(depth)
    kernel = np.ones((3, 3), np.uint8)
    highest = cv2.dilate(np.where(known, depth, -_BEYOND), kernel)
    lowest = cv2.erode(np.where(known, depth, _BEYOND), kernel)
    quiet = highest - lowest <= jump
    if quiet.all():
        return np.zeros(depth.shape, np.bool_)
    distance = cv2.distanceTransform(quiet.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= distance_px, np.bool_)


def depth_errors(truth: Floats, found: Floats, judged: Mask) -> DepthErrors | None:
    """Errors of a depth map where the truth is known and judged; None when nothing was found there."""
    with_truth = judged & np.isfinite(truth)
    known = with_truth & np.isfinite(found)
    if not known.any():
        return None
    error = np.abs(found[known].astype(np.float64) - truth[known])
    return DepthErrors(
        mae=float(error.mean()),
        median=float(np.median(error)),
        rmse=float(np.sqrt(np.square(error).mean())),
        within_1=float((error < 1).mean()),
        known_share=float(known.sum() / with_truth.sum()),
    )


def _sum(values: Floats, judged: Mask) -> float:
    return float(values[judged].sum(dtype=np.float64))
