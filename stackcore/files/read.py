"""One file, or its bytes, to a frame. What a file is, its first bytes say; only camera RAW is told by its name."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from stackcore.files import jpeg, png, raw, tiff
from stackcore.files.errors import FrameError
from stackcore.files.frame import Cells, Frame, Metadata, Pixels
from stackcore.imageio import Memory, decode_jpeg, jpeg_size

JPEG, PNG, TIFF, RAW = "JPEG", "PNG", "TIFF", "camera RAW"
FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), JPEG),
    ".png": PNG,
    **dict.fromkeys((".tif", ".tiff"), TIFF),
    **dict.fromkeys(raw.SUFFIXES, RAW),
}
"""Of names in small letters: what is looked for in a folder."""

_Decoded = tuple[Pixels, Metadata, tuple[str, ...]]


def format_of(name: str, head: bytes) -> str | None:
    """JPEG, PNG, TIFF or camera RAW; None for anything else."""
    if PurePath(name).suffix.lower() in raw.SUFFIXES:
        return RAW
    if head.startswith(jpeg.MAGIC):
        return JPEG
    if head.startswith(png.MAGIC):
        return PNG
    return TIFF if head.startswith(tiff.MAGICS) else None


def read_frame(path: str | Path, *, index: int = 0) -> Frame:
    """Read one file; a RAW is developed with its own white balance.

    Raises:
        FrameError: it is missing, unreadable, cut short, damaged or no picture; says which and what to do.
    """
    return decode_frame(read_bytes(Path(path)), str(path), index=index)


def decode_frame(
    data: bytes,
    name: str,
    *,
    index: int = 0,
    balance: raw.Balance | None = None,
    memory: Memory | None = None,
    cells: Cells | None = None,
) -> Frame:
    """Decode a file's bytes.

    Args:
        data: the whole file.
        name: of the file.
        index: its place in the stack.
        balance: for camera RAW, see `stackcore.files.raw.decode`.
        memory: where a JPEG's pixels go, see `stackcore.imageio.decode_jpeg`.
        cells: how small the frame may be; JPEGs are decoded to that at once, in half the time. By default it comes whole.

    Raises:
        FrameError: as `read_frame`.
    """
    kind = format_of(name, data[:8])
    if kind == JPEG:
        frame = _decode_jpeg(data, name, index, memory, cells)
    else:
        pixels, metadata, notes = _decode(kind, data, name, balance)
        frame = Frame(index, PurePath(name).name, pixels, metadata, notes)
    if frame.pixels.size == 0:
        raise FrameError(name, "a picture without pixels; export it again")
    return frame if cells is None else frame.in_cells(cells)


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises `FrameError` when it cannot be read or is empty."""
    try:
        if is_odd(path.stat().st_mode):
            raise FrameError(str(path), NO_FILE)
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(str(path), why_unreadable(error)) from error
    if not data:
        raise FrameError(str(path), EMPTY)
    return data


EMPTY = "an empty file (0 bytes); copy it again from the camera"
NO_FILE = "a device or a pipe, not a file; copy what is in it into one"
NO_PICTURE = "not a picture that is known here (JPEG, PNG, TIFF, camera RAW); leave it out, or convert it"


def why_unreadable(error: OSError) -> str:
    """In words, with what to do."""
    match error:
        case FileNotFoundError():
            return "there is no such file; check the name"
        case PermissionError():
            return "no permission to read it; change its owner or mode"
        case IsADirectoryError():
            return "a folder, not a file; give either one folder or a list of files"
        case _:
            return f"cannot be read ({error.strerror or error}); copy it again"


def is_odd(mode: int) -> bool:
    """Whether reading what has this mode could take for ever: neither a file nor a folder (which says so itself)."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _decode(kind: str | None, data: bytes, name: str, balance: raw.Balance | None) -> _Decoded:
    if not data:
        raise FrameError(name, EMPTY)
    if kind == PNG:
        return png.decode(data, name)
    if kind == TIFF:
        return tiff.decode(data, name)
    if kind == RAW:
        return raw.decode(data, name, balance)
    raise FrameError(name, NO_PICTURE)


def _decode_jpeg(data: bytes, name: str, index: int, memory: Memory | None, cells: Cells | None) -> Frame:
    where = {} if memory is None else {"memory": memory}
    try:
        height, width = jpeg_size(data)
        cell = 1 if cells is None else cells(height, width)
        pixels = decode_jpeg(data, reduce=cell, **where)
    except ValueError as error:
        raise FrameError(name, f"{error}; copy the file again, or leave it out") from error
    found = Frame(index, PurePath(name).name, pixels, jpeg.metadata(data))
    if cell == 1:
        return found
    # Means over the last row or column alone, where the size is odd, are left out as of every other format.
    whole = np.ascontiguousarray(pixels[: max(1, height // cell), : max(1, width // cell)])
    return replace(found, pixels=whole, cell=cell, size=(height, width))
