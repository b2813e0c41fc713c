"""Shake seen in still pictures, by what it takes away: fine detail in one direction.

The mean products of the brightness gradients of a picture, a symmetric 2 x 2 matrix, say how much fine detail there is in each
direction. Against another picture of the same place, the least ratio over all directions is what a shake has left of it: 1 for
two still pictures, to 0.97 with noise and flicker, 0.9 after a shake of half a pixel, 0.7 after two (measured on simulated scenes). Neighbouring frames of a stack
differ by their focus too, in all directions about equally, so between them a shake must be large to be told from that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAME_PLACE_KEPT = 0.94
"""A picture with less than this share of another of the same place, in some direction, was shaken beside it."""
NEIGHBOUR_KEPT = 0.6
"""A picture with less than this share of its neighbour's detail in some direction may be shaken,"""
NEIGHBOUR_ONE_SIDED = 0.87
"""if it lost so much less in another: lack of focus takes from all."""
FARTHEST = 4
"""Frames between which pictures are compared at all."""
SAMPLED_PX = 2_000_000
LUMA = (0.299, 0.587, 0.114)
_STRIP_ROWS = 16


@dataclass(frozen=True, slots=True)
class Detail:
    """Fine detail by direction: mean products of gradients over the mean brightness squared."""

    xx: float
    xy: float
    yy: float


def detail(image: npt.NDArray[np.uint8]) -> Detail:
    """Measure a picture, (H, W, 3) RGB or (H, W) uint8; large ones in strips spread evenly over it."""
    height, width = image.shape[:2]
    strips = max(1, min(height // _STRIP_ROWS, SAMPLED_PX // (_STRIP_ROWS * width)))
    if strips * _STRIP_ROWS >= height - _STRIP_ROWS:
        parts = [image]
    else:
        starts = np.linspace(0, height - _STRIP_ROWS, strips).astype(int)
        parts = [image[start : start + _STRIP_ROWS] for start in starts]
    sums = np.zeros(3)
    count, light = 0, 0.0
    for part in parts:
        luma = part.astype(np.float32) if part.ndim == 2 else part @ np.array(LUMA, np.float32)
        across = luma[1:-1, 2:] - luma[1:-1, :-2]
        down = luma[2:, 1:-1] - luma[:-2, 1:-1]
        sums += [float(np.vdot(across, across)), float(np.vdot(across, down)), float(np.vdot(down, down))]
        count += across.size
        light += float(luma.mean()) / len(parts)
    mean = max(light, 1.0) ** 2 * max(count, 1)
    return Detail(*(float(value) / mean for value in sums))


def kept(one: Detail, other: Detail) -> tuple[float, float]:
    """Least and largest share of the detail of `other` that `one` has, over all directions: the generalised eigenvalues."""
    det = other.xx * other.yy - other.xy**2
    if det <= 1e-9 * (other.xx + other.yy) ** 2 or det <= 0:
        return 1.0, 1.0  # a picture without detail tells nothing
    trace = (one.xx * other.yy + one.yy * other.xx - 2.0 * one.xy * other.xy) / det
    product = (one.xx * one.yy - one.xy**2) / det
    root = math.sqrt(max(0.0, (trace / 2.0) ** 2 - product))
    return trace / 2.0 - root, trace / 2.0 + root


def shaken_beside(one: Detail, still: Detail) -> float | None:
    """The share of detail that `one` kept, where it was shaken and `still`, of the same place, was less so; else None."""
    least, _ = kept(one, still)
    return least if least < SAME_PLACE_KEPT else None


def looks_shaken(one: Detail, neighbour: Detail) -> str | None:
    """Why a picture looks shaken beside its neighbour, or None."""
    least, most = kept(one, neighbour)
    if least >= NEIGHBOUR_KEPT or least >= NEIGHBOUR_ONE_SIDED * most:
        return None
    return f"{least:.0%} of its neighbour's fine detail in one direction, {most:.0%} across it: shaken"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at one picture found."""

    reason: str | None = None
    """Why it should be taken again."""
    kept: float | None = None
    """An earlier picture of the same place was shaken: the share of this one's fine detail that it had."""
    note: str = ""
    """For the frame's record."""


class ShakeWatch:
    """Looks at the pictures of one stack, in the order in which they come in."""

    def __init__(self) -> None:
        self._accepted: dict[int, Detail] = {}
        self._refused: dict[int, Detail] = {}

    def look(
        self,
        frame: int,
        image: npt.NDArray[np.uint8],
        before: npt.NDArray[np.uint8] | None,
        *,
        soft: bool,
    ) -> Seen:
        """Look at a picture of a frame.

        Args:
            frame: which.
            image: the picture, as it is decoded.
            before: an earlier picture of the same place that was taken only to be held against this one.
            soft: it is refused anyway, as less sharp than its neighbours.
        """
        found = detail(image)
        earlier = self._refused.pop(frame, None)
        if earlier is None and before is not None:
            earlier = detail(before)
        if soft:
            self._refused[frame] = found
            return Seen()
        if earlier is not None:
            self._accepted[frame] = found
            kept_share = shaken_beside(earlier, found)
            if kept_share is None:
                return Seen(note="" if before is not None else "looked shaken, and is the same taken again")
            return Seen(kept=kept_share, note="" if before is not None else "taken again: it was shaken")
        reason = self._beside_neighbours(frame, found)
        if reason is not None:
            self._refused[frame] = found
            return Seen(reason)
        self._accepted[frame] = found
        return Seen()

    def _beside_neighbours(self, frame: int, found: Detail) -> str | None:
        """Why it looks shaken beside each neighbour that there is; None where it does not, or there is none."""
        around = [near for way in (-1, 1) if (near := self._nearest(frame, way)) is not None]
        reasons = [looks_shaken(found, neighbour) for neighbour in around]
        return reasons[0] if reasons and all(reasons) else None

    def _nearest(self, frame: int, way: int) -> Detail | None:
        """The accepted frame next to it; farther ones only where those between were refused, for what shook them may shake this one."""
        at = frame + way
        while at in self._refused and abs(at - frame) < FARTHEST:
            at += way
        return self._accepted.get(at)
