"""A folder into which frames arrive: each is taken when its file is complete.

A file is complete when it has not changed between two looks and what is in it is whole: half of a picture that is being copied, or
of one whose copying stalls, never gets into a stack. Frames are taken in the order of their names as far as they are there; one that
is not complete yet holds up those behind it, but not for ever: not beyond the end, when what is whole is taken, and the rest named.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stackcore.files import (
    FORMAT_OF_SUFFIX,
    FrameError,
    Pushed,
    StackError,
    natural_key,
    pictures_in,
    read_frame,
)
from stackcore.files.survey import some

SETTLED_S = 0.4
"""A file that did not change for so long may be complete."""
LOOK_S = 0.5
"""The folder is looked at this often even when nothing is said to have changed: network folders say nothing."""
_ENDS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), b"\xff\xd9"),
    ".png": b"IEND\xaeB\x60\x82",
}
"""The last bytes of a whole file. One that has others may still be whole, with something behind it: that is decoded to see."""
_RAW = frozenset(suffix for suffix, kind in FORMAT_OF_SUFFIX.items() if kind == "camera RAW")
STALLED_S = 30.0
"""A file that stays incomplete for so long, unchanged, is handed on as it is, to be reported."""


class Wait(Protocol):
    """Waits for something to happen in a folder."""

    def __call__(self, timeout_s: float) -> None:
        """Return when something changed, or after this time."""


@dataclass(slots=True)
class _Seen:
    """A file that is not taken yet."""

    size: int
    changed_ns: int
    since_s: float
    """It is unchanged since then."""
    broken: bool = False
    """Unchanged as it is, it is not whole."""


class FolderWatch:
    """Pushes the frames of a folder into a source as they become complete, until told to end.

    Args:
        folder: what is watched.
        source: where frames go.
        expected: end after so many.
        idle_s: end when nothing came or changed for so long.
        ignore: files that are no frames, such as this run's own results.
        wait: for changes.
        now: a monotonic clock, s.
        whole: whether a file can be read to its end.
    """

    def __init__(
        self,
        folder: Path,
        source: Pushed,
        *,
        expected: int | None = None,
        idle_s: float | None = None,
        ignore: Collection[Path] = (),
        wait: Wait,
        now: Callable[[], float] = time.monotonic,
        whole: Callable[[Path], bool] | None = None,
    ) -> None:
        self._folder = folder
        self._source = source
        self._expected = expected
        self._idle_s = idle_s
        self._ignore = frozenset(path.resolve() for path in ignore)
        self._wait = wait
        self._now = now
        self._whole = whole or is_whole
        self._taken: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._last_s = now()
        self._refused = False
        self._ended = threading.Event()

    @property
    def taken(self) -> int:
        """Frames handed on."""
        return len(self._taken)

    def end(self) -> None:
        """Take no more; what is there is the stack. From any thread or signal handler. Idempotent."""
        self._ended.set()

    def run(self) -> None:
        """Watch until the end, then close the source.

        Raises:
            StackError: the folder is gone or cannot be read.
        """
        try:
            while not self._ended.is_set():
                self.look()
                if self._over():
                    break
                self._wait(LOOK_S if not self._seen else SETTLED_S)
            self._last_look()
        finally:
            self._source.close()

    def look(self) -> None:
        """Look at the folder once, and hand on what is complete."""
        now_s = self._now()
        for path in self._pending(now_s):
            if self._full() or not self._complete(path, now_s):
                return
            self._hand_on(path, now_s)

    def _last_look(self) -> None:
        """Take what is whole although something before it is not, and name what is not."""
        if self._refused or self._enough():
            return
        now_s = self._now()
        left: list[str] = []
        for path in self._pending(now_s):
            seen = self._seen.get(path.name)
            settled = seen is not None and now_s - seen.since_s >= SETTLED_S
            may_be = (
                settled or path.suffix.lower() not in _RAW
            )  # of which nothing but rest says that it is whole
            if not (may_be and self._whole(path)):
                left.append(path.name)
            elif not self._hand_on(path, now_s) or self._enough():
                return
        if left:
            self._source.notices.append(
                f"left out {some(left)}: not complete when the watch ended; copy again"
            )
        if self._expected is not None:
            self._source.notices.append(
                f"{self.taken} of the {self._expected} frames came that were expected"
            )

    def _pending(self, now_s: float) -> list[Path]:
        """What is not taken yet, in order; how each of them is now is noted."""
        frames, _ = pictures_in(self._folder)
        pending = [
            path for path in frames if path.name not in self._taken and path.resolve() not in self._ignore
        ]
        for gone in set(self._seen) - {path.name for path in pending}:
            del self._seen[gone]
        for path in pending:
            self._note(path, now_s)
        return sorted(pending, key=lambda path: natural_key(path.name))

    def _note(self, path: Path, now_s: float) -> None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return
        seen = self._seen.get(path.name)
        if seen is None or (seen.size, seen.changed_ns) != (status.st_size, status.st_mtime_ns):
            self._seen[path.name] = _Seen(status.st_size, status.st_mtime_ns, now_s)
            self._last_s = now_s

    def _complete(self, path: Path, now_s: float) -> bool:
        seen = self._seen.get(path.name)
        if seen is None or now_s - seen.since_s < SETTLED_S:
            return False
        if not seen.broken and self._whole(path):
            return True
        seen.broken = True
        return now_s - seen.since_s >= STALLED_S

    def _hand_on(self, path: Path, now_s: float) -> bool:
        try:
            self._source.push(path)
        except StackError:
            self._refused = True  # nobody takes frames any more
            self._ended.set()
            return False
        self._taken.add(path.name)
        self._seen.pop(path.name, None)
        self._last_s = now_s
        return True

    def _enough(self) -> bool:
        return self._expected is not None and self.taken >= self._expected

    def _full(self) -> bool:
        return self._ended.is_set() or self._enough()

    def _over(self) -> bool:
        if self._full():
            return True
        return self._idle_s is not None and self._now() - self._last_s >= self._idle_s


class FolderChanges:
    """Waits with the operating system's own notices.

    Args:
        folder: what is watched.
    """

    def __init__(self, folder: Path) -> None:
        from watchfiles import watch  # noqa: PLC0415  (needed only by who watches)

        self._stop = threading.Event()
        self._changes = watch(
            folder,
            stop_event=self._stop,
            debounce=50,
            step=50,
            rust_timeout=round(1000 * SETTLED_S),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            watch_filter=None,
        )

    def __call__(self, timeout_s: float) -> None:
        """Wait; about as long as asked at most."""
        if next(self._changes, None) is None:
            self._stop.wait(timeout_s)  # the notices have ended; looking goes on

    def close(self) -> None:
        """Watch no more. Idempotent."""
        self._stop.set()


def is_whole(path: Path) -> bool:
    """Whether an unchanged file is a whole picture: by its end where the format has one, else by decoding it."""
    suffix = path.suffix.lower()
    try:
        if suffix in _ENDS and path.read_bytes().endswith(_ENDS[suffix]):
            return True
        if suffix in _RAW:
            return path.stat().st_size > 0  # decoding takes seconds; that it has come to rest must do
        read_frame(path)
    except (FrameError, OSError):
        return False
    return True
