"""Text into pictures, with the typeface that Pillow brings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

MICRO = "\N{MICRO SIGN}"


def text_mask(text: str, size_px: int) -> Mask:
    """Coverage 0..255 of a line of text, (height, width); the height is the same for every text of that size.

    Args:
        text: ASCII and the micro sign.
        size_px: of the letters.
    """
    pieces = [_piece(part, size_px) for part in _parts(text)]
    return np.concatenate(pieces, axis=1) if pieces else np.zeros((_line_px(size_px), 0), np.uint8)


def draw_text(
    canvas: Picture,
    text: str,
    place: tuple[int, int],
    size_px: int,
    colour: Colour,
    *,
    anchor: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draw a line of text into an RGB picture, cut off at its borders.

    Args:
        canvas: (H, W, 3), changed.
        text: as for `text_mask`.
        place: x and y, px.
        size_px: of the letters.
        colour: RGB.
        anchor: which point of the text is at `place`: (0, 0) is its top left, (1, 0.5) the middle of its right side.
    """
    mask = text_mask(text, size_px)
    left = round(place[0] - anchor[0] * mask.shape[1])
    top = round(place[1] - anchor[1] * mask.shape[0])
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(canvas.shape[1], left + mask.shape[1]), min(canvas.shape[0], top + mask.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    share = mask[y0 - top : y1 - top, x0 - left : x1 - left, None].astype(np.float32) / 255
    under = canvas[y0:y1, x0:x1]
    under[:] = np.rint(under * (1 - share) + np.asarray(colour, np.float32) * share).astype(np.uint8)


def _parts(text: str) -> list[str]:
    """The text cut at micro signs, which the typeface lacks."""
    parts: list[str] = []
    for k, part in enumerate(text.replace("\N{GREEK SMALL LETTER MU}", MICRO).split(MICRO)):
        parts += [MICRO, part] if k else [part]
    return [part for part in parts if part]


@lru_cache(maxsize=256)
def _piece(text: str, size_px: int) -> Mask:
    if text == MICRO:
        return _micro(size_px)
    from PIL import Image, ImageDraw  # noqa: PLC0415  (loaded when something is lettered, not before)

    font = _font(size_px)
    picture = Image.new("L", (max(1, round(font.getlength(text))), _line_px(size_px)), 0)
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=font)
    return np.asarray(picture, np.uint8)


def _micro(size_px: int) -> Mask:
    """A micro sign: the letter u, its left stem drawn on below the line."""
    letter = _piece("u", size_px).copy()
    rows = np.flatnonzero(letter.max(axis=1) > 127)
    stem = letter[(rows[0] + rows[-1]) // 2].copy()
    stem[letter.shape[1] // 2 :] = 0
    end = min(len(letter), rows[-1] + 1 + round(0.2 * size_px))
    letter[rows[-1] - round(0.1 * size_px) : end] = np.maximum(
        letter[rows[-1] - round(0.1 * size_px) : end], stem
    )
    return letter


@lru_cache(maxsize=16)
def _font(size_px: int) -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    return ImageFont.load_default(size_px)


def _line_px(size_px: int) -> int:
    ascent, descent = _font(size_px).getmetrics()
    return int(ascent + descent)
