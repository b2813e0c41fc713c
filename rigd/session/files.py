"""Files that are whole or not there: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

PART = ".part"
"""Ending of temporary names. What carries it was being written when the power went."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that at every moment either the old one or the whole new one is there.

    `durable` also makes it survive a power cut at once; without it the file is whole, but may be the old one.
    Raises OSError (no space, read-only); the temporary file is gone then and the old file untouched.
    """
    temporary = path.with_name(f".{path.name}{PART}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_parts(folder: Path) -> tuple[str, ...]:
    """Remove what was being written when a run was cut off; the names removed."""
    removed = []
    for path in sorted(folder.rglob(f".*{PART}")):
        path.unlink(missing_ok=True)
        removed.append(path.name)
    return tuple(removed)


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read piecewise."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(data: Any) -> bytes:
    """Readable JSON, always the same bytes for the same data."""
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
