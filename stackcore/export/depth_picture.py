"""Depth as a picture to look at: colours, a legend with round values, a scale bar, a title.

The colours are viridis (Smith and van der Walt, SciPy 2015): equal steps of depth look equally large, it stays in order for
colour-blind eyes and in gray print. The nearest is brightest. Holes are a light gray, which no depth has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.export.lettering import MICRO, draw_text, text_mask
from stackcore.export.relief import Relief
from stackcore.export.scales import label, length_label, round_down, ticks

Picture = npt.NDArray[np.uint8]

HOLE = (205, 205, 205)
_PAPER = (255, 255, 255)
_INK = (32, 34, 38)
_FAINT = (150, 152, 156)
_LETTER_SHARE = 0.024
"""Size of letters against the geometric mean of the picture's sides."""

_SMALLEST_LETTER_PX = 11
_TAIL_PERCENT = 0.5
"""Of the known pixels, how many may lie beyond either end of the colours: a few wild ones must not make the rest one colour."""

_CHUNK_ROWS = 256


@dataclass(frozen=True)
class _Layout:
    """Where everything stands: (x, y), (height, width), (x, y, width, height) in px; `em` is the size of letters."""

    em: int
    picture: tuple[int, int]
    size: tuple[int, int]
    bar: tuple[int, int, int, int]
    foot: int
    values: list[float]
    labels: list[str]


def colour_range(relief: Relief) -> tuple[float, float]:
    """The depths of the first and last colour: what is found but for its tails; of no depth at all the span of the stack."""
    known = relief.depth[np.isfinite(relief.depth)]
    if known.size == 0:
        return relief.span
    low, high = np.percentile(known, [_TAIL_PERCENT, 100 - _TAIL_PERCENT])
    least = 0.1 * relief.step
    if high - low < least:
        middle = (float(low) + float(high)) / 2
        return middle - least / 2, middle + least / 2
    return float(low), float(high)


def colours_of(relief: Relief, low: float, high: float) -> Picture:
    """The depth in colours, (H, W, 3) RGB, without legend: `low` to `high`, the nearest brightest, holes `HOLE`."""
    table = _colours()
    result = np.empty((*relief.depth.shape, 3), np.uint8)
    for first in range(0, len(result), _CHUNK_ROWS):
        depth = relief.depth[first : first + _CHUNK_ROWS]
        known = np.isfinite(depth)
        share = np.clip((np.where(known, depth, low) - low) / max(high - low, 1e-12), 0, 1)
        place = np.rint((1 - share if relief.grows_away else share) * 255).astype(np.uint8)
        result[first : first + _CHUNK_ROWS] = np.where(known[..., None], table[place], np.uint8(HOLE[0]))
    return result


def depth_picture(relief: Relief, *, title: str = "Depth map") -> Picture:
    """Draw the depth with its legend.

    Args:
        relief: what to draw, of any size; one pixel of it is one of the picture.
        title: ASCII; a micro sign is allowed.

    Returns:
        (height, width, 3) RGB, larger than the map by its margins.
    """
    low, high = colour_range(relief)
    layout = _lay_out(relief, title, low, high)
    height, width = layout.size
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = _PAPER
    left, top = layout.picture
    rows, columns = relief.depth.shape
    canvas[top : top + rows, left : left + columns] = colours_of(relief, low, high)
    draw_text(canvas, title, (left, top // 2), _title_px(layout.em), _INK, anchor=(0, 0.5))
    _draw_legend(canvas, relief, layout, low, high)
    _draw_foot(canvas, relief, layout)
    return canvas


def _colours() -> Picture:
    """256 colours, RGB, the darkest first."""
    ramp = np.arange(256, dtype=np.uint8)[None]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_VIRIDIS)[0, :, ::-1], np.uint8)


def _title_px(em: int) -> int:
    return round(1.25 * em)


def _unit(relief: Relief) -> str:
    return f"depth, {MICRO}m" if relief.unit == "um" else "depth, frames"


def _lay_out(relief: Relief, title: str, low: float, high: float) -> _Layout:
    rows, columns = relief.depth.shape
    em = max(_SMALLEST_LETTER_PX, round(_LETTER_SHARE * math.sqrt(rows * columns)))
    bar_height = max(2 * em, rows - round(2.4 * em))
    values = ticks(low, high, max(2, min(9, bar_height // (3 * em))))
    step = values[1] - values[0] if len(values) > 1 else max((high - low) / 2, 1e-6)
    labels = [label(value, step) for value in values]
    numbers = max(text_mask(text, em).shape[1] for text in labels)
    legend = max(round(2.0 * em) + numbers, text_mask(_unit(relief), em).shape[1])
    top, left = round(2.6 * em), em
    width = left + columns + round(1.2 * em) + legend + em
    width = max(width, 2 * left + text_mask(title, _title_px(em)).shape[1])
    bar_left = left + columns + round(1.2 * em)
    bar_top = top + round(1.8 * em)
    height = max(top + rows, bar_top + bar_height + em // 2) + round(2.8 * em)
    bar = (bar_left, bar_top, round(1.2 * em), bar_height)
    return _Layout(em, (left, top), (height, width), bar, top + rows, values, labels)


def _draw_legend(canvas: Picture, relief: Relief, layout: _Layout, low: float, high: float) -> None:
    """The bar, the nearest on top, with round values beside it and the unit above."""
    em = layout.em
    x, y, width, height = layout.bar
    draw_text(canvas, _unit(relief), (x, layout.picture[1]), em, _INK)
    ramp = _colours()[np.linspace(255, 0, height).round().astype(int)]
    canvas[y : y + height, x : x + width] = ramp[:, None]
    line = max(1, round(em / 14))
    for value, text in zip(layout.values, layout.labels, strict=True):
        share = (value - low) / max(high - low, 1e-12)
        at = y + round((share if relief.grows_away else 1 - share) * (height - 1))
        canvas[at : at + line, x + width : x + width + em // 3] = _INK
        draw_text(canvas, text, (x + width + round(0.6 * em), at), em, _INK, anchor=(0, 0.5))


def _draw_foot(canvas: Picture, relief: Relief, layout: _Layout) -> None:
    """Under the picture: the scale bar on the left, what the gray means on the right."""
    em, left = layout.em, layout.picture[0]
    columns = relief.depth.shape[1]
    middle = layout.foot + round(1.4 * em)
    px_per_unit = 1.0 if relief.um_per_px is None else 1 / relief.um_per_px
    length = round_down(max(0.25 * columns / px_per_unit, 1e-9))
    text = f"{length:.4g} px" if relief.um_per_px is None else length_label(length)
    reach, half = max(1, round(length * px_per_unit)), max(1, round(em / 10))
    canvas[middle - half : middle + half, left : left + reach] = _INK
    for x in (left, left + reach - 2 * half):
        canvas[middle - 4 * half : middle + 4 * half, max(x, left) : x + 2 * half] = _INK
    draw_text(canvas, text, (left + reach + em // 2, middle), em, _INK, anchor=(0, 0.5))
    if relief.known_share < 1:
        label_px = text_mask("no depth", em).shape[1]
        right = left + columns
        box = right - label_px - round(1.6 * em)
        if box > left + reach + em + text_mask(text, em).shape[1]:
            top = middle - em // 2
            canvas[top : top + em, box : box + em] = _FAINT
            edge = max(1, em // 16)
            canvas[top + edge : top + em - edge, box + edge : box + em - edge] = HOLE
            draw_text(canvas, "no depth", (right, middle), em, _INK, anchor=(1, 0.5))
