"""Small scenes with known truth, rendered through a thin lens: what the tests of `stackcore` are measured on.

Frame i is focused at depth i (depth in frames, 0 nearest). A layer at depth z is blurred by a uniform disc of radius
`blur_px_per_frame * |i - z|`, and nearer layers are composited over farther ones after the blur, so that they spread over
what is behind them and reveal part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

NOISE_SIGMA = 1.5


@dataclass(frozen=True)
class Scene:
    """Frames (uint8 RGB), the all-in-focus picture (uint8 RGB) and the depth in frames (float32)."""

    frames: list[np.ndarray]
    truth: np.ndarray
    depth: np.ndarray


def _bessel_j1(x: np.ndarray) -> np.ndarray:
    """J1 by its integral (Abramowitz and Stegun 9.1.21), from a table."""
    angle = np.linspace(0, np.pi, 201)
    table_x = np.arange(0.0, float(x.max()) + 0.1, 0.05)
    waves = np.cos(angle - table_x[:, None] * np.sin(angle))
    table = waves[:, :-1].mean(axis=1) + (waves[:, -1] - waves[:, 0]) / 400
    return np.interp(x, table_x, table)


class Defocus:
    """A picture that can be blurred by a disc of any radius up to `reach_px`, through its spectrum.

    Exact for what pixels can show, however small the disc. A kernel of the pixels that a disc covers would not do: every disc
    smaller than a pixel would be the identity, and focus would have a plateau that no lens has.
    """

    def __init__(self, image: np.ndarray, reach_px: float) -> None:
        self._size = image.shape[:2]
        self._margin = int(reach_px) + 4
        padded = [(self._margin, self._margin + -(n + 2 * self._margin) % 24) for n in self._size]
        planes = np.pad(image, [*padded, (0, 0)], mode="reflect")
        self._shape = planes.shape[:2]
        self._spectrum = np.fft.rfft2(planes.astype(np.float32), axes=(0, 1))
        down, across = np.fft.fftfreq(self._shape[0]), np.fft.rfftfreq(self._shape[1])
        self._frequency = 2 * np.pi * np.hypot(down[:, None], across[None, :])[..., None]
        self._sharp = image

    def by(self, radius_px: float) -> np.ndarray:
        """The picture blurred by a uniform disc, float32, same shape."""
        if radius_px < 1e-3:
            return self._sharp
        x = np.maximum(self._frequency * radius_px, 1e-6)
        blurred = np.fft.irfft2(self._spectrum * (2 * _bessel_j1(x) / x), s=self._shape, axes=(0, 1))
        inner = [slice(self._margin, self._margin + n) for n in self._size]
        return np.asarray(blurred[inner[0], inner[1]], np.float32)


def texture(rng: np.random.Generator, height: int, width: int, *, contrast: float = 26.0) -> np.ndarray:
    """Colourful random texture, float32 0..255: octaves of smoothed noise, the finest about as fine as a lens resolves."""
    picture = np.zeros((height, width, 3), np.float32)
    for sigma, share in ((0.8, 0.6), (2.0, 0.6), (6.0, 0.5), (20.0, 0.5)):
        noise = rng.standard_normal((height, width, 3)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        noise = 0.7 * noise.mean(axis=2, keepdims=True) * np.sqrt(3) + 0.5 * noise
        picture += share * noise / noise.std()
    base = rng.uniform(80, 175, 3).astype(np.float32)
    return np.clip(base + contrast * picture, 4, 251).astype(np.float32)


def photograph(rng: np.random.Generator, light: np.ndarray, noise_sigma: float = NOISE_SIGMA) -> np.ndarray:
    """What the sensor makes of `light` (float32 0..255): Gaussian noise, rounding to 8 bits."""
    noisy = light + noise_sigma * rng.standard_normal(light.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _shapes(rng: np.random.Generator, height: int, width: int, count: int) -> np.ndarray:
    """Coverage 0..1 of a few blobs, bars and wires, anti-aliased."""
    mask = np.zeros((height * 4, width * 4), np.uint8)
    for _ in range(count):
        centre = (int(rng.uniform(0, width * 4)), int(rng.uniform(0, height * 4)))
        kind = rng.integers(3)
        if kind == 0:
            axes = tuple(int(v) for v in rng.uniform(0.15, 0.5, 2) * height)
            cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
        elif kind == 1:
            corners = np.array(centre) + rng.uniform(-0.6, 0.6, (4, 2)) * height
            cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32)), 255)
        else:
            angle, reach = rng.uniform(0, np.pi), 1.5 * height
            step = np.array([np.cos(angle), np.sin(angle)]) * reach
            ends = [tuple(int(v) for v in np.array(centre) + sign * step) for sign in (-1, 1)]
            cv2.line(mask, ends[0], ends[1], 255, int(4 * rng.uniform(3, 9)))
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return (small.astype(np.float32) / 255)[..., None]


def occlusion_scene(
    height: int,
    width: int,
    frames: int,
    *,
    seed: int,
    blur_px_per_frame: float,
    shapes: int = 3,
    noise_sigma: float = NOISE_SIGMA,
) -> Scene:
    """A background in three steps and several foreground layers of shapes, each a plane of its own depth and texture."""
    rng = np.random.default_rng(seed)
    background = np.linspace(0.92, 0.66, 3) * (frames - 1)
    foreground = np.linspace(0.55, 0.1, 5) * (frames - 1) + rng.uniform(-0.5, 0.5, 5)
    layers = []
    for order, z in enumerate([*background, *foreground]):
        if order == 0:
            cover = np.ones((height, width, 1), np.float32)
        elif order < len(background):
            cover = np.zeros((height, width, 1), np.float32)
            cover[:, : int(width * (1 - order / len(background)))] = 1
        else:
            cover = _shapes(rng, height, width, shapes)
        layers.append((float(z), texture(rng, height, width), cover))

    reach = blur_px_per_frame * frames
    lenses = [
        (z, Defocus(np.concatenate([colour * cover, cover], axis=2), reach)) for z, colour, cover in layers
    ]

    def light(focus: float | None) -> np.ndarray:
        total = np.zeros((height, width, 3), np.float32)
        for z, lens in lenses:
            plane = lens.by(0.0 if focus is None else blur_px_per_frame * abs(focus - z))
            total = plane[..., :3] + (1 - plane[..., 3:]) * total
        return total

    depth = np.zeros((height, width), np.float32)
    for z, _, cover in layers:
        depth[cover[..., 0] > 0.5] = z
    taken = [photograph(rng, light(i), noise_sigma) for i in range(frames)]
    return Scene(taken, np.clip(np.rint(light(None)), 0, 255).astype(np.uint8), depth)


def tilted_plane(
    height: int,
    width: int,
    frames: int,
    *,
    seed: int,
    blur_px_per_frame: float,
    noise_sigma: float = NOISE_SIGMA,
    first: float = -0.5,
    last: float | None = None,
) -> Scene:
    """A textured plane whose depth grows from left to right, from `first` to `last` (frames)."""
    rng = np.random.default_rng(seed)
    picture = texture(rng, height, width)
    z = np.linspace(first, frames - 0.5 if last is None else last, width, dtype=np.float32)
    farthest = blur_px_per_frame * max(abs(z[0]), abs(z[-1]), abs(frames - 1 - z[0]), abs(frames - 1 - z[-1]))
    radii = [0.0]
    while radii[-1] <= farthest:
        radii.append(radii[-1] + max(0.05, 0.05 * radii[-1]))
    lens = Defocus(picture, radii[-1])
    levels = np.stack([lens.by(radius) for radius in radii])
    columns = np.arange(width)
    taken = []
    for i in range(frames):
        at = np.interp(blur_px_per_frame * np.abs(i - z), radii, np.arange(len(radii)))
        low = np.minimum(at.astype(int), len(radii) - 2)
        share = (at - low).astype(np.float32)[:, None, None]
        light = (1 - share) * levels[low, :, columns] + share * levels[low + 1, :, columns]
        taken.append(photograph(rng, light.transpose(1, 0, 2), noise_sigma))
    depth = np.broadcast_to(z, (height, width)).astype(np.float32)
    return Scene(taken, np.clip(np.rint(picture), 0, 255).astype(np.uint8), depth)


def psnr_db(picture: np.ndarray, truth: np.ndarray, border: int = 8) -> float:
    """Peak signal to noise in dB of two uint8 pictures, a border left out."""
    inner = (slice(border, -border), slice(border, -border))
    difference = picture[inner].astype(np.float64) - truth[inner].astype(np.float64)
    return float(10 * np.log10(255**2 / max(float((difference**2).mean()), 1e-12)))
