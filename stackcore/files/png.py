"""PNG (W3C, third edition): 8 and 16 bit, gray and colour, with EXIF and colour profile."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from stackcore.files.errors import FrameError
from stackcore.files.exif import Reader
from stackcore.files.frame import Kind, Metadata, Pixels

MAGIC = b"\x89PNG\r\n\x1a\n"
_GRAY, _PALETTE, _GRAY_ALPHA = 0, 3, 4
_ALPHA = frozenset({_GRAY_ALPHA, 6})
_HEAD_END = len(MAGIC) + 25
_LARGEST_PROFILE = 16 << 20


def decode(data: bytes, name: str) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    """Pixels, metadata and notes of a whole file.

    Raises:
        FrameError: it is cut short or damaged (every checksum is looked at), or has pixels of another kind.
    """
    color = data[25] if len(data) > 25 else _GRAY
    exif = icc = None
    transparent = color in _ALPHA
    for kind, at, length in _whole_chunks(data, name):
        if kind == b"eXIf":
            exif = data[at : at + length]
        elif kind == b"iCCP":
            icc = _profile(data[at : at + length])
        transparent = transparent or kind == b"tRNS"
    picture: Any = None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(name, f"damaged PNG ({error.err}); export it again") from error
    if picture is None:
        raise FrameError(name, "damaged PNG; export it again")
    notes = ("transparency is dropped",) if transparent else ()
    return _as_rgb_or_gray(picture, color), Metadata(exif, icc), notes


def survey(source: Reader) -> tuple[Kind | None, bytes | None]:
    """Kind and EXIF block from the head of a file; EXIF behind the pixels is not looked for."""
    head = source(16, 10)
    if len(head) < 10:
        return None, None
    width, height, depth, color = struct.unpack(">IIBB", head)
    exif: bytes | None = None
    for kind, at, length in _chunks(source):
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            exif = source(at, length)
    channels = 1 if color in {_GRAY, _GRAY_ALPHA} else 3
    return Kind(height, width, channels, 16 if depth == 16 else 8), exif


def encode(pixels: Pixels, exif: bytes | None, icc: bytes | None, software: str) -> list[bytes | memoryview]:
    """A file in pieces. Fast rather than small: level 1, runs only."""
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    _, coded = cv2.imencode(".png", bgr, options)
    view = memoryview(coded)  # type: ignore[arg-type]
    pieces: list[bytes | memoryview] = [view[:_HEAD_END]]
    if icc is not None:
        pieces.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if exif is not None:
        pieces.append(_chunk(b"eXIf", exif))
    pieces.append(_chunk(b"tEXt", b"Software\0" + software.encode("latin-1", "replace")))
    return [*pieces, view[_HEAD_END:]]


def _as_rgb_or_gray(picture: Any, color: int) -> Pixels:
    if picture.ndim == 2:
        return np.asarray(picture)
    if color in {_GRAY, _GRAY_ALPHA}:
        return np.ascontiguousarray(picture[..., 0])
    code = cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code))


def _whole_chunks(data: bytes, name: str) -> Iterator[tuple[bytes, int, int]]:
    """Every chunk, its checksum verified, to the end of the picture."""
    view = memoryview(data)
    for kind, at, length in _chunks(lambda offset, count: data[offset : offset + count]):
        found = data[at + length : at + length + 4]
        if len(found) < 4:
            break
        if zlib.crc32(view[at - 4 : at + length]) != int.from_bytes(found, "big"):
            raise FrameError(name, f"damaged PNG: wrong checksum at byte {at - 8}; copy the file again")
        yield kind, at, length
        if kind == b"IEND":
            return
    raise FrameError(name, f"the PNG is cut short after {len(data)} bytes; copy the file again")


def _chunks(source: Reader) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the payload of each chunk."""
    at = len(MAGIC)
    while len(head := source(at, 8)) == 8:
        length = int.from_bytes(head[:4], "big")
        yield head[4:], at + 8, length
        at += 12 + length


def _profile(chunk: bytes) -> bytes | None:
    """The profile in an iCCP chunk; None where it is damaged or absurdly large."""
    start = chunk.find(b"\0") + 2
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(chunk[start:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if profile and unpacker.eof else None


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(4, "big")
        + kind
        + payload
        + zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4, "big")
    )
