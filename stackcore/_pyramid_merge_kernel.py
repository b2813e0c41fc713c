"""The compiled part of `pyramid` that weighs one tile of one level of a frame against all frames before, and mixes it in.

Loops over a row are functions of their own, short and without branches, so that the compiler can work on many pixels at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from stackcore._jit import F32, F64, I16, I32, Function, array, kernel, row_function

LUMA_BINS = 8
"""Noise depends on brightness; its floor is kept for this many equal ranges of luma."""

ENERGY_BINS = 512
"""Of the histograms of energies: eight an octave, from 2^-20 on."""

CORED = np.float32(30)
"""How many floors of noise the energy of a single cell must have to count half: below it only what a window says is trusted."""

ADDED = np.float32(5)
"""How many floors of noise are added to every energy: frames that differ by less than these are averaged."""

FAINT = np.float32(0.5)
"""Energies below this share of the highest count nothing: to the power of 16 they would be 1 in 65000."""

CANDIDATE = np.float32(4)
"""How many floors an energy must have to call for the finest level."""

SEGMENT = 128
"""Cells that are left as they are together when the frame counts in none of them."""

_BIN_SHIFT = 20
_BIN_START = (127 - 20) << 3
_INT16_MAX = np.float32(32767)


def dividing(function: Function) -> Function:
    """A row function that divides: without the check for zero at every pixel, which would keep it from being vectorised."""
    compiled: Function = njit(nogil=True, error_model="numpy")(function)
    return compiled


@row_function
def _look_up(table: F32, luma: I32, out: F32) -> None:
    for k in range(luma.size):
        out[k] = table[luma[k]]


@dividing
def _focus(energy: F32, pooled: F32, floor: F32, contrast: F32, focus: F32) -> None:
    """Half from the cell itself, as far as it stands above noise, half from its window; relative to brightness."""
    for k in range(focus.size):
        own = energy[k] * energy[k] / (energy[k] + CORED * floor[k])
        focus[k] = np.float32(0.5) * (own + pooled[k]) * contrast[k]


@dividing
def _shares(focus: F32, top: F32, floor: F32, contrast: F32, old: F32, new: F32) -> None:  # noqa: PLR0917
    """What the sums so far keep and what a frame counts: its energy over the highest so far."""
    for k in range(focus.size):
        added = ADDED * floor[k] * contrast[k]
        now = focus[k] + added
        before = top[k] + added
        scale = np.float32(1) / (max(before, now))
        old[k] = before * scale
        new[k] = now * scale


@row_function
def _raise(share: F32) -> None:
    """To the power of 16."""
    for k in range(share.size):
        value = share[k]
        value = value if value > FAINT else np.float32(0)
        value *= value
        value *= value
        value *= value
        share[k] = value * value


@dividing
def _advance(old: F32, new: F32, focus: F32, top: F32, weight: F32) -> None:
    """New sums of weights and highest energies; `new` becomes the share of a frame in its mean."""
    for k in range(new.size):
        total = weight[k] * old[k] + new[k]
        share = new[k] / total
        new[k] = share if total > np.float32(0) else np.float32(0)
        weight[k] = total
        top[k] = max(top[k], focus[k])


@row_function
def _hide(matrix: F64, row: int, first: int, step: int, limits: F64, focus: F32, old: F32, new: F32) -> None:  # noqa: PLR0917
    """Cells that a frame does not show count nothing."""
    for k in range(new.size):
        x = first + step * k
        u = matrix[0, 0] * x + matrix[0, 1] * row + matrix[0, 2]
        v = matrix[1, 0] * x + matrix[1, 1] * row + matrix[1, 2]
        if not (limits[0] <= u <= limits[1] and limits[0] <= v <= limits[2]):
            focus[k] = np.float32(0)
            old[k] = np.float32(1)
            new[k] = np.float32(0)


@row_function
def _unseen(weight: F32, share: F32) -> None:
    """Where the first frame shows nothing it stands in, until another does."""
    for k in range(share.size):
        share[k] = np.float32(1) if weight[k] == np.float32(0) else share[k]


@row_function
def _is_sharper(focus: F32, top: F32, pooled: F32, floor: F32) -> np.uint32:
    some = np.uint32(0)
    for k in range(focus.size):
        some |= np.uint32(focus[k] >= top[k]) & np.uint32(pooled[k] > CANDIDATE * floor[k])
    return some


@row_function
def _call(focus: F32, top: F32, pooled: F32, floor: F32, calls: I16) -> None:
    """Blocks of 32 cells in which any is sharper than before, and stands above noise."""
    for b in range(calls.size):
        first, end = 32 * b, min(focus.size, 32 * b + 32)
        if not calls[b] and _is_sharper(
            focus[first:end], top[first:end], pooled[first:end], floor[first:end]
        ):
            calls[b] = np.int16(1)


@row_function
def _any(values: F32) -> np.uint32:
    some = np.uint32(0)
    for k in range(values.size):
        some |= np.uint32(values[k] > np.float32(0))
    return some


@row_function
def _spread(cells: F32, pixels: F32) -> None:
    for k in range(pixels.size // 2):
        pixels[2 * k] = cells[k]
        pixels[2 * k + 1] = cells[k]
    if pixels.size % 2:
        pixels[pixels.size - 1] = cells[cells.size - 1]


@row_function
def _mix(x: F32, up: F32, share: F32, scale: np.float32, kept: I16) -> None:
    for k in range(kept.size):
        value = np.float32(kept[k])
        value += ((x[k] - up[k]) * scale - value) * share[k]
        kept[k] = np.int16(np.rint(min(max(value, -_INT16_MAX), _INT16_MAX)))


@row_function
def _mix_cells(  # noqa: PLR0917
    x: F32,
    up: F32,
    area: I32,
    y: int,
    tile: I32,
    cell: int,
    share: F32,
    wide: F32,
    scale: np.float32,
    kept: I16,
) -> None:
    """The pixels of one row of cells, but only the stretches in which the frame counts at all."""
    for k in range(0, share.size, SEGMENT):
        cells = share[k : k + SEGMENT]
        if not _any(cells):
            continue
        left = tile[2] + cell * k
        right = min(tile[3], left + cell * SEGMENT)
        part = cells
        if cell == 2:
            part = wide[: right - left]
            _spread(cells, part)
        for line in range(y, min(y + cell, tile[1])):
            for c in range(x.shape[0]):
                _mix(
                    x[c, line - area[4], left - area[5] : right - area[5]],
                    up[c, line - area[6], left - area[7] : right - area[7]],
                    part,
                    scale,
                    kept[c, line, left:right],
                )


@row_function
def _count(pooled: F32, luma: I32, histogram: I32) -> None:
    """Every eighth cell into a histogram of energies by brightness."""
    codes = pooled.view(np.int32)
    for k in range(4, pooled.size, 8):
        code = (codes[k] >> _BIN_SHIFT) - _BIN_START
        histogram[luma[k] >> 5, min(max(code, 0), ENERGY_BINS - 1)] += 1


@kernel(
    array(types.float32, 3),
    array(types.float32, 3),
    array(types.int32, 1),
    array(types.int32, 1),
    types.int64,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.int32, 2),
    array(types.float32, 2),
    types.float32,
    array(types.float64, 2),
    array(types.float64, 1),
    types.boolean,
    array(types.float32, 2),
    array(types.float32, 2),
    array(types.int16, 3),
    array(types.int16, 2),
)
def merge_tile(  # noqa: PLR0917
    x: F32,
    up: F32,
    area: I32,
    tile: I32,
    cell: int,
    energy: F32,
    pooled: F32,
    luma: I32,
    tables: F32,
    scale: np.float32,
    matrix: F64,
    limits: F64,
    begins: bool,
    top: F32,
    weight: F32,
    kept: I16,
    calls: I16,
) -> None:
    """A tile of one level of a frame into the means that are kept.

    Args:
        x: as `look_at_tile` had it, and so are `up`, `area`, `tile` and `cell`.
        up: the same.
        area: the same.
        tile: the same.
        cell: the same.
        energy: as `look_at_tile` wrote it, and so are `pooled` and `luma`.
        pooled: the same.
        luma: the same.
        tables: (2, 256), by brightness: noise floor, and by how much energies are multiplied to compare.
        scale: from levels to those of `kept`.
        matrix: (2, 3), from pixels of the level to pixels of the frame.
        limits: (3,), least u and v, greatest u, greatest v that the frame shows; infinite when it shows the whole tile.
        begins: whether it is the first frame.
        top: (cell rows, cell columns) of the level, highest focus so far; changed.
        weight: the same, sum of weights; changed.
        kept: (channels, H, W) of the level, mean coefficients; changed.
        calls: blocks of 32 x 32 px of this level that call for the next finer one, set to 1; not touched when empty.
    """
    count = energy.shape[1]
    scratch = np.empty((5, count), np.float32)
    floor, contrast, focus, old, new = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    wide = np.empty(2 * SEGMENT, np.float32)
    at = tile[2] // cell
    for r in range(energy.shape[0]):
        y = tile[0] + cell * r
        _look_up(tables[0], luma[r], floor)
        _look_up(tables[1], luma[r], contrast)
        _focus(energy[r], pooled[r], floor, contrast, focus)
        tops = top[y // cell, at : at + count]
        weights = weight[y // cell, at : at + count]
        _shares(focus, tops, floor, contrast, old, new)
        _raise(old)
        _raise(new)
        if limits[1] < np.inf:
            _hide(matrix, y, tile[2], cell, limits, focus, old, new)
        if calls.size:
            _call(focus, tops, pooled[r], floor, calls[y // 32, tile[2] // 32 : (tile[3] + 31) // 32])
        _advance(old, new, focus, tops, weights)
        if begins:
            _unseen(weights, new)
        _mix_cells(x, up, area, y, tile, cell, new, wide, scale, kept)


@kernel(array(types.float32, 2), array(types.int32, 2), types.int64, array(types.int32, 2))
def count_energies(pooled: F32, luma: I32, first: int, histogram: I32) -> None:
    """Every eighth cell of every fourth row into a histogram of energies by brightness.

    Args:
        pooled: (rows, columns), as `look_at_tile` wrote it.
        luma: the same.
        first: which row of cells of the level the first one is.
        histogram: (`LUMA_BINS`, `ENERGY_BINS`), added to.
    """
    for r in range(-first % 4, pooled.shape[0], 4):
        _count(pooled[r], luma[r], histogram)
