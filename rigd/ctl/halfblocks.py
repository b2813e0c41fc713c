"""A picture in a terminal with 24-bit colour: each character is an upper half block, its colour one pixel, its ground the one below."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping

from PIL import Image, UnidentifiedImageError
from rich.segment import Segment, Segments
from rich.style import Style

UPPER_HALF = "\N{UPPER HALF BLOCK}"
MAX_PIXELS = 64_000_000
"""A picture that claims more is not decoded."""


def shows_pictures(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether standard output is a terminal that says it has 24-bit colour (https://github.com/termstandard/colors)."""
    return (
        sys.stdout.isatty()
        and environ.get("COLORTERM") in {"truecolor", "24bit"}
        and environ.get("TERM") != "dumb"
        and not environ.get("NO_COLOR")
    )


def half_blocks(data: bytes, columns: int, rows: int) -> Segments | None:
    """A JPEG or PNG, as large as fits into so many columns and rows. None: it is no picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS or columns < 1 or rows < 1:
                return None
            image.draft("RGB", (columns, 2 * rows))  # a JPEG is decoded reduced
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    scale = min(columns / small.width, 2 * rows / small.height)
    width, height = max(1, int(small.width * scale)), max(2, int(small.height * scale) // 2 * 2)
    pixels = small.resize((width, height), Image.Resampling.BOX).tobytes()

    def colour(x: int, y: int) -> str:
        at = 3 * (y * width + x)
        return f"#{pixels[at]:02x}{pixels[at + 1]:02x}{pixels[at + 2]:02x}"

    segments = []
    for y in range(0, height, 2):
        segments += [
            Segment(UPPER_HALF, Style(color=colour(x, y), bgcolor=colour(x, y + 1))) for x in range(width)
        ]
        segments.append(Segment.line())
    return Segments(segments)
