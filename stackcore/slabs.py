"""Deep stacks in slabs: some frames at a time into a picture each, then those pictures into one.

Where hairs cross at different depths, a stack fused at once lets each hair's blur into the other; within a slab there is only one of
them. Slabs overlap, so that what is sharp between two is whole in one. What each slab gives waits on disk, so memory holds one slab's
method at a time, whatever the length of the stack; frames in an overlap are decoded twice, and registered once.

The frames of a slab may all be narrower than the reference. What a method makes up outside them, of repeated edge pixels, has sharp lines
that no frame has; so a slab shows there what the one before does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame
from stackcore.depth import DepthMap
from stackcore.files import StackError
from stackcore.methods import Fused
from stackcore.methods._rows import shown_rows

if TYPE_CHECKING:
    from stackcore.pipeline import Fusion

_BAND_ROWS = 256
_FEATHER_PX = 8
"""Over so many pixels a slab's picture becomes that of the one before, where its frames end."""


def spans(frames: int, slab: int, overlap: int) -> list[tuple[int, int]]:
    """Start and end of each slab of a stack whose length is known; the last is as long as the others, and may overlap more."""
    if frames <= slab:
        return [(0, frames)]
    starts = list(range(0, frames - slab, slab - overlap))
    return [(start, start + slab) for start in (*starts, frames - slab)]


def fuse_slabs(fusion: Fusion, slab: int, overlap: int) -> Fused:
    """Fuse a stack in slabs.

    Args:
        fusion: the stack and its method.
        slab: frames in each.
        overlap: frames that each shares with the one before.

    Raises:
        StackError: no frame of any slab can be used, or nobody knows how many frames there will be.
    """
    count = fusion.count
    if count is None:
        raise StackError(
            "slabs need all frames to be there at the start; fuse without them while frames arrive"
        )
    slabs = spans(count, slab, overlap)
    fusion.overlapping = sum(stop - start for start, stop in slabs) - count
    with tempfile.TemporaryDirectory(prefix="stackcore-slabs-") as folder:
        kept: list[Path] = []
        for number, (start, stop) in enumerate(slabs):
            fused = fusion.part(start, stop)
            if fused is not None:
                if kept:
                    _complete(fused, _shown(fusion, fused, start, stop), kept[-1])
                kept.append(_keep(Path(folder) / f"{number:04d}", fused))
                del fused
        if not kept:
            raise StackError(fusion.nothing_usable())
        if len(kept) == 1:
            return _kept(kept[0])
        return _fuse_kept(fusion, kept)


def _shown(fusion: Fusion, fused: Fused, start: int, stop: int) -> npt.NDArray[np.uint8]:
    """(H, W), 1 where at least one frame of a slab shows something."""
    height, width = fused.picture.shape[:2]
    reports = fusion.lineup.reports
    used = [reports[index] for index in range(start, stop) if index in reports]
    frames = [
        AlignedFrame(report.index, fused.picture, report.matrix)
        for report in used
        if report.matrix is not None
    ]
    found = np.zeros((height, width), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        rows = slice(top, min(height, top + _BAND_ROWS))
        for frame in frames:
            shows = shown_rows(frame, rows.start, rows.stop)
            found[rows] |= True if shows is None else shows
    return found


def _complete(fused: Fused, shown: npt.NDArray[np.uint8], before: Path) -> None:
    """Put into a slab, where none of its frames shows anything, what the slab before has there; without a step at the seam."""
    if shown.all():
        return
    other = _kept(before)
    share = np.minimum(cv2.distanceTransform(shown, cv2.DIST_L2, 3) / np.float32(_FEATHER_PX), np.float32(1))
    for top in range(0, len(shown), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        own = share[rows] if fused.picture.ndim == 2 else share[rows, :, None]
        mixed = own * fused.picture[rows] + (1 - own) * other.picture[rows]
        fused.picture[rows] = np.rint(mixed).astype(fused.picture.dtype)
    if fused.depth is not None and other.depth is not None:
        np.copyto(fused.depth.frame_index, other.depth.frame_index, where=share < 0.5)
        np.copyto(fused.depth.confidence, other.depth.confidence, where=share < 0.5)


def _keep(path: Path, fused: Fused) -> Path:
    path.mkdir()
    np.save(path / "picture.npy", fused.picture)
    if fused.depth is not None:
        np.save(path / "frame_index.npy", fused.depth.frame_index)
        np.save(path / "confidence.npy", fused.depth.confidence)
    return path


def _kept(path: Path) -> Fused:
    depth = None
    if (path / "frame_index.npy").exists():
        depth = DepthMap(np.load(path / "frame_index.npy"), np.load(path / "confidence.npy"))
    return Fused(np.load(path / "picture.npy"), depth)


def _fuse_kept(fusion: Fusion, kept: list[Path]) -> Fused:
    """The slabs' pictures are registered and even already: they lie on each other."""
    method = fusion.make_method(len(kept))
    try:
        for pass_number in range(method.passes):
            for number, path in enumerate(kept):
                method.add(AlignedFrame(number, np.load(path / "picture.npy")), pass_number)
        fused = method.finish()
    finally:
        method.close()
    return Fused(fused.picture, None if fused.depth is None else _depth(fused.depth, kept))


def _depth(chosen: DepthMap, kept: list[Path]) -> DepthMap:
    """Each pixel's depth and confidence from the slab that shows it sharpest; holes where none does, or that slab has one."""
    maps = [
        (
            np.load(path / "frame_index.npy", mmap_mode="r"),
            np.load(path / "confidence.npy", mmap_mode="r"),
        )
        for path in kept
    ]
    frame_index = np.full(chosen.frame_index.shape, np.nan, np.float32)
    confidence = np.zeros_like(frame_index)
    for top in range(0, len(frame_index), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        known = np.isfinite(chosen.frame_index[rows])
        slab = np.where(known, np.rint(np.nan_to_num(chosen.frame_index[rows])), -1).astype(np.int32)
        _take(slab, maps, rows, frame_index[rows], confidence[rows])
    return DepthMap(frame_index, confidence)


def _take(
    slab: npt.NDArray[np.int32],
    maps: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
    rows: slice,
    frame_index: npt.NDArray[np.float32],
    confidence: npt.NDArray[np.float32],
) -> None:
    for number, (index_map, confidence_map) in enumerate(maps):
        of_this = slab == number
        frame_index[of_this] = index_map[rows][of_this]
        confidence[of_this] = confidence_map[rows][of_this]
