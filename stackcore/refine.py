"""Depth maps made better with what lies around a pixel: guided filter, semi-global matching, holes filled.

All of it works on plain arrays; depth is in units of the frame index or of its ordinal, whichever the caller has.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

STEP = 20
JUMP = 150
"""What a path pays for a step to the next depth and for a jump to any other, in units of the costs (0..255).

Measured on rendered stacks with little texture and much noise: (4, 20), (10, 60) and (20, 150) leave 50, 60 and 69 % of the cells within
one frame of the truth, and without paths 42 %. On stacks without noise it makes no difference."""

_RIM = np.float32(30)
"""Energies of less than one part in so many of one beside them may be its rim."""

_SEEN = 0.05
"""A window is large enough for a hole when so much of it is known,"""

_PATIENCE_PX = 64
"""and some of that is as bright as the hole; but windows as large as this need not have that."""

_SLAB_VALUES = 6_000_000
"""Costs that are worked on together: a slab takes five times as many bytes."""

_MARGIN_ROWS = 32
"""Rows by which slabs overlap; a path forgets what lies farther back than a few jumps of texture."""


def guided_filter(guide: Floats, value: Floats, weight: Floats, *, radius_px: int, epsilon: float) -> Floats:
    """In every window the value as a straight line of the guide, fitted with weights; of all windows over a pixel the mean.

    He, Sun and Tang, "Guided Image Filtering" (IEEE PAMI 35, 2013), equations 5, 6 and 8, the sums weighted.

    Args:
        guide: (H, W).
        value: (H, W), finite.
        weight: (H, W), 0 or more; 0 where the value is not known.
        radius_px: of the window.
        epsilon: variance of the guide below which the value becomes the local mean, above which it follows the guide.

    Returns:
        (H, W) float32; what no window knows is 0.
    """
    slope, offset, share = _lines(guide, value, weight, radius_px, epsilon)
    total = np.maximum(share, np.float32(1e-6))
    result = (_mean(weight * slope, radius_px) * guide + _mean(weight * offset, radius_px)) / total
    return np.where(share > 1e-6, result, np.float32(0)).astype(np.float32)


def _lines(
    guide: Floats, value: Floats, weight: Floats, radius: int, epsilon: float
) -> tuple[Floats, Floats, Floats]:
    """Slope and offset of the line of the window round each pixel, and the mean weight in it."""
    share = _mean(weight, radius)
    total = np.maximum(share, np.float32(1e-6))
    # Means are taken off first: float32 would lose the variance of a small difference on a large number.
    centre = np.float32(guide.mean())
    level = np.float32(
        (weight * value).sum(dtype=np.float64) / max(float(weight.sum(dtype=np.float64)), 1e-6)
    )
    guide, value = guide - centre, value - level
    guide_mean = _mean(weight * guide, radius) / total
    value_mean = _mean(weight * value, radius) / total
    variance = _mean(weight * guide * guide, radius) / total - guide_mean * guide_mean
    covariance = _mean(weight * guide * value, radius) / total - guide_mean * value_mean
    slope = np.asarray(covariance / (np.maximum(variance, np.float32(0)) + np.float32(epsilon)), np.float32)
    offset = np.asarray(value_mean + level - slope * (guide_mean + centre), np.float32)
    return slope, offset, share


def _mean(array: Floats, radius: int) -> Floats:
    size = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.blur(array, size, borderType=cv2.BORDER_REFLECT), np.float32)


def fill_holes(
    value: Floats, weight: Floats, guide: Floats, *, radius_px: int = 4, contrast: float = 8.0
) -> Floats:
    """Every hole takes the depth that its neighbourhood has at pixels as bright as it.

    The line of a guided filter, of the window around the hole alone, which grows until it sees enough: so depth jumps where the picture
    has an edge, if there is one. (Windows of which the hole is not the middle may see only one side of the edge.)

    Args:
        value: (H, W), NaN is a hole.
        weight: (H, W), confidence of the values, 0..1.
        guide: (H, W) brightness, 0..255.
        radius_px: of the first window; it doubles from there.
        contrast: levels of the guide that count as an edge.

    Returns:
        (H, W) float32 without holes, known values as they were; 0 everywhere when nothing is known.
    """
    known = np.isfinite(value)
    if known.all() or not known.any():
        return np.where(known, value, np.float32(0)).astype(np.float32)
    low, high = np.float32(np.nanmin(value)), np.float32(np.nanmax(value))
    filled = np.where(known, value, np.float32(0)).astype(np.float32)
    trust = np.where(known, np.maximum(weight, np.float32(1e-3)), np.float32(0)).astype(np.float32)
    todo = ~known
    radius = radius_px
    while todo.any():
        last = radius >= max(value.shape)
        share = _mean(known.astype(np.float32), radius)
        now = todo & (share > (0 if last else _SEEN))
        if radius < _PATIENCE_PX:
            now &= _alike(guide, known, radius, contrast)
        if now.any():
            slope, offset, _ = _lines(guide, filled, trust, radius, contrast**2)
            filled[now] = np.clip(slope[now] * guide[now] + offset[now], low, high)
            todo &= ~now
        if last:
            break
        radius *= 2
    filled[todo] = np.float32(np.median(value[known]))
    return filled


def _alike(
    guide: Floats, known: npt.NDArray[np.bool_], radius: int, contrast: float
) -> npt.NDArray[np.bool_]:
    """Where the window has known pixels about as bright as its middle: a line must not be drawn on beyond its points."""
    reach = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    darkest = cv2.erode(np.where(known, guide, np.float32(np.inf)).astype(np.float32), reach)
    brightest = cv2.dilate(np.where(known, guide, np.float32(-np.inf)).astype(np.float32), reach)
    return np.asarray((guide >= darkest - contrast) & (guide <= brightest + contrast), np.bool_)


def agreement(labels: npt.NDArray[np.uint16], *, radius: int = 8) -> Floats:
    """How much the labels around each cell are alike: 1 less their standard deviation over a window, at least 0.

    Costs of pure noise leave patches of any label that paths cannot join; where even a faint texture is seen, the labels of a
    whole window agree.

    Args:
        labels: (h, w).
        radius: of the window, cells.
    """
    value = labels.astype(np.float32)
    value -= np.float32(value.mean(dtype=np.float64))
    mean = _mean(value, radius)
    variance = _mean(value * value, radius) - mean * mean
    spread = np.sqrt(np.maximum(variance, np.float32(0)))
    return np.asarray(np.maximum(1 - spread, 0), np.float32)


def clear_of_spill(energy: Floats, *, radius: int) -> Floats:
    """1 where the energy of a cell must be its own, 0 where it may be the rim of the blur of a stronger one beside it.

    Something sharp is blurred to a disc in other frames, and when the rim of the disc passes over a cell without detail, that has a
    peak of energy there, at a depth where nothing is. A rim is faint: blur of a few pixels leaves less than a hundredth of the
    energy. Measured on the simulator's printed board, RMSE of all depth that is not a hole, frames: 1.2 without, 0.23 with a limit
    of 1/100, 0.12 with this one; and 89 %, 69 % and 62 % of the pixels are not holes.

    Args:
        energy: (h, w) at the peak of each cell.
        radius: how far blur is looked for, cells.
    """
    reach = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    around = cv2.dilate(energy, reach)
    excess = _RIM * energy / np.maximum(around, np.float32(1)) - 1
    return np.asarray(np.clip(excess, 0, 1), np.float32)


def focus_cost(energies: Floats, floor: Floats) -> Bytes:
    """What it costs to take a depth: the logarithm of the highest energy over its own, noise taken off both.

    Args:
        energies: (n, ...) of each frame.
        floor: (...) energy of noise alone.

    Returns:
        (n, ...) uint8: 0 at the peak, 80 for each factor e, at most 255.
    """
    signal = np.maximum(energies - floor, np.float32(0))
    signal += 3 * floor + np.float32(1)
    signal /= signal.max(axis=0)
    cost = np.log(signal, out=signal)
    cost *= np.float32(-80)
    cost += np.float32(0.5)
    return np.asarray(np.minimum(cost, np.float32(255)), np.uint8)


def semi_global(cost: Bytes, guide: Bytes, *, step: int = STEP, jump: int = JUMP) -> npt.NDArray[np.uint16]:
    """The depth of each cell whose cost, and that of cheap paths to it from eight sides, is least.

    Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information" (IEEE PAMI 30, 2008, section 2.3). A jump costs
    less where the guide jumps (there, equation 12): half at 8 levels, never less than one and a half steps.

    Args:
        cost: (h, w, n) uint8.
        guide: (h, w) uint8, brightness.
        step: cost of a change of depth by one, 0 or more.
        jump: cost of any larger one; at most 3500.

    Returns:
        (h, w) uint16, the first of the cheapest.

    Raises:
        ValueError: when a penalty is out of range.
    """
    from stackcore._sgm_kernel import EDGE, sweep  # noqa: PLC0415 (compiled when first needed)

    if not 0 <= step <= jump <= 3500:
        raise ValueError(f"penalties {step} and {jump} are not 0 <= step <= jump <= 3500")
    height, width, depths = cost.shape
    jumps = jump_costs(step, jump)
    total = np.zeros((height, width, depths), np.int16)
    paths = np.full((2, width, 4, depths + 2), EDGE, np.int16)
    least = np.zeros((2, width, 4), np.int16)
    contiguous = np.ascontiguousarray(cost), np.ascontiguousarray(guide)
    for backward in (False, True):
        sweep(*contiguous, jumps, np.int16(step), backward, paths, least, total)
    return np.asarray(total.argmin(axis=2), np.uint16)


def jump_costs(step: int, jump: int) -> npt.NDArray[np.int16]:
    """What a jump in depth costs, by how many levels (0..255) the guide differs."""
    eased = jump / (1 + np.arange(256) / 8)
    return np.minimum(np.maximum(eased, 1.5 * step), jump).astype(np.int16)


def semi_global_in_slabs(
    cost_of: Callable[[int, int], Bytes], guide: Bytes, depths: int, *, step: int = STEP, jump: int = JUMP
) -> npt.NDArray[np.uint16]:
    """`semi_global` in bounded memory: slabs of rows that overlap.

    Args:
        cost_of: gives (rows, w, n) costs of the rows from `first` to `end`.
        guide: (h, w) uint8, brightness.
        depths: n.
        step: as of `semi_global`.
        jump: as of `semi_global`.
    """
    height, width = guide.shape
    rows = max(_MARGIN_ROWS, _SLAB_VALUES // max(1, width * depths))
    labels = np.empty((height, width), np.uint16)
    for first in range(0, height, rows):
        end = min(height, first + rows)
        top, bottom = max(0, first - _MARGIN_ROWS), min(height, end + _MARGIN_ROWS)
        slab = semi_global(cost_of(top, bottom), guide[top:bottom], step=step, jump=jump)
        labels[first:end] = slab[first - top : end - top]
    return labels
