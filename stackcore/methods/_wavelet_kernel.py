"""The compiled part of `stackcore.methods._complex_wavelet`: one level of the transform and back, a band of rows at a time.

Real and imaginary parts lie in rows of their own: then every loop is a plain weighted sum of six rows, which the compiler vectorises.
"""

from __future__ import annotations

import numpy as np
from numba import types

from stackcore._jit import F32, I16, U8, U16, array, kernel, row_function

FULL = 32767
"""Kept coefficients are int16: this is the largest."""


@row_function
def _six(  # noqa: PLR0917
    a: F32, b: F32, c: F32, d: F32, e: F32, f: F32, w: F32, out: F32
) -> None:
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for x in range(out.size):
        out[x] = w0 * a[x] + w1 * b[x] + w2 * c[x] + w3 * d[x] + w4 * e[x] + w5 * f[x]


@row_function
def _six_more(  # noqa: PLR0917
    a: F32, b: F32, c: F32, d: F32, e: F32, f: F32, w: F32, out: F32
) -> None:
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for x in range(out.size):
        out[x] += w0 * a[x] + w1 * b[x] + w2 * c[x] + w3 * d[x] + w4 * e[x] + w5 * f[x]


@row_function
def _filter_down(rows: F32, at: int, taps: F32, out: F32) -> None:
    """Six rows (planes, 6.., W) from `at` on to one complex row (2, W); `taps` are re, im, -im of the filter."""
    re = rows[0]
    _six(re[at], re[at + 1], re[at + 2], re[at + 3], re[at + 4], re[at + 5], taps[0], out[0])
    _six(re[at], re[at + 1], re[at + 2], re[at + 3], re[at + 4], re[at + 5], taps[1], out[1])
    if rows.shape[0] == 2:
        im = rows[1]
        _six_more(im[at], im[at + 1], im[at + 2], im[at + 3], im[at + 4], im[at + 5], taps[2], out[0])
        _six_more(im[at], im[at + 1], im[at + 2], im[at + 3], im[at + 4], im[at + 5], taps[0], out[1])


@row_function
def _split(line: F32, even: F32, odd: F32) -> None:
    """Even and odd places of a row, with one more at either end, where the row is reflected."""
    half = line.size // 2
    for k in range(half):
        even[k + 1] = line[2 * k]
        odd[k + 1] = line[2 * k + 1]
    even[0] = odd[1]
    odd[0] = even[1]
    even[half + 1] = odd[half]
    odd[half + 1] = even[half]


@row_function
def _filter_across(parts: F32, taps: F32, out_re: F32, out_im: F32) -> None:
    """A complex row, split into (even re, odd re, even im, odd im), to every second place of its filtered self."""
    n = out_re.size
    er, od, ei, oi = parts[0], parts[1], parts[2], parts[3]
    _six(er[:n], od[:n], er[1 : n + 1], od[1 : n + 1], er[2 : n + 2], od[2 : n + 2], taps[0], out_re)
    _six_more(ei[:n], oi[:n], ei[1 : n + 1], oi[1 : n + 1], ei[2 : n + 2], oi[2 : n + 2], taps[2], out_re)
    _six(er[:n], od[:n], er[1 : n + 1], od[1 : n + 1], er[2 : n + 2], od[2 : n + 2], taps[1], out_im)
    _six_more(ei[:n], oi[:n], ei[1 : n + 1], oi[1 : n + 1], ei[2 : n + 2], oi[2 : n + 2], taps[0], out_im)


@kernel(
    array(types.float32, 3),
    array(types.float32, 3),
    array(types.float32, 3),
    array(types.float32, 4),
    array(types.float32, 2),
    array(types.float32, 2),
)
def analyse_rows(rows: F32, taps: F32, smooth: F32, detail: F32, line: F32, parts: F32) -> None:  # noqa: PLR0917
    """One level of the transform of some rows.

    Args:
        rows: (1 or 2, 2 n + 4, W), real or real and imaginary; two rows more than the band above and below, W even.
        taps: (2, 3, 6), smoothing and detail filter, each re, im, -im.
        smooth: (n, 2, W / 2), becomes the smoothed picture, re and im.
        detail: (n, 3, 2, W / 2), becomes the details: across, down, both.
        line: scratch (2, W).
        parts: scratch (4, W / 2 + 2).
    """
    for y in range(smooth.shape[0]):
        for down in range(2):
            _filter_down(rows, 2 * y, taps[down], line)
            _split(line[0], parts[0], parts[1])
            _split(line[1], parts[2], parts[3])
            if down == 0:
                _filter_across(parts, taps[0], smooth[y, 0], smooth[y, 1])
                _filter_across(parts, taps[1], detail[y, 0, 0], detail[y, 0, 1])
            else:
                _filter_across(parts, taps[0], detail[y, 1, 0], detail[y, 1, 1])
                _filter_across(parts, taps[1], detail[y, 2, 0], detail[y, 2, 1])


@row_function
def _choose_stronger(re: F32, im: F32, shown: U8, ordinal: np.uint16, best: F32, frame: U16) -> None:  # noqa: PLR0917
    for x in range(best.size):
        strength = (re[x] * re[x] + im[x] * im[x]) * np.float32(shown[x])
        frame[x] = ordinal if strength > best[x] else frame[x]
    for x in range(best.size):
        best[x] = max(best[x], (re[x] * re[x] + im[x] * im[x]) * np.float32(shown[x]))


@kernel(
    array(types.float32, 4),
    array(types.uint8, 2),
    types.uint16,
    array(types.float32, 3),
    array(types.uint16, 3),
)
def choose_rows(detail: F32, shown: U8, ordinal: np.uint16, best: F32, frame: U16) -> None:
    """Where a coefficient is stronger than that of every frame before, the frame is this one.

    Args:
        detail: (rows, 3, 2, W).
        shown: (rows, W), 0 where the frame shows nothing.
        ordinal: how many frames came before this one.
        best: (rows, 3, W), squared magnitude of the strongest so far.
        frame: (rows, 3, W), its ordinal.
    """
    for y in range(best.shape[0]):
        for band in range(3):
            _choose_stronger(
                detail[y, band, 0], detail[y, band, 1], shown[y], ordinal, best[y, band], frame[y, band]
            )


@kernel(
    array(types.float32, 4),
    array(types.uint16, 2),
    types.uint16,
    types.float32,
    array(types.int16, 4),
)
def keep_rows(detail: F32, frame: U16, ordinal: np.uint16, scale: np.float32, kept: I16) -> None:
    """Keep the coefficients of the places at which `frame` is this frame's ordinal, times `scale`, rounded.

    Args:
        detail: (rows, 3, 2, W).
        frame: (rows, W).
        ordinal: of the frame that `detail` is of.
        scale: the most that a coefficient can be becomes `FULL`.
        kept: (rows, 3, 2, W), changed.
    """
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            if frame[y, x] == ordinal:
                for band in range(3):
                    for part in range(2):
                        value = detail[y, band, part, x] * scale
                        bounded = min(max(value, np.float32(-FULL)), np.float32(FULL))
                        kept[y, band, part, x] = np.int16(np.rint(bounded))


@row_function
def _reflect(row: F32, sign: np.float32) -> None:
    """Set the first and the last value of a row from their neighbours."""
    row[0] = sign * row[1]
    row[row.size - 1] = sign * row[row.size - 2]


@row_function
def _join_across(low: F32, high: F32, taps: F32, line: F32, scratch: F32) -> None:
    """A complex row (2, 2 n) from its smoothed and detail parts, each (2, n + 2).

    `taps` are (2, 2, 6): for even and odd places, re and -im, of the conjugate filters.
    """
    n = low.shape[1] - 2
    for odd in range(2):
        for part in range(2):
            own, other = low[part], low[1 - part]
            own_high, other_high = high[part], high[1 - part]
            crossed = taps[odd, 1] if part == 0 else taps[odd, 2]
            _six(
                own[:n],
                own[1 : n + 1],
                own[2 : n + 2],
                own_high[:n],
                own_high[1 : n + 1],
                own_high[2 : n + 2],
                taps[odd, 0],
                scratch,
            )
            _six_more(
                other[:n],
                other[1 : n + 1],
                other[2 : n + 2],
                other_high[:n],
                other_high[1 : n + 1],
                other_high[2 : n + 2],
                crossed,
                scratch,
            )
            for x in range(n):
                line[part, 2 * x + odd] = scratch[x]


@kernel(
    array(types.float32, 3),
    array(types.int16, 4),
    types.float32,
    array(types.float32, 3),
    array(types.float32, 3),
    array(types.float32, 4),
    array(types.float32, 3),
    array(types.float32, 1),
)
def join_rows(  # noqa: PLR0917
    smooth: F32,
    detail: I16,
    scale: np.float32,
    taps: F32,
    out: F32,
    ring: F32,
    wide: F32,
    scratch: F32,
) -> None:
    """One level back, of some rows.

    Args:
        smooth: (n + 2, 2, W), smoothed picture with one row more above and below.
        detail: (n + 2, 3, 2, W), details of the same rows, as `keep_rows` keeps them.
        scale: from `FULL` back to the most that a coefficient can be.
        taps: (2, 3, 6), for even and odd places: re, -im and im of the conjugate filters, smoothing before detail, first to last.
        out: (2 n, 1 or 2, 2 W), becomes the rows, real or real and imaginary.
        ring: scratch (3, 2, 2, 2 W).
        wide: scratch (4, 2, W + 2).
        scratch: scratch (W).
    """
    width = smooth.shape[2]
    for y in range(smooth.shape[0]):
        for part in range(2):
            for x in range(width):
                wide[0, part, x + 1] = smooth[y, part, x]
            for band in range(3):
                for x in range(width):
                    wide[band + 1, part, x + 1] = detail[y, band, part, x] * scale
            _reflect(wide[0, part], np.float32(1))
            _reflect(wide[1, part], np.float32(-1))
            _reflect(wide[2, part], np.float32(1))
            _reflect(wide[3, part], np.float32(-1))
        _join_across(wide[0], wide[1], taps, ring[y % 3, 0], scratch)
        _join_across(wide[2], wide[3], taps, ring[y % 3, 1], scratch)
        if y >= 2:
            a, b, c = ring[(y - 2) % 3], ring[(y - 1) % 3], ring[y % 3]
            for odd in range(2):
                for part in range(out.shape[1]):
                    row = out[2 * (y - 2) + odd, part]
                    own, other = part, 1 - part
                    crossed = taps[odd, 1] if part == 0 else taps[odd, 2]
                    _six(a[0, own], b[0, own], c[0, own], a[1, own], b[1, own], c[1, own], taps[odd, 0], row)
                    _six_more(
                        a[0, other], b[0, other], c[0, other], a[1, other], b[1, other], c[1, other], crossed, row
                    )  # fmt: skip
