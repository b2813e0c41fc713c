"""A session folder as a stack: its manifest, its journal, its frames in the order of the plan, with their positions.

What is read here is the documented layout on disk and nothing else: `session.json` (format 1), `journal.jsonl` with one JSON object
a line, `frames/`. The journal is the truth: a frame counts when its line is there, and as it was taken last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stackcore.files.errors import StackError
from stackcore.files.read import FORMAT_OF_SUFFIX
from stackcore.files.source import Files
from stackcore.files.survey import natural_key

MANIFEST, JOURNAL, FRAMES = "session.json", "journal.jsonl", "frames"
_FORMAT = 1


class Session(Files):
    """The frames of a session.

    Attributes:
        manifest: `session.json` as it is: plan, optics, rig.

    Raises:
        StackError: it is damaged, written by a newer version, or has no frames.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest = _manifest(folder)
        notices: list[str] = []
        records = _records(folder, notices)
        if records is None:
            paths, positions_um = _without_journal(folder, self.manifest, notices)
        else:
            paths = [folder / FRAMES / file for file, _ in records]
            positions_um = [position for _, position in records]
        if not paths:
            raise StackError(f"{folder}: the session has no frames; capture some, or resume it")
        super().__init__(paths, positions_um=positions_um, notices=notices)


def is_session(folder: Path) -> bool:
    """Whether a folder is a session."""
    return (folder / MANIFEST).is_file() and (folder / FRAMES).is_dir()


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / MANIFEST
    fix = f"to stack its pictures without positions, name {folder / FRAMES}"
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StackError(f"{path} cannot be read ({error}); {fix}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise StackError(f"{path} is not a session's manifest; {fix}")
    if manifest["format"] > _FORMAT:
        raise StackError(
            f"{path} was written by a newer version (format {manifest['format']}); update, or {fix}"
        )
    return manifest


def _records(folder: Path, notices: list[str]) -> list[tuple[str, float]] | None:
    """File name and position of each accepted frame in the order of the plan; None without a journal."""
    path = folder / JOURNAL
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return None
    found: dict[int, tuple[str, float]] = {}
    damaged: list[int] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
            if entry["event"] == "frame":
                file = PurePosixPath(entry["file"])
                found[int(entry["frame"])] = _inside(file), float(entry["position_um"])
        except (ValueError, KeyError, TypeError):
            damaged.append(number)
    if damaged and damaged != [len(lines) - 1]:
        notices.append(f"{path}: line {damaged[0]} cannot be read; its frame, if it was one, is left out")
    return [found[frame] for frame in sorted(found)]


def _inside(file: PurePosixPath) -> str:
    if file.parent != PurePosixPath(FRAMES):
        raise ValueError(f"{file} is no frame of this session")
    return file.name


def _without_journal(
    folder: Path, manifest: Mapping[str, Any], notices: list[str]
) -> tuple[list[Path], list[float] | None]:
    """All pictures in `frames/`; a picture's number says which of the planned positions it is of."""
    names = (path for path in (folder / FRAMES).iterdir() if path.suffix.lower() in FORMAT_OF_SUFFIX)
    paths = sorted((path for path in names if path.name[0] != "."), key=lambda path: natural_key(path.name))
    notices.append(
        f"{folder / JOURNAL} is gone: all pictures in {FRAMES}/ are taken, at the positions that were asked"
    )
    try:
        asked_um = manifest["plan"]["asked_um"]
        numbers = [int(path.stem) for path in paths]
        if any(number < 1 for number in numbers):
            return paths, None
        return paths, [float(asked_um[number - 1]) for number in numbers]
    except (KeyError, ValueError, IndexError, TypeError):
        return paths, None
