"""All in focus while the stack is taken: each frame is merged as it lands, in memory that does not grow with their number.

The focus measure is the sum-modified-Laplacian of Nayar and Nakagawa, "Shape from Focus" (IEEE PAMI 16, 1994, section IV), here
squared before it is pooled over a window of 2 `radius` + 1 px: what is pooled first and squared afterwards cancels within the
window and finds nothing. A pixel is taken from the frame in which its energy is highest; the energies of that frame and of its
neighbours are kept, so that the depth between frames can be found afterwards (`stackcore.depth`).

State: 13 bytes a colour pixel, 11 a gray one.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stackcore._focus_kernel import AFTER, BEFORE, BEST, FRAME, PREVIOUS, merge_band
from stackcore.focus_history import FocusHistory
from stackcore.scores import Merged, NoiseFloor

DEFAULT_RADIUS = 3
"""A compromise, measured in tests/bench/test_bench_preview.py: from radius 2 to 4 the depth error falls by 20 to 40 %, and the
picture of an occlusion scene loses 0.4 dB, half of either from 2 to 3."""

MAX_RADIUS = 5
"""An 11 px window of the largest possible energies still fits 31 bits."""

MAX_FRAMES = 65_535
_BANDS_PER_THREAD = 4
_MIN_BAND_ROWS = 48


class StackMerger:
    """Merges frames of one size, one at a time. Not for use by two threads at once.

    Attributes:
        history: coarse energies of the stack, for `stackcore.coverage`.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        channels: Literal[1, 3] = 3,
        threads: int = 2,
        radius: int = DEFAULT_RADIUS,
        bands: int | None = None,
    ) -> None:
        """Reserve the state and start the threads.

        Args:
            height: rows of a frame, px.
            width: columns of a frame, px.
            channels: 3 for (H, W, 3) RGB frames, 1 for (H, W).
            threads: how many threads share a frame; 1 works in the caller's own.
            radius: of the pooling window, px, 1..5.
            bands: into how many bands of rows a frame is divided; the result does not depend on it.

        Raises:
            ValueError: when a size, `channels`, `threads` or `radius` is out of range.
        """
        if height < 1 or width < 1:
            raise ValueError(f"a frame of {height} x {width} px has no pixels")
        if channels not in {1, 3}:
            raise ValueError(f"frames have 1 or 3 channels, not {channels}")
        if threads < 1:
            raise ValueError(f"at least 1 thread is needed, not {threads}")
        if not 1 <= radius <= MAX_RADIUS:
            raise ValueError(f"radius {radius} px is not within 1..{MAX_RADIUS}")
        self._shape = (height, width) if channels == 1 else (height, width, 3)
        self._channels = channels
        self._radius = radius
        # Written, not only reserved: the first frame must not pay for the pages.
        self._picture = np.full((height, width * channels), 0, np.uint8)
        self._state = np.full((height, 5, width), 0, np.uint16)
        self._indices: list[int] = []
        self._floor = NoiseFloor()
        self.history = FocusHistory(height, width, channels)
        self._bands = _divide(height, bands or _usual_bands(height, threads))
        self._scratch = [_scratch(width, radius) for _ in self._bands]
        self._pool = ThreadPoolExecutor(threads, "merge") if threads > 1 and len(self._bands) > 1 else None

    def add(self, frame: npt.NDArray[np.uint8], index: int) -> None:
        """Merge one frame.

        Args:
            frame: (H, W, 3) RGB or (H, W) uint8, as `channels` says; read only. One that is not contiguous is copied.
            index: its place in the stack; larger than that of every frame before. Gaps are allowed.

        Raises:
            ValueError: when the frame has another shape or type, comes out of order, or is one too many; nothing is changed.
        """
        self._check(frame, index)
        values = np.ascontiguousarray(frame).reshape(self._picture.shape)
        ordinal = len(self._indices)
        if ordinal == 0:
            # Where no frame ever shows any energy, the first one stays.
            self._picture[:] = values
        if self._pool is None:
            for band in range(len(self._bands)):
                self._merge_band(values, ordinal, band)
        else:
            jobs = [
                self._pool.submit(self._merge_band, values, ordinal, band) for band in range(len(self._bands))
            ]
            for job in jobs:
                job.result()
        self._indices.append(index)
        self._floor.add(frame, self._state[:, PREVIOUS])
        self.history.add(values, self._state[:, PREVIOUS], index)

    def merged(self) -> Merged:
        """The stack so far, as views of the state.

        Raises:
            ValueError: before the first frame.
        """
        if not self._indices:
            raise ValueError("no frame has been merged yet")
        return Merged(
            picture=self._picture.reshape(self._shape),
            frame=self._state[:, FRAME],
            best=self._state[:, BEST],
            before=self._state[:, BEFORE],
            after=self._state[:, AFTER],
            indices=tuple(self._indices),
            noise_floor=self._floor.by_luma(),
            radius=self._radius,
        )

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The picture so far, (H, W, 3) or (H, W), a view; black before the first frame."""
        return self._picture.reshape(self._shape)

    @property
    def frames(self) -> int:
        """How many frames have been merged."""
        return len(self._indices)

    @property
    def state_bytes(self) -> int:
        """Memory held for the merge, scratch rows included."""
        scratch = sum(int(array.nbytes) for arrays in self._scratch for array in arrays)
        return self._picture.nbytes + self._state.nbytes + scratch

    def close(self) -> None:
        """End the threads; safe to call again. What was merged stays readable."""
        if self._pool is not None:
            self._pool.shutdown()

    def __enter__(self) -> StackMerger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, frame: npt.NDArray[np.uint8], index: int) -> None:
        if frame.shape != self._shape or frame.dtype != np.uint8:
            wanted = " x ".join(map(str, self._shape))
            given = " x ".join(map(str, frame.shape))
            raise ValueError(f"this stack has frames of {wanted} uint8, not {given} {frame.dtype}")
        if self._indices and index <= self._indices[-1]:
            raise ValueError(f"frame {index} comes after frame {self._indices[-1]}")
        if len(self._indices) == MAX_FRAMES:
            raise ValueError(f"a stack has at most {MAX_FRAMES} frames")

    def _merge_band(self, values: npt.NDArray[np.uint8], ordinal: int, band: int) -> None:
        first, end = self._bands[band]
        merge_band(
            values,
            self._channels,
            first,
            end,
            np.uint16(ordinal),
            self._radius,
            self._picture,
            self._state,
            *self._scratch[band],
        )


def warm_up() -> None:
    """Compile or load every kernel that a merge uses, so that the first frame does not wait for it."""
    side = 64
    for channels in (1, 3):
        shape = (side, side) if channels == 1 else (side, side, 3)
        with StackMerger(side, side, channels=channels, threads=1) as merger:
            merger.add(np.zeros(shape, np.uint8), 0)


def _usual_bands(height: int, threads: int) -> int:
    """Several bands a thread, since what is in focus, and so costs more, lies together; but not so many that halos count."""
    return 1 if threads == 1 else max(1, min(threads * _BANDS_PER_THREAD, height // _MIN_BAND_ROWS))


def _divide(height: int, bands: int) -> list[tuple[int, int]]:
    edges = [height * k // bands for k in range(bands + 1)]
    return [(first, end) for first, end in itertools.pairwise(edges) if end > first]


def _scratch(width: int, radius: int) -> tuple[Any, ...]:
    return (
        np.zeros((3, width + 2), np.int16),
        np.zeros((2 * radius + 1, width), np.int16),
        np.zeros(width + 2 * radius, np.int32),
        np.zeros(width, np.int32),
        np.zeros(width, np.uint16),
        np.zeros(width, np.uint16),
    )
