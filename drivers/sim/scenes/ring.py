"""A ring with stones on a stand: polished metal, cut gems and glints over rough slate, a few loose stones around it."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel
from drivers.sim.scenes.backdrop import cast_shadows, plane_depth, table_stretch
from drivers.sim.scenes.gem import brilliant
from drivers.sim.scenes.noise import fbm, fill_fbm, hash01, noise
from drivers.sim.scenes.painter import Painter, looking_down, put
from drivers.sim.scenes.solids import BAND, CONES, COVER, DEPTH, NORMAL_X, NORMAL_Y, NORMAL_Z, PEDESTAL, lit
from drivers.sim.scenes.studio import diffuse, mirrored, studio

TABLE_Y = -0.36
STAND_TOP = -0.155
RADIUS = 0.185
ELEVATION = math.radians(54.0)
SAPPHIRE, DIAMOND, RUBY = (
    (1.755, 1.785, 2.1, 1.35, 0.22),
    (2.38, 2.46, 0.02, 0.015, 0.0),
    (1.755, 1.785, 0.12, 2.4, 1.9),
)
"""Refractive index for red and blue, absorption of red, green and blue."""

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


# --------------------------------------------------------------------------------------------------------------- slate


@kernel
def _slate(
    relief: Float32, mottle: Float32, shadow: Float32, slope: float, seed: int, first: int, rgba: Float32
) -> None:
    """Split slate: `relief` has one row more than `rgba` above and below; light falls in from the upper left."""
    for j in range(rgba.shape[0]):
        for i in range(rgba.shape[1]):
            left, right = max(i - 1, 0), min(i + 1, rgba.shape[1] - 1)
            dx = (relief[j + 1, right] - relief[j + 1, left]) * slope
            dz = (relief[j, i] - relief[j + 2, i]) * slope
            size = 1.0 / math.sqrt(1.0 + dx * dx + dz * dz)
            light = diffuse(-dx * size, size, -dz * size, shadow[j, i])
            rust = min(max(1.6 * mottle[j, i] - 0.35, 0.0), 1.0)
            body = 0.115 * (1.0 + 0.30 * relief[j + 1, i] + 0.25 * mottle[j, i])
            # Flakes of mica turned the right way.
            flake = hash01(i, first + j, seed)
            flash = 14.0 * (flake - 0.9994) / 0.0006 * shadow[j, i] if flake > 0.9994 else 0.0
            rgba[j, i, 0] = max(body * (0.92 + 0.55 * rust), 0.006) * light + flash * 0.12
            rgba[j, i, 1] = max(body * (1.00 + 0.10 * rust), 0.006) * light + flash * 0.12
            rgba[j, i, 2] = max(body * (1.14 - 0.35 * rust), 0.006) * light + flash * 0.12
            rgba[j, i, 3] = 1.0


def _paint_table(painter: Painter, blockers: list[Floats], seed: int) -> None:
    frame, stretch = painter.frame, table_stretch(painter.basis)
    shadow = cast_shadows(painter, TABLE_Y, blockers)
    base, octaves = 7.0, painter.octaves(7.0)

    def work(first: int, last: int) -> None:
        relief = np.empty((last - first + 2, painter.columns), np.float32)
        y = frame[1] + (first - 1) * painter.pixel
        fill_fbm(relief, base * frame[0] + 50, base * y * stretch + 50, base * painter.pixel, base * painter.pixel * stretch,
                 octaves, 0.66, seed)  # fmt: skip
        mottle = np.empty((last - first, painter.columns), np.float32)
        fill_fbm(mottle, 2 * frame[0] + 50, 2 * (y + painter.pixel) * stretch + 50, 2 * painter.pixel, 2 * painter.pixel * stretch,
                 7, 0.6, seed + 7000)  # fmt: skip
        painter.depth[first:last] = plane_depth(painter, TABLE_Y, np.arange(first, last))[:, None]
        _slate(
            relief,
            mottle,
            shadow[first:last],
            0.0034 / painter.pixel,
            seed + 1,
            first,
            painter.rgba[first:last],
        )

    painter.bands(work)
    painter.done()


# ------------------------------------------------------------------------------------------------------ stand and metal


@helper
def _world(basis: Floats, x: float, y: float, t: float) -> tuple[float, float, float]:
    return (
        x * basis[0, 0] + y * basis[1, 0] + t * basis[2, 0],
        x * basis[0, 1] + y * basis[1, 1] + t * basis[2, 1],
        x * basis[0, 2] + y * basis[1, 2] + t * basis[2, 2],
    )


@kernel
def _shade_stand(
    hits: Float32, basis: Floats, frame: Floats, s: Floats, first: int, rgba: Float32, depth: Float32,
    ring: Floats, octaves: int,
) -> None:  # fmt: skip
    """Pale limestone with pores, in the ring's shadow."""
    for j in range(hits.shape[0]):
        for i in range(hits.shape[1]):
            h = hits[j, i]
            if h[COVER] <= 0.0:
                continue
            x, y, z = _world(basis, frame[0] + i * frame[2], frame[1] + (first + j) * frame[2], h[DEPTH])
            # Unrolled: flat on top, around the side.
            around = math.atan2(x - s[1], s[3] - z) * s[4]
            top = h[NORMAL_Y] > 0.6
            a, b = (14.0 * x, 14.0 * z) if top else (14.0 * around, 14.0 * y)
            grain = fbm(a, b, octaves, 0.72, 31)
            nx = h[NORMAL_X] + 0.10 * fbm(2.0 * a + 9.0, 2.0 * b, octaves - 1, 0.75, 37)
            nz = h[NORMAL_Z] + 0.10 * fbm(2.0 * a, 2.0 * b + 9.0, octaves - 1, 0.75, 41)
            ny = h[NORMAL_Y]
            shadow = lit(
                ring,
                x + 0.004 * h[NORMAL_X],
                y + 0.004 * ny,
                z + 0.004 * h[NORMAL_Z],
                -0.50,
                0.78,
                -0.37,
                0.12,
            )
            light = diffuse(nx, ny, nz, shadow)
            if abs((x - s[1]) * s[7] + (z - s[3]) * s[8]) < s[9] + 0.002:
                light *= 0.25 + 0.75 * min(max((y - s[2] + 0.034) / 0.034, 0.0), 1.0)
            pore = min(max(3.0 * fbm(3.0 * a, 3.0 * b, 4, 0.6, 43) - 1.7, 0.0), 1.0)
            vein = max(1.0 - 9.0 * abs(fbm(0.35 * a, 0.35 * b, 6, 0.55, 47)), 0.0)
            body = max(0.40 * (1.0 + 0.20 * grain) * (1.0 - 0.6 * pore), 0.02) * light
            put(rgba[j], depth[j], i, body * (1.0 - 0.10 * vein), body * (0.93 - 0.22 * vein), body * (0.82 - 0.34 * vein),
                h[COVER], h[DEPTH])  # fmt: skip


@kernel
def _shade_metal(
    hits: Float32, basis: Floats, frame: Floats, s: Floats, first: int, rgba: Float32, depth: Float32,
    tint: Floats, octaves: int,
) -> None:  # fmt: skip
    """Polished metal: the studio in a mirror with fine scratches and a little dust."""
    for j in range(hits.shape[0]):
        for i in range(hits.shape[1]):
            h = hits[j, i]
            if h[COVER] <= 0.0:
                continue
            x, y, z = _world(basis, frame[0] + i * frame[2], frame[1] + (first + j) * frame[2], h[DEPTH])
            a, b = 40.0 * (x + 0.5 * z), 40.0 * (y - 0.3 * z)
            nx = h[NORMAL_X] + 0.020 * fbm(a, b, octaves, 0.80, 51)
            ny = h[NORMAL_Y] + 0.020 * fbm(a + 31.0, b, octaves, 0.80, 53)
            nz = h[NORMAL_Z] + 0.020 * fbm(a, b + 31.0, octaves, 0.80, 57)
            size = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx * size, ny * size, nz * size
            dx, dy, dz = mirrored(basis[2, 0], basis[2, 1], basis[2, 2], nx, ny, nz)
            red, green, blue = studio(dx, dy, dz)
            facing = min(max(-(nx * basis[2, 0] + ny * basis[2, 1] + nz * basis[2, 2]), 0.0), 1.0)
            edge = (1.0 - facing) ** 5
            # Light that the stand and the table throw up at it.
            near = min(max((y - s[14]) / 0.12, 0.0), 1.0) if int(s[0]) == BAND else 1.0
            dim = 0.45 + 0.55 * near
            dust = 0.05 * max(noise(8.0 * a, 8.0 * b, 61) - 0.55, 0.0) * diffuse(nx, ny, nz, 1.0)
            put(rgba[j], depth[j], i, red * dim * (tint[0] + (1.0 - tint[0]) * edge) + dust,
                green * dim * (tint[1] + (1.0 - tint[1]) * edge) + dust,
                blue * dim * (tint[2] + (1.0 - tint[2]) * edge) + dust, h[COVER], h[DEPTH])  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ geometry


def _axes() -> Floats:
    """The ring's own axes as rows: side, up, axis. It leans back a little and is turned to one side."""
    lean, turn = math.radians(14.0), math.radians(27.0)
    axis = np.array([math.sin(turn) * math.cos(lean), math.sin(lean), -math.cos(turn) * math.cos(lean)])
    up = np.array([0.0, 1.0, 0.0]) - axis[1] * axis
    up /= np.linalg.norm(up)
    return np.array([np.cross(up, axis), up, axis])


def _stone(centre: Floats, radius: float, axes: Floats, matter: tuple[float, ...], turn: float) -> Floats:
    side = math.cos(turn) * axes[0] + math.sin(turn) * axes[2]
    front = np.cross(side, axes[1])
    return np.concatenate([centre, [radius], side, axes[1], front, matter])


def _band(axes: Floats) -> Floats:
    return np.array([BAND, 0, 0, 0, *axes[2], *axes[1], RADIUS, 0.019, 0.011, 0.007, STAND_TOP - 0.03])


def _cones(members: list[list[float]], crease: float) -> Floats:
    return np.array([CONES, len(members), crease, *np.ravel(members)])


def _setting(axes: Floats) -> tuple[Floats, Floats]:
    """The basket that holds the main stone, and the tips of its claws in front of it."""
    basket, tips = [], []
    for k in range(6):
        phi = 2 * math.pi * (k + 0.3) / 6
        around = math.cos(phi) * axes[0] + math.sin(phi) * axes[2]
        foot = (RADIUS + 0.004) * axes[1] + 0.022 * around
        girdle = (RADIUS + 0.064) * axes[1] + 0.0735 * around
        tip = (RADIUS + 0.076) * axes[1] + 0.064 * around
        basket.append([*foot, 0.0055, *girdle, 0.0058])
        tips.append([*girdle, 0.0062, *tip, 0.0052])
    for k in range(24):
        ends = [(RADIUS + 0.034) * axes[1] + 0.045 * (math.cos(p) * axes[0] + math.sin(p) * axes[2])
                for p in (2 * math.pi * k / 24, 2 * math.pi * (k + 1) / 24)]  # fmt: skip
        basket.append([*ends[0], 0.0045, *ends[1], 0.0045])
    return _cones(basket, 0.004), _cones(tips, 0.003)


def _shoulder_stones(axes: Floats) -> list[Floats]:
    """Small diamonds down both shoulders of the band."""
    stones = []
    for sign in (-1.0, 1.0):
        for k in range(6):
            phi = sign * (0.36 + 0.125 * k)
            out = math.cos(phi) * axes[1] + math.sin(phi) * axes[0]
            along = math.cos(phi) * axes[0] - math.sin(phi) * axes[1]
            local = np.array([along, out, np.cross(along, out)])
            stones.append(_stone((RADIUS + 0.0105) * out, 0.0135 - 0.0006 * k, local, DIAMOND, 0.3 * k))
    return stones


def _loose_stones(random: np.random.Generator) -> list[Floats]:
    """Stones scattered on the table, lying on their pavilions."""
    stones = []
    spots = [
        (-0.37, -0.10),
        (-0.29, -0.31),
        (0.36, -0.27),
        (0.41, 0.16),
        (-0.42, 0.24),
        (0.22, 0.43),
        (-0.15, 0.46),
        (0.30, -0.36),
    ]
    for k, (x, z) in enumerate(spots):
        radius = 0.022 + 0.016 * random.random()
        tilt, turn = math.radians(40.0 + 12 * random.random()), 2 * math.pi * random.random()
        up = np.array([math.sin(tilt) * math.cos(turn), math.cos(tilt), math.sin(tilt) * math.sin(turn)])
        side = np.cross(up, [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side)
        axes = np.array([side, up, np.cross(side, up)])
        matter = (DIAMOND, RUBY, SAPPHIRE)[k % 3]
        centre = np.array([x + 0.02 * random.standard_normal(), TABLE_Y + 0.66 * radius, z])
        stones.append(_stone(centre, radius, axes, matter, turn))
    return stones


def paint(width: int, height: int, seed: int) -> Painter:
    """All layers, far to near: table, loose stones, stand, basket and band, stones, claws."""
    random = np.random.default_rng(seed)
    painter = Painter(width, height, looking_down(ELEVATION), -0.6, 1.4)
    axes = _axes()
    band, (basket, tips) = _band(axes), _setting(axes)
    stand = np.array(
        [
            PEDESTAL,
            0.0,
            STAND_TOP,
            0.0,
            0.21,
            STAND_TOP - TABLE_Y + 0.02,
            0.012,
            axes[2, 0],
            axes[2, 2],
            0.026,
        ]
    )
    crown = _cones([[*((RADIUS + 0.05) * axes[1]), 0.05, *((RADIUS + 0.07) * axes[1]), 0.07]], 0.01)
    loose = _loose_stones(random)
    pebbles = _cones([[*(g[:3]), g[3] * 0.8, *(g[:3] + 0.001), g[3] * 0.8] for g in loose], 0.001)
    _paint_table(painter, [band, stand, crown, pebbles], int(random.integers(1 << 30)))
    facets = brilliant()
    samples = 2 if painter.oversample == 1 and width * height < 6_000_000 else 1
    painter.gems(facets, loose, samples)
    painter.done()
    octaves = painter.octaves(14.0)
    shadow_of = np.concatenate([band, np.zeros(max(0, len(crown) - len(band)))])
    painter.solid(stand, _shade_stand, shadow_of, octaves)
    painter.done()
    gold, white = np.array([1.0, 0.76, 0.38]), np.array([0.93, 0.91, 0.88])
    fine = painter.octaves(40.0)
    painter.solid(band, _shade_metal, gold, fine)
    painter.done()
    painter.solid(basket, _shade_metal, white, fine)
    main = _stone((RADIUS + 0.062) * axes[1], 0.072, axes, SAPPHIRE, 0.2)
    painter.gems(facets, [*_shoulder_stones(axes), main], samples)
    painter.done()
    painter.solid(tips, _shade_metal, white, fine)
    painter.done()
    return painter
