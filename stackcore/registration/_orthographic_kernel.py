"""Compiled search for what an orthographic view shows: along the line on which things move with their distance."""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F32, F64, array, kernel

EDGE_STEPS = 2.0
"""Where depth jumps nearer by more frames than this, half a pixel on, something nearer begins, and the surface ends."""


@kernel(
    types.Array(types.float32, 2, "C", readonly=True),
    array(types.float64, 1),
    array(types.float64, 1),
    types.float64,
    types.float64,
    types.float64,
    types.int64,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
)
def trace_rows(  # noqa: PLR0917
    depth: F32,
    planes: F64,
    zooms: F64,
    sign: float,
    x0: float,
    y0: float,
    first: int,
    map_x: F32,
    map_y: F32,
    found: F32,
) -> None:
    """Where the pixels of some rows of an orthographic view are seen in the perspective one.

    Args:
        depth: (H, W), frame index.
        planes: (N,): frame indices from near to far.
        zooms: (N,): zoom at these.
        sign: 1 when the frame index grows with the distance, else -1.
        x0: centre of the zoom, px.
        y0: centre of the zoom, px.
        first: the first of the rows.
        map_x: (rows, W) written, px.
        map_y: (rows, W) written, px.
        found: (rows, W) written: 1 where a surface is seen, 0 where what lies behind an edge was never seen, and the far side
            of the edge is carried on.
    """
    rows, width = map_x.shape
    height = depth.shape[0]
    for row in range(rows):
        for column in range(width):
            dx, dy = column - x0, first + row - y0
            # As many planes as it takes to go by less than half a pixel at a time.
            reach = np.hypot(dx, dy) * abs(1 / zooms[0] - 1 / zooms[-1])
            steps = min(max(int(2 * reach), 1), len(planes) - 1)
            x, y = x0 + dx / zooms[0], y0 + dy / zooms[0]
            before, before_depth, seen = 0.0, 0.0, np.float32(1)
            for step in range(steps + 1):
                at = step * (len(planes) - 1) / steps
                low = min(int(at), len(planes) - 2)
                share = at - low
                plane = planes[low] + share * (planes[low + 1] - planes[low])
                zoom = zooms[low] + share * (zooms[low + 1] - zooms[low])
                u, v = x0 + dx / zoom, y0 + dy / zoom
                i = min(max(int(np.round(u)), 0), width - 1)
                j = min(max(int(np.round(v)), 0), height - 1)
                beyond = sign * (depth[j, i] - plane)
                if beyond > 0 and step < steps:
                    x, y, before, before_depth = u, v, beyond, depth[j, i]
                    continue
                if step == 0 or beyond > 0:
                    x, y = u, v
                elif sign * (before_depth - depth[j, i]) > EDGE_STEPS:
                    # Between pixels the nearer thing would be mixed in.
                    x, y, seen = np.round(x), np.round(y), np.float32(0)
                else:
                    part = before / max(before - beyond, 1e-9)
                    x, y = x + part * (u - x), y + part * (v - y)
                break
            map_x[row, column], map_y[row, column], found[row, column] = x, y, seen
