"""Pictures to files that are whole or not there, with EXIF and colour profile of the frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stackcore import __version__
from stackcore.files import exif, jpeg, png, tiff
from stackcore.files.errors import WriteError
from stackcore.files.exif import Block, Tag
from stackcore.files.frame import Metadata, Pixels

OUTPUT_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_PART = ".part"
"""Ending of the temporary name; a daemon that tidies up after a power cut knows it."""

Pieces = Sequence[bytes | memoryview]


def write_picture(
    path: str | Path, pixels: Pixels, metadata: Metadata | None = None, *, quality: int = 95
) -> None:
    """Write a picture: at every moment the old file or the whole new one is there.

    EXIF is kept but for what no longer holds (thumbnail, maker notes, sizes in px), the orientation as it is: pixels were not rotated
    in reading, so the result is shown the same way as the frames. A profile that is for another kind of picture is dropped.

    Args:
        path: the name's ending says the format: JPEG (16 bits are rounded to 8), PNG (level 1), TIFF (not compressed).
        pixels: (H, W, 3) RGB or (H, W), uint8 or uint16.
        metadata: of a frame, the first that was used.
        quality: of a JPEG, 1 to 100; from 90 on colours keep their full resolution.

    Raises:
        WriteError: the ending is not known, the disk is full, the folder is not there; names the file. Nothing is left behind.
        ValueError: the array is no picture, or `quality` is none.
    """
    target = Path(path)
    check_output(target)
    if not _is_picture(pixels):
        raise ValueError(
            f"a picture is (H, W, 3) or (H, W), uint8 or uint16, not {pixels.shape} {pixels.dtype}"
        )
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is 1 to 100, not {quality}")
    try:
        pieces = _encoded(target.suffix.lower(), pixels, metadata or Metadata(), quality)
    except (cv2.error, ValueError) as error:
        raise WriteError(f"{target}: {error}") from error
    write_whole(target, pieces)


def check_output(path: str | Path) -> None:
    """Whether a picture can be written there, to be asked before the work is done.

    Raises:
        WriteError: the ending is not known, or the folder is not there.
    """
    target = Path(path)
    if target.suffix.lower() not in OUTPUT_SUFFIXES:
        raise WriteError(
            f"{target}: the ending says the format; known are {', '.join(sorted(OUTPUT_SUFFIXES))}"
        )
    if target.is_dir():
        raise WriteError(f"{target} is a folder; name a file")
    if not target.parent.is_dir():
        raise WriteError(f"{target}: there is no folder {target.parent}; make it first")


def write_whole(path: Path, pieces: Pieces) -> None:
    """Write a file under a temporary name beside it, bring it to disk, give it its name.

    Raises:
        WriteError: the disk is full, the folder is not there or not writable. The temporary file is gone then, an old file untouched.
    """
    temporary = path.with_name(f".{path.name}{_PART}")
    try:
        with temporary.open("wb", buffering=0) as file:
            for piece in pieces:
                _write_all(file, piece)
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise WriteError(
            f"{path} could not be written: {error.strerror or error}; make room, or name another place"
        ) from error
    finally:
        _remove(temporary)


@cache
def software() -> str:
    """What is written into files as their maker."""
    return f"stackcore {__version__}"


def _is_picture(pixels: Pixels) -> bool:
    right_type = pixels.dtype in {np.dtype(np.uint8), np.dtype(np.uint16)}
    return (
        right_type and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) and pixels.size > 0
    )


def _encoded(suffix: str, pixels: Pixels, metadata: Metadata, quality: int) -> Pieces:
    block = exif.read(exif.reader(metadata.exif)) if metadata.exif else None
    block = Block({}, {}, {}) if block is None else exif.clean(block)
    block.main[exif.SOFTWARE] = Tag.text(software())
    icc = metadata.icc if _profile_fits(metadata.icc, pixels) else None
    if suffix == ".png":
        return png.encode(pixels, exif.pack(block), icc, software())
    if suffix in {".tif", ".tiff"}:
        return tiff.encode(pixels, block, icc)
    from stackcore.imageio import encode_jpeg  # noqa: PLC0415

    data = encode_jpeg(_eight_bits(pixels), quality=quality)
    return jpeg.with_metadata(data, exif.pack(block, limit=jpeg.longest_exif()), icc)


def _eight_bits(pixels: Pixels) -> Any:
    """Rounded, 65535 to 255."""
    if pixels.dtype == np.uint8:
        return pixels
    return cv2.convertScaleAbs(pixels, alpha=1 / 257)


def _profile_fits(icc: bytes | None, pixels: Pixels) -> bool:
    """Whether a profile (ICC.1:2022, 7.2.8: colour space at byte 16) is for gray or for RGB, as the picture is."""
    return icc is not None and icc[16:20] == (b"GRAY" if pixels.ndim == 2 else b"RGB ")


def _write_all(file: Any, piece: bytes | memoryview) -> None:
    view = memoryview(piece).cast("B")
    while len(view):
        view = view[file.write(view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # the first error is the one to tell
