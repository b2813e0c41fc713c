"""Lines for people, and numbers in words."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator

_NAMED = 5
"""So many files are named in a line."""


def say(text: str) -> None:
    """One line on standard error; nothing when nobody reads it any more."""
    with contextlib.suppress(OSError):
        print(f"stackcore: {text}", file=sys.stderr, flush=True)


def say_at_once(text: str) -> None:
    """As `say`, from a signal handler: what it interrupted may be saying something itself, and no stream takes two at a time."""
    with contextlib.suppress(OSError):
        os.write(
            sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, f"stackcore: {text}\n".encode()
        )


def duration_text(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def bytes_text(count: float) -> str:
    """Bytes as people say them (decimal, as on a disk's label)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def grouped(whys: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names with why, as one line for each reason: `a, b, c and 4 more: why`."""
    names: dict[str, list[str]] = {}
    for name, why in whys:
        names.setdefault(why, []).append(name)
    for why, those in names.items():
        more = len(those) - _NAMED
        yield (
            ", ".join(those[:_NAMED])
            + (f" and {more} more (--json names all)" if more > 0 else "")
            + f": {why}"
        )


def counted(count: int, word: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
