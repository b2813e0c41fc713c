"""What a JPEG file says beside its pixels: EXIF, colour profile, size; and how to put these into one.

Segments as in ITU-T T.81, annex B; EXIF in APP1 (CIPA DC-008, 4.7.2); the profile in APP2, in chunks (ICC.1:2022, B.4).
"""

from __future__ import annotations

from collections.abc import Iterator

from stackcore.files.exif import Reader, reader
from stackcore.files.frame import Kind, Metadata

MAGIC = b"\xff\xd8\xff"
EXIF_HEAD = b"Exif\0\0"
_ICC_HEAD = b"ICC_PROFILE\0"
_APP0, _APP1, _APP2, _SCAN, _END = 0xE0, 0xE1, 0xE2, 0xDA, 0xD9
_FRAME_HEADS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LONGEST_PAYLOAD = 65533


def metadata(data: bytes) -> Metadata:
    """EXIF and profile of a whole file; damaged ones are left out."""
    exif: bytes | None = None
    chunks: dict[int, bytes] = {}
    for marker, at, length in _segments(reader(data)):
        if marker == _APP1 and exif is None and data.startswith(EXIF_HEAD, at):
            exif = data[at + 6 : at + length]
        elif marker == _APP2 and data.startswith(_ICC_HEAD, at):
            chunks[data[at + 12]] = data[at + 14 : at + length]
    complete = bool(chunks) and sorted(chunks) == list(range(1, len(chunks) + 1))
    return Metadata(exif, b"".join(chunks[number] for number in sorted(chunks)) if complete else None)


def survey(source: Reader) -> tuple[Kind | None, bytes | None]:
    """Kind and EXIF block, from the head of a file that need not be whole."""
    exif: bytes | None = None
    for marker, at, length in _segments(source):
        if marker == _APP1 and exif is None and source(at, 6) == EXIF_HEAD:
            exif = source(at + 6, length - 6)
        elif marker in _FRAME_HEADS:
            head = source(at, 6)
            if len(head) < 6:
                break
            height, width = int.from_bytes(head[1:3], "big"), int.from_bytes(head[3:5], "big")
            return Kind(height, width, 1 if head[5] == 1 else 3, 8), exif
    return None, exif


def with_metadata(data: bytes, exif: bytes | None, icc: bytes | None) -> list[bytes | memoryview]:
    """A file in pieces, with these added behind its first header. `exif` of more than 65527 bytes is left out."""
    at = 2
    if data[2:4] == bytes((0xFF, _APP0)):
        at += 2 + int.from_bytes(data[4:6], "big")
    view = memoryview(data)
    pieces: list[bytes | memoryview] = [view[:at]]
    if exif is not None and len(exif) <= longest_exif():
        pieces.append(_segment(_APP1, EXIF_HEAD + exif))
    if icc:
        size = _LONGEST_PAYLOAD - 14
        parts = [icc[start : start + size] for start in range(0, len(icc), size)]
        if len(parts) <= 255:
            pieces += [
                _segment(_APP2, _ICC_HEAD + bytes((number, len(parts))) + part)
                for number, part in enumerate(parts, start=1)
            ]
    return [*pieces, view[at:]]


def longest_exif() -> int:
    """Bytes of EXIF that fit into a JPEG."""
    return _LONGEST_PAYLOAD - len(EXIF_HEAD)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _segments(source: Reader) -> Iterator[tuple[int, int, int]]:
    """Marker, place and length of the payload of each segment before the first scan."""
    at = 2
    while True:
        head = source(at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in {_SCAN, _END}:
            return
        length = int.from_bytes(head[2:4], "big")
        if length < 2:
            return
        yield marker, at + 4, length - 2
        at += 2 + length
