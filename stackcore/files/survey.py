"""What can be said of a stack before its pixels are decoded: from the first bytes of each file, in some 50 us a file.

So an odd frame is left out although it comes first, and what is wrong with the order is told at the start, not at the end.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from stackcore.files import exif, jpeg, png, read, tiff
from stackcore.files.errors import StackError
from stackcore.files.frame import Kind

_SAMPLE_BYTES = 4096
_NAMED = 3
"""So many files are named in a sentence, the rest is counted."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of one file says.

    Attributes:
        kind: size and depth; None where only decoding tells.
        taken_at: by the camera's clock, to be sorted as text.
        print: a digest that copies of a file share; None for files of a size that no other has.
        problem: why it cannot be a frame, or nothing.
    """

    kind: Kind | None = None
    taken_at: str | None = None
    print: int | None = None
    problem: str = ""


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sorts f2 before f10."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def look(paths: Sequence[Path]) -> tuple[Head, ...]:
    """The heads of files; a file that cannot be read is a head with a problem."""
    sizes = Counter(_size(path) for path in paths)
    return tuple(_head(path, alike=sizes[_size(path)] > 1) for path in paths)


def common_kind(names: Sequence[str], heads: Sequence[Head]) -> Kind | None:
    """The kind that most frames have; None where no head tells it.

    Raises:
        StackError: two kinds are equally common, so that nobody can say which frames are the stack.
    """
    kinds = Counter(head.kind for head in heads if head.kind is not None)
    ranked = kinds.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        first, second = (
            next(name for name, head in zip(names, heads, strict=True) if head.kind == kind)
            for kind, _ in ranked
        )
        raise StackError(
            f"the frames are of different kinds, as many of one as of the other: {first} is {ranked[0][0]}, {second} is "
            f"{ranked[1][0]}; name only the files of one"
        )
    return ranked[0][0] if ranked else None


def misfit(kind: Kind, standard: Kind) -> str:
    """What to say of a frame of another kind than the rest."""
    return f"{kind}; the stack is {standard}. Leave it out, or convert it"


def order_notices(names: Sequence[str], heads: Sequence[Head]) -> list[str]:
    """What looks wrong with the order or with files that come twice."""
    return [*_names_out_of_order(names), *_times_out_of_order(names, heads), *_copies(names, heads)]


def some(names: Sequence[str]) -> str:
    """A few names and how many more."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _names_out_of_order(names: Sequence[str]) -> list[str]:
    for before, after in pairwise(names):
        if natural_key(after) < natural_key(before):
            what = f"{before} comes before {after}, which is not the order of their numbers"
            return [f"{what}; frames are taken in the order given. Sort by name if that is not meant"]
    return []


def _times_out_of_order(names: Sequence[str], heads: Sequence[Head]) -> list[str]:
    times = [head.taken_at for head in heads]
    known = [(name, time) for name, time in zip(names, times, strict=True) if time is not None]
    backwards = [(before, after) for (before, earlier), (after, later) in pairwise(known) if later < earlier]
    if not backwards:
        return []
    if len(backwards) == len(known) - 1 > 1:
        return [
            f"by their EXIF times the frames run backwards: {known[0][0]} was taken last. Sort by time if the order matters"
        ]
    before, after = backwards[0]
    return [
        f"by its EXIF time {after} was taken before {before}, but comes after it. Sort by time if that is not meant"
    ]


def _copies(names: Sequence[str], heads: Sequence[Head]) -> list[str]:
    first: dict[int, str] = {}
    copies: list[str] = []
    for name, head in zip(names, heads, strict=True):
        if head.print in first:
            copies.append(f"{name} (as {first[head.print]})")
        elif head.print is not None:
            first[head.print] = name
    if not copies:
        return []
    return [f"the same picture comes more than once: {some(copies)}. Remove copies if they are not meant"]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _head(path: Path, *, alike: bool) -> Head:
    try:
        if read.is_odd(path.stat().st_mode):
            return Head(problem=read.NO_FILE)
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return Head(problem=read.why_unreadable(error))
    try:
        return _head_of(descriptor, path, alike=alike)
    except OSError as error:
        return Head(problem=read.why_unreadable(error))
    finally:
        os.close(descriptor)


def _head_of(descriptor: int, path: Path, *, alike: bool) -> Head:
    def source(offset: int, length: int) -> bytes:
        return os.pread(descriptor, length, offset)

    start = source(0, 8)
    if not start:
        return Head(problem=read.EMPTY)
    kind: Kind | None = None
    block: bytes | None = None
    match read.format_of(path.name, start):
        case read.JPEG:
            kind, block = jpeg.survey(source)
        case read.PNG:
            kind, block = png.survey(source)
        case read.TIFF:
            kind, block = tiff.survey(source)
        case None:
            return Head(problem=read.NO_PICTURE)
        case _:
            return Head(None, exif.taken_at(source), _print(descriptor, source) if alike else None)
    taken_at = None if block is None else exif.taken_at(exif.reader(block))
    return Head(kind, taken_at, _print(descriptor, source) if alike else None)


def _print(descriptor: int, source: exif.Reader) -> int:
    """Of the size, and of samples from head, middle and tail."""
    size = os.fstat(descriptor).st_size
    places = (0, size // 2, max(0, size - _SAMPLE_BYTES))
    return hash((size, *(source(place, _SAMPLE_BYTES) for place in places)))
