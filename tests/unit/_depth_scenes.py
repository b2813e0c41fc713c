"""Rendered stacks of known shape, for what is said of depth: a staircase, a hill, the simulator's tilted board.

The frames are those of a thin lens with a disc of `BLUR_PX_PER_FRAME`, noise and 8 bits (see `_scenes`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from drivers.sim.lens import ThinLens
from drivers.sim.render import Renderer, develop
from drivers.sim.scenes import make_scene
from tests.unit._scenes import NOISE_SIGMA, Defocus, Scene, photograph, texture

BLUR_PX_PER_FRAME = 0.6


@dataclass(frozen=True)
class Staircase:
    """A step wedge: the scene, the height of each tread in frames, and the columns (first, end) where each is alone in sight."""

    scene: Scene
    heights: list[float]
    treads: list[tuple[int, int]]


@lru_cache(maxsize=2)
def step_wedge(
    height: int = 96, width: int = 560, frames: int = 20, *, seed: int = 5, noise_sigma: float = NOISE_SIGMA
) -> Staircase:
    """Treads that go down from left (near) to right, none of them at a whole frame; nearer ones cover the next with their blur."""
    rng = np.random.default_rng(seed)
    heights = [2.3, 4.75, 7.1, 9.4, 12.85, 15.2, 17.6]
    edges = np.linspace(0, width, len(heights) + 1).round().astype(int)
    reach = BLUR_PX_PER_FRAME * frames
    layers = []
    for z, end in zip(reversed(heights), reversed(edges[1:]), strict=True):
        cover = np.zeros((height, width, 1), np.float32)
        cover[:, :end] = 1
        colour = texture(rng, height, width)
        layers.append((z, Defocus(np.concatenate([colour * cover, cover], axis=2), reach)))

    def light(focus: float | None) -> np.ndarray:
        total = np.zeros((height, width, 3), np.float32)
        for z, lens in layers:
            plane = lens.by(0.0 if focus is None else BLUR_PX_PER_FRAME * abs(focus - z))
            total = plane[..., :3] + (1 - plane[..., 3:]) * total
        return total

    depth = np.repeat(np.asarray(heights, np.float32), np.diff(edges))[None].repeat(height, axis=0)
    taken = [photograph(rng, light(i), noise_sigma) for i in range(frames)]
    truth = np.clip(np.rint(light(None)), 0, 255).astype(np.uint8)
    alone = int(np.ceil(reach / 2)) + 4
    treads = [(int(a) + alone, int(b) - alone) for a, b in itertools.pairwise(edges)]
    return Staircase(Scene(taken, truth, depth), heights, treads)


@lru_cache(maxsize=2)
def hill(
    height: int = 200, width: int = 300, frames: int = 20, *, seed: int = 11, noise_sigma: float = NOISE_SIGMA
) -> Scene:
    """A textured hill, nearest in the middle: depth without steps, and of every slope up to one frame in six pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    depth = (2.0 + (frames - 5.0) * (0.5 - 0.5 * np.cos(np.pi * np.clip(radius, 0, 1)))).astype(np.float32)
    return _of_surface(rng, depth, frames, noise_sigma)


@lru_cache(maxsize=2)
def board(height: int = 380, width: int = 507, frames: int = 24) -> Scene:
    """The simulator's tilted board, through its lens; depth in frames. Where it is not printed there is nothing to find."""
    positions_um = np.linspace(10_000, 14_000, frames)
    scene = make_scene(
        "tilt", width=width, height=height, near_um=positions_um[0], far_um=positions_um[-1], seed=7
    )
    renderer = Renderer(scene, ThinLens(1.0, 5.6, 6.2, None))
    taken = [
        develop(renderer.render(position), read_noise=NOISE_SIGMA, photons_full_scale=None, seed=index)
        for index, position in enumerate(positions_um)
    ]
    truth = renderer.truth()
    step_um = positions_um[1] - positions_um[0]
    return Scene(taken, truth.picture, ((truth.depth_um - positions_um[0]) / step_um).astype(np.float32))


def _of_surface(rng: np.random.Generator, depth: np.ndarray, frames: int, noise_sigma: float) -> Scene:
    """Frames of a surface without jumps: each pixel from the picture blurred by the disc of its own depth."""
    picture = texture(rng, *depth.shape)
    farthest = BLUR_PX_PER_FRAME * frames
    radii = [0.0]
    while radii[-1] <= farthest:
        radii.append(radii[-1] + max(0.05, 0.05 * radii[-1]))
    lens = Defocus(picture, radii[-1])
    levels = np.stack([lens.by(radius) for radius in radii])
    rows, columns = np.indices(depth.shape)
    taken = []
    for i in range(frames):
        at = np.interp(BLUR_PX_PER_FRAME * np.abs(i - depth), radii, np.arange(len(radii)))
        low = np.minimum(at.astype(int), len(radii) - 2)
        share = (at - low).astype(np.float32)[..., None]
        light = (1 - share) * levels[low, rows, columns] + share * levels[low + 1, rows, columns]
        taken.append(photograph(rng, light, noise_sigma))
    return Scene(taken, np.clip(np.rint(picture), 0, 255).astype(np.uint8), depth)
