"""From a frame's bytes to what the check and the preview need: an image at preview size, and what was measured on it.

Formats that rigd stores without decoding (camera RAW) are accepted on their evidence, size and settings alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

DECODED = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """One picture, looked at."""

    image: Image | None
    """RGB (H, W, 3) or gray (H, W), reduced; None when the format is not decoded or the data are damaged."""
    damage: str | None
    metrics: dict[str, float]
    """Level statistics and sharpness of the reduced image."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes frames at one size.

    Attributes:
        reduce: both sides are divided by this; a power of two.
    """

    reduce: int = 1

    @classmethod
    def for_size(cls, width: int, height: int, max_megapixels: float) -> Decoder:
        """The smallest reduction by a power of two, up to 8, that brings a frame below this size."""
        reduce = 1
        while width * height / reduce**2 > max_megapixels * 1e6 and reduce < 8:
            reduce *= 2
        return cls(reduce)

    def look(self, payload: bytes, suffix: str) -> Look:
        """Decode and measure one picture. Damaged data are reported, not raised."""
        from stackcore.quality import frame_metrics  # noqa: PLC0415  (Numba is loaded when a frame is looked at, not before)

        if suffix.lower() not in DECODED:
            return Look(None, None if payload else "no data", {})
        try:
            image = self.decode(payload, suffix)
        except ValueError as error:
            return Look(None, str(error), {})
        return Look(image, None, asdict(frame_metrics(image)))

    def decode(self, payload: bytes, suffix: str) -> Image:
        """The reduced 8-bit image. Raises ValueError when the data are damaged."""
        from stackcore.imageio import JPEG_SUFFIXES, decode, decode_jpeg  # noqa: PLC0415

        if suffix.lower() in JPEG_SUFFIXES:
            return decode_jpeg(payload, reduce=self.reduce)
        image = decode(payload, suffix)
        eight_bit: Image = (
            image.astype(np.uint8, copy=False) if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
        )
        return _block_means(eight_bit, self.reduce)

    def decode_file(self, path: Path) -> Image | None:
        """A stored frame; None for a format that is not decoded."""
        if path.suffix.lower() not in DECODED:
            return None
        return self.decode(path.read_bytes(), path.suffix)


def _block_means(image: Image, side: int) -> Image:
    """Each block of `side` x `side` pixels as one; what is left over at the right and the bottom is cut off."""
    if side == 1:
        return image
    height, width = (size // side for size in image.shape[:2])
    blocks = image[: height * side, : width * side].reshape(height, side, width, side, *image.shape[2:])
    means: Image = blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)
    return means
