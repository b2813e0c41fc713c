"""Cut stones: convex solids of facets, with light followed through them (refraction, total reflection, absorption)."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
# mypy: disable-error-code="no-any-return, arg-type, return-value"
# The compiler's numbers are not Python's.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel
from drivers.sim.scenes.studio import studio

BOUNCES = 6

# A stone is a row of 18 numbers: centre (3), radius, rows of its rotation: side, up, front (9), refractive index for red and
# blue, absorption of red, green and blue.

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


def brilliant() -> Floats:
    """Facets (n, 4) of a round brilliant of radius 1, girdle at y = 0, table up: unit normal and distance from the centre."""
    girdle, table, crown = 0.035, 0.56, math.radians(34.0)
    top = girdle + (1.0 - table) * math.tan(crown)
    facets = [(0.0, 1.0, 0.0, top)]

    def ring(count: int, turn: float, angle: float, radius: float, height: float, up: float) -> None:
        for k in range(count):
            phi = 2.0 * math.pi * (k + turn) / count
            distance = math.sin(angle) * radius + up * math.cos(angle) * height
            facets.append(
                (
                    math.sin(angle) * math.cos(phi),
                    up * math.cos(angle),
                    math.sin(angle) * math.sin(phi),
                    distance,
                )
            )

    ring(8, 0.0, crown, 1.0, girdle, 1.0)
    ring(8, 0.5, math.radians(21.0), table * 0.98, top, 1.0)
    ring(16, 0.5, math.radians(40.5), 0.985, girdle, 1.0)
    ring(16, 0.5, math.radians(90.0), 0.985, 0.0, 1.0)
    ring(8, 0.0, math.radians(41.0), 1.0, -girdle, -1.0)
    ring(16, 0.5, math.radians(42.6), 0.985, -girdle, -1.0)
    return np.array(facets)


@helper
def _entry(facets: Floats, o: Floats, d: Floats) -> tuple[float, int]:
    """Where a line enters the solid and through which facet; -1 if it misses."""
    enter, leave, through = -1e9, 1e9, -1
    for k in range(len(facets)):
        slope = facets[k, 0] * d[0] + facets[k, 1] * d[1] + facets[k, 2] * d[2]
        gap = facets[k, 3] - facets[k, 0] * o[0] - facets[k, 1] * o[1] - facets[k, 2] * o[2]
        if slope < -1e-12:
            if gap / slope > enter:
                enter, through = gap / slope, k
        elif slope > 1e-12:
            leave = min(leave, gap / slope)
        elif gap < 0.0:
            return 0.0, -1
    return enter, (through if enter < leave else -1)


@helper
def _exit(facets: Floats, o: Floats, d: Floats) -> tuple[float, int]:
    leave, through = 1e9, 0
    for k in range(len(facets)):
        slope = facets[k, 0] * d[0] + facets[k, 1] * d[1] + facets[k, 2] * d[2]
        if slope > 1e-9:
            t = (facets[k, 3] - facets[k, 0] * o[0] - facets[k, 1] * o[1] - facets[k, 2] * o[2]) / slope
            if t < leave:
                leave, through = t, k
    return leave, through


@helper
def _fresnel(cosine: float, ratio: float) -> float:
    """Schlick's approximation for glass-like matter."""
    base = ((ratio - 1.0) / (ratio + 1.0)) ** 2
    return base + (1.0 - base) * (1.0 - cosine) ** 5


@helper
def _radiance(gem: Floats, x: float, y: float, z: float, channel: int) -> float:
    """Light from outside, direction given in the stone's own axes."""
    wx = x * gem[4] + y * gem[7] + z * gem[10]
    wy = x * gem[5] + y * gem[8] + z * gem[11]
    wz = x * gem[6] + y * gem[9] + z * gem[12]
    light = studio(wx, wy, wz)
    return light[0] if channel == 0 else (light[1] if channel == 1 else light[2])


@helper
def _leave(gem: Floats, facet: Floats, d: Floats, channel: int, ratio: float) -> tuple[float, float]:
    """Light that comes in where a path leaves through a facet, and the share that is reflected back inside instead."""
    cosine = d[0] * facet[0] + d[1] * facet[1] + d[2] * facet[2]
    sine2 = ratio * ratio * (1.0 - cosine * cosine)
    if sine2 >= 1.0:
        return 0.0, 1.0
    out = math.sqrt(1.0 - sine2) - ratio * cosine
    light = _radiance(
        gem,
        ratio * d[0] + out * facet[0],
        ratio * d[1] + out * facet[1],
        ratio * d[2] + out * facet[2],
        channel,
    )
    return light, _fresnel(math.sqrt(1.0 - sine2), ratio)


@helper
def _inside(facets: Floats, gem: Floats, o: Floats, d: Floats, channel: int, ratio: float) -> float:
    """Light along a path that has entered: what comes in at each facet it meets, weakened by reflection and colour."""
    total, share = 0.0, 1.0
    for _ in range(BOUNCES):
        t, k = _exit(facets, o, d)
        share *= math.exp(-gem[15 + channel] * t)
        light, back = _leave(gem, facets[k], d, channel, ratio)
        total += share * (1.0 - back) * light
        share *= back
        twice = 2.0 * (d[0] * facets[k, 0] + d[1] * facets[k, 1] + d[2] * facets[k, 2])
        for c in range(3):
            o[c] += t * d[c]
            d[c] -= twice * facets[k, c]
            o[c] += 1e-7 * d[c]
    return total


@kernel
def look_into(facets: Floats, gem: Floats, start: Floats, away: Floats, colour: Float32) -> float:
    """Follow one line of sight (start and unit direction in world axes). Sets `colour`; returns how far it went, -1 if it missed."""
    o, d, e, f = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for c in range(3):
        row = 4 + 3 * c
        o[c] = d[c] = 0.0
        for a in range(3):
            o[c] += (start[a] - gem[a]) * gem[row + a] / gem[3]
            d[c] += away[a] * gem[row + a]
    enter, k = _entry(facets, o, d)
    if k < 0:
        return -1.0
    n = facets[k]
    cosine = -(d[0] * n[0] + d[1] * n[1] + d[2] * n[2])
    front = _fresnel(cosine, gem[13])
    for channel in range(3):
        index = gem[13] + 0.5 * channel * (gem[14] - gem[13])
        bend = cosine / index - math.sqrt(1.0 - (1.0 - cosine * cosine) / (index * index))
        for c in range(3):
            e[c] = d[c] / index + bend * n[c]
            f[c] = o[c] + enter * d[c] + 1e-7 * e[c]
        glance = 2.0 * cosine
        mirror = _radiance(gem, d[0] + glance * n[0], d[1] + glance * n[1], d[2] + glance * n[2], channel)
        colour[channel] = front * mirror + (1.0 - front) * _inside(facets, gem, f, e, channel, index)
    return enter * gem[3]


@kernel
def draw_gem(
    facets: Floats, gem: Floats, basis: Floats, frame: Floats, samples: int, rgba: Float32, depth: Float32,
    first: int, last: int,
) -> None:  # fmt: skip
    """Paint a stone over rows `first` to `last` of a layer, `samples` squared lines of sight a pixel."""
    pixel = frame[2]
    right = gem[0] * basis[0, 0] + gem[1] * basis[0, 1] + gem[2] * basis[0, 2]
    down = gem[0] * basis[1, 0] + gem[1] * basis[1, 1] + gem[2] * basis[1, 2]
    x0, x1 = (
        int((right - 1.05 * gem[3] - frame[0]) / pixel),
        int((right + 1.05 * gem[3] - frame[0]) / pixel) + 2,
    )
    y0, y1 = (
        int((down - 1.05 * gem[3] - frame[1]) / pixel),
        int((down + 1.05 * gem[3] - frame[1]) / pixel) + 2,
    )
    start, colour = np.empty(3), np.empty(3, np.float32)
    away = basis[2].copy()
    for j in range(max(y0, first), min(y1, last)):
        for i in range(max(x0, 0), min(x1, rgba.shape[1])):
            red, green, blue, far, count = 0.0, 0.0, 0.0, 0.0, 0
            for n in range(samples * samples):
                x = frame[0] + (i + (n % samples + 0.5) / samples - 0.5) * pixel
                y = frame[1] + (j + (n // samples + 0.5) / samples - 0.5) * pixel
                for a in range(3):
                    start[a] = x * basis[0, a] + y * basis[1, a] + frame[3] * basis[2, a]
                t = look_into(facets, gem, start, away, colour)
                if t >= 0.0:
                    red, green, blue, far, count = (
                        red + colour[0],
                        green + colour[1],
                        blue + colour[2],
                        far + t,
                        count + 1,
                    )
            if count:
                cover = count / (samples * samples)
                for c in range(4):
                    rgba[j, i, c] *= 1.0 - cover
                rgba[j, i, 0] += red / (samples * samples)
                rgba[j, i, 1] += green / (samples * samples)
                rgba[j, i, 2] += blue / (samples * samples)
                rgba[j, i, 3] += cover
                depth[j, i] = frame[3] + far / count
