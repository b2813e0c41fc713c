"""The global similarity that brings one picture of a scene to another: for judging, so precise before fast.

Coarse by matched features (SIFT, Lowe, IJCV 60, 2004; the similarity by RANSAC), then Gauss-Newton on the pictures themselves,
coarse to fine, with brightness gain and offset free (parameters as in Baker and Matthews, IJCV 56, 2004, section 2).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import Matrix

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_COARSE_SIDE_PX = 1000
_SMALL_SIDE_PX = 600
_FEATURES = 3000
_FEWEST_MATCHES = 12
_RATIO = 0.75
_SMALLEST_SIDE_PX = 120
_ITERATIONS = 30
_SETTLED_PX = 0.002
"""Gauss-Newton ends when no corner moves by more."""

_BAND_ROWS = 64
_MOST_PIXELS = 4_000_000
"""Of larger pictures only every second (third ...) band of rows is compared: the similarity has four numbers."""

_NOISE_SIGMA_PX = 0.8


def register(reference: Floats, result: Floats, mask: Mask | None = None) -> Matrix | None:
    """Find the similarity from pixels (x, y) of `result` to pixels of `reference`.

    Args:
        reference: (H, W) luma.
        result: (h, w) luma.
        mask: (h, w), where the result shows anything; None: everywhere.

    Returns:
        (2, 3) float64; None when Gauss-Newton leaves the pictures. Whether what it found is right has to be judged by
        `correlation`.
    """
    matrix = _coarse(reference, result)
    # A finer reference is brought near the result's own size, lest it alias.
    finer = max(1, round(_zoom(matrix)))
    for factor in _factors(result.shape):
        small = _rescaled(matrix, 1 / (factor * finer), 1 / factor)
        whole = None if mask is None else _binned(mask.astype(np.float32), factor) == 1
        refined = _refine(_binned(reference, factor * finer), _binned(result, factor), small, whole)
        if refined is None:
            return None
        matrix = _rescaled(refined, factor * finer, factor)
    return matrix


def correlation(reference: Floats, result: Floats, matrix: Matrix, mask: Mask | None = None) -> float:
    """How alike the details of two registered pictures are, -1..1, where they overlap, at a small size; 0 without overlap."""
    factor = math.ceil(max(result.shape) / _SMALL_SIDE_PX)
    finer = max(1, round(factor * _zoom(matrix)))
    small_reference, small_result = _binned(reference, finer), _binned(result, factor)
    small_matrix = _rescaled(matrix, 1 / finer, 1 / factor)
    inside = overlap(small_reference.shape, small_result.shape, small_matrix)
    if mask is not None:
        inside &= _binned(mask.astype(np.float32), factor) == 1
    warped = warped_to(small_reference, small_matrix, small_result.shape, cv2.INTER_LINEAR)
    a, b = _detail(warped)[inside], _detail(small_result)[inside]
    norm = float(np.sqrt((a * a).sum() * (b * b).sum())) if a.size else 0.0
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def overlap(reference_shape: tuple[int, ...], shape: tuple[int, ...], matrix: Matrix) -> Mask:
    """Which pixels of a result of `shape` lie on the reference, (h, w)."""
    x = np.arange(shape[1], dtype=np.float32)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    m = matrix.astype(np.float32)
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    inside = (u >= 0) & (u <= reference_shape[1] - 1) & (v >= 0) & (v <= reference_shape[0] - 1)
    return np.asarray(inside, np.bool_)


def warped_to(
    plane: Floats, matrix: Matrix, shape: tuple[int, ...], interpolation: int, beyond: float = 0.0
) -> Floats:
    """A plane of the reference as the result would show it, (h, w); `beyond` where it shows nothing."""
    flags = interpolation | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=flags, borderValue=beyond), np.float32)


def _zoom(matrix: Matrix) -> float:
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def corner_shift_px(matrix: Matrix, other: Matrix, shape: tuple[int, ...]) -> float:
    """The largest distance between where two maps put a corner, px."""
    corners = np.array([[x, y, 1.0] for x in (0, shape[1] - 1) for y in (0, shape[0] - 1)])
    return float(np.linalg.norm(corners @ (matrix - other).T, axis=1).max())


def _coarse(reference: Floats, result: Floats) -> Matrix:
    """By features; middle on middle where there are too few."""
    factors = [math.ceil(max(plane.shape) / _COARSE_SIDE_PX) for plane in (reference, result)]
    sift = cv2.SIFT.create(_FEATURES)
    places, words = [], []
    for plane, factor in zip((reference, result), factors, strict=True):
        small = np.rint(np.clip(_binned(plane, factor), 0, 1) * 255).astype(np.uint8)
        keys, descriptors = sift.detectAndCompute(small, None)
        places.append((np.array([key.pt for key in keys]).reshape(-1, 2) + 0.5) * factor - 0.5)
        words.append(descriptors)
    middles = [(np.array(plane.shape[::-1]) - 1) / 2 for plane in (reference, result)]
    centred = np.hstack([np.eye(2), (middles[0] - middles[1])[:, None]])
    if any(descriptors is None or len(descriptors) < _FEWEST_MATCHES for descriptors in words):
        return centred
    pairs = cv2.BFMatcher().knnMatch(words[1], words[0], k=2)
    matches = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    if len(matches) < _FEWEST_MATCHES:
        return centred
    there = places[0][[match.trainIdx for match in matches]]
    here = places[1][[match.queryIdx for match in matches]]
    found, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=2.0 * factors[0])
    if found is None or int(agree.sum()) < _FEWEST_MATCHES:
        return centred
    return np.asarray(found, np.float64)


def _factors(shape: tuple[int, ...]) -> list[int]:
    """Reductions at which to refine, coarse to fine."""
    return [factor for factor in (8, 4, 2) if min(shape) // factor >= _SMALLEST_SIDE_PX] + [1]


def _binned(plane: Floats, factor: int) -> Floats:
    """Means of blocks of `factor` x `factor` px; what is left over at the right and the bottom is cut off."""
    if factor == 1:
        return plane
    height, width = (max(1, size // factor) for size in plane.shape)
    whole = plane[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def reduced(plane: Floats, factor: float) -> tuple[Floats, Matrix]:
    """A plane about `factor` times smaller, and the map (3 x 3) from pixels of the plane to its own; centres at whole numbers."""
    if factor <= 1:
        return plane, np.eye(3)
    size = (max(1, round(plane.shape[1] / factor)), max(1, round(plane.shape[0] / factor)))
    across, down = size[0] / plane.shape[1], size[1] / plane.shape[0]
    to_small = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32), to_small


def _rescaled(matrix: Matrix, reference_scale: float, result_scale: float) -> Matrix:
    """The same map between pictures so many times larger; pixel centres are at whole numbers in all."""
    whole = np.vstack([matrix, [0, 0, 1]])
    return np.asarray((_grown(reference_scale) @ whole @ np.linalg.inv(_grown(result_scale)))[:2], np.float64)


def _grown(scale: float) -> Matrix:
    half = (scale - 1) / 2
    return np.array([[scale, 0, half], [0, scale, half], [0, 0, 1.0]])


def _refine(reference: Floats, result: Floats, matrix: Matrix, mask: Mask | None) -> Matrix | None:
    """Gauss-Newton: the map is followed by a small similarity of the result's pixels, until that is none."""
    soft_reference, soft_result = (
        cv2.GaussianBlur(plane, (0, 0), _NOISE_SIGMA_PX) for plane in (reference, result)
    )
    middle = (np.array(result.shape[::-1]) - 1) / 2
    if mask is not None:
        # What lies beyond has been smoothed into the pixels at its edge.
        mask = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for _ in range(_ITERATIONS):
        normal, right = _equations(soft_reference, soft_result, matrix, mask)
        if not np.isfinite(normal).all() or np.linalg.matrix_rank(normal) < len(normal):
            return None
        a, b, c, d = np.linalg.solve(normal, right)[:4]
        turn = np.array([[1 + a, -b], [b, 1 + a]])
        shift = middle - turn @ middle + np.array([c, d])
        moved = np.hstack([matrix[:, :2] @ turn, (matrix[:, :2] @ shift + matrix[:, 2])[:, None]])
        change = corner_shift_px(moved, matrix, result.shape)
        matrix = moved
        if change > max(result.shape):
            return None
        if change < _SETTLED_PX:
            break
    return matrix


def _equations(
    reference: Floats, result: Floats, matrix: Matrix, mask: Mask | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Normal equations (6, 6) and (6,) for zoom, rotation, shift in x and y, gain and offset."""
    height, width = result.shape
    normal, right = np.zeros((6, 6)), np.zeros(6)
    skip = max(1, round(result.size / _MOST_PIXELS))
    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    for first in range(0, height, _BAND_ROWS * skip):
        rows = min(_BAND_ROWS, height - first)
        band = matrix.copy()
        band[:, 2] += matrix[:, 1] * (first - 1)
        shape = (rows + 2, width)
        warped = warped_to(reference, band, shape, cv2.INTER_CUBIC)
        inside = cv2.erode(overlap(reference.shape, shape, band).astype(np.uint8), np.ones((3, 3), np.uint8))
        keep = inside[1:-1].astype(bool)
        keep[:, [0, -1]] = False
        if mask is not None:
            keep &= mask[first : first + rows]
        across = (np.roll(warped, -1, axis=1) - np.roll(warped, 1, axis=1))[1:-1] / 2
        down = (warped[2:] - warped[:-2]) / 2
        y = (np.arange(first, first + rows, dtype=np.float32) - np.float32((height - 1) / 2))[:, None]
        columns: list[Any] = [
            across * x + down * y,
            down * x - across * y,
            across,
            down,
            warped[1:-1],
            np.ones_like(down),
        ]
        terms = np.stack([column[keep] for column in columns])
        normal += terms @ terms.T
        right += terms @ (result[first : first + rows][keep] - terms[4])
    # The gain's term was taken off above, so that what is solved for is its difference from 1.
    return normal, right


def _detail(plane: Floats) -> Floats:
    """Detail of a few pixels' size over its local contrast."""
    fine = cv2.GaussianBlur(plane, (0, 0), 1.5)
    detail = fine - cv2.GaussianBlur(plane, (0, 0), 8.0)
    contrast = cv2.GaussianBlur(detail * detail, (0, 0), 16.0)
    return np.asarray(detail / np.sqrt(contrast + np.float32(1e-5)), np.float32)
