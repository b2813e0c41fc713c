"""Bytes of pictures to arrays and back. A damaged picture is an error, never a picture with gray in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe"})
CV_SUFFIXES = frozenset({".png", ".tif", ".tiff"})

_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END = 0xDA, 0xD9


def _fresh(size: int) -> npt.NDArray[np.uint8]:
    return np.empty(size, np.uint8)


Memory = Callable[[int], npt.NDArray[np.uint8]]
"""Gives so many bytes to decode into, as an array of one dimension."""


def decode_jpeg(data: bytes, *, reduce: int = 1, memory: Memory = _fresh) -> npt.NDArray[np.uint8]:
    """Decode a JPEG.

    Args:
        data: the whole file.
        reduce: 1, 2, 4 or 8: the picture comes that many times smaller, straight from the DCT (rounded up to whole pixels).
        memory: where the pixels go; by default into memory of their own.

    Returns:
        (H, W, 3) RGB uint8, or (H, W) when the file is gray.

    Raises:
        ValueError: when `reduce` is something else, or the file is not a JPEG, is cut short or is damaged; says which.
    """
    if reduce not in {1, 2, 4, 8}:
        raise ValueError(f"a JPEG can be reduced 1, 2, 4 or 8 times, not {reduce}")
    _check_jpeg_is_whole(data)
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        gray = colorspace.lower() == "gray"
        rows, columns, channels = -(-height // reduce), -(-width // reduce), 1 if gray else 3
        pixels = memory(rows * columns * channels)
        simplejpeg.decode_jpeg(
            data, "GRAY" if gray else "RGB", min_height=rows, min_width=columns, buffer=pixels
        )
    except ValueError as error:
        raise ValueError(f"damaged JPEG: {error}") from error
    return pixels.reshape((rows, columns) if gray else (rows, columns, channels))


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width of a JPEG, px. Raises `ValueError` when it is not a JPEG, is cut short or its head is damaged."""
    _check_jpeg_is_whole(data)
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ValueError(f"damaged JPEG: {error}") from error
    return height, width


def decode(data: bytes, suffix: str) -> Pixels:
    """Decode a JPEG, PNG or TIFF.

    Args:
        data: the whole file.
        suffix: of its name, with the dot; says the format.

    Returns:
        (H, W, 3) RGB or (H, W), uint8 or uint16 as in the file; transparency is dropped.

    Raises:
        ValueError: when the format is none of these, or the file is cut short, damaged or of another depth.
    """
    kind = suffix.lower()
    if kind in JPEG_SUFFIXES:
        return decode_jpeg(data)
    if kind not in CV_SUFFIXES:
        raise ValueError(
            f"cannot read {suffix!r}: known are {', '.join(sorted(JPEG_SUFFIXES | CV_SUFFIXES))}"
        )
    if kind == ".png" and b"IEND" not in data[-64:]:
        raise ValueError(f"the PNG is cut short: no end after {len(data)} bytes")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error as error:
        raise ValueError(f"damaged {kind[1:].upper()}: {error}") from error
    if picture is None:
        raise ValueError(f"damaged {kind[1:].upper()}, or none at all: {len(data)} bytes")
    if picture.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"a picture of 8 or 16 bits is needed, not {picture.dtype}")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2RGB)
    return picture  # type: ignore[no-any-return]


def encode_jpeg(picture: npt.NDArray[np.uint8], *, quality: int = 90) -> bytes:
    """Encode (H, W, 3) RGB or (H, W) uint8 as JPEG, colour at full resolution from quality 90 on, else halved.

    Raises:
        ValueError: when the array is something else.
    """
    if picture.dtype != np.uint8 or (picture.ndim != 2 and picture.shape[2:] != (3,)):
        raise ValueError(f"a JPEG is made of (H, W, 3) or (H, W) uint8, not {picture.shape} {picture.dtype}")
    if picture.ndim == 2:
        return bytes(
            simplejpeg.encode_jpeg(np.ascontiguousarray(picture)[..., None], quality, "GRAY", "Gray")
        )
    sampling = "444" if quality >= 90 else "420"
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality, "RGB", sampling))


def write_float_tiff(
    target: Path | BinaryIO,
    array: npt.NDArray[np.float32],
    *,
    description: str,
    um_per_px: float | None = None,
    compressed: bool = False,
) -> None:
    """Write a map as 32-bit float TIFF; NaN stays NaN. Not atomic: that is the caller's matter.

    Args:
        target: path of the new file, or a binary stream that can seek.
        array: (H, W) float32.
        description: what the values are and their unit; letters outside ASCII are replaced, as TIFF wants.
        um_per_px: size of a pixel on the subject, um, written as the resolution when known.
        compressed: losslessly: depth of noise and texture gets about a third smaller, and takes 1 s of CPU at 12 megapixels.

    Raises:
        OSError: when the file cannot be written.
    """
    import tifffile  # noqa: PLC0415  (a tenth of a second that a stack of JPEGs need not pay)

    text = description.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    per_cm = None if um_per_px is None else (10_000 / um_per_px, 10_000 / um_per_px)
    tifffile.imwrite(
        target,
        np.asarray(array, np.float32),
        photometric="minisblack",
        compression="zlib" if compressed else None,
        description=text.encode("ascii", "replace").decode("ascii"),
        resolution=per_cm,
        resolutionunit=None if per_cm is None else "CENTIMETER",
        metadata=None,
    )


def _check_jpeg_is_whole(data: bytes) -> None:
    """Follow the markers to the end of the picture (bytes after it are allowed); decoders fill what is missing with gray."""
    if data[:2] != b"\xff\xd8":
        raise ValueError(f"not a JPEG: {len(data)} bytes that begin with {data[:2].hex() or 'nothing'}")
    at = 2
    while True:
        if data[at : at + 1] != b"\xff":
            found = _MARKER_IN_SCAN.search(data, at)
            if found is None:
                raise ValueError(f"the JPEG is cut short: no end marker in {len(data)} bytes")
            at = found.start()
        marker = data[at + 1] if at + 1 < len(data) else None
        if marker == _END:
            return
        if marker is None:
            raise ValueError(f"the JPEG is cut short: no end marker in {len(data)} bytes")
        if marker == 0xFF:
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        else:
            at = _after_segment(data, at, marker)


def _after_segment(data: bytes, at: int, marker: int) -> int:
    """Where the segment at `at` ends; for a scan, where the marker after its data stands."""
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    end = at + 2 + length
    if length < 2 or end > len(data):
        raise ValueError(f"the JPEG is cut short: a header at byte {at} reaches beyond its {len(data)} bytes")
    if marker != _START_OF_SCAN:
        return end
    if data.endswith(b"\xff\xd9") and len(data) >= end + 2:
        # In the data of a scan 0xFF is never followed by 0xD9: this is the end marker.
        return len(data) - 2
    found = _MARKER_IN_SCAN.search(data, end)
    if found is None:
        raise ValueError(f"the JPEG is cut short: no end marker in {len(data)} bytes")
    return found.start()
