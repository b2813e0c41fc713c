"""The compiled part of `stackcore.merge`: one pass over a band of rows of one frame.

Everything is integer arithmetic but for one conversion of an integer to float32, which is correctly rounded on every machine:
the result is the same bit for bit for any number of bands, and equal to the slow twin in the tests.

The row functions are short on purpose. The compiler vectorises a loop only while it can check at run time that the few arrays
in it do not overlap, and only when it has no branch: hence masks and bit operations where a conditional would read better, and
one output a loop. A block of a row in which no pixel got sharper costs only the comparison.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

BEST, BEFORE, AFTER, PREVIOUS, FRAME = range(5)
"""Planes of the state: score of the sharpest frame, of the frame before and after it, of the last frame; which was sharpest."""

BLOCK_PX = 128
"""Pixels that are skipped together when none of them changes. 64 and 256 were no faster."""

_ONE = 0x3F800000 >> 12
_UINT16_MAX = np.uint16(0xFFFF)

_u8_frame = types.Array(types.uint8, 2, "C", readonly=True)
_u8_rows = types.Array(types.uint8, 2, "C")
_state = types.Array(types.uint16, 3, "C")
_i16_rows = types.Array(types.int16, 2, "C")
_i32_row = types.Array(types.int32, 1, "C")
_u16_row = types.Array(types.uint16, 1, "C")


@njit(nogil=True)
def _luma_of_rgb(rgb, luma):  # type: ignore[no-untyped-def]
    """Rec. 601 luma times 4 (0..1020); `rgb` interleaved."""
    for x in range(luma.size):
        weighted = np.int32(rgb[3 * x]) * 77 + np.int32(rgb[3 * x + 1]) * 150 + np.int32(rgb[3 * x + 2]) * 29
        luma[x] = np.int16(weighted >> 6)


@njit(nogil=True)
def _luma_of_gray(gray, luma):  # type: ignore[no-untyped-def]
    for x in range(luma.size):
        luma[x] = np.int16(np.int32(gray[x]) << 2)


@njit(nogil=True)
def _modified_laplacian(up, left, centre, right, down, out):  # type: ignore[no-untyped-def]
    """|2c - l - r| + |2c - u - d|: at most 4080, so int16 holds every step of it."""
    for x in range(out.size):
        twice = np.int16(centre[x] + centre[x])
        out[x] = np.int16(abs(np.int16(twice - left[x] - right[x])) + abs(np.int16(twice - up[x] - down[x])))


@njit(nogil=True)
def _add_squares(columns, laplacian):  # type: ignore[no-untyped-def]
    for x in range(laplacian.size):
        value = np.int32(laplacian[x])
        columns[x] = np.int32(columns[x] + value * value)


@njit(nogil=True)
def _take_squares(columns, laplacian):  # type: ignore[no-untyped-def]
    for x in range(laplacian.size):
        value = np.int32(laplacian[x])
        columns[x] = np.int32(columns[x] - value * value)


@njit(nogil=True)
def _add_two(first, second, total):  # type: ignore[no-untyped-def]
    for x in range(total.size):
        total[x] = np.int32(total[x] + first[x] + second[x])


@njit(nogil=True)
def _encode(energy, score):  # type: ignore[no-untyped-def]
    """Energy to its 16-bit score: the upper bits of its float32, which order as the energies do."""
    for x in range(score.size):
        code = np.int32((np.float32(energy[x]).view(np.int32) >> 12) - (_ONE - 1))
        score[x] = np.uint16(max(np.int32(0), code))


@njit(nogil=True)
def _what_changes(score, best, frame, last):  # type: ignore[no-untyped-def]
    """Whether any pixel is sharper now, and whether any waits for the score after its peak."""
    sharper = np.uint16(0)
    waiting = np.uint16(0)
    for x in range(score.size):
        sharper |= np.uint16(score[x] > best[x])
        waiting |= np.uint16(frame[x] == last)
    return sharper, waiting


@njit(nogil=True)
def _mask_sharper(score, best, mask):  # type: ignore[no-untyped-def]
    for x in range(score.size):
        mask[x] = _UINT16_MAX if score[x] > best[x] else np.uint16(0)


@njit(nogil=True)
def _update_after(mask, frame, last, score, after):  # type: ignore[no-untyped-def]
    """0 where the frame is the sharpest (its follower is to come), the score where the frame before was."""
    for x in range(after.size):
        waits = _UINT16_MAX if frame[x] == last else np.uint16(0)
        after[x] = np.uint16(((score[x] & waits) | (after[x] & ~waits)) & ~mask[x])


@njit(nogil=True)
def _choose(mask, new, kept):  # type: ignore[no-untyped-def]
    for x in range(kept.size):
        kept[x] = np.uint16((new[x] & mask[x]) | (kept[x] & ~mask[x]))


@njit(nogil=True)
def _choose_number(mask, number, kept):  # type: ignore[no-untyped-def]
    for x in range(kept.size):
        kept[x] = np.uint16((number & mask[x]) | (kept[x] & ~mask[x]))


@njit(nogil=True)
def _choose_rgb(mask, new, kept):  # type: ignore[no-untyped-def]
    for x in range(mask.size):
        take = np.uint8(mask[x])
        keep = np.uint8(~take)
        kept[3 * x] = np.uint8((new[3 * x] & take) | (kept[3 * x] & keep))
        kept[3 * x + 1] = np.uint8((new[3 * x + 1] & take) | (kept[3 * x + 1] & keep))
        kept[3 * x + 2] = np.uint8((new[3 * x + 2] & take) | (kept[3 * x + 2] & keep))


@njit(nogil=True)
def _choose_gray(mask, new, kept):  # type: ignore[no-untyped-def]
    for x in range(mask.size):
        take = np.uint8(mask[x])
        kept[x] = np.uint8((new[x] & take) | (kept[x] & np.uint8(~take)))


@njit(nogil=True)
def _merge_row(values, channels, ordinal, score, mask, picture, state):  # type: ignore[no-untyped-def]
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


@njit(nogil=True)
def _pool_and_encode(columns, width, radius, energy, score):  # type: ignore[no-untyped-def]
    """Sum 2 radius + 1 neighbouring column sums; `columns` has `radius` zeros at either end."""
    energy[:] = columns[:width]
    for k in range(1, 2 * radius + 1, 2):
        _add_two(columns[k : k + width], columns[k + 1 : k + 1 + width], energy)
    _encode(energy, score)


@njit(
    types.void(
        _u8_frame,
        types.int64,
        types.int64,
        types.int64,
        types.uint16,
        types.int64,
        _u8_rows,
        _state,
        _i16_rows,
        _i16_rows,
        _i32_row,
        _i32_row,
        _u16_row,
        _u16_row,
    ),
    nogil=True,
    cache=True,
)
def merge_band(  # type: ignore[no-untyped-def]
    values, channels, first_row, end_row, ordinal, radius, picture, state, luma, laplacian, columns, energy, score, mask
):  # noqa: PLR0917, C901, D417
    """Merge rows `first_row` to `end_row` of a frame into `picture` and `state`.

    Args:
        values: the frame, (H, W * channels) uint8, rows of interleaved pixels.
        channels: 3 (RGB) or 1.
        first_row, end_row: the band; rows around it are only read.
        ordinal: how many frames came before this one.
        radius: of the pooling window, 1..5 px.
        picture: (H, W * channels) uint8, sharpest so far.
        state: (H, 5, W) uint16, the planes named above.
        luma: scratch (3, W + 2), a ring of the rows around the one being worked on.
        laplacian: scratch (2 radius + 1, W), a ring of the rows in the window.
        columns: scratch (W + 2 radius), sums of squares down each column of the window.
        energy, score, mask: scratch (W).
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
