"""Whether two pictures show the same scene with the same focus: the check before an interrupted stack goes on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

BLOCKS = 64
"""Blocks along the longer side. A block averages noise and a pixel or two of shift away, and still shows where focus lies."""
SAME_LEVEL = 0.15
"""Greatest relative change of the mean level."""
SAME_LIGHT = 0.9
"""Least correlation of block brightness: below it the subject, the frame or the light has changed."""
SAME_FOCUS = 0.8
"""Least correlation of block detail (in decades): below it the focal plane lies elsewhere."""

SAME_SHARPNESS = 0.15
"""Greatest mean change of detail, in decades, in the tenth of the blocks where either picture is sharpest: little of a deep
subject is in focus at a time, and the rest looks alike from step to step."""


def differs(image: Image, before: Image) -> str | None:
    """Why a picture does not continue an earlier one of the same position; None when it does.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        before: the earlier one; the same shape, or that is the answer.
    """
    if image.shape != before.shape:
        return f"its size is {image.shape[1]}x{image.shape[0]}, not {before.shape[1]}x{before.shape[0]}"
    now, then = _gray(image), _gray(before)
    level, level_before = float(now.mean()), float(then.mean())
    if abs(level - level_before) > SAME_LEVEL * max(level_before, 8.0):
        return f"the light has changed (mean level {level:.0f}, {level_before:.0f} before)"
    light = _correlation(_block_means(now), _block_means(then))
    if light < SAME_LIGHT:
        return f"subject, frame or light have changed (brightness correlates {light:.2f}, at least {SAME_LIGHT} expected)"
    detail, detail_before = _detail(now), _detail(then)
    focus = _correlation(detail, detail_before)
    if focus < SAME_FOCUS:
        return f"the focus lies elsewhere (detail correlates {focus:.2f}, at least {SAME_FOCUS} expected)"
    sharper = np.maximum(detail, detail_before)
    sharpest = sharper >= np.quantile(sharper, 0.9)
    change = float(np.abs(detail - detail_before)[sharpest].mean())
    if change > SAME_SHARPNESS:
        return (
            f"the focus lies elsewhere (the sharpest parts differ by a factor of {10**change:.1f} in detail)"
        )
    return None


def _gray(image: Image) -> npt.NDArray[np.float32]:
    gray = image.astype(np.float32)
    return gray if gray.ndim == 2 else gray.mean(axis=2)


def _block_means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    side = max(1, -(-max(values.shape) // BLOCKS))
    height, width = (max(1, size // side) for size in values.shape)
    cut = values[: height * side, : width * side]
    if cut.shape != (height * side, width * side):
        return values
    means: npt.NDArray[np.float32] = cut.reshape(height, side, width, side).mean(axis=(1, 3))
    return means


def _detail(gray: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Decades of detail by block: the mean square of what differs from pixel to pixel, above one level of noise."""
    across = np.diff(gray, axis=1)[:-1] ** 2 + np.diff(gray, axis=0)[:, :-1] ** 2
    decades: npt.NDArray[np.float32] = np.log10(_block_means(across) + np.float32(4.0))
    return decades


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    x, y = (values.ravel() - values.mean() for values in (a, b))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    flat = [float(values @ values) < 1e-3 * values.size for values in (x, y)]
    if any(flat):
        return float(all(flat))
    return float(x @ y) / spread
