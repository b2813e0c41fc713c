"""The compiled part of `stackcore.merge`: one pass over a band of rows of one frame.

Everything is integer arithmetic but for one conversion of an integer to float32, which is correctly rounded on every machine:
the result is the same bit for bit for any number of bands, and equal to the slow twin in the tests.

The row functions are short on purpose. The compiler vectorises a loop only while it can check at run time that the few arrays
in it do not overlap, and only when it has no branch: hence masks and bit operations where a conditional would read better, and
one output a loop. A block of a row in which no pixel got sharper costs only the comparison.
"""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import I16, I32, READ_ONLY_FRAME, U8, U16, array, kernel, row_function

BEST, BEFORE, AFTER, PREVIOUS, FRAME = range(5)
"""Planes of the state: score of the sharpest frame, of the frame before and after it, of the last frame; which was sharpest."""

BLOCK_PX = 256
"""Pixels that are skipped together when none of them changes.

Measured at 12 megapixels on x86-64, CPU ms a frame: 64 px 22, 128 px 15, 256 px 12.5, 512 px 12.1, whole rows 13. Where memory is
slow a small block saves more, so 256.
"""

_ONE = 0x3F800000 >> 12
_UINT16_MAX = np.uint16(0xFFFF)


@row_function
def _luma_of_rgb(rgb: U8, luma: I16) -> None:
    """Rec. 601 luma times 4 (0..1020); `rgb` interleaved."""
    for x in range(luma.size):
        weighted = np.int32(rgb[3 * x]) * 77 + np.int32(rgb[3 * x + 1]) * 150 + np.int32(rgb[3 * x + 2]) * 29
        luma[x] = np.int16(weighted >> 6)


@row_function
def _luma_of_gray(gray: U8, luma: I16) -> None:
    for x in range(luma.size):
        luma[x] = np.int16(np.int32(gray[x]) << 2)


@row_function
def _modified_laplacian(up: I16, left: I16, centre: I16, right: I16, down: I16, out: I16) -> None:  # noqa: PLR0917
    """|2c - l - r| + |2c - u - d|: at most 4080, so int16 holds every step of it."""
    for x in range(out.size):
        twice = np.int16(centre[x] + centre[x])
        out[x] = np.int16(abs(np.int16(twice - left[x] - right[x])) + abs(np.int16(twice - up[x] - down[x])))


@row_function
def _add_squares(columns: I32, laplacian: I16) -> None:
    for x in range(laplacian.size):
        value = np.int32(laplacian[x])
        columns[x] = np.int32(columns[x] + value * value)


@row_function
def _take_squares(columns: I32, laplacian: I16) -> None:
    for x in range(laplacian.size):
        value = np.int32(laplacian[x])
        columns[x] = np.int32(columns[x] - value * value)


@row_function
def _sum_three(first: I32, second: I32, third: I32, total: I32) -> None:
    for x in range(total.size):
        total[x] = np.int32(first[x] + second[x] + third[x])


@row_function
def _add_two(first: I32, second: I32, total: I32) -> None:
    for x in range(total.size):
        total[x] = np.int32(total[x] + first[x] + second[x])


@row_function
def _encode(energy: I32, score: U16) -> None:
    """Energy to its 16-bit score: the upper bits of its float32, which order as the energies do."""
    for x in range(score.size):
        code = np.int32((np.float32(energy[x]).view(np.int32) >> 12) - (_ONE - 1))
        score[x] = np.uint16(max(np.int32(0), code))


@row_function
def _what_changes(score: U16, best: U16, frame: U16, last: np.uint16) -> tuple[np.uint16, np.uint16]:
    """Whether any pixel is sharper now, and whether any waits for the score after its peak."""
    sharper = np.uint16(0)
    waiting = np.uint16(0)
    for x in range(score.size):
        sharper |= np.uint16(score[x] > best[x])
        waiting |= np.uint16(frame[x] == last)
    return sharper, waiting


@row_function
def _mask_sharper(score: U16, best: U16, mask: U16) -> None:
    for x in range(score.size):
        mask[x] = _UINT16_MAX if score[x] > best[x] else np.uint16(0)


@row_function
def _update_after(mask: U16, frame: U16, last: np.uint16, score: U16, after: U16) -> None:
    """0 where the frame is the sharpest (its follower is to come), the score where the frame before was."""
    for x in range(after.size):
        waits = _UINT16_MAX if frame[x] == last else np.uint16(0)
        after[x] = np.uint16(((score[x] & waits) | (after[x] & ~waits)) & ~mask[x])


@row_function
def _choose(mask: U16, new: U16, kept: U16) -> None:
    for x in range(kept.size):
        kept[x] = np.uint16((new[x] & mask[x]) | (kept[x] & ~mask[x]))


@row_function
def _choose_number(mask: U16, number: np.uint16, kept: U16) -> None:
    for x in range(kept.size):
        kept[x] = np.uint16((number & mask[x]) | (kept[x] & ~mask[x]))


@row_function
def _choose_rgb(mask: U16, new: U8, kept: U8) -> None:
    for x in range(mask.size):
        take = np.uint8(mask[x])
        keep = np.uint8(~take)
        kept[3 * x] = np.uint8((new[3 * x] & take) | (kept[3 * x] & keep))
        kept[3 * x + 1] = np.uint8((new[3 * x + 1] & take) | (kept[3 * x + 1] & keep))
        kept[3 * x + 2] = np.uint8((new[3 * x + 2] & take) | (kept[3 * x + 2] & keep))


@row_function
def _choose_gray(mask: U16, new: U8, kept: U8) -> None:
    for x in range(mask.size):
        take = np.uint8(mask[x])
        kept[x] = np.uint8((new[x] & take) | (kept[x] & np.uint8(~take)))


@row_function
def _merge_row(  # noqa: PLR0917
    values: U8, channels: int, ordinal: np.uint16, score: U16, mask: U16, picture: U8, state: U16
) -> None:
    """Take over what is sharper in one row of `values` (interleaved)."""
    width = score.size
    last = np.uint16(ordinal - np.uint16(1))
    for start in range(0, width, BLOCK_PX):
        end = min(width, start + BLOCK_PX)
        s = score[start:end]
        best = state[BEST, start:end]
        frame = state[FRAME, start:end]
        sharper, waiting = _what_changes(s, best, frame, last)
        if sharper | waiting:
            m = mask[start:end]
            _mask_sharper(s, best, m)
            _update_after(m, frame, last, s, state[AFTER, start:end])
            if sharper:
                _choose(m, state[PREVIOUS, start:end], state[BEFORE, start:end])
                _choose(m, s, best)
                _choose_number(m, ordinal, frame)
                new = values[channels * start : channels * end]
                if channels == 3:
                    _choose_rgb(m, new, picture[channels * start : channels * end])
                else:
                    _choose_gray(m, new, picture[channels * start : channels * end])
    previous = state[PREVIOUS]
    for x in range(width):
        previous[x] = score[x]


@row_function
def _pool_and_encode(columns: I32, width: int, radius: int, energy: I32, score: U16) -> None:
    """Sum 2 radius + 1 neighbouring column sums; `columns` has `radius` zeros at either end."""
    _sum_three(columns[:width], columns[1 : 1 + width], columns[2 : 2 + width], energy)
    for k in range(3, 2 * radius + 1, 2):
        _add_two(columns[k : k + width], columns[k + 1 : k + 1 + width], energy)
    _encode(energy, score)


@kernel(
    READ_ONLY_FRAME,
    types.int64,
    types.int64,
    types.int64,
    types.uint16,
    types.int64,
    array(types.uint8, 2),
    array(types.uint16, 3),
    array(types.int16, 2),
    array(types.int16, 2),
    array(types.int32, 1),
    array(types.int32, 1),
    array(types.uint16, 1),
    array(types.uint16, 1),
)
def merge_band(  # noqa: PLR0917
    values: U8,
    channels: int,
    first_row: int,
    end_row: int,
    ordinal: np.uint16,
    radius: int,
    picture: U8,
    state: U16,
    luma: I16,
    laplacian: I16,
    columns: I32,
    energy: I32,
    score: U16,
    mask: U16,
) -> None:
    """Merge rows `first_row` to `end_row` of a frame into `picture` and `state`.

    Args:
        values: the frame, (H, W * channels) uint8, rows of interleaved pixels.
        channels: 3 (RGB) or 1.
        first_row: of the band; rows around it are only read.
        end_row: the row after the band.
        ordinal: how many frames came before this one.
        radius: of the pooling window, 1..5 px.
        picture: (H, W * channels) uint8, sharpest so far.
        state: (H, 5, W) uint16, the planes named above.
        luma: scratch (3, W + 2), a ring of the rows around the one being worked on.
        laplacian: scratch (2 radius + 1, W), a ring of the rows in the window.
        columns: scratch (W + 2 radius), sums of squares down each column of the window.
        energy: scratch (W).
        score: scratch (W).
        mask: scratch (W).
    """
    height = values.shape[0]
    width = score.size
    window = 2 * radius + 1
    columns[:] = 0
    inner = columns[radius : radius + width]
    top = max(0, first_row - radius)
    bottom = min(height, end_row + radius)
    next_luma = max(0, top - 1)
    for y in range(top, end_row + radius):
        if y - window >= top:
            _take_squares(inner, laplacian[(y - window) % window])
        if y < bottom:
            while next_luma <= min(height - 1, y + 1):
                row = luma[next_luma % 3]
                if channels == 3:
                    _luma_of_rgb(values[next_luma], row[1 : width + 1])
                else:
                    _luma_of_gray(values[next_luma], row[1 : width + 1])
                row[0] = row[1]
                row[width + 1] = row[width]
                next_luma += 1
            up = luma[max(0, y - 1) % 3]
            centre = luma[y % 3]
            down = luma[min(height - 1, y + 1) % 3]
            fresh = laplacian[y % window]
            _modified_laplacian(
                up[1 : width + 1],
                centre[0:width],
                centre[1 : width + 1],
                centre[2 : width + 2],
                down[1 : width + 1],
                fresh,
            )
            _add_squares(inner, fresh)
        done = y - radius
        if done >= first_row:
            _pool_and_encode(columns, width, radius, energy, score)
            _merge_row(values[done], channels, ordinal, score, mask, picture[done], state[done])
