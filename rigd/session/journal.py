"""The journal of a session: one fsynced line of JSON for each event that must survive.

The journal, not memory, is the truth of a session. A torn last line is what a power cut leaves, and normal: it is dropped. A
line that cannot be read anywhere else means that the file was damaged, and is an error.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from rigd.session.files import DiskError, sync_folder

NAME = "journal.jsonl"


class DamagedJournal(OSError):
    """A journal line other than the last cannot be read."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal as read: its entries, and how many bytes of it are whole."""

    entries: tuple[dict[str, Any], ...]
    whole_bytes: int
    torn: bool


def read(path: Path) -> Reading:
    """Every whole line. Raises `DamagedJournal` when one before the last cannot be read, OSError when the file is not there."""
    raw = path.read_bytes()
    entries: list[dict[str, Any]] = []
    whole = 0
    lines = raw.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = _parse(line, len(entries) + 1)
        except ValueError as error:
            if number == len(lines) - 1 and lines[-1] == b"":
                break  # torn, and the newline of a later block came to disk before the text
            raise DamagedJournal(path, number, str(error)) from error
        entries.append(entry)
        whole += len(line) + 1
    return Reading(tuple(entries), whole, torn=whole != len(raw))


def _parse(line: bytes, expected: int) -> dict[str, Any]:
    entry = json.loads(line)
    if not isinstance(entry, dict) or entry.get("n") != expected:
        raise ValueError(f"not entry {expected} of a journal")
    return entry


class JournalInUse(OSError):
    """Another process, or another part of this one, is writing this journal."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.parent} is in use: another rigd captures or resumes this session")


def lock(path: Path) -> int:
    """Open a journal for writing, alone: two writers would write over each other's lines."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalInUse(path) from error
    return descriptor


class Journal:
    """A journal that is being written. Raises `JournalInUse` when somebody else writes it.

    Args:
        path: the file; made when it is not there, else continued behind its last whole line.
        clock: gives each line its times.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        fresh = not path.exists()
        self._descriptor = lock(path)
        try:
            reading = read(path)
        except OSError:
            self.close()
            raise
        self.count = len(reading.entries)
        self._size = reading.whole_bytes
        try:
            os.ftruncate(self._descriptor, self._size)
            if fresh:
                sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def write(self, event: str, **data: Any) -> None:
        """Append one event and bring it to disk.

        Raises OSError when that fails; the journal is then as it was before, and can be written to again.
        """
        entry = {
            "n": self.count + 1,
            "utc": self._clock.utc().isoformat(),
            "mono_s": round(self._clock.now(), 6),
        }
        line = (
            json.dumps({**entry, "event": event, **data}, ensure_ascii=False, allow_nan=False).encode()
            + b"\n"
        )
        try:
            if os.pwrite(self._descriptor, line, self._size) != len(line):
                raise DiskError.full(self.path)
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise DiskError.of(error, self.path) from error
        self._size += len(line)
        self.count += 1

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
