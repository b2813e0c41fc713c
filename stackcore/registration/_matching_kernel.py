"""The compiled kernel that compares tiles of one frame with another. `nogil`, single-threaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from stackcore._jit import F32, F64, I64, array, kernel, row_function

SUMS = 8
"""What `match_tiles` says of a tile: xx, xy, yy of the gradients, x and y of gradient times residual, mean squared residual, the
correlation of the tile with what it is compared with, and the share of the gradients that both have in common: the rest is
noise (0 also where a tile does not lie in its patch)."""


def summing(function: Any) -> Any:
    """A part of a kernel in which the order of additions is free, so that they go several at a time."""
    return njit(nogil=True, fastmath={"reassoc", "nsz", "contract"})(function)


REGRESSORS, CONSTANT, RESIDUAL = 8, 6, 7
"""What a change between two pictures of the same thing is made of: a shift in x and in y (the gradient; x, y), sharpness that changes
along x and along y (a, b), sharpness (the Laplacian; l), contrast (the luma; t), brightness (a constant; c); and what is left (r).

Blur that grows along a ramp spreads each point by its own disc, so that the picture changes by the Laplacian of ramp times picture:
ramp times Laplacian, and twice the gradient along the ramp, which without this would pass for a shift. On tilted grounds it
does so in every frame, and in the same direction."""


@row_function
def _steps_within(fraction: float, slope: float) -> int:
    """How many steps of a slope it takes from a fraction to beyond 0 or 1."""
    if slope == 0:
        return 1_000_000
    left = (1 - fraction) / slope if slope > 0 else fraction / -slope
    return int(min(left, 999_999.0)) + 1


@row_function
def _lerp(  # noqa: PLR0917
    patch: F32,
    i: int,
    j: int,
    p: np.float32,
    q: np.float32,
    p_step: np.float32,
    q_step: np.float32,
    seen: F32,
) -> None:
    """Samples that begin `p` and `q` behind a pixel and go on from pixel to pixel."""
    upper, lower = patch[j], patch[j + 1]
    at = np.uint64(i)
    for x in range(seen.size):
        k = at + np.uint64(x)
        across, down = p + p_step * np.float32(x), q + q_step * np.float32(x)
        above = upper[k] + across * (upper[k + np.uint64(1)] - upper[k])
        below = lower[k] + across * (lower[k + np.uint64(1)] - lower[k])
        seen[x] = above + down * (below - above)


@row_function
def _sample(  # noqa: PLR0917
    patch: F32, u: float, v: float, ux: float, vx: float, seen: F32
) -> bool:
    """Bilinear samples along a line; whether all lie inside."""
    last_u = u + ux * (seen.size - 1)
    last_v = v + vx * (seen.size - 1)
    limit = patch.shape[0] - 1
    if min(u, last_u) < 0 or min(v, last_v) < 0 or max(u, last_u) >= limit or max(v, last_v) >= limit:
        return False
    x = 0
    while x < seen.size:  # by runs of samples whose neighbours lie side by side
        at_u, at_v = u + ux * x, v + vx * x
        i, j = np.floor(at_u), np.floor(at_v)
        stop = min(seen.size, x + min(_steps_within(at_u - i, ux - 1), _steps_within(at_v - j, vx)))
        _lerp(
            patch, int(i), int(j), np.float32(at_u - i), np.float32(at_v - j), np.float32(ux - 1), np.float32(vx), seen[x:stop]
        )  # fmt: skip
        x = stop
    return True


@summing
def _contrast(tile: F32, seen: F32, window: F32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """The gain that brings `tile` nearest to `seen`, the means of both, and their correlation."""
    total = mean_t = mean_s = tt = ts = ss = np.float32(0)
    size = tile.shape[0]
    base = tile[size // 2, size // 2]
    for y in range(1, size - 1):
        for x in range(1, size - 1):
            w = window[y] * window[x]
            t, s = tile[y, x] - base, seen[y, x] - base
            total += w
            mean_t += w * t
            mean_s += w * s
            tt += w * t * t
            ts += w * t * s
            ss += w * s * s
    mean_t /= total
    mean_s /= total
    tt = tt / total - mean_t * mean_t
    ts = ts / total - mean_t * mean_s
    ss = ss / total - mean_s * mean_s
    gain = max(ts / max(tt, np.float32(1e-3)), np.float32(0))
    return gain, mean_t + base, mean_s + base, ts / np.sqrt(max(tt * ss, np.float32(1e-6)))


@summing
def _add_products(  # noqa: PLR0915, PLR0917
    tile: F32, seen: F32, window: F32, gain: np.float32, tile_mean: np.float32, mean: np.float32, sums: F64
) -> np.float32:
    """Weighted sums of products of all pairs of `REGRESSORS`; gives the share of the gradients that the two pictures have in common.

    One name for each sum, by the letters of `REGRESSORS`: compilers then keep them in registers and take several pixels at a
    time. Loops over arrays of regressors were measured at 1.4 to 2.5 times the time.
    """
    xx = xy = xa = xb = xl = xt = xc = xr = np.float32(0)
    yy = ya = yb = yl = yt = yc = yr = np.float32(0)
    aa = ab = al = at = ac = ar = np.float32(0)
    bb = bl = bt = bc = br = np.float32(0)
    ll = lt = lc = lr = np.float32(0)
    tt = tc = tr = np.float32(0)
    cc = cr = np.float32(0)
    rr = np.float32(0)
    shared = np.float32(0)
    size = tile.shape[0]
    half, quarter, one, two = np.float32(0.5), np.float32(0.25), np.float32(1), np.float32(2)
    unit = two / np.float32(size)
    for y in range(1, size - 1):
        down = np.float32(y) * unit - one
        for x in range(1, size - 1):
            across = np.float32(x) * unit - one
            w = window[y] * window[x]
            before, after = gain * (tile[y, x] - tile_mean) + mean, seen[y, x]
            right, left, below, above = seen[y, x + 1], seen[y, x - 1], seen[y + 1, x], seen[y - 1, x]
            tile_x = gain * (tile[y, x + 1] - tile[y, x - 1])
            tile_y = gain * (tile[y + 1, x] - tile[y - 1, x])
            around = tile[y, x + 1] + tile[y, x - 1] + tile[y + 1, x] + tile[y - 1, x]
            shared += w * (tile_x * (right - left) + tile_y * (below - above))
            dx = quarter * (tile_x + right - left)
            dy = quarter * (tile_y + below - above)
            laplacian = half * (gain * around + right + left + below + above) - two * (
                gain * tile[y, x] + after
            )
            luma = half * (before + after) - mean
            residual = before - after
            bent_x = across * laplacian + two * unit * dx
            bent_y = down * laplacian + two * unit * dy
            wx = w * dx
            xx += wx * dx
            xy += wx * dy
            xa += wx * bent_x
            xb += wx * bent_y
            xl += wx * laplacian
            xt += wx * luma
            xc += wx
            xr += wx * residual
            wy = w * dy
            yy += wy * dy
            ya += wy * bent_x
            yb += wy * bent_y
            yl += wy * laplacian
            yt += wy * luma
            yc += wy
            yr += wy * residual
            wa = w * bent_x
            aa += wa * bent_x
            ab += wa * bent_y
            al += wa * laplacian
            at += wa * luma
            ac += wa
            ar += wa * residual
            wb = w * bent_y
            bb += wb * bent_y
            bl += wb * laplacian
            bt += wb * luma
            bc += wb
            br += wb * residual
            wl = w * laplacian
            ll += wl * laplacian
            lt += wl * luma
            lc += wl
            lr += wl * residual
            wt = w * luma
            tt += wt * luma
            tc += wt
            tr += wt * residual
            cc += w
            cr += w * residual
            rr += w * residual * residual
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3], sums[0, 4], sums[0, 5], sums[0, 6], sums[0, 7] = (
        xx,
        xy,
        xa,
        xb,
        xl,
        xt,
        xc,
        xr,
    )
    sums[1, 1], sums[1, 2], sums[1, 3], sums[1, 4], sums[1, 5], sums[1, 6], sums[1, 7] = (
        yy,
        ya,
        yb,
        yl,
        yt,
        yc,
        yr,
    )
    sums[2, 2], sums[2, 3], sums[2, 4], sums[2, 5], sums[2, 6], sums[2, 7] = aa, ab, al, at, ac, ar
    sums[3, 3], sums[3, 4], sums[3, 5], sums[3, 6], sums[3, 7] = bb, bl, bt, bc, br
    sums[4, 4], sums[4, 5], sums[4, 6], sums[4, 7] = ll, lt, lc, lr
    sums[5, 5], sums[5, 6], sums[5, 7] = tt, tc, tr
    sums[6, 6], sums[6, 7] = cc, cr
    sums[7, 7] = rr
    return max(shared, np.float32(0)) / max(np.float32(4) * (xx + yy), np.float32(1e-6))


@row_function
def _without(sums: F64, known: int) -> None:
    """Take what regressor `known` explains out of the products of those before it and of the residual (a Schur complement)."""
    pivot = sums[known, known]
    if pivot <= 1e-6 * sums[CONSTANT, CONSTANT]:
        return
    for i in range(known):
        for j in range(i, known):
            sums[i, j] -= sums[i, known] * sums[j, known] / pivot
        sums[i, RESIDUAL] -= sums[i, known] * sums[known, RESIDUAL] / pivot
    sums[RESIDUAL, RESIDUAL] -= sums[known, RESIDUAL] ** 2 / pivot


@kernel(
    array(types.float32, 3),
    array(types.int64, 2),
    array(types.float32, 3),
    array(types.int64, 2),
    array(types.float64, 2),
    array(types.float32, 1),
    array(types.float64, 2),
)
def match_tiles(  # noqa: PLR0917
    tiles: F32, corners: I64, patches: F32, origins: I64, motion: F64, window: F32, sums: F64
) -> None:
    """Compare tiles of one frame with another frame where a motion says that they lie.

    The gradient is the mean of both pictures' (Benhimane and Malis, IROS 2004). What a change of brightness, of contrast and, to
    first order, of focus explains (a constant, the luma, its Laplacian) is taken out of gradient and residual: blur that changes is
    symmetric and moves nothing, but within a window it would seem to. On aligned stacks that halves the error.

    Args:
        tiles: (N, S, S).
        corners: (N, 2): where the tiles' first pixels lie, px.
        patches: (N, P, P) of the other frame.
        origins: (N, 2): where the patches' first pixels lie, px.
        motion: (2, 3), from pixels of the first frame to pixels of the other.
        window: (S,), weight in both directions.
        sums: (N, `SUMS`) written.
    """
    count, size = tiles.shape[0], tiles.shape[1]
    seen = np.empty((size, size), np.float32)
    products = np.empty((REGRESSORS, REGRESSORS))
    for tile in range(count):
        out = sums[tile]
        out[:] = 0
        inside = True
        for y in range(size):
            at_x, at_y = corners[tile, 0], corners[tile, 1] + y
            u = motion[0, 0] * at_x + motion[0, 1] * at_y + motion[0, 2] - origins[tile, 0]
            v = motion[1, 0] * at_x + motion[1, 1] * at_y + motion[1, 2] - origins[tile, 1]
            inside &= _sample(patches[tile], u, v, motion[0, 0], motion[1, 0], seen[y])
        if not inside:
            continue
        gain, tile_mean, mean, correlation = _contrast(tiles[tile], seen, window)
        shared = _add_products(tiles[tile], seen, window, gain, tile_mean, mean, products)
        for known in range(CONSTANT, 1, -1):
            _without(products, known)
        out[0], out[1], out[2] = products[0, 0], products[0, 1], products[1, 1]
        out[3], out[4] = products[0, RESIDUAL], products[1, RESIDUAL]
        out[5] = products[RESIDUAL, RESIDUAL] / products[CONSTANT, CONSTANT]
        out[6], out[7] = correlation, shared
