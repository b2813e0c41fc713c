"""What the tests of the fusion methods share: small stacks, and running a method over one."""

from __future__ import annotations

import cv2
import numpy as np

from stackcore.aligned import AlignedFrame
from stackcore.methods import Fused, Method, Setting


def setting_for(frame: np.ndarray, threads: int = 1) -> Setting:
    height, width = frame.shape[:2]
    return Setting(height, width, 1 if frame.ndim == 2 else 3, frame.dtype, threads)


def aligned(frames: list[np.ndarray]) -> list[AlignedFrame]:
    return [AlignedFrame(index, frame) for index, frame in enumerate(frames)]


def fused(method: Method, frames: list[AlignedFrame]) -> Fused:
    try:
        for number in range(method.passes):
            for frame in frames:
                method.add(frame, number)
        return method.finish()
    finally:
        method.close()


def textured_stack(seed: int, shape: tuple[int, ...], count: int, dtype: type = np.uint8) -> list[np.ndarray]:
    """Smooth texture, sharp in another part of every frame; a flat part that no frame shows any texture in."""
    rng = np.random.default_rng(seed)
    sharp = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), 0.7) * 120 + 128
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    place = np.arange(shape[1]) / shape[1] * count
    frames = []
    for index in range(count):
        share = np.exp(-((place - index - 0.5) ** 2))
        share = share[None, :, None] if len(shape) == 3 else share[None, :]
        frame = share * sharp + (1 - share) * blurred
        frame[: shape[0] // 5] = 90 + 3 * index
        scale = np.iinfo(dtype).max / 255
        frames.append(np.clip(np.rint(frame * scale), 0, np.iinfo(dtype).max).astype(dtype))
    return frames


def moved(frame: np.ndarray, index: int, shift: tuple[float, float], gain: float = 1.0) -> AlignedFrame:
    """A frame that lies `shift` (x, y) px off the reference and is darker by `gain`."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
    return AlignedFrame(index, frame, matrix, np.full(3, gain, np.float32))
