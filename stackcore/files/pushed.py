"""Frames one at a time, as they arrive: from a folder that is watched, or from a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stackcore.files.errors import StackError
from stackcore.files.source import Balancer, BaseSource, Entry

_GONE = "its bytes came without a file and are gone; what needs the stack twice wants files"


class Pushed(BaseSource):
    """A source to which frames are given while others are being read. One thread gives, another takes.

    Can be gone through again, then from the first frame on; frames that were given as bytes are gone by then.

    Args:
        waiting: so many may wait to be taken; who gives more has to wait.
        expected: how many will come, if known.
    """

    def __init__(self, *, waiting: int = 4, expected: int | None = None) -> None:
        if waiting < 1:
            raise ValueError(f"at least one frame must be able to wait, not {waiting}")
        self.expected = expected
        self.notices: list[str] = []
        self._waiting = waiting
        self._change = threading.Condition()
        self._entries: list[Entry] = []
        self._taken = 0
        self._closed = False
        self._interrupted = False
        self._balancer = Balancer()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the frames so far."""
        with self._change:
            return tuple(entry.name for entry in self._entries)

    @property
    def positions_um(self) -> tuple[float, ...] | None:
        """Of the frames so far; None when one of them has none."""
        with self._change:
            known = [entry.position_um for entry in self._entries if entry.position_um is not None]
            return tuple(known) if known and len(known) == len(self._entries) else None

    def __len__(self) -> int:
        with self._change:
            if self._closed:
                return len(self._entries)
            if self.expected is None:
                raise TypeError("frames are still coming, nobody knows how many")
            return self.expected

    def push(
        self,
        path: str | Path,
        data: bytes | None = None,
        *,
        position_um: float | None = None,
        timeout_s: float | None = None,
    ) -> int:
        """Give the next frame; waits while too many wait to be taken.

        Args:
            path: the file; with `data`, only its name.
            data: the file's bytes, where there is no file.
            position_um: of the rail, where known.
            timeout_s: how long to wait at most.

        Returns:
            Its index.

        Raises:
            StackError: the source is closed, or nobody takes frames any more.
            TimeoutError: it had to wait too long; the frame was not taken.
        """
        path = Path(path)
        with self._change:
            room = self._change.wait_for(
                lambda: self._closed or self._interrupted or len(self._entries) - self._taken < self._waiting,
                timeout_s,
            )
            if self._closed or self._interrupted:
                why = "it was closed" if self._closed else "nobody takes frames any more"
                raise StackError(f"{path.name} came too late for the stack: {why}; start a new one")
            if not room:
                raise TimeoutError(f"{path.name} was not taken within {timeout_s} s")
            index = len(self._entries)
            place = None if data is not None else path
            self._entries.append(Entry(index, path.name, place, data, position_um=position_um))
            self._change.notify_all()
            return index

    def close(self) -> None:
        """Say that no more will come. Idempotent."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def interrupt(self) -> None:
        """Say that nobody takes frames any more: who waits for one, or to give one, goes on. Idempotent."""
        with self._change:
            self._interrupted = True
            self._change.notify_all()

    def entries(self) -> Iterator[Entry]:
        """The frames so far, then each as it comes, until `close` or `interrupt`."""
        index = 0
        while (entry := self._wait_for(index)) is not None:
            yield self._balancer.balanced(entry)
            index += 1

    def _wait_for(self, index: int) -> Entry | None:
        with self._change:
            self._change.wait_for(lambda: self._interrupted or self._closed or index < len(self._entries))
            if self._interrupted or index >= len(self._entries):
                return None
            entry = self._entries[index]
            if entry.data is not None:
                self._entries[index] = replace(entry, data=None, problem=_GONE)
            self._taken = max(self._taken, index + 1)
            self._change.notify_all()
            return entry
