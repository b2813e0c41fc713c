"""Progress on standard error: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from rigd.control.notices import Accepted, Changed, Closed, Notice, Opened, Rejected, Warned
from rigd.machine.state import Mode, State

LINES = 10
"""How many lines a whole stack gets where there is no terminal."""


class Progress:
    """Shows the controller's notices.

    Args:
        quiet: show nothing, only count.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.closed: Closed | None = None
        self.rejected = 0
        self.storage_failed = False
        """A frame was refused because the disk would not have it."""
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._lines = not quiet and not self._console.is_terminal
        self._total = 0
        self._done = 0
        self._task: TaskID | None = None
        self._bar = Bar(
            TextColumn("{task.description:24s}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or self._lines,
        )

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._bar.start()
        self._task = self._bar.add_task("opening", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._bar.stop()

    def notice(self, notice: Notice) -> None:
        """Take one notice from the controller."""
        match notice:
            case Opened():
                self._total, self._done = notice.frames, notice.done
                self._show(lambda: self._begin(notice.path))
            case Accepted():
                self._done += 1
                self._show(self._advance)
            case Rejected():
                self.rejected += 1
                self.storage_failed = self.storage_failed or notice.storage
                self._show(lambda: self._say(f"frame {notice.frame + 1} taken again: {notice.reason}"))
            case Warned():
                self._show(lambda: self._say(notice.message))
            case Closed():
                self.closed = notice
            case Changed():
                self._show(lambda: self._describe(notice.state))

    def _show(self, show: Callable[[], None]) -> None:
        """Whoever reads may go away, terminal and all: a stack does not stop for that."""
        if self._quiet:
            return
        try:
            show()
        except OSError:
            self._quiet = True

    def _begin(self, session: Path) -> None:
        if self._lines:
            say(f"session {session}")
        if self._task is not None:
            self._bar.update(self._task, total=self._total, completed=self._done)

    def _advance(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=self._done)
        step = max(1, self._total // LINES)
        if self._lines and self._total and (self._done % step == 0 or self._done == self._total):
            say(f"{self._done}/{self._total} frames")

    def _describe(self, state: State) -> None:
        words = str(state.mode)
        if state.mode is Mode.CAPTURING and state.stack is not None:
            words = str(state.stack.phase)
        if self._task is not None:
            self._bar.update(self._task, description=words)

    def _say(self, text: str) -> None:
        self._console.print(f"rigd: {text}", highlight=False, markup=False)


def say(text: str) -> None:
    """One line on standard error; nothing when nobody reads it any more."""
    with contextlib.suppress(OSError):
        print(f"rigd: {text}", file=sys.stderr, flush=True)
