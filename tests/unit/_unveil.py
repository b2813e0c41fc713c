"""What the tests of `stackcore.methods.unveil` share: small scenes, rendered once, and its first pass taken apart."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from stackcore.aligned import AlignedFrame
from stackcore.methods._blur_rate import BlurRate
from stackcore.methods._copies import Copies
from stackcore.methods._focus_levels import FocusLevels
from stackcore.methods._near_side import NearSide
from stackcore.methods._rows import Bands
from stackcore.methods._sharpest import Sharpest, sharpest
from stackcore.methods.unveil import Unveil
from tests.unit._methods import aligned, fused, setting_for
from tests.unit._scenes import Defocus, Scene, occlusion_scene, photograph, texture, tilted_plane

HEIGHT, WIDTH, FRAMES, BLUR = 240, 320, 24, 0.8
SEEDS = (1, 2, 3)


@cache
def occlusion(seed: int) -> Scene:
    return occlusion_scene(HEIGHT, WIDTH, FRAMES, seed=seed, blur_px_per_frame=BLUR)


@cache
def tilt(seed: int) -> Scene:
    return tilted_plane(HEIGHT, WIDTH, FRAMES, seed=seed, blur_px_per_frame=BLUR)


def flat_plane(seed: int, frames: int, *, place: float, blur: float, gains: np.ndarray) -> list[AlignedFrame]:
    """A textured plane at one depth, each frame as bright as its gain says."""
    rng = np.random.default_rng(seed)
    lens = Defocus(0.8 * texture(rng, HEIGHT, WIDTH), blur * frames)
    return [
        AlignedFrame(
            i, photograph(rng, gain * lens.by(blur * abs(i - place))), gain=np.full(3, 1 / gain, np.float32)
        )
        for i, gain in enumerate(gains)
    ]


def bright_disc(
    frames: int, *, place: float, blur: float, noise_sigma: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """A bright textured disc before plain dark ground, all at one depth; and how far (px) each pixel lies outside it."""
    rng = np.random.default_rng(0)
    mask = np.zeros((4 * HEIGHT, 4 * WIDTH), np.uint8)
    cv2.circle(mask, (2 * WIDTH, 2 * HEIGHT), 240, 255, -1)
    disc = cv2.resize(mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[..., None].astype(np.float32) / 255
    lens = Defocus(40 * (1 - disc) + (150 + 0.4 * texture(rng, HEIGHT, WIDTH)) * disc, blur * frames)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    outside = np.hypot(x + 0.5 - WIDTH / 2, y + 0.5 - HEIGHT / 2) - 60
    return [photograph(rng, lens.by(blur * abs(i - place)), noise_sigma) for i in range(frames)], outside


def first_pass(frames: list[AlignedFrame]) -> tuple[Sharpest, float | None, NearSide]:
    """Depth, blur rate, and the copies that tell which side is near."""
    bands = Bands(1)
    levels, rate, copies = FocusLevels(setting_for(frames[0].pixels), bands), BlurRate(), Copies()
    for frame in frames:
        pictures = levels.add(frame)
        rate.add(frame, pictures[0])
        copies.add(frame, pictures)
    found = sharpest(levels, bands)
    return found, rate.px_per_frame(found), NearSide(bands, copies)


def unveiled(frames: list[np.ndarray] | list[AlignedFrame], *, threads: int = 1, **options):
    """The whole method on frames as they are or with their motion."""
    stack = frames if isinstance(frames[0], AlignedFrame) else aligned(frames)
    return fused(Unveil(setting_for(stack[0].pixels, threads), **options), stack)
