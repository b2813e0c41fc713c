"""How sharp a frame is at every pixel: the focus measures of the methods that pick or weigh pixels, each by its name.

Every measure maps luma (`luma_of`) to an energy that is pooled over a window of 2 `radius` + 1 px: the sum over the part of the
window that lies within the picture. All are quadratic in contrast, so that they compare with each other and with a noise floor.
Beyond its border a picture goes on as its outermost pixels.

What is squared (or made positive) comes first and is pooled afterwards: the other way round texture cancels within the window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LUMA_MAX = 1020
"""Luma of white, whatever the depth of the pixels: four times 255."""

HARRIS_K = 0.04
"""Harris and Stephens give no number; 0.04 to 0.06 is usual since."""

_TENSOR_RADIUS = 1
_LEAST_VARIANCE = 1e-5
_CROSS = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
_SECOND = np.array([[-1, 2, -1]], np.float32)


@dataclass(frozen=True)
class Measure:
    """One focus measure.

    Attributes:
        energy: (H, W) float32 luma and a radius in px to (H, W) float32 energy.
        reach: how many pixels beyond the pooling window it looks, px.
        source: where it comes from.
        noise_radius: how many pixels less than the window's radius its energies of pure noise behave like: what looks farther
            than one pixel averages fewer independent values.
    """

    energy: Callable[[Floats, int], Floats]
    reach: int
    source: str
    noise_radius: int = 0


def luma_of(values: npt.NDArray[np.floating] | npt.NDArray[np.integer], full_scale: int) -> Floats:
    """Rec. 601 luma (77, 150, 29 parts of 256), 0 .. `LUMA_MAX`.

    Args:
        values: (H, W, 3) RGB or (H, W), integer or float32.
        full_scale: what white is in `values`: 255 or 65535.

    Returns:
        (H, W) float32.
    """
    pixels = np.ascontiguousarray(values, np.float32)
    scale = LUMA_MAX / full_scale
    if pixels.ndim == 2:
        return np.asarray(pixels * np.float32(scale), np.float32)
    weights = np.array([[77, 150, 29]], np.float64) * (scale / 256)
    return np.asarray(cv2.transform(pixels, weights), np.float32)


def sml(luma: Floats, radius: int) -> Floats:
    """Squared modified Laplacian: (|2c - l - r| + |2c - u - d|)^2, pooled.

    The modified Laplacian is that of Nayar and Nakagawa, "Shape from Focus" (IEEE PAMI 16, 1994, section IV); they pool it as it
    is, here it is squared before.
    """
    across = np.abs(_filtered(luma, _SECOND))
    across += np.abs(_filtered(luma, _SECOND.T))
    return _pooled(across * across, radius)


def squared_laplacian(luma: Floats, radius: int) -> Floats:
    """Square of the four-neighbour Laplacian, pooled.

    "Energy of the Laplacian" in Subbarao, Choi and Nikzad, "Focusing Techniques" (Optical Engineering 32, 1993).
    """
    laplacian = _filtered(luma, _CROSS)
    return _pooled(laplacian * laplacian, radius)


def tenengrad(luma: Floats, radius: int) -> Floats:
    """Squared Sobel gradient, pooled: Tenenbaum's criterion as in Krotkov, "Focusing" (Int. J. Computer Vision 1, 1987)."""
    across, down = _gradient(luma)
    return _pooled(across * across + down * down, radius)


def variance(luma: Floats, radius: int) -> Floats:
    """Gray-level variance: sum of squared deviations from the mean of the window.

    Groen, Young and Ligthart, "A comparison of different focus functions for use in autofocus algorithms" (Cytometry 6, 1985).
    """
    # In double precision: both terms are about a million times what is left of a faint texture in a bright picture. What is left of a
    # flat one is the rounding of that, far below the least step of 16 bits, which leaves 2e-4.
    total = _pooled_double(luma, radius)
    squares: npt.NDArray[np.float64] = cv2.sqrBoxFilter(
        luma, cv2.CV_64F, _window(radius), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    height, width = luma.shape
    count = _counts(height, radius)[:, None] * _counts(width, radius)[None, :]
    deviations = squares - total * total / count
    return np.where(deviations > _LEAST_VARIANCE, deviations, 0).astype(np.float32)


def harris(luma: Floats, radius: int) -> Floats:
    """Root of the pooled magnitude of the Harris response, |det M - k (trace M)^2|.

    The response is that of Harris and Stephens, "A Combined Corner and Edge Detector" (Alvey Vision Conference 1988); as a focus
    measure, with its magnitude taken so that edges (negative) count like corners: Sigdel, Sigdel, Dinc, Dinc, Pusey and Aygun,
    "FocusALL: Focal Stacking of Microscopic Images Using Modified Harris Corner Response Measure" (IEEE/ACM TCBB 13, 2016).
    M sums the products of Sobel gradients over 3 x 3 px. The response is of fourth order in contrast; hence the root.
    """
    across, down = _gradient(luma)
    xx = _pooled(across * across, _TENSOR_RADIUS)
    yy = _pooled(down * down, _TENSOR_RADIUS)
    xy = _pooled(across * down, _TENSOR_RADIUS)
    trace = xx + yy
    response = np.abs(xx * yy - xy * xy - np.float32(HARRIS_K) * trace * trace)
    return np.asarray(np.sqrt(_pooled(response, radius)), np.float32)


MEASURES: Mapping[str, Measure] = {
    "sml": Measure(sml, 1, "Nayar and Nakagawa 1994"),
    "laplacian2": Measure(squared_laplacian, 1, "Subbarao, Choi and Nikzad 1993"),
    "tenengrad": Measure(tenengrad, 1, "Tenenbaum 1970, Krotkov 1987", noise_radius=1),
    "variance": Measure(variance, 0, "Groen, Young and Ligthart 1985"),
    "harris": Measure(harris, 1 + _TENSOR_RADIUS, "Sigdel et al. 2016", noise_radius=1),
}
"""Every measure by its name."""


def measure_named(name: str) -> Measure:
    """The measure of this name. Raises `ValueError`, naming all, when there is none."""
    try:
        return MEASURES[name]
    except KeyError:
        raise ValueError(f"no focus measure {name!r}; there are: {', '.join(MEASURES)}") from None


def _filtered(luma: Floats, kernel: Floats) -> Floats:
    return np.asarray(cv2.filter2D(luma, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _gradient(luma: Floats) -> tuple[Floats, Floats]:
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _pooled(values: Floats, radius: int) -> Floats:
    # Not by the running sums of a box filter: a trace of a bright spot would stay behind in all that comes after it, and a flat
    # part, whose energy must be 0, would get some.
    ones = np.ones(2 * radius + 1, np.float32)
    pooled = cv2.sepFilter2D(values, cv2.CV_32F, ones, ones, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(pooled, np.float32)


def _pooled_double(values: Floats, radius: int) -> npt.NDArray[np.float64]:
    pooled = cv2.boxFilter(
        values, cv2.CV_64F, _window(radius), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(pooled, np.float64)


def _window(radius: int) -> tuple[int, int]:
    return 2 * radius + 1, 2 * radius + 1


def _counts(size: int, radius: int) -> npt.NDArray[np.float64]:
    """How many of the window's pixels lie within the picture, along one axis."""
    at = np.arange(size)
    return (np.minimum(at + radius, size - 1) - np.maximum(at - radius, 0) + 1).astype(np.float64)
