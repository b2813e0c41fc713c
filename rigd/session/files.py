"""Files that are whole or not there: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

PART = ".part"
"""Ending of temporary names. What carries it was being written when the power went."""


_FIXES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room: this user's share of that disk is used up",
    errno.EROFS: "that disk is mounted read-only; a card that fails often comes to be so (dmesg)",
    errno.EIO: "the disk or card fails, or was pulled out; dmesg says more",
    errno.EACCES: "let the user that rigd runs as write there",
    errno.EPERM: "let the user that rigd runs as write there",
    errno.ENOTDIR: "a file is where a folder should be",
}
"""What to do about a disk that will not take something."""


class DiskError(OSError):
    """A file that cannot be written; the text names it, and says what to do."""

    @classmethod
    def of(cls, error: OSError, path: Path) -> DiskError:
        """The same error, of this file."""
        return cls(error.errno, error.strerror or str(error), str(path))

    @classmethod
    def full(cls, path: Path) -> DiskError:
        """Only a part of what was to be written found room."""
        return cls(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def __str__(self) -> str:
        """Without the number, which says nothing to whoever reads it."""
        fix = _FIXES.get(self.errno or 0)
        words = f"{self.filename}: {self.strerror}" if self.filename else str(self.strerror)
        return f"{words}; {fix}" if fix else words


def explained(error: OSError) -> str:
    """What is wrong with a disk, for people. An error that has words of its own keeps them."""
    if error.errno is None or type(error).__str__ is not OSError.__str__:
        return str(error)
    return str(DiskError(error.errno, error.strerror or str(error), error.filename))


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that at every moment either the old one or the whole new one is there.

    `durable` also makes it survive a power cut at once; without it the file is whole, but may be the old one.
    Raises `DiskError` (no space, read-only); the temporary file is gone then and the old file untouched.
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
        raise DiskError.of(error, path) from error
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
