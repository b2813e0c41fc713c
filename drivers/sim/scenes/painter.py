"""What the scenes are painted with: one dense layer at a time, handed to the `LayerStack` when it is done.

A `Painter` knows the camera: parallel lines of sight along the third row of `basis` (rows: right, down, away in world axes).
Pictures of up to about a megapixel are painted at twice the size and halved, which smooths what no lens would resolve.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, over_rows
from drivers.sim.render_layers import Canvas, LayerStack, Scene
from drivers.sim.scenes.gem import draw_gem
from drivers.sim.scenes.noise import octaves_down_to_pixels
from drivers.sim.scenes.solids import SKIP, trace_rows

OVERSAMPLE_BELOW_PX = 1_300_000
BAND_ROWS = 2 * SKIP

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Shade = Callable[..., object]
"""`shade(hits, basis, frame, s, first, rgba, depth, *more)`: paint traced rows into the layer's rows from `first` on."""


def looking_down(elevation: float) -> Floats:
    """Camera axes for a view down onto a table, `elevation` radians above it."""
    sine, cosine = math.sin(elevation), math.cos(elevation)
    return np.array([[1.0, 0.0, 0.0], [0.0, -cosine, -sine], [0.0, -sine, cosine]])


@helper
def put(
    pixel: Float32, depth: Float32, i: int, red: float, green: float, blue: float, cover: float, far: float
) -> None:
    """Lay colour over a row's pixel, or under what is there already and nearer."""
    keep = 1.0 - cover
    if pixel[i, 3] > 0.0 and depth[i] < far:
        cover, keep = cover * (1.0 - pixel[i, 3]), 1.0
    else:
        depth[i] = far
    pixel[i, 0] = pixel[i, 0] * keep + red * cover
    pixel[i, 1] = pixel[i, 1] * keep + green * cover
    pixel[i, 2] = pixel[i, 2] * keep + blue * cover
    pixel[i, 3] = pixel[i, 3] * keep + cover


class Painter:
    """One layer under the brush, and the stack of those that are done."""

    def __init__(
        self, width: int, height: int, basis: Floats, near: float, far: float, threads: int = 2
    ) -> None:
        """`near` and `far`: stretch of the lines of sight, in scene units, that is searched for surfaces."""
        self.canvas = Canvas.of(width, height)
        self.oversample = 2 if width * height <= OVERSAMPLE_BELOW_PX else 1
        self.threads = threads
        self.basis = basis
        self.stack = LayerStack(self.canvas, self.oversample, threads)
        self.rows, self.columns = self.canvas.rows * self.oversample, self.canvas.columns * self.oversample
        self.pixel = 1.0 / (self.canvas.unit * self.oversample)
        """Size of a painted pixel in scene units."""
        left = -(self.canvas.margin + 0.5 * width) * self.oversample * self.pixel + 0.5 * self.pixel
        top = -(self.canvas.margin + 0.5 * height) * self.oversample * self.pixel + 0.5 * self.pixel
        self.frame = np.array([left, top, self.pixel, near, far])
        self.rgba = np.zeros((self.rows, self.columns, 4), np.float32)
        self.depth = np.zeros((self.rows, self.columns), np.float32)

    def octaves(self, cells_per_unit: float) -> int:
        """From this many cells in a scene unit down to the pixels of the picture."""
        return octaves_down_to_pixels(cells_per_unit, round(self.canvas.unit))

    def solid(self, s: Floats, shade: Shade, *more: object) -> None:
        """Trace a solid and paint what is seen of it; `more` goes to `shade`."""

        def work(first: int, last: int) -> None:
            hits = np.empty((last - first, self.columns, 5), np.float32)
            trace_rows(s, self.basis, self.frame, first, hits)
            shade(
                hits, self.basis, self.frame, s, first, self.rgba[first:last], self.depth[first:last], *more
            )

        self.bands(work)

    def bands(self, work: Callable[[int, int], object]) -> None:
        """Call `work(first, last)` for bands of rows, small enough for the cache."""
        if self.threads <= 1 or self.rows <= BAND_ROWS:
            for first in range(0, self.rows, BAND_ROWS):
                work(first, min(first + BAND_ROWS, self.rows))
        else:
            over_rows(work, self.rows, BAND_ROWS, self.threads)

    def gems(self, facets: Floats, gems: list[Floats], samples: int) -> None:
        """Paint cut stones, farthest first."""
        order = sorted(gems, key=lambda gem: -float(gem[:3] @ self.basis[2]))

        def work(first: int, last: int) -> None:
            for gem in order:
                draw_gem(facets, gem, self.basis, self.frame, samples, self.rgba, self.depth, first, last)

        self.bands(work)

    def done(self) -> None:
        """Hand the layer over and begin the next, nearer one."""
        self.stack.add(self.rgba, self.depth)
        self.rgba[:] = 0.0
        self.depth[:] = 0.0

    def finish(self, name: str, near_um: float, far_um: float) -> Scene:
        """All layers as a scene, its heights still in scene units."""
        del self.rgba, self.depth
        return self.stack.finish(name, near_um, far_um)
