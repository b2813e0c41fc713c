"""The compiled parts of `argmax` and `weighted` that take pixels over; apart from `_record_kernel`, since each costs time to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from stackcore._jit import F32, U8, U16, Function, array, compiled, kernel, row_function


def _picture_kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile for pictures of either type when the module is imported."""
    pictures = [array(dtype, 2) for dtype in (types.uint8, types.uint16)]

    def compile_it(function: Function) -> Function:
        signatures = [types.void(*arguments, picture) for picture in pictures]
        result: Function = compiled(function, *signatures)
        return result

    return compile_it


@_picture_kernel(array(types.uint16, 2), array(types.float32, 2), types.int64, types.float32)
def take_rows(mask: U16, values: F32, channels: int, full_scale: np.float32, picture: U8 | U16) -> None:
    """Pixels of a picture become those of a frame, rounded, where the mask is not 0.

    Args:
        mask: (rows, W).
        values: (rows, W * channels).
        channels: 3 or 1.
        full_scale: what white is.
        picture: (rows, W * channels), changed.
    """
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                for k in range(channels * x, channels * (x + 1)):
                    picture[y, k] = min(max(values[y, k], np.float32(0)), full_scale) + np.float32(0.5)


@_picture_kernel(array(types.float32, 2), array(types.float32, 2), types.int64, types.float32)
def divide_rows(sums: F32, total: F32, channels: int, full_scale: np.float32, picture: U8 | U16) -> None:
    """A picture becomes weighted sums over their weights, rounded.

    Args:
        sums: (rows, W * channels).
        total: (rows, W), nowhere 0.
        channels: 3 or 1.
        full_scale: what white is.
        picture: (rows, W * channels), changed.
    """
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            scale = np.float32(1) / total[y, x]
            for k in range(channels * x, channels * (x + 1)):
                mean = min(max(sums[y, k] * scale, np.float32(0)), full_scale)
                picture[y, k] = mean + np.float32(0.5)


@row_function
def _shares(energy: F32, inside: U8, first: bool, top: F32, old: F32, new: F32) -> None:  # noqa: PLR0917
    """What is kept of the sums and what a frame counts, as ratios of energies to the highest so far; raises `top`.

    `top` is -1 where no frame has shown anything yet: there the first frame stands in, until one does.
    """
    for x in range(top.size):
        e = energy[x]
        t = top[x]
        seen = t >= 0
        shows = inside[x] != 0
        highest = max(e, t)
        flat = highest <= 0
        # Divided, not multiplied by an inverse: the ratio of equals must be 1.
        by = np.float32(1) if flat else highest
        keep = np.float32(1) if flat else max(t, np.float32(0)) / by
        count = np.float32(1) if flat else e / by
        keep = keep if seen else np.float32(0)
        count = count if seen else np.float32(1)
        old[x] = keep if shows else (np.float32(0) if first else np.float32(1))
        new[x] = count if shows else (np.float32(1) if first else np.float32(0))
        top[x] = highest if shows else t


@row_function
def _square(values: F32) -> None:
    for x in range(values.size):
        values[x] = values[x] * values[x]


@row_function
def _multiply(values: F32, by: F32) -> None:
    for x in range(values.size):
        values[x] = values[x] * by[x]


@row_function
def _cut(values: F32, least: np.float32) -> None:
    """Ratios below `least` become 0: raised to a power they would only be slow, being too small for full precision."""
    for x in range(values.size):
        values[x] = values[x] if values[x] >= least else np.float32(0)


@row_function
def _raise(values: F32, gamma: float, scratch: F32) -> None:
    """To the power of gamma: by squaring where gamma is a whole number."""
    _cut(values, np.float32(1e-30 ** (1 / gamma)))
    whole = int(gamma)
    if whole != gamma:
        for x in range(values.size):
            values[x] = np.float32(values[x] ** np.float32(gamma))
        return
    while whole % 2 == 0:
        _square(values)
        whole //= 2
    scratch[:] = values
    whole //= 2
    while whole > 0:
        _square(scratch)
        if whole % 2:
            _multiply(values, scratch)
        whole //= 2


@row_function
def _add_gray(values: F32, old: F32, new: F32, sums: F32) -> None:
    for x in range(old.size):
        sums[x] = sums[x] * old[x] + values[x] * new[x]


@row_function
def _add_rgb(values: F32, old: F32, new: F32, sums: F32) -> None:
    for x in range(old.size):
        sums[3 * x] = sums[3 * x] * old[x] + values[3 * x] * new[x]
        sums[3 * x + 1] = sums[3 * x + 1] * old[x] + values[3 * x + 1] * new[x]
        sums[3 * x + 2] = sums[3 * x + 2] * old[x] + values[3 * x + 2] * new[x]


@kernel(
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.uint8, 2),
    types.boolean,
    types.float64,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.float32, 2),
)
def weigh_rows(  # noqa: PLR0917
    values: F32,
    energy: F32,
    inside: U8,
    first: bool,
    gamma: float,
    top: F32,
    total: F32,
    sums: F32,
    scratch: F32,
) -> None:
    """Add one frame to the weighted sums; weights are (energy / highest energy so far) ^ gamma, so that none exceeds 1.

    Args:
        values: (rows, W * channels), pixels of the frame.
        energy: (rows, W).
        inside: (rows, W), 0 where the frame shows nothing.
        first: whether it is the first frame.
        gamma: above 0.
        top: (rows, W), highest energy so far; -1 before the first frame.
        total: (rows, W), sum of weights.
        sums: (rows, W * channels), sum of weights times pixels.
        scratch: (3, W).
    """
    width = total.shape[1]
    old, new, power = scratch[0], scratch[1], scratch[2]
    for y in range(total.shape[0]):
        _shares(energy[y], inside[y], first, top[y], old, new)
        _raise(old, gamma, power)
        _raise(new, gamma, power)
        _multiply(total[y], old)
        for x in range(width):
            total[y, x] += new[x]
        if sums.shape[1] == width:
            _add_gray(values[y], old, new, sums[y])
        else:
            _add_rgb(values[y], old, new, sums[y])
