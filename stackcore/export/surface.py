"""From a depth map to points and triangles in space.

Axes as glTF has them: x to the right, y up, z toward the viewer, right-handed. The origin of x and y is the middle of the
picture; z is 0 at the farther end of the stack, so nearer things have larger z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Pixels
from stackcore.export._cells import Cells, stride_for, thin_out
from stackcore.export.relief import Relief

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.uint32]

MAX_VERTICES = 500_000

CUT_STEPS = 0.5
"""Neighbouring vertices that differ by more steps than this are not joined: there one thing lies in front of another. It is three
times the noise that a good depth map has; at 2 the ramps that smoothing leaves at jumps hung like curtains from every edge."""

CUT_SLOPE = math.tan(math.radians(80))
"""Unless the surface between them may be as steep as this, where the scale is known."""

CUT_STEPS_PER_PX = 0.25
"""And this, in steps a pixel, where it is not: about 80 degrees at common steps and pixel sizes."""

_PICTURESQUE = 0.25
"""Without a scale, the stack is made as deep as this share of the longer side."""


@dataclass(frozen=True)
class Surface:
    """Points with colours, and triangles between them.

    Attributes:
        points: (n, 3) float32, in units of `metres`.
        colours: (n, 3) float32, 0..1, as encoded in the picture (sRGB).
        triangles: (m, 3) uint32, counter-clockwise as seen from the camera; (0, 3) for a point cloud.
        normals: (n, 3) float32 unit vectors, or None.
        metres: size of a unit; 1e-6 when true to scale, else such that the longer side is one metre.
        note: what the units are and where depth 0 lies, in plain words.
        stride: every point stands for so many pixels in a row and column.
        cut: vertices were not joined across more than this depth, in the relief's unit.
    """

    points: Floats
    colours: Floats
    triangles: Indices
    normals: Floats | None
    metres: float
    note: str
    stride: int
    cut: float


def make_surface(
    relief: Relief,
    picture: Pixels | None = None,
    *,
    triangles: bool = True,
    normals: bool = False,
    max_vertices: int = MAX_VERTICES,
    cut: float | None = None,
    depth_scale: float | None = None,
) -> Surface:
    """Build a point cloud or a mesh.

    Pixels are pooled in square cells, as few as `max_vertices` demands; where a jump runs through a cell, the larger side of it
    counts. Neighbouring cells are joined by triangles unless their depths differ by more than the larger of `CUT_STEPS` steps and
    what a slope of `CUT_SLOPE` (`CUT_STEPS_PER_PX`) makes over their distance. Holes stay open.

    Args:
        relief: (H, W).
        picture: (H, W, 3) or (H, W) for the colours; None makes them gray.
        triangles: False for points alone.
        normals: whether to compute them; needs triangles.
        max_vertices: at most so many points.
        cut: the depth, in the relief's unit, across which nothing is joined, whatever the distance; None for the rule above.
        depth_scale: how much deeper to make it; None: 1 when true to scale, else such that it looks well.

    Raises:
        ValueError: when the picture has another size, `max_vertices` is below 4, or there is no depth at all.
    """
    if picture is not None and picture.shape[:2] != relief.depth.shape:
        given, wanted = picture.shape[:2], relief.depth.shape
        raise ValueError(
            f"a picture of {given[1]} x {given[0]} px does not fit a depth map of {wanted[1]} x {wanted[0]} px"
        )
    if max_vertices < 4:
        raise ValueError(f"{max_vertices} vertices are too few for a surface")
    if not np.isfinite(relief.depth).any():
        raise ValueError("the depth map has only holes: there is no surface to make")
    stride = stride_for(relief.depth, max_vertices)
    limit = _limit(relief, stride) if cut is None else cut
    cells = thin_out(relief.depth, picture, stride, limit)
    faces = (
        _triangles(cells, limit, relief if cut is None else None) if triangles else np.zeros((0, 3), np.int64)
    )
    kept = np.unique(faces) if triangles else np.flatnonzero(cells.known)
    if kept.size == 0:
        raise ValueError(
            "no two neighbouring points of the depth map belong together: there is no surface to make"
        )
    place = np.zeros(cells.depth.size, np.uint32)
    place[kept] = np.arange(len(kept), dtype=np.uint32)
    joined = np.asarray(place[faces], np.uint32)
    points, metres, note = _placed(relief, cells, kept, depth_scale)
    return Surface(
        points=points,
        colours=cells.colour.reshape(-1, 3)[kept],
        triangles=joined,
        normals=_normals(points, joined) if normals and triangles else None,
        metres=metres,
        note=note,
        stride=stride,
        cut=limit,
    )


def _limit(relief: Relief, distance_px: float) -> float:
    """Largest difference of depth between neighbours at this distance that are still joined."""
    if relief.true_to_scale and relief.um_per_px is not None:
        slope = CUT_SLOPE * relief.um_per_px
    else:
        slope = CUT_STEPS_PER_PX * relief.step
    return max(CUT_STEPS * relief.step, slope * distance_px)


def _triangles(cells: Cells, limit: float, relief: Relief | None) -> npt.NDArray[np.int64]:
    """(m, 3) numbers of cells. Each square of four cells gives two triangles, one, or none; its cut is the shorter diagonal."""
    z = cells.depth
    far = limit if relief is None else _limit(relief, cells.stride * math.sqrt(2))
    number = np.arange(z.size).reshape(z.shape)
    a, b, c, d = (
        (slice(r, z.shape[0] - 1 + r), slice(k, z.shape[1] - 1 + k)) for r in (0, 1) for k in (0, 1)
    )

    def rise(p: tuple[slice, slice], q: tuple[slice, slice]) -> Floats:
        return np.asarray(np.abs(z[p] - z[q]), np.float32)

    # Comparisons with NaN are false: nothing is joined to a hole.
    ab, ac, bd, cd = (rise(p, q) <= limit for p, q in ((a, b), (a, c), (b, d), (c, d)))
    rise_ad, rise_bc = rise(a, d), rise(b, c)
    ad, bc = rise_ad <= far, rise_bc <= far
    upper, lower = ab & ac & bc, bc & cd & bd
    left, right = ac & cd & ad, ad & bd & ab
    gain = left.astype(np.int8) + right - upper - lower
    other = (gain > 0) | ((gain == 0) & (rise_ad < rise_bc))
    faces = [
        np.stack([number[p][use], number[q][use], number[r][use]], axis=1)
        for use, p, q, r in (
            (upper & ~other, a, c, b),
            (lower & ~other, b, c, d),
            (left & other, a, c, d),
            (right & other, a, d, b),
        )
    ]
    return np.concatenate(faces)


def _placed(
    relief: Relief, cells: Cells, kept: npt.NDArray[np.int64], depth_scale: float | None
) -> tuple[Floats, float, str]:
    """Points, size of a unit in metres, and what was done, in words."""
    height, width = relief.depth.shape
    far = relief.span[1] if relief.grows_away else relief.span[0]
    sign = -1.0 if relief.grows_away else 1.0
    longer = float(max(height, width))
    if relief.true_to_scale and relief.um_per_px is not None:
        px, z_scale, metres = relief.um_per_px, 1.0, 1e-6
        unit = "um"
    else:
        deep = relief.span[1] - relief.span[0]
        px, metres = 1.0, 1 / longer
        z_scale = _PICTURESQUE * longer / deep if deep > 0 else 1.0
        unit = "px"
    z_scale = z_scale if depth_scale is None else depth_scale
    x = (cells.x.reshape(-1)[kept].astype(np.float64) - (width - 1) / 2) * px
    y = ((height - 1) / 2 - cells.y.reshape(-1)[kept].astype(np.float64)) * px
    z = sign * (cells.depth.reshape(-1)[kept].astype(np.float64) - far) * z_scale
    relation = f"z = {sign * z_scale:.6g} * (depth in {relief.unit} - {far:.9g})"
    note = f"x, y, z in {unit}, y up, z toward the camera; {relation}"
    if unit == "px":
        note += "; not true to scale"
    return np.stack([x, y, z], axis=1).astype(np.float32), metres, note


def _normals(points: Floats, triangles: Indices) -> Floats:
    """Of every point: the mean of its triangles' normals, weighted by area."""
    first, second, third = (points[triangles[:, k]] for k in range(3))
    normal = np.cross(second - first, third - first)
    total = np.zeros(points.shape, np.float64)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(triangles[:, corner], normal[:, axis], len(points))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    facing = np.array([0.0, 0.0, 1.0])
    return np.where(length > 0, total / np.maximum(length, 1e-300), facing).astype(np.float32)
