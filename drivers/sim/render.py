"""Pictures of a simulated scene through a thin lens, and the truth to judge by.

`Renderer.render` gives linear light as uint16: `WHITE` (16384) is what a picture shows as white, values up to four times
that are kept for bright glints. `develop` turns it into what a camera hands out.

What is approximate, measured against an exact disc in the tests: the disc's edge is one pixel soft; discs above some 5 px
radius are computed on halved layers; each point of a layer is blurred with the disc of the layer's height *there*, also
just outside its outline, where the height is carried on smoothly; blur beyond the canvas (5 % around the picture) repeats
the edge. Not modelled: diffraction, aberrations, light that comes around an occluder from behind a second time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.sim.lens import ThinLens
from drivers.sim.render_blocks import render_rows
from drivers.sim.render_develop import develop
from drivers.sim.render_jit import over_rows
from drivers.sim.render_kernels import BLOCK, WHITE
from drivers.sim.render_motion import NEGLIGIBLE_PX, mean_and_length, smear_rows, taps_of
from drivers.sim.scenes import Scene, make_scene

__all__ = ["WHITE", "Renderer", "Truth", "develop", "warm_up"]

_NO_DEPTH = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect stack would show."""

    picture: NDArray[np.uint8]
    """(H, W, 3) RGB, sRGB-encoded, everything in focus, no noise."""
    depth_um: NDArray[np.float32]
    """(H, W): rail position at which the pixel's surface is in focus. Where two share a pixel, the one that covers half."""


class Renderer:
    """Renders one scene through one lens. Safe to use from several threads."""

    def __init__(self, scene: Scene, lens: ThinLens, *, threads: int = 2) -> None:
        self.scene = scene
        self.lens = lens
        self.threads = threads
        self._shape = np.array([scene.canvas.columns, scene.canvas.rows], np.int64)
        self._limits = scene.depth_limits()

    def render(
        self,
        position_um: float,
        path_px: NDArray[np.floating] | None = None,
        path_um: NDArray[np.floating] | None = None,
    ) -> NDArray[np.uint16]:
        """The picture (H, W, 3) in linear light with the focal plane at this rail position; `WHITE` is 1.

        `path_px` (n, 2): displacement (dx, dy) of the image during the exposure in pixels, equally spaced in time. The
        picture is the mean over it; shorter than `NEGLIGIBLE_PX` only its mean counts.
        `path_um` (n,): displacement along the rail in the same way. Its mean is added to the position and its variance
        to the second moment of every disc, which is what the mean of the discs has; the change of size is left out.
        """
        shift_x = shift_y = 0.0
        taps = None
        if path_px is not None and len(path_px):
            path = np.asarray(path_px, np.float64).reshape(-1, 2)
            shift_x, shift_y, length = mean_and_length(path)
            if length >= NEGLIGIBLE_PX:
                taps = taps_of(path - (shift_x, shift_y))
        variance = 0.0
        if path_um is not None and len(path_um):
            along = np.asarray(path_um, np.float64)
            position_um += float(along.mean())
            variance = float(along.var())
        linear = self._render(position_um, variance, (shift_x, shift_y))
        return linear if taps is None else self._smear(linear, *taps)

    def truth(self, reference_um: float | None = None) -> Truth:
        """The all-in-focus picture and depth as seen from this rail position; default: midway between near and far."""
        if reference_um is None:
            reference_um = 0.5 * (self.scene.near_um + self.scene.far_um)
        depth = np.full((self.scene.height, self.scene.width), self.scene.far_um, np.float32)
        linear = self._render(reference_um, None, (0.0, 0.0), depth)
        return Truth(develop(linear, threads=self.threads), depth)

    def _render(
        self,
        position_um: float,
        variance_um2: float | None,
        shift_px: tuple[float, float],
        depth: NDArray[np.float32] = _NO_DEPTH,
    ) -> NDArray[np.uint16]:
        """`variance_um2` None: a pinhole."""
        scene, canvas = self.scene, self.scene.canvas
        kappa = 0.0 if variance_um2 is None else 0.5 * self.lens.blur_px_per_um
        view = np.array([
            position_um, kappa, kappa**2 * (variance_um2 or 0.0), self.lens.inverse_distance,
            0.5 * (scene.width - 1), 0.5 * (scene.height - 1), *shift_px, canvas.margin, canvas.grid_px,
        ])  # fmt: skip
        out = np.empty((scene.height, scene.width, 3), np.uint16)

        def work(first: int, last: int) -> None:
            render_rows(
                scene.pool, scene.index, scene.kinds, scene.heights, self._limits, self._shape, view, out, depth, first, last
            )  # fmt: skip

        over_rows(work, math.ceil(scene.height / BLOCK), 1 if scene.height > 2 * BLOCK else 2, self.threads)
        return out

    def _smear(
        self, linear: NDArray[np.uint16], places: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> NDArray[np.uint16]:
        source = linear.reshape(len(linear), -1)
        out = np.empty_like(source)
        over_rows(lambda a, b: smear_rows(source, places, weights, out, a, b), len(source), 128, self.threads)
        return out.reshape(linear.shape)


def warm_up() -> None:
    """Compile every kernel, or load it from the cache: called before a simulated camera says that it is ready."""
    lens = ThinLens(1.0, 4.0, 40.0, 50_000.0)
    for name in ("ring", "insect", "tilt"):
        scene = make_scene(name, width=32, height=24, near_um=0.0, far_um=1000.0, seed=0)
    renderer = Renderer(scene, lens, threads=1)
    linear = renderer.render(0.0, np.array([[0.0, 0.0], [2.0, 1.0]]), np.zeros(2))
    renderer.truth()
    develop(linear, read_noise=1.0, photons_full_scale=5000.0, seed=1, threads=1)
