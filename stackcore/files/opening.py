"""From what a user names to a source: a folder, a session, or files."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stackcore.files import survey
from stackcore.files.errors import StackError
from stackcore.files.read import FORMAT_OF_SUFFIX, JPEG, RAW, why_unreadable
from stackcore.files.session import FRAMES, MANIFEST, Session, is_session
from stackcore.files.source import Files, Source

Order = Literal["given", "name", "time"]
Prefer = Literal["jpeg", "raw"]

_BEING_WRITTEN = frozenset({".part", ".tmp", ".temp", ".crdownload", ".filepart"})
_RESULT = re.compile(r"^(preview|fused|depth|confidence|coverage|thumb(nail)?s?)([ ._-].*)?$", re.IGNORECASE)
"""Names, without endings, of what is made from a stack, here and by others."""


def open_source(
    paths: Sequence[str | Path], *, order: Order | None = None, prefer: Prefer = "jpeg"
) -> Source:
    """Open a stack; its files are looked at, none is decoded.

    Args:
        paths: one folder, one session folder, or files.
        order: `given`, `name` (f2 before f10) or `time` (EXIF). By default files as they are given, a folder by name.
        prefer: what to take where a picture is there as camera RAW and as JPEG.

    Returns:
        The source. Its `notices` say what was left aside and what looks wrong.

    Raises:
        StackError: nothing is there, nothing is a picture, or what is there cannot be one stack; says what to do.
    """
    given = [Path(path) for path in paths]
    if not given:
        raise StackError("no frames: name picture files, or a folder with pictures in it")
    for path in given:
        if not path.exists():
            raise StackError(f"{path}: {why_unreadable(FileNotFoundError())}")
    folders = [path for path in given if path.is_dir()]
    if not folders:
        return _files(given, order or "given", prefer)
    if len(given) > 1:
        raise StackError(f"{folders[0]} is a folder; give either one folder or a list of files")
    if is_session(given[0]):
        return Session(given[0])
    return _folder(given[0], order or "name", prefer)


def pictures_in(folder: Path) -> tuple[list[Path], list[str]]:
    """What in a folder looks like frames, by name, and what was ignored that looks like pictures.

    Raises:
        StackError: the folder cannot be read.
    """
    try:
        names = sorted((path for path in folder.iterdir()), key=lambda path: survey.natural_key(path.name))
    except OSError as error:
        raise StackError(f"{folder}: {why_unreadable(error)}") from error
    pictures = [path for path in names if _is_picture(path)]
    frames = [path for path in pictures if not _RESULT.match(path.stem)]
    if 2 * len(frames) < len(pictures):
        frames = pictures  # a stack whose frames happen to be called so
    kept = set(frames)
    return frames, [path.name for path in pictures if path not in kept]


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    if path.name.startswith(".") or path.name.endswith("~") or suffix in _BEING_WRITTEN:
        return False
    return suffix in FORMAT_OF_SUFFIX and path.is_file()


def _folder(folder: Path, order: Order, prefer: Prefer) -> Source:
    frames, ignored = pictures_in(folder)
    notices: list[str] = []
    if not frames:
        raise StackError(f"{folder}: no pictures in it{_below(folder)}; {_known()}")
    frames = _one_of_each(frames, prefer, notices)
    common = Counter(_format(path) for path in frames).most_common(1)[0][0]
    ignored += [path.name for path in frames if _format(path) != common]
    frames = [path for path in frames if _format(path) == common]
    if ignored:
        notices.append(
            f"{folder}: ignored {survey.some(ignored)}: previews, results, or not {common} as most are. Name the files to have them"
        )
    if folder.name == FRAMES and (folder.parent / MANIFEST).is_file():
        notices.append(
            f"{folder} belongs to a session; name {folder.parent} to have the frames with their positions"
        )
    return Files(_ordered(frames, order), notices=notices)


def _files(paths: list[Path], order: Order, prefer: Prefer) -> Source:
    notices: list[str] = []
    frames = _one_of_each(paths, prefer, notices)
    return Files(_ordered(frames, order), notices=notices)


def _one_of_each(paths: list[Path], prefer: Prefer, notices: list[str]) -> list[Path]:
    """Where a picture is there as RAW and as JPEG, one of them."""
    formats: dict[Path, set[str]] = {}
    for path in paths:
        formats.setdefault(_without_suffix(path), set()).add(_format(path))
    unwanted = RAW if prefer == "jpeg" else JPEG
    pairs = {stem for stem, found in formats.items() if {RAW, JPEG} <= found}
    if not pairs:
        return paths
    kept = [path for path in paths if _without_suffix(path) not in pairs or _format(path) != unwanted]
    taken, other = ("JPEG", "RAW") if prefer == "jpeg" else ("RAW", "JPEG")
    notices.append(
        f"{len(pairs)} pictures are there as RAW and as JPEG: the {taken} is taken. Ask for the {other} to have that"
    )
    return kept


def _ordered(paths: list[Path], order: Order) -> list[Path]:
    if order == "name":
        return sorted(paths, key=lambda path: survey.natural_key(path.name))
    if order == "given":
        return paths
    heads = survey.look(paths)
    timeless = [path.name for path, head in zip(paths, heads, strict=True) if head.taken_at is None]
    if timeless:
        raise StackError(f"cannot sort by time: no EXIF time in {survey.some(timeless)}; sort by name")
    times = {path: head.taken_at or "" for path, head in zip(paths, heads, strict=True)}
    return sorted(paths, key=lambda path: (times[path], survey.natural_key(path.name)))


def _format(path: Path) -> str:
    return FORMAT_OF_SUFFIX.get(path.suffix.lower(), "")


def _without_suffix(path: Path) -> Path:
    return path.with_name(path.stem.lower())


def _below(folder: Path) -> str:
    """A hint at folders further down that have some."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            with contextlib.suppress(
                OSError
            ):  # a hint is not worth an error about a folder that nobody named
                if any(_is_picture(file) for file in path.iterdir()):
                    return f", but in {path}: name that"
    return ""


def _known() -> str:
    return "known are JPEG, PNG, TIFF, DNG and camera RAW"
