"""Which commands were acted on, so that none is acted on twice, also across a restart.

```
commands.jsonl   {"t": transaction, "v": verb, "f": fingerprint, "at": UTC}     before a command acts
                 {"t": ..., "answer": {"status": ..., "data": ..., "error": ...}}   when it was answered
                 {"t": ..., "end": {...}}    when an action that was answered `accepted` is over
                 {"t": ..., "void": true}    it did nothing, and the same transaction may try again
commands.old.jsonl   the lines before those
```

A line is one write; a killed process leaves it whole. `sync` brings what was written to the disk, off the loop.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from drivers.clock import Clock
from rigd.session.files import DiskError

log = logging.getLogger(__name__)

NAME, OLD = "commands.jsonl", "commands.old.jsonl"
KEPT = 2000
"""Commands that are remembered, at least; a file holds so many."""
KEPT_FOR = timedelta(days=7)
"""Older ones are dropped at the start, but not the newest `KEPT_ALWAYS`: the wall clock of a board without a battery may be years off."""
KEPT_ALWAYS = 200


@dataclass(slots=True)
class Entry:
    """One command that was acted on, or refused for good."""

    transaction: str
    verb: str
    fingerprint: str
    at: str
    """UTC, ISO 8601."""
    answer: dict[str, Any] | None = None
    """`status`, `data` and `error` of the reply; None: not answered yet, or the daemon was killed before."""
    end: dict[str, Any] | None = None
    """How the action ended, where the answer was `accepted`."""
    before: bool = False
    """It was begun by an earlier start of the daemon."""

    def same(self, verb: str, fingerprint: str) -> bool:
        """Whether this command is that one."""
        return self.verb == verb and self.fingerprint == fingerprint


class Ledger:
    """The commands of one rig. On the loop's thread, but for `sync`.

    Args:
        folder: where the files are; made when it is not there.
        clock: dates the lines.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.path = folder / NAME
        self._old = folder / OLD
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._count = 0
        self._dirty = False
        self._retired: list[int] = []
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self._old, self.path):
            self._count = self._load(path)
        self._forget_old()
        self._descriptor = self._open()
        self._mend()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dirty(self) -> bool:
        """Whether lines were written that `sync` has not brought to the disk."""
        return self._dirty

    def find(self, transaction: str | None) -> Entry | None:
        """What is known of a transaction."""
        return None if transaction is None else self._entries.get(transaction)

    def begin(self, transaction: str, verb: str, fingerprint: str) -> Entry:
        """Write down that a command is about to act. Raises OSError; nothing may be done then."""
        at = self._clock.utc().isoformat()
        self._write({"t": transaction, "v": verb, "f": fingerprint, "at": at})
        entry = Entry(transaction, verb, fingerprint, at)
        self._entries[transaction] = entry
        self._count += 1
        while len(self._entries) > KEPT:
            del self._entries[next(iter(self._entries))]
        if self._count > KEPT:
            self._turn_over()
        return entry

    def answer(self, entry: Entry, answer: dict[str, Any]) -> None:
        """What was answered; it is the answer to every repetition."""
        entry.answer = answer
        self._try_write({"t": entry.transaction, "answer": answer})

    def end(self, transaction: str, end: dict[str, Any]) -> None:
        """How the action of a command that was answered `accepted` ended."""
        entry = self._entries.get(transaction)
        if entry is not None:
            entry.end = end
            self._try_write({"t": transaction, "end": end})

    def void(self, entry: Entry) -> None:
        """The command did nothing, and may be tried again under the same transaction."""
        self._entries.pop(entry.transaction, None)
        self._try_write({"t": entry.transaction, "void": True})

    def sync(self) -> None:
        """Bring to the disk what was written so far. Blocks; for another thread. Raises OSError."""
        self._dirty = False
        retired, self._retired = self._retired, []
        for descriptor in retired:
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        for descriptor in (*self._retired, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._retired, self._descriptor = [], -1

    # --------------------------------------------------------------------------------------------------------- the files

    def _open(self) -> int:
        # Lease tokens are among the answers: nobody else is to read them.
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise DiskError.of(error, self.path) from error
        self._dirty = True
        if written != len(data):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise DiskError.full(self.path)

    def _try_write(self, line: dict[str, Any]) -> None:
        """After the fact: there is nothing to take back any more."""
        try:
            self._write(line)
        except OSError as error:
            log.warning("an answer could not be written down: %s", error)

    def _turn_over(self) -> None:
        """The file is full: it becomes the old one, and the old one goes."""
        try:
            # To rename over a file that is there makes some file systems wait for the disk.
            self._old.unlink(missing_ok=True)
            self.path.rename(self._old)
            fresh = self._open()
        except OSError as error:
            log.warning("%s grows beyond its bounds: %s", self.path, error)
            return
        self._retired.append(self._descriptor)
        self._descriptor, self._count = fresh, 0

    def _load(self, path: Path) -> int:
        """Take in a file; how many commands it begins."""
        begun = 0
        for line in _lines(path):
            try:
                begun += self._take_in(line)
            except (KeyError, TypeError, AttributeError):
                log.warning("%s: a line that is none of ours is left out", path)
        return begun

    def _take_in(self, line: dict[str, Any]) -> bool:
        transaction = str(line["t"])
        if "v" in line:
            entry = Entry(transaction, str(line["v"]), str(line["f"]), str(line["at"]), before=True)
            self._entries.pop(transaction, None)
            self._entries[transaction] = entry
            return True
        known = self._entries.get(transaction)
        if line.get("void"):
            self._entries.pop(transaction, None)
        elif known is not None and "answer" in line:
            known.answer = dict(line["answer"])
        elif known is not None:
            known.end = dict(line["end"])
        return False

    def _forget_old(self) -> None:
        oldest = self._clock.utc() - KEPT_FOR
        entries = list(self._entries.values())
        kept = [entry for entry in entries[:-KEPT_ALWAYS] if not _before(entry.at, oldest)]
        kept = [*kept, *entries[-KEPT_ALWAYS:]][-KEPT:]
        self._entries = {entry.transaction: entry for entry in kept}

    def _mend(self) -> None:
        """A line that was cut off in the middle must not swallow the next one."""
        raw_end = self.path.read_bytes()[-1:]
        if raw_end not in {b"", b"\n"}:
            os.write(self._descriptor, b"\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    for text in raw.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a power cut
        if isinstance(line, dict):
            yield line


def _before(at: str, oldest: datetime) -> bool:
    try:
        return datetime.fromisoformat(at) < oldest
    except (ValueError, TypeError):
        return True
