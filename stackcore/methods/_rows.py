"""Rows of aligned frames, resampled a band at a time, and threads that share the bands out.

A whole resampled 12 megapixel RGB frame would be 146 MB of float32. Bands have the same rows for any number of threads, so that
nothing depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame
from stackcore.methods import Setting

Floats = npt.NDArray[np.float32]

BAND_ROWS = 96
"""Of a 12 megapixel RGB frame 4.7 MB as float32, of which the rows that windows share between bands are a tenth."""

_REACH = 3
"""Rows beyond the outermost sampled place that bicubic interpolation may touch, rounding included."""


def plain(frame: AlignedFrame) -> bool:
    """Whether the frame's pixels can be used as they are: neither moved nor made brighter or darker."""
    return not frame.moved and bool((frame.gain[: frame.channels] == 1).all())


def warped_rows(frame: AlignedFrame, first: int, end: int) -> Floats:
    """Rows `first` to `end` of `frame.warped`, without the others; a new array."""
    values = _resampled(frame, first, end) if frame.moved else frame.pixels[first:end].astype(np.float32)
    if (frame.gain[: frame.channels] == 1).all():
        return values
    if frame.channels == 1:
        values *= frame.gain[0]
    else:
        lines = values.reshape(values.shape[0], -1)
        lines *= np.tile(frame.gain, values.shape[1])
    return values


def _resampled(frame: AlignedFrame, first: int, end: int) -> Floats:
    height, width = frame.shape
    (a, b, c), (d, e, f) = frame.matrix
    corners = [d * x + e * y + f for x in (0, width - 1) for y in (first, end - 1)]
    top = int(np.clip(np.floor(min(corners)) - _REACH, 0, height - 1))
    bottom = int(np.clip(np.ceil(max(corners)) + _REACH + 1, top + 1, height))
    matrix = np.array([[a, b, b * first + c], [d, e, e * first + f - top]], np.float64)
    source = np.ascontiguousarray(frame.pixels[top:bottom], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    resampled = cv2.warpAffine(
        source, matrix, (width, end - first), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(resampled, np.float32)


def shown(
    frame: AlignedFrame, rows: npt.NDArray[np.floating], columns: npt.NDArray[np.floating]
) -> npt.NDArray[np.bool_] | None:
    """`frame.inside` at every crossing of `rows` and `columns`, (rows, columns); None where it is true everywhere."""
    if not frame.moved:
        return None
    height, width = frame.shape
    (a, b, c), (d, e, f) = frame.matrix
    u = (a * columns)[None, :] + (b * rows + c)[:, None]
    v = (d * columns)[None, :] + (e * rows + f)[:, None]
    inside = np.asarray((u >= 1) & (u <= width - 2) & (v >= 1) & (v <= height - 2), np.bool_)
    return None if inside.all() else inside


def shown_rows(frame: AlignedFrame, first: int, end: int) -> npt.NDArray[np.bool_] | None:
    """Rows `first` to `end` of `frame.inside`; None where they are all true."""
    return shown(frame, np.arange(first, end, dtype=np.float64), np.arange(frame.shape[1], dtype=np.float64))


def check(setting: Setting) -> None:
    """Raise `ValueError` when no stack can be like `setting`."""
    if setting.height < 1 or setting.width < 1:
        raise ValueError(f"a frame of {setting.height} x {setting.width} px has no pixels")
    if setting.channels not in {1, 3}:
        raise ValueError(f"frames have 1 or 3 channels, not {setting.channels}")
    if np.dtype(setting.dtype) not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"frames are uint8 or uint16, not {np.dtype(setting.dtype)}")
    if setting.threads < 1:
        raise ValueError(f"at least 1 thread is needed, not {setting.threads}")


def check_frame(setting: Setting, frame: AlignedFrame, cell: int = 1) -> None:
    """Raise `ValueError` when `frame` is not as `setting` says, is smaller than means of `cell` x `cell` px, or lies as none of a stack does."""
    shape = (setting.height, setting.width) if setting.channels == 1 else (setting.height, setting.width, 3)
    fits = (*frame.shape, *frame.pixels.shape[2:]) == shape and frame.cell in {1, cell}
    if not fits or frame.pixels.dtype != np.dtype(setting.dtype):
        wanted = " x ".join(map(str, shape))
        given = " x ".join(map(str, frame.pixels.shape))
        raise ValueError(
            f"this stack has frames of {wanted} {np.dtype(setting.dtype)}, not {given} {frame.pixels.dtype}"
        )
    if not frame.upright:
        raise ValueError(f"frame {frame.index} lies mirrored, or turned by 45 degrees or more")


class Bands:
    """Runs a function on every band of rows, on a few threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "fuse") if threads > 1 else None

    def run(self, height: int, function: Callable[[int, int], None], band_rows: int = BAND_ROWS) -> None:
        """Call `function(first, end)` for all bands of `height` rows; the first error comes out when all have ended."""
        bands = [(first, min(height, first + band_rows)) for first in range(0, height, band_rows)]
        if self._pool is None or len(bands) == 1:
            for first, end in bands:
                function(first, end)
            return
        jobs = [self._pool.submit(function, first, end) for first, end in bands]
        for job in jobs:
            job.result()

    def close(self) -> None:
        """End the threads; safe to call again."""
        if self._pool is not None:
            self._pool.shutdown()
