"""Where a frame lies against the last good one, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.registration.frame import Planes
from stackcore.registration.search import search
from stackcore.registration.similarity import (
    Estimate,
    Evidence,
    about_centre,
    corner_px,
    scaled,
    solve,
    step_of,
    zoom_of,
)
from stackcore.registration.tiles import Comparison, Tiles, choose, cover

Motion = npt.NDArray[np.float64]

SMALL_TILE, LEAST_TILE = 24, 8
"""Pixels along a tile of the small pictures; of frames below 150 px, which would have too few of them, down to the least."""
COARSE_ROUNDS, MIDDLE_ROUNDS, FINE_ROUNDS = 6, 2, 3
CONVERGED = 0.1
"""A step of so many pixels of the picture leaves less than a tenth of it: the scheme converges quadratically."""

BELIEVED_PX = 0.2
"""An error from which on a fine result is believed less than it says: at 0.02 px as it is, at 0.8 px a seventeenth. On real stacks, where
nothing was in focus, results that claimed 0.5 to 0.8 px were 5 to 9 px off."""
COARSE_SHARE = 0.05
"""Error of the coarse result, of its pixels, that is always granted: about what shading did on real stacks."""
MIN_CORRELATION = 0.4
"""Of the coarse pictures, tile by tile, in the median; below it a frame shows something else."""
MAX_ERROR_SHARE = 0.01
"""Of half a diagonal: a corner whose place is known worse is not known. Where a frame's place is that uncertain nothing in it is sharp."""
MAX_LOG_ZOOM = 0.25
MAX_TURN = 0.15
MAX_SHIFT_SHARE = 0.3


@dataclass(frozen=True)
class Anchor:
    """A good frame, as far as later frames are compared with it.

    Attributes:
        index: its place in the stack.
        motion: 3 x 3, from the reference to it.
        coarse: tiles that cover it.
        middle: tiles where it has detail, from the reduced frame.
        fine: the same as large as the frame came.
        small: its coarse luma, for the search when all else fails.
        structure: see `Planes.structure`.
    """

    index: int
    motion: Motion
    coarse: Tiles
    middle: Tiles
    fine: Tiles
    small: npt.NDArray[np.float32]
    structure: npt.NDArray[np.float64]

    @classmethod
    def of(cls, planes: Planes, index: int, motion: Motion, tiles: int | None = None) -> Anchor:
        """Read what is needed of a frame.

        Some 100 tiles at each size, for a tenth of a pixel over a whole stack: with half as many, errors grow by a third. The
        reduced frame's tiles see more of the picture in less time; those of the frame as it came see it more exactly.
        """
        megapixels = planes.shape[0] * planes.shape[1] / 1e6
        size = 32 if megapixels < 2 else 48
        scale = planes.fine.scale
        fine = choose(planes.reduced, tiles or 100, size * scale) // scale
        many = choose(planes.reduced, tiles or (100 if megapixels < 2 else 150), size)
        factor = planes.middle.scale
        middle = np.rint((many + (size - factor) / 2) / factor - (SMALL_TILE - 1) / 2).astype(np.int64)
        side = max(LEAST_TILE, min(SMALL_TILE, min(planes.small.shape) * 2 // 3))
        coarse = cover((planes.small.shape[0], planes.small.shape[1]), side)
        return cls(
            index,
            motion,
            Tiles.of(planes.coarse, coarse, side),
            Tiles.of(planes.middle, middle, SMALL_TILE),
            Tiles.of(planes.fine, fine, size),
            planes.small,
            planes.structure,
        )


@dataclass(frozen=True)
class Placed:
    """A motion from the newest anchor to a frame.

    Attributes:
        step: 3 x 3.
        estimate: what it rests on.
        correlation: of the coarse pictures.
    """

    step: Motion
    estimate: Estimate
    correlation: float


def place(
    anchors: Sequence[Anchor],
    planes: Planes,
    guess: Motion,
    log_zoom: tuple[float, float] | None,
    *,
    still: bool,
) -> Placed | str:
    """Find where a frame lies.

    Args:
        anchors: good frames before it, the newest last.
        planes: the frame.
        guess: 3 x 3, the motion from the newest anchor that is expected.
        log_zoom: of that motion, and its standard deviation, where it is known.
        still: whether the stack has not moved so far; less is looked at then.

    Returns:
        Where; or why it cannot be said, in plain words.
    """
    newest = anchors[-1]
    if planes.shaken(newest.structure):
        return "it is blurred in one direction: the camera moved while it was taken"
    coarse, correlation = _coarsely(newest, planes, guess)
    if correlation < MIN_CORRELATION:
        found = scaled(search(newest.small, planes.small), planes.coarse.scale)
        coarse, correlation = _coarsely(newest, planes, found)
    if coarse is None or correlation < MIN_CORRELATION:
        return f"it has nothing in common with frame {newest.index} (correlation {correlation:.2f})"
    if still and corner_px(step_of(coarse.motion, planes.shape)) < planes.coarse.scale / 4:
        result = _unmoved(newest, planes)
    else:
        middle = _trusted(coarse, _middling(newest, planes, coarse.motion), planes)
        result = _trusted(coarse, _finely(anchors, planes, middle.motion, log_zoom), planes)
    if result is None:
        return f"it has too little detail in common with frame {newest.index}"
    if result.estimate.error_px > MAX_ERROR_SHARE * float(np.hypot(*planes.shape)) / 2:
        return f"its place is uncertain by {result.estimate.error_px:.1f} px"
    if not _plausible(result.motion, planes.shape):
        return "it has moved farther than frames of one stack do"
    return Placed(result.motion, result.estimate, correlation)


@dataclass(frozen=True)
class _Found:
    motion: Motion
    estimate: Estimate


def _coarsely(anchor: Anchor, planes: Planes, motion: Motion) -> tuple[_Found | None, float]:
    found, correlation = None, 0.0
    for _ in range(COARSE_ROUNDS):
        evidence = Comparison(anchor.coarse, planes.coarse, motion).at(motion)
        estimate = solve(evidence, planes.shape)
        if estimate is None or not estimate.corner_px <= max(planes.shape):
            return None, 0.0
        seen = evidence.sums[:, 7] > 0
        correlation = float(np.median(evidence.sums[seen, 6])) if seen.any() else 0.0
        motion = about_centre(estimate.step, planes.shape) @ motion
        found = _Found(motion, estimate)
        if estimate.corner_px < CONVERGED * planes.coarse.scale:
            break
    return found, correlation


def _middling(anchor: Anchor, planes: Planes, motion: Motion) -> _Found | None:
    comparison = Comparison(anchor.middle, planes.middle, motion)
    found = None
    for _ in range(MIDDLE_ROUNDS):
        estimate = solve(comparison.at(motion), planes.shape)
        if estimate is None or not np.isfinite(estimate.corner_px):
            break
        motion = about_centre(estimate.step, planes.shape) @ motion
        found = _Found(motion, estimate)
        if estimate.corner_px < CONVERGED * planes.middle.scale:
            break
    return found


def _unmoved(anchor: Anchor, planes: Planes) -> _Found | None:
    """How little a frame has moved that does not seem to move. Where that cannot be said exactly, it has not."""
    found = _finely([anchor], planes, np.eye(3), None)
    if found is None or found.estimate.error_px < BELIEVED_PX:
        return found
    return _Found(np.eye(3), found.estimate)


def _trusted(coarse: _Found, found: _Found | None, planes: Planes) -> _Found:
    """Both results, each by its information.

    Where nothing is in focus, the small tiles see little but what is fixed to the sensor (noise of its pixels, dust, the grid of the
    JPEG), and agree on it better than they should. So an error that is not small is not believed. The coarse picture in turn
    shows shading, and is not believed to be better than a twentieth of its pixels.
    """
    if found is None:
        return coarse
    own = found.estimate.information / (1 + (found.estimate.error_px / BELIEVED_PX) ** 2) ** 2
    floor = (COARSE_SHARE * planes.coarse.scale) ** 2 * np.eye(4)
    other = np.asarray(np.linalg.inv(coarse.estimate.variance + floor), np.float64)
    apart = step_of(coarse.motion @ np.linalg.inv(found.motion), planes.shape)
    step = np.asarray(np.linalg.solve(own + other, other @ apart), np.float64)
    motion = about_centre(step, planes.shape) @ found.motion
    return _Found(motion, Estimate(step, own + other, found.estimate.agreeing))


def _finely(
    anchors: Sequence[Anchor], planes: Planes, motion: Motion, log_zoom: tuple[float, float] | None
) -> _Found | None:
    """From the tiles of the newest anchor and of the oldest, at two sizes."""
    newest, oldest = anchors[-1], anchors[0]
    comparisons = _comparisons(newest, planes, motion, np.eye(3))
    if len(anchors) > 2:
        between = newest.motion @ np.linalg.inv(oldest.motion)
        comparisons += _comparisons(oldest, planes, motion @ between, between)
    reach = float(np.hypot(*planes.shape)) / 2
    best = None
    for _ in range(FINE_ROUNDS):
        evidence = Evidence.joined([comparison.at(motion @ between) for comparison, between in comparisons])
        zoom = None
        if log_zoom is not None:
            zoom = ((log_zoom[0] - float(np.log(zoom_of(motion)))) * reach, log_zoom[1] * reach)
        estimate = solve(evidence, planes.shape, zoom=zoom)
        if estimate is None or not np.isfinite(estimate.corner_px):
            break
        motion = about_centre(estimate.step, planes.shape) @ motion
        best = _Found(motion, estimate)
        if estimate.corner_px < CONVERGED * planes.fine.scale:
            break
    return best


def _comparisons(
    anchor: Anchor, planes: Planes, motion: Motion, between: Motion
) -> list[tuple[Comparison, Motion]]:
    pairs = [(anchor.fine, planes.fine), (anchor.middle, planes.middle)]
    return [(Comparison(tiles, plane, motion), between) for tiles, plane in pairs]


def _plausible(motion: Motion, shape: tuple[int, int]) -> bool:
    shift = step_of(motion, shape)[2:]
    turn = abs(float(np.arctan2(motion[1, 0], motion[0, 0])))
    far = float(np.hypot(*shift))
    return (
        abs(np.log(zoom_of(motion))) <= MAX_LOG_ZOOM
        and turn <= MAX_TURN
        and far <= MAX_SHIFT_SHARE * max(shape)
    )
