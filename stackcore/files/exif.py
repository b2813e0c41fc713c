"""EXIF and other blocks of TIFF structure: read what is kept, drop what no longer holds, write it again.

The structure is that of TIFF 6.0 (Adobe, 1992, section 2), the tags those of CIPA DC-008 (Exif 2.32). Values are kept as bytes in
little-endian order, so that they can be written into any file. Damaged entries are dropped without a word: they are beside the
picture, not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Reader = Callable[[int, int], bytes]
"""(offset, length) to bytes; fewer, or none, beyond the end."""

DESCRIPTION, MAKE, MODEL, ORIENTATION = 270, 271, 272, 274
SOFTWARE, DATE_TIME, ICC_PROFILE = 305, 306, 34675
EXIF_POINTER, GPS_POINTER = 34665, 34853
DATE_TIME_ORIGINAL, SUBSECOND_ORIGINAL = 36867, 37521

_KEPT = frozenset(
    {DESCRIPTION, MAKE, MODEL, ORIENTATION, 282, 283, 296, SOFTWARE, DATE_TIME, 315, 316, 33432}
)
"""Of the main directory: text, orientation, resolution. Everything else there describes how that file stored its pixels."""
_KEPT_BY_WINDOWS = frozenset({18246, 18249, *range(40091, 40096)})
"""Rating, title, comment, author, keywords, subject."""

_DROPPED = frozenset({37121, 37122, 37396, 37500, 37510, 40962, 40963, 40964, 40965, 41492, 41730, 42240})
"""Of the EXIF directory: how the JPEG was coded, places and sizes in px, CFA pattern, gamma, sound and interoperability, and the
maker notes and comments of makers, whose inner offsets break when they move."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_WORDS = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8}
_LARGEST_VALUE = 16 << 20
_MOST_ENTRIES = 4096


class Tag(NamedTuple):
    """A value: its TIFF type, how many of them, and their bytes in little-endian order."""

    kind: int
    values: int
    data: bytes

    @classmethod
    def text(cls, text: str) -> Tag:
        """An ASCII value; other letters are replaced."""
        data = text.encode("ascii", "replace") + b"\0"
        return cls(2, len(data), data)

    @classmethod
    def shorts(cls, *values: int) -> Tag:
        """16-bit values."""
        return cls(3, len(values), np.array(values, "<u2").tobytes())

    @classmethod
    def longs(cls, *values: int) -> Tag:
        """32-bit values."""
        return cls(4, len(values), np.array(values, "<u4").tobytes())

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values of a tag of bytes, shorts or longs; nothing for other types."""
        if self.kind not in {1, 3, 4, 13}:
            return ()
        return tuple(np.frombuffer(self.data, f"<u{_SIZES[self.kind]}").tolist())

    @property
    def string(self) -> str:
        """The text of an ASCII tag."""
        return self.data.split(b"\0")[0].decode("ascii", "replace").strip() if self.kind == 2 else ""


Tags = dict[int, Tag]


@dataclass(frozen=True)
class Block:
    """The three directories that are kept."""

    main: Tags
    exif: Tags
    gps: Tags


def reader(data: bytes, start: int = 0) -> Reader:
    """Read from bytes; offsets count from `start`."""
    return lambda offset, length: data[start + offset : start + offset + length]


def read(source: Reader) -> Block | None:
    """All entries of a block of TIFF structure; None when it is none."""
    order = _byte_order(source)
    if order is None:
        return None
    main = _directory(source, order, _first_directory(source, order))
    return Block(
        main,
        _sub_directory(source, order, main, EXIF_POINTER),
        _sub_directory(source, order, main, GPS_POINTER),
    )


def clean(block: Block) -> Block:
    """Only what still holds for a picture made of the frame."""
    main = {tag: value for tag, value in block.main.items() if tag in _KEPT or tag in _KEPT_BY_WINDOWS}
    exif = {tag: value for tag, value in block.exif.items() if tag not in _DROPPED}
    return Block(main, exif, dict(block.gps))


def pack(block: Block, *, limit: int | None = None) -> bytes:
    """As a block of its own, little-endian, its first directory at byte 8.

    Args:
        block: what to write.
        limit: where that is too long in bytes, the largest values of the EXIF directory are left out.
    """
    exif = dict(block.exif)
    while True:
        data = b"II*\0\x08\0\0\0" + pack_at(Block(block.main, exif, block.gps), 8)
        if limit is None or len(data) <= limit or not exif:
            return data
        del exif[max(exif, key=lambda tag: len(exif[tag].data))]


def pack_at(block: Block, at: int) -> bytes:
    """The directories and their values, little-endian, for byte `at` of a file (an even number)."""
    main = dict(block.main)
    parts: list[bytes] = []
    subs = [
        (pointer, tags) for pointer, tags in ((EXIF_POINTER, block.exif), (GPS_POINTER, block.gps)) if tags
    ]
    for pointer, _ in subs:
        main[pointer] = Tag.longs(0)
    place = at + _packed_size(main)
    for pointer, tags in subs:
        main[pointer] = Tag.longs(place)
        parts.append(_pack_directory(tags, place))
        place += len(parts[-1])
    return b"".join([_pack_directory(main, at), *parts])


def taken_at(source: Reader) -> str | None:
    """Time of the exposure, to be sorted as text; None when there is none."""
    order = _byte_order(source)
    if order is None:
        return None
    wanted = frozenset({DATE_TIME_ORIGINAL, SUBSECOND_ORIGINAL})
    main = _directory(source, order, _first_directory(source, order), frozenset({EXIF_POINTER}))
    tags = _sub_directory(source, order, main, EXIF_POINTER, wanted)
    if DATE_TIME_ORIGINAL not in tags:
        return None
    day, _, time = tags[DATE_TIME_ORIGINAL].string.partition(" ")
    if len(day) != 10 or len(time) != 8 or not day[:4].isdigit() or day[:4] == "0000":
        return None
    part = tags[SUBSECOND_ORIGINAL].string if SUBSECOND_ORIGINAL in tags else ""
    return f"{day.replace(':', '-')}T{time}" + (f".{part}" if part.isdigit() else "")


def orientation(source: Reader) -> int:
    """EXIF orientation; 1 when there is none or it makes no sense."""
    order = _byte_order(source)
    if order is None:
        return 1
    main = _directory(source, order, _first_directory(source, order), frozenset({ORIENTATION}))
    numbers = main[ORIENTATION].numbers if ORIENTATION in main else ()
    return numbers[0] if numbers and 1 <= numbers[0] <= 8 else 1


def _byte_order(source: Reader) -> str | None:
    """`<` or `>`; some camera files have a number of their own where TIFF has 42."""
    magic = source(0, 4)
    if magic[:2] == b"II" and magic[2:4] in {b"*\0", b"RO", b"RS", b"U\0"}:
        return "<"
    return ">" if magic in {b"MM\0*", b"MMOR"} else None


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")


def _first_directory(source: Reader, order: str) -> int:
    return _number(source(4, 4), order)


def _sub_directory(
    source: Reader, order: str, main: Mapping[int, Tag], pointer: int, wanted: frozenset[int] | None = None
) -> Tags:
    numbers = main[pointer].numbers if pointer in main else ()
    return _directory(source, order, numbers[0], wanted) if numbers else {}


def _directory(source: Reader, order: str, at: int, wanted: frozenset[int] | None = None) -> Tags:
    """The entries of the directory at byte `at` that are wanted and whole."""
    count = _number(source(at, 2), order)
    if at < 8 or count > _MOST_ENTRIES:
        return {}
    entries = source(at + 2, 12 * count)
    found: Tags = {}
    for start in range(0, len(entries) - 11, 12):
        tag = _number(entries[start : start + 2], order)
        if wanted is None or tag in wanted:
            value = _value(source, order, entries[start + 2 : start + 12])
            if value is not None:
                found[tag] = value
    return found


def _value(source: Reader, order: str, entry: bytes) -> Tag | None:
    kind, count = _number(entry[:2], order), _number(entry[2:6], order)
    length = _SIZES.get(kind, 0) * count
    if not 0 < length <= _LARGEST_VALUE:
        return None
    data = entry[6 : 6 + length] if length <= 4 else source(_number(entry[6:10], order), length)
    if len(data) != length:
        return None
    if order == ">" and kind in _WORDS:
        data = np.frombuffer(data, f">u{_WORDS[kind]}").astype(f"<u{_WORDS[kind]}").tobytes()
    return Tag(kind, count, data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _packed_size(tags: Tags) -> int:
    return 6 + 12 * len(tags) + sum(len(_padded(tag.data)) for tag in tags.values() if len(tag.data) > 4)


def _pack_directory(tags: Tags, at: int) -> bytes:
    entries = [len(tags).to_bytes(2, "little")]
    values: list[bytes] = []
    place = at + 6 + 12 * len(tags)
    for number in sorted(tags):
        kind, count, data = tags[number]
        head = number.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
        if len(data) > 4:
            entries.append(head + place.to_bytes(4, "little"))
            values.append(_padded(data))
            place += len(values[-1])
        else:
            entries.append(head + data.ljust(4, b"\0"))
    return b"".join([*entries, b"\0\0\0\0", *values])
