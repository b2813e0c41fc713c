"""Decoding ahead of the one who takes the frames: on a few threads, in order, with a bounded number of frames in memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from stackcore.files.errors import Unreadable
from stackcore.files.frame import Cells, Frame
from stackcore.files.memory import Pool
from stackcore.files.source import Entry, Source, interrupt, load

Prepare = Callable[[Frame], Any]
_Outcome = Frame | Unreadable | Exception


class Ahead(Iterator[Frame | Unreadable]):
    """What `ahead` returns. Use it in `with`, or close it; dropping it ends its threads too, at some later time."""

    def __init__(
        self, source: Source, threads: int, depth: int, prepare: Prepare | None, cells: Cells | None
    ) -> None:
        self._shared = _Shared(source, depth, prepare, cells)
        self._threads = [
            threading.Thread(target=_work, args=(self._shared,), name=f"decode-{number}", daemon=True)
            for number in range(min(threads, depth))
        ]
        self._finalizer = weakref.finalize(self, self._shared.stop)
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> Frame | Unreadable:
        outcome = self._shared.take()
        if outcome is None:
            self.close()
            raise StopIteration
        if isinstance(outcome, Exception):
            self.close()
            raise outcome
        return outcome

    def close(self) -> None:
        """End the threads, forget frames that were not taken. Waits for those being decoded. Idempotent."""
        self._finalizer()
        for thread in self._threads:
            thread.join()


def ahead(
    source: Source,
    *,
    threads: int = 1,
    depth: int = 2,
    prepare: Prepare | None = None,
    cells: Cells | None = None,
) -> Ahead:
    """Read and decode a source ahead, files' bytes included.

    Args:
        source: the stack.
        threads: how many decode at once.
        depth: at most so many frames are decoded or being decoded and not taken yet.
        prepare: run on each frame in its thread; what it returns is put into `Frame.prepared`.
        cells: how small the frames may be; by default they come whole.

    Returns:
        The frames in order, an `Unreadable` in the place of each that cannot be read. An error of `prepare` or of the source comes
        up in its place and ends the iteration.

    Raises:
        ValueError: `threads` or `depth` below 1.
    """
    if threads < 1 or depth < 1:
        raise ValueError(f"threads and depth must be at least 1, not {threads} and {depth}")
    return Ahead(source, threads, depth, prepare, cells)


class _Shared:
    """What the threads and the taker share. Tickets are given with the entries, so that frames are taken in their order."""

    def __init__(self, source: Source, depth: int, prepare: Prepare | None, cells: Cells | None) -> None:
        self._source = source
        self._cells = cells
        self._entries: Iterator[Entry] | None = None
        self._prepare = prepare
        self._pool = Pool()
        self._pulling = threading.Lock()
        self._change = threading.Condition()
        self._room = depth
        self._stopped = False
        self._given = 0
        self._taken = 0
        self._last: int | None = None
        self._done: dict[int, _Outcome] = {}

    def take(self) -> _Outcome | None:
        """The next outcome, waited for; None at the end. Makes room for another frame."""
        with self._change:
            self._change.wait_for(self._something_or_over)
            if self._taken not in self._done:
                return None
            outcome = self._done.pop(self._taken)
            self._taken += 1
            self._room += 1
            self._change.notify_all()
            return outcome

    def stop(self) -> None:
        """Let the threads end as soon as they can."""
        with self._change:
            over = self._stopped or self._last is not None
            self._stopped = True
            self._done.clear()
            self._pool.close()
            self._change.notify_all()
        if not over:
            interrupt(self._source)

    def work(self) -> bool:
        """Read one frame; False when there are no more."""
        if not self._wait_for_room():
            return False
        with self._pulling:
            ticket = self._given
            try:
                entry = self._pull()
            except Exception as error:  # noqa: BLE001  (whatever it is belongs to the one who takes the frames)
                self._end(ticket + 1)
                self._put(ticket, error)
                return False
            if entry is None:
                self._end(ticket)
                return False
            self._given += 1
        try:
            outcome: _Outcome = self._read(entry)
        except Exception as error:  # noqa: BLE001  (the same)
            outcome = error
        self._put(ticket, outcome)
        return True

    def _something_or_over(self) -> bool:
        return self._stopped or self._taken in self._done or self._taken == self._last

    def _wait_for_room(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._stopped or self._last is not None or self._room > 0)
            if self._stopped or self._last is not None:
                return False
            self._room -= 1
            return True

    def _pull(self) -> Entry | None:
        with self._change:
            if self._stopped or self._last is not None:
                return None
        if self._entries is None:
            self._entries = self._source.entries()
        return next(self._entries, None)

    def _read(self, entry: Entry) -> Frame | Unreadable:
        frame = load(entry, self._pool.take, self._cells)
        if self._prepare is None or isinstance(frame, Unreadable):
            return frame
        return replace(frame, prepared=self._prepare(frame))

    def _put(self, ticket: int, outcome: _Outcome) -> None:
        with self._change:
            if not self._stopped:
                self._done[ticket] = outcome
            self._change.notify_all()

    def _end(self, ticket: int) -> None:
        with self._change:
            if self._last is None:
                self._last = ticket
            self._change.notify_all()


def _work(shared: _Shared) -> None:
    while shared.work():
        pass
