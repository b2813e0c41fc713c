"""A stack to measure with, where there is none: a textured ground that falls away, and bars and discs that float before it.

Each frame is composited from far to near, every layer blurred by a disc as wide as it is out of focus, so that near things blur over
far ones as a lens lets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.files import write_picture, write_whole
from stackcore.imageio import encode_jpeg, write_float_tiff

Floats = npt.NDArray[np.float32]

BLUR_PX = 1.1
"""Radius of the disc, for each frame that a thing is out of focus, at 1.2 megapixels."""
_SEED = 5


@dataclass(frozen=True)
class Stack:
    """What was rendered.

    Attributes:
        folder: of the frames.
        truth: the picture that is sharp everywhere.
        depth: in frames, 32-bit float TIFF.
    """

    folder: Path
    truth: Path
    depth: Path


@dataclass(frozen=True)
class Layer:
    """What lies at one depth.

    Attributes:
        depth: in frames.
        covered: (H, W), 1 where it is, 0 elsewhere.
        box: top, bottom, left, right of where it is.
    """

    depth: float
    covered: Floats
    box: tuple[int, int, int, int]

    @classmethod
    def at(cls, depth: float, depths: Floats) -> Layer:
        """Where a depth map has this depth."""
        covered = (depths == depth).astype(np.float32)
        y, x = np.nonzero(covered)
        return cls(depth, covered, (int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1))

    def around(self, reach: int) -> tuple[slice, slice]:
        """The rows and columns that it can blur into."""
        top, bottom, left, right = self.box
        return slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach)


def render(work: Path, count: int, megapixels: float) -> Stack:
    """Render a stack into a folder below `work`."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    colour, depth, layers = _scene(height, width, count)
    folder = work / "frames"
    folder.mkdir()
    noise = np.random.default_rng(_SEED + 1)
    spread = BLUR_PX * (megapixels / 1.2) ** 0.5
    for k in range(count):
        frame = _frame(colour, layers, k, spread)
        frame += noise.normal(0, 1.0, frame.shape).astype(np.float32)
        data = encode_jpeg(np.clip(np.rint(frame), 0, 255).astype(np.uint8), quality=95)
        write_whole(folder / f"f{k:04d}.jpg", [data])
    stack = Stack(folder, work / "truth.png", work / "truth-depth.tif")
    write_picture(stack.truth, np.clip(np.rint(colour), 0, 255).astype(np.uint8))
    write_float_tiff(stack.depth, depth, description='{"unit": "frames"}')
    return stack


def _scene(height: int, width: int, count: int) -> tuple[Floats, Floats, list[Layer]]:
    """Colours, depth in frames, and the layers from far to near."""
    random = np.random.default_rng(_SEED)
    last = count - 1
    steps = 2 * count
    ramp = np.linspace(0.95 * last, 0.4 * last, width, dtype=np.float32)
    ground = np.rint(np.broadcast_to(ramp, (height, width)) * steps / last) * last / steps
    depth = ground.astype(np.float32)
    colour = _texture(random, height, width)
    for level in (0.3, 0.2, 0.1, 0.02):
        mask = np.zeros((height, width), np.uint8)
        x, y = (int(random.uniform(0.15, 0.85) * side) for side in (width, height))
        slant = int(random.uniform(-0.3, 0.3) * width)
        cv2.line(mask, (x - slant, 0), (x + slant, height), 255, max(3, width // 60))
        cv2.circle(mask, (y * width // height, y), height // 9, 255, -1)
        own = _texture(random, height, width)
        colour[mask > 0] = own[mask > 0]
        depth[mask > 0] = level * last
    return colour, depth, [Layer.at(float(level), depth) for level in np.unique(depth)[::-1]]


def _texture(random: np.random.Generator, height: int, width: int) -> Floats:
    """Coloured detail at all sizes, mean 120."""
    total = np.zeros((height, width, 3), np.float32)
    for size in (1, 2, 4, 16, 64):
        shape = (height // size + 2, width // size + 2, 3)
        grain = random.normal(0, 14, shape).astype(np.float32)
        large = cv2.resize(grain, (shape[1] * size, shape[0] * size), interpolation=cv2.INTER_CUBIC)
        total += large[:height, :width]
    return total + np.float32(120)


def _frame(colour: Floats, layers: list[Layer], k: int, spread: float) -> Floats:
    """What the camera sees when it is focused on depth `k`. Light adds up: 0..255 are linear here."""
    frame = np.zeros_like(colour)
    seen = np.zeros(colour.shape[:2], np.float32)
    for layer in layers:
        disc = _disc(abs(layer.depth - k) * spread)
        place = layer.around(disc.shape[0] // 2)
        covered = layer.covered[place]
        cover = cv2.filter2D(covered, -1, disc, borderType=cv2.BORDER_CONSTANT)
        light = cv2.filter2D(colour[place] * covered[..., None], -1, disc, borderType=cv2.BORDER_CONSTANT)
        frame[place] = frame[place] * (1 - cover[..., None]) + light
        seen[place] = seen[place] * (1 - cover) + cover
    return np.asarray(frame / np.maximum(seen, 1e-3)[..., None], np.float32)


def _disc(radius: float) -> Floats:
    """A disc of this radius that adds up to 1, its rim softened over a pixel."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)
