"""TIFF 6.0: 8 and 16 bit, gray and RGB, read in all its layouts, written in the plainest one."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from stackcore.files import exif
from stackcore.files.errors import FrameError
from stackcore.files.exif import Block, Reader, Tag
from stackcore.files.frame import Kind, Metadata, Pixels

if TYPE_CHECKING:
    import tifffile

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _SUB_FILE = 256, 257, 258, 262, 277, 254
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_COLOURS = {
    4: "a mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "a colour filter array",
}
_BY_TIFFFILE = frozenset({1, 8, 32946, 32773, 34925})
"""None, Deflate in two numbers, PackBits, LZMA: what tifffile unpacks by itself."""
_BY_OPENCV = frozenset({5})
"""LZW: what OpenCV's libtiff unpacks besides, for chunky pixels."""
_DAMAGE = (
    ArithmeticError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What tifffile and the unpackers beneath it are known to raise over damaged files."""
_STRIP_BYTES = 1 << 18
_LARGEST_FILE = (1 << 32) - (1 << 24)


def decode(data: bytes, name: str) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    """Pixels, metadata and notes of a file's first picture.

    Raises:
        FrameError: it is cut short or damaged, or its pixels are neither gray nor RGB of 8 or 16 bits.
    """
    import lzma  # noqa: PLC0415

    import tifffile  # noqa: PLC0415  (a tenth of a second that a stack of JPEGs need not pay)

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            pages = [page.aspage() for page in file.pages]
            whole = [page for page in pages if not page.is_reduced] or pages
            page = whole[0]
            _check(page, name, len(data))
            pixels = _pixels(page, data, name)
            extra = page.samplesperpixel - (1 if page.photometric in {_WHITE_IS_ZERO, _BLACK_IS_ZERO} else 3)
    except FrameError:
        raise
    except (*_DAMAGE, lzma.LZMAError, tifffile.TiffFileError) as error:
        raise FrameError(name, f"damaged TIFF ({error}); export it again") from error
    notes: tuple[str, ...] = (
        (f"{len(whole)} pictures in one file, the first is taken",) if len(whole) > 1 else ()
    )
    if extra > 0:
        notes += ("transparency, or what else there is beside the colours, is dropped",)
    return pixels, metadata(exif.reader(data)), notes


def metadata(source: Reader) -> Metadata:
    """EXIF and profile of a file of TIFF structure; none where it has no such structure."""
    block = exif.read(source)
    if block is None:
        return Metadata()
    icc = block.main.get(exif.ICC_PROFILE)
    return Metadata(exif.pack(exif.clean(block)), None if icc is None else icc.data)


def survey(source: Reader) -> tuple[Kind | None, bytes | None]:
    """Kind and EXIF block; no kind where only reading the whole file tells (BigTIFF, several directories)."""
    block = exif.read(source)
    if block is None:
        return None, None
    main = {tag: value.numbers[0] for tag, value in block.main.items() if value.numbers}
    packed = exif.pack(exif.clean(block))
    if main.get(_SUB_FILE, 0) & 1 or not {_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC} <= main.keys():
        return None, packed
    channels = 3 if main[_PHOTOMETRIC] == _RGB else 1
    return Kind(main[_HEIGHT], main[_WIDTH], channels, main[_BITS]), packed


def encode(pixels: Pixels, block: Block, icc: bytes | None) -> list[bytes | memoryview]:
    """A file in pieces: uncompressed strips as the array lies in memory, then one directory with a true EXIF directory below.

    Raises:
        ValueError: when it would be longer than a TIFF can be (4 GB).
    """
    rows: Any = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    if rows.nbytes > _LARGEST_FILE:
        raise ValueError("a TIFF holds at most 4 GB")
    end = 8 + rows.nbytes + rows.nbytes % 2
    main = {**_resolution(block), **block.main, **_layout(rows)}
    if icc is not None:
        main[exif.ICC_PROFILE] = Tag(7, len(icc), icc)
    directories = exif.pack_at(Block(main, block.exif, block.gps), end)
    head = b"II*\0" + end.to_bytes(4, "little")
    return [head, memoryview(rows).cast("B"), b"\0" * (rows.nbytes % 2), directories]


def _layout(rows: Pixels) -> exif.Tags:
    height, width = rows.shape[:2]
    samples = 1 if rows.ndim == 2 else 3
    row_bytes = rows.nbytes // height
    rows_per_strip = min(height, max(1, _STRIP_BYTES // row_bytes))
    starts = range(0, height, rows_per_strip)
    return {
        _SUB_FILE: Tag.longs(0),
        _WIDTH: Tag.longs(width),
        _HEIGHT: Tag.longs(height),
        _BITS: Tag.shorts(*[rows.dtype.itemsize * 8] * samples),
        259: Tag.shorts(1),
        _PHOTOMETRIC: Tag.shorts(_BLACK_IS_ZERO if samples == 1 else _RGB),
        273: Tag.longs(*(8 + start * row_bytes for start in starts)),
        _SAMPLES: Tag.shorts(samples),
        278: Tag.longs(rows_per_strip),
        279: Tag.longs(*(min(rows_per_strip, height - start) * row_bytes for start in starts)),
        284: Tag.shorts(1),
    }


def _resolution(block: Block) -> exif.Tags:
    """72 to the inch where the frame says nothing: baseline readers want something."""
    if {282, 283} <= block.main.keys():
        return {}
    value = Tag(5, 1, (72).to_bytes(4, "little") + (1).to_bytes(4, "little"))
    return {282: value, 283: value, 296: Tag.shorts(2)}


def _check(page: tifffile.TiffPage, name: str, length: int) -> None:
    photometric = int(page.photometric)
    if photometric == _PALETTE:
        raise FrameError(name, "colours from a palette; convert it to RGB or gray")
    if photometric not in {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB}:
        found = _COLOURS.get(photometric, f"photometric interpretation {photometric}")
        raise FrameError(name, f"{found}; convert it to RGB or gray")
    if page.bitspersample not in {8, 16} or page.sampleformat != 1:
        kind = "floating point" if page.sampleformat == 3 else "whole numbers"
        raise FrameError(
            name, f"{page.bitspersample} bit {kind} a channel; export it with 8 or 16 bit whole numbers"
        )
    if int(page.compression) not in _BY_TIFFFILE | _BY_OPENCV:
        what = getattr(page.compression, "name", page.compression)
        raise FrameError(name, f"compressed by {what}; export it uncompressed, or with LZW or Deflate")
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > length or not all(page.databytecounts):
        raise FrameError(name, f"the TIFF is cut short after {length} bytes; copy the file again")


def _pixels(page: tifffile.TiffPage, data: bytes, name: str) -> Pixels:
    if int(page.compression) in _BY_OPENCV:
        values = _by_opencv(page, data, name)
    else:
        values = page.asarray()
        if page.samplesperpixel > 1 and int(page.planarconfig) == 2:
            values = np.moveaxis(values, 0, -1)
    gray = int(page.photometric) in {_WHITE_IS_ZERO, _BLACK_IS_ZERO}
    if gray and values.ndim == 3:
        values = values[..., 0]
    elif not gray:
        values = values[..., :3]
    if values.shape != (page.imagelength, page.imagewidth) + (() if gray else (3,)):
        raise FrameError(name, f"pixels of shape {values.shape}; convert it to RGB or gray")
    if int(page.photometric) == _WHITE_IS_ZERO:
        values = ~values
    native: Pixels = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return native


def _by_opencv(page: tifffile.TiffPage, data: bytes, name: str) -> Any:
    """LZW. OpenCV would turn the picture by its orientation, so it is shown a copy that has none."""
    if page.samplesperpixel > 1 and int(page.planarconfig) == 2:
        raise FrameError(
            name, "LZW in separate planes; export it with the colours interleaved, or uncompressed"
        )
    shown = bytearray(data)
    turned = page.tags.get(exif.ORIENTATION)
    if turned is not None:
        shown[turned.valueoffset : turned.valueoffset + 2] = (1).to_bytes(
            2, "little" if page.parent.byteorder == "<" else "big"
        )
    try:
        picture: Any = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(name, f"damaged TIFF ({error.err}); export it again") from error
    if picture is None:
        raise FrameError(name, "damaged TIFF; export it again")
    if picture.ndim == 2:
        return ~picture if int(page.photometric) == _WHITE_IS_ZERO else picture
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB)
