"""Numbers and tables in words, for people; and lengths as people write them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence

from rigd.words import bytes_text, duration_text

__all__ = ["bytes_text", "duration_text", "length_um", "number", "readable", "table", "um_text"]

_LENGTH = re.compile(r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(um|µm|μm|mm|cm)?$")
_UM = {"": 1.0, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1000.0, "cm": 10_000.0}


def length_um(text: str) -> float:
    """`250`, `250um`, `1.5mm` as micrometres. Raises what argparse shows."""
    found = _LENGTH.match(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length; write 250, 250um or 1.5mm")
    return number(found[1]) * _UM[found[2] or ""]


def number(text: str) -> float:
    """A number that there is: JSON knows neither infinity nor nan. Raises what argparse shows."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def readable(text: str) -> str:
    """The same without what commands a terminal: a name, or a reason, may come from anybody on the broker."""
    return "".join(
        sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text
    )


def um_text(length_um: float | None) -> str:
    """A length as people read it."""
    return "unknown" if length_um is None else f"{length_um:.1f}".removesuffix(".0") + " um"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell; for a terminal and for `awk` alike."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
