"""Figures of one frame by which it is judged: brightness, clipping, sharpness. Sampled, so that they cost a few milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore._frame_kernels import sample_rows

SAMPLED_PX = 2_000_000
"""About this many pixels are looked at, in strips of rows spread evenly over the frame."""

_STRIP_ROWS = 8


@dataclass(frozen=True)
class FrameMetrics:
    """Figures of one frame.

    Attributes:
        mean: luma, 0..255.
        p99: luma that the brightest hundredth reaches, 0..255.
        sharpness: mean square of the modified Laplacian of luma, in grey levels squared, on pixels averaged two by two, which
            takes three quarters of the noise's share away. Compare it with that of neighbouring frames.
        clipped_share: 0..1, pixels of which a channel is 255.
    """

    mean: float
    p99: float
    sharpness: float
    clipped_share: float


def frame_metrics(image: npt.NDArray[np.uint8]) -> FrameMetrics:
    """Judge a frame, (H, W, 3) RGB or (H, W) uint8. Releases the interpreter lock.

    Raises:
        ValueError: when it has another shape or type, or is smaller than 6 x 6 px.
    """
    if image.dtype != np.uint8 or image.ndim not in {2, 3} or image.shape[2:] not in {(), (3,)}:
        raise ValueError(f"a frame is (H, W, 3) or (H, W) uint8, not {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    if min(height, width) < 6:
        raise ValueError(f"a frame of {height} x {width} px is too small to be judged")
    channels = 1 if image.ndim == 2 else 3
    values = np.ascontiguousarray(image).reshape(height, width * channels)
    strip = min(_STRIP_ROWS, height // 2 * 2)
    strips = max(1, min(height // strip, round(SAMPLED_PX / (strip * width))))
    starts = np.linspace(0, height - strip, strips).astype(np.int64)
    histogram = np.zeros(256, np.int64)
    sums = np.zeros(3, np.float64)
    scratch = np.zeros((strip // 2, width // 2), np.float32)
    sample_rows(values, channels, starts, strip, histogram, sums, scratch, np.zeros(width // 2 * 2, np.int32))
    squares, laplacians, clipped = sums
    seen = histogram.sum()
    cumulative = np.cumsum(histogram)
    return FrameMetrics(
        mean=float((histogram * np.arange(256)).sum() / seen),
        p99=float(np.searchsorted(cumulative, 0.99 * seen)),
        sharpness=float(squares / laplacians),
        clipped_share=float(clipped / (strips * strip * width)),
    )


def warm_up() -> None:
    """Compile or load the kernel, so that the first frame does not wait for it."""
    frame_metrics(np.zeros((8, 8), np.uint8))
