"""A beetle with bristles on bark, between thin twisted wires at several depths."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel
from drivers.sim.scenes.backdrop import paint_backdrop
from drivers.sim.scenes.noise import fbm, hash01, noise
from drivers.sim.scenes.painter import Painter, looking_down, put
from drivers.sim.scenes.solids import CONES, COVER, DEPTH, ELLIPSOIDS, NORMAL_X, NORMAL_Y, NORMAL_Z
from drivers.sim.scenes.strands import draw_strands
from drivers.sim.scenes.studio import diffuse, mirrored, studio

BARK_Y = -0.17
ELEVATION = math.radians(58.0)
TURN = math.radians(32.0)
"""Of the body's axis from the line of sight: the head points to the lower left."""
PARTS = (
    ((0.000, 0.000, 0.095), (0.128, 0.098, 0.190)),
    ((0.000, 0.002, -0.115), (0.104, 0.080, 0.078)),
    ((0.000, -0.018, -0.205), (0.062, 0.050, 0.058)),
)
"""Wing cases, thorax and head: centre and half axes along side, up and back."""
EYES = (((0.054, 0.000, -0.222), (0.026, 0.028, 0.030)), ((-0.054, 0.000, -0.222), (0.026, 0.028, 0.030)))

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


def _axes() -> Floats:
    """The body's axes as rows: side, up, back."""
    return np.array(
        [[math.cos(TURN), 0.0, -math.sin(TURN)], [0.0, 1.0, 0.0], [math.sin(TURN), 0.0, math.cos(TURN)]]
    )


# --------------------------------------------------------------------------------------------------------------- skins


@helper
def _local(
    basis: Floats, frame: Floats, i: int, j: int, t: float, body: Floats
) -> tuple[float, float, float]:
    """A seen point in the body's axes."""
    x, y = frame[0] + i * frame[2], frame[1] + j * frame[2]
    p = x * basis[0, 0] + y * basis[1, 0] + t * basis[2, 0]
    q = x * basis[0, 1] + y * basis[1, 1] + t * basis[2, 1]
    r = x * basis[0, 2] + y * basis[1, 2] + t * basis[2, 2]
    return (
        p * body[0, 0] + q * body[0, 1] + r * body[0, 2],
        p * body[1, 0] + q * body[1, 1] + r * body[1, 2],
        p * body[2, 0] + q * body[2, 1] + r * body[2, 2],
    )


@helper
def _pit(along: float, around: float, seed: int) -> tuple[float, float, float]:
    """Pits in rows: depth 0..1 and slope along both directions."""
    row, column = math.floor(around), math.floor(along)
    a = along - column - 0.5 - 0.25 * (hash01(int(column), int(row), seed) - 0.5)
    b = around - row - 0.5
    r2 = (a * a + b * b) / 0.085
    if r2 >= 1.0:
        return 0.0, 0.0, 0.0
    return (1.0 - r2) ** 2, a * (1.0 - r2) * 7.0, b * (1.0 - r2) * 7.0


@kernel
def _shade_shell(
    hits: Float32,
    basis: Floats,
    frame: Floats,
    _s: Floats,
    first: int,
    rgba: Float32,
    depth: Float32,
    body: Floats,
    octaves: int,
) -> None:
    """Wing cases with rows of pits, thorax and head finely pitted; colour turns from emerald to copper toward the rim."""
    for j in range(hits.shape[0]):
        for i in range(hits.shape[1]):
            h = hits[j, i]
            if h[COVER] <= 0.0:
                continue
            side, up, back = _local(basis, frame, i, first + j, h[DEPTH], body)
            around = math.atan2(side, up + 0.06)
            wings = back > -0.062
            scale = 11.0 if wings else 20.0
            hollow, a, b = _pit(back * (85.0 if wings else 130.0), around * scale, 5)
            seam = math.exp(-((side / 0.0022) ** 2)) if wings else 0.0
            collar = math.exp(-(((back + 0.062) / 0.0035) ** 2)) + math.exp(-(((back + 0.172) / 0.003) ** 2))
            rough = 0.030 * fbm(130.0 * back, 30.0 * around, octaves, 0.75, 11)
            nx, ny, nz = h[NORMAL_X], h[NORMAL_Y], h[NORMAL_Z]
            nx += 0.34 * a * body[2, 0] + 0.34 * b * body[0, 0] + rough
            ny += (
                0.34 * a * body[2, 1]
                + 0.34 * b * body[0, 1]
                + 0.03 * fbm(130.0 * back + 9.0, 30.0 * around, octaves, 0.75, 13)
            )
            nz += 0.34 * a * body[2, 2] + 0.34 * b * body[0, 2] + rough
            size = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx * size, ny * size, nz * size
            facing = min(max(-(nx * basis[2, 0] + ny * basis[2, 1] + nz * basis[2, 2]), 0.0), 1.0)
            dx, dy, dz = mirrored(basis[2, 0], basis[2, 1], basis[2, 2], nx, ny, nz)
            red, green, blue = studio(dx, dy, dz)
            turn = min(
                max(
                    1.05 * (1.0 - facing)
                    + 0.10 * noise(9.0 * back, 3.0 * around, 17)
                    + (0.0 if wings else 0.22),
                    0.0,
                ),
                1.0,
            )
            tint_r, tint_g, tint_b = (
                0.05 + 0.80 * turn * turn,
                0.55 - 0.33 * turn,
                0.16 - 0.10 * turn + 0.30 * turn * turn * turn,
            )
            matt = 0.30 * diffuse(nx, ny, nz, 0.85) * (1.0 - 0.6 * hollow)
            dark = (
                (1.0 - 0.8 * seam)
                * (1.0 - 0.75 * min(collar, 1.0))
                * (0.35 + 0.65 * min(max((up + 0.09) / 0.09, 0.0), 1.0))
            )
            edge = 0.06 * (1.0 - facing) ** 3
            gleam = 0.40 * (1.0 - 0.5 * hollow)
            put(rgba[j], depth[j], i, dark * (tint_r * (gleam * red + matt) + edge * red),
                dark * (tint_g * (gleam * green + matt) + edge * green),
                dark * (tint_b * (gleam * blue + matt) + edge * blue), h[COVER], h[DEPTH])  # fmt: skip


@kernel
def _shade_eye(
    hits: Float32,
    basis: Floats,
    frame: Floats,
    _s: Floats,
    first: int,
    rgba: Float32,
    depth: Float32,
    body: Floats,
    _octaves: int,
) -> None:
    """Compound eye: domes in a triangular lattice, each with its own glint."""
    for j in range(hits.shape[0]):
        for i in range(hits.shape[1]):
            h = hits[j, i]
            if h[COVER] <= 0.0:
                continue
            side, up, back = _local(basis, frame, i, first + j, h[DEPTH], body)
            side = abs(side) - 0.054
            v = math.atan2(back + 0.222, abs(side) + 0.012) * 9.0
            u = math.atan2(up, abs(side) + 0.012) * 10.0 + (0.5 if math.floor(v) % 2 else 0.0)
            a, b = u - math.floor(u) - 0.5, v - math.floor(v) - 0.5
            nx = h[NORMAL_X] + 0.5 * (a * body[1, 0] + b * body[2, 0])
            ny = h[NORMAL_Y] + 0.5 * (a * body[1, 1] + b * body[2, 1])
            nz = h[NORMAL_Z] + 0.5 * (a * body[1, 2] + b * body[2, 2])
            size = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
            dx, dy, dz = mirrored(basis[2, 0], basis[2, 1], basis[2, 2], nx * size, ny * size, nz * size)
            red, green, blue = studio(dx, dy, dz)
            body_light = diffuse(nx * size, ny * size, nz * size, 0.9) * (1.0 - 1.2 * (a * a + b * b))
            put(rgba[j], depth[j], i, 0.10 * red + 0.16 * body_light, 0.10 * green + 0.045 * body_light,
                0.10 * blue + 0.03 * body_light, h[COVER], h[DEPTH])  # fmt: skip


@kernel
def _shade_limb(
    hits: Float32,
    basis: Floats,
    frame: Floats,
    _s: Floats,
    first: int,
    rgba: Float32,
    depth: Float32,
    body: Floats,
    octaves: int,
) -> None:
    """Dark horn with a bronze sheen."""
    for j in range(hits.shape[0]):
        for i in range(hits.shape[1]):
            h = hits[j, i]
            if h[COVER] <= 0.0:
                continue
            side, up, back = _local(basis, frame, i, first + j, h[DEPTH], body)
            rough = 0.10 * fbm(70.0 * (side + up), 70.0 * (back - up), octaves, 0.75, 23)
            nx, ny, nz = h[NORMAL_X] + rough, h[NORMAL_Y] - rough, h[NORMAL_Z] + 0.5 * rough
            size = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
            dx, dy, dz = mirrored(basis[2, 0], basis[2, 1], basis[2, 2], nx * size, ny * size, nz * size)
            red, green, blue = studio(dx, dy, dz)
            light = 0.10 * diffuse(nx * size, ny * size, nz * size, 0.8) * (1.0 + 6.0 * rough)
            put(rgba[j], depth[j], i, 0.20 * red + 0.9 * light, 0.13 * green + 0.55 * light, 0.075 * blue + 0.35 * light,
                h[COVER], h[DEPTH])  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ geometry


def _ellipsoids(parts: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...], crease: float) -> Floats:
    axes = _axes()
    members = [[*(np.array(centre) @ axes), *half, *axes.ravel()] for centre, half in parts]
    return np.array([ELLIPSOIDS, len(members), crease, *np.ravel(members)])


def _limb(points: list[tuple[float, float, float]], radii: list[float]) -> Floats:
    axes = _axes()
    world = [np.array(p) @ axes for p in points]
    members = [[*world[k], radii[k], *world[k + 1], radii[k + 1]] for k in range(len(world) - 1)]
    return np.array([CONES, len(members), 0.003, *np.ravel(members)])


def _legs(random: np.random.Generator) -> list[Floats]:
    legs = []
    for sign in (-1.0, 1.0):
        for root, knee, foot in ((-0.13, -0.22, -0.30), (-0.02, -0.01, -0.02), (0.10, 0.22, 0.34)):
            wiggle = 0.02 * random.standard_normal(3)
            legs.append(_limb(
                [(sign * 0.08, -0.05, root), (sign * 0.20, 0.02 + wiggle[0], knee + wiggle[1]),
                 (sign * 0.285, BARK_Y + 0.03, foot + wiggle[2]), (sign * 0.335, BARK_Y + 0.008, foot * 1.12 + wiggle[2]),
                 (sign * 0.350, BARK_Y + 0.010, foot * 1.22 + wiggle[2])],
                [0.020, 0.016, 0.0085, 0.0060, 0.0030],
            ))  # fmt: skip
    return legs


def _antennae(random: np.random.Generator) -> list[Floats]:
    feelers = []
    for sign in (-1.0, 1.0):
        points, radii = [(sign * 0.030, 0.012, -0.245)], [0.0065]
        for k in range(1, 10):
            t = k / 9
            points.append((
                sign * (0.030 + 0.17 * t + 0.05 * t * t), 0.012 + 0.16 * t - 0.06 * t * t,
                -0.245 - 0.12 * t + 0.09 * t * t + 0.006 * random.standard_normal(),
            ))  # fmt: skip
            radii.append(0.0068 - 0.0035 * t + (0.0014 if k % 2 else 0.0))
        feelers.append(_limb(points, radii))
    return feelers


def _bristles(random: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Hairs that stand on the upper side of the body, leaning back."""
    axes = _axes()
    points, lines = np.empty((count, 9, 3)), np.empty((count, 7))
    for n in range(count):
        centre, half = PARTS[(0, 0, 1, 1, 2)[int(random.integers(5))]]
        direction = random.standard_normal(3)
        direction[1] = abs(direction[1]) * 0.75
        direction /= np.linalg.norm(direction)
        root = np.array(centre) + direction * np.array(half)
        normal = direction / np.array(half)
        normal /= np.linalg.norm(normal)
        length = 0.030 + 0.055 * random.random() ** 2
        lean = np.array([0.25 * random.standard_normal(), 0.0, 0.55 + 0.3 * random.random()])
        for k in range(9):
            t = k / 8
            points[n, k] = (root + length * t * normal + length * 0.6 * t * t * lean) @ axes
        shade = 0.7 + 0.6 * random.random()
        lines[n] = (0.95 * shade, 0.66 * shade, 0.34 * shade, 1.6, 0.0, 0.00105, 0.00035)
    return points, lines


def _leg_hairs(random: np.random.Generator, legs: list[Floats]) -> tuple[Floats, Floats]:
    """Short hairs along the legs."""
    points, lines = [], []
    for leg in legs:
        for _ in range(26):
            member = leg[3 + 8 * int(random.integers(int(leg[1]) - 1)) :][:8]
            t = random.random()
            root = member[:3] + t * (member[4:7] - member[:3])
            outward = random.standard_normal(3)
            outward /= np.linalg.norm(outward)
            length = 0.022 + 0.014 * random.random()
            bend = 0.3 * random.standard_normal(3)
            steps = np.linspace(0, 1, 9)[:, None]
            points.append(root + length * steps * outward + length * 0.4 * steps**2 * bend)
            lines.append((0.60, 0.42, 0.24, 1.2, 0.0, 0.0009, 0.0003))
    return np.array(points), np.array(lines)


def _wire(
    start: tuple[float, ...], end: tuple[float, ...], sag: float, radius: float, copper: bool
) -> tuple[Floats, Floats]:
    """A twisted wire from one world point to another."""
    t = np.linspace(0, 1, 25)[:, None]
    points = (
        np.array(start)
        + t * (np.array(end) - np.array(start))
        + 4 * sag * t * (1 - t) * np.array([0.0, -1.0, 0.0])
    )
    colour = (1.30, 0.62, 0.34) if copper else (0.80, 0.83, 0.88)
    return points[None], np.array([[*colour, 2.2, 900.0, radius, radius]])


def _draw(painter: Painter, *groups: tuple[Floats, Floats]) -> None:
    for points, lines in groups:
        painter.bands(lambda a, b, p=points, q=lines: draw_strands(
            p, q, painter.basis, painter.frame, a, painter.rgba[a:b], painter.depth[a:b]))  # type: ignore[misc]  # fmt: skip


def paint(width: int, height: int, seed: int) -> Painter:
    """All layers, far to near: bark, a low wire, legs, body, bristles, feelers, a high wire."""
    random = np.random.default_rng(seed)
    painter = Painter(width, height, looking_down(ELEVATION), -0.6, 1.2)
    axes, octaves = _axes(), painter.octaves(60.0)
    legs, feelers = _legs(random), _antennae(random)
    shell, eyes = _ellipsoids(PARTS, 0.012), _ellipsoids(EYES, 0.001)
    blockers = [_ellipsoids(PARTS[:2], 0.012), *legs]
    paint_backdrop(painter, BARK_Y, blockers, int(random.integers(1 << 30)))
    _draw(painter, _wire((-0.75, -0.05, 0.30), (0.75, -0.11, 0.12), 0.02, 0.0016, copper=False))
    painter.done()
    for leg in legs:
        painter.solid(leg, _shade_limb, axes, octaves)
    _draw(painter, _leg_hairs(random, legs))
    painter.done()
    painter.solid(shell, _shade_shell, axes, octaves)
    painter.solid(eyes, _shade_eye, axes, octaves)
    painter.done()
    _draw(painter, _bristles(random, 420))
    painter.done()
    for feeler in feelers:
        painter.solid(feeler, _shade_limb, axes, octaves)
    painter.done()
    _draw(painter, _wire((-0.75, 0.20, -0.30), (0.75, 0.26, 0.22), 0.03, 0.0019, copper=True))
    painter.done()
    return painter
