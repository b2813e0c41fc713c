"""Simulated subjects with height, occlusion, texture and glints. Every scene is painted from a seed at any size.

`ring`: a ring with stones on a stand, polished metal over rough slate. `insect`: a beetle with hairs, between thin wires.
`tilt`: a circuit board, tilted; its depth runs straight from the far end at the top row to the near end at the bottom row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from drivers.sim.render_blocks import render_rows
from drivers.sim.render_kernels import BLOCK
from drivers.sim.render_layers import Scene
from drivers.sim.scenes import insect, ring, tilt
from drivers.sim.scenes.painter import Painter

__all__ = ["SCENES", "Scene", "make_scene"]

_PAINT: dict[str, Callable[[int, int, int], Painter]] = {
    "ring": ring.paint,
    "insect": insect.paint,
    "tilt": tilt.paint,
}

SCENES: tuple[str, ...] = tuple(_PAINT)
"""Names of the scenes."""


def make_scene(name: str, *, width: int, height: int, near_um: float, far_um: float, seed: int) -> Scene:
    """Paint a scene for pictures of `width` by `height` pixels.

    `near_um` and `far_um` are the rail positions at which the nearest and the farthest visible point are in focus; both are
    reached exactly (as seen without perspective). The same arguments give the same scene. Raises `ValueError` for an unknown
    name, a picture below 16 x 16 pixels, or a near end that does not lie before the far end.
    """
    if name not in _PAINT:
        raise ValueError(f"no scene named {name!r}; there are: {', '.join(SCENES)}")
    if not near_um < far_um:
        raise ValueError(f"near ({near_um} um) must lie before far ({far_um} um)")
    scene = _PAINT[name](width, height, seed).finish(name, near_um, far_um)
    low, high = _visible_range(scene)
    heights = near_um + (scene.heights - low) * ((far_um - near_um) / (high - low))
    return replace(scene, heights=heights.astype(np.float32))


def _visible_range(scene: Scene) -> tuple[float, float]:
    """Least and greatest height that a picture without perspective shows, in the unit the scene was painted in."""
    canvas = scene.canvas
    view = np.array(
        [0, 0, 0, 0, 0.5 * (scene.width - 1), 0.5 * (scene.height - 1), 0, 0, canvas.margin, canvas.grid_px],
        float,
    )
    depth = np.full((scene.height, scene.width), np.nan, np.float32)
    shape = np.array([canvas.columns, canvas.rows], np.int64)
    picture = np.empty((scene.height, scene.width, 3), np.uint16)
    blocks = -(-scene.height // BLOCK)
    render_rows(
        scene.pool,
        scene.index,
        scene.kinds,
        scene.heights,
        scene.depth_limits(),
        shape,
        view,
        picture,
        depth,
        0,
        blocks,
    )
    return float(np.nanmin(depth)), float(np.nanmax(depth))
