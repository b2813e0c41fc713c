"""Progress on standard error: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stackcore.cli.words import duration_text, say

if TYPE_CHECKING:
    from stackcore.outcome import Progress

LINES = 5
"""How many lines a whole stack gets where there is no terminal."""


class Shown:
    """Shows how far a fusion is. Whoever reads may go away, terminal and all: the work does not stop for that.

    Args:
        quiet: show nothing.
        lines: show lines where there is no terminal for a bar.
    """

    def __init__(self, *, quiet: bool, lines: bool = True) -> None:
        self._quiet = quiet or not (lines or _terminal())
        self._bar: Any = None
        self._task: Any = None
        self._last = ""
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if not self._quiet and _terminal():
            with contextlib.suppress(OSError):
                self._bar = _make_bar()
                self._task = self._bar.add_task("opening", total=None, left="")
                self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Show no more. Idempotent."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with contextlib.suppress(OSError):
                bar.stop()
        self._quiet = True

    def __call__(self, progress: Progress) -> None:
        """Take one notice."""
        if self._quiet:
            return
        try:
            self._show(progress)
        except OSError:
            self._quiet = True

    def _show(self, progress: Progress) -> None:
        left = "" if progress.seconds_left is None else f"{duration_text(progress.seconds_left)} left"
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=progress.phase,
                completed=progress.done,
                total=progress.total,
                left=left,
            )
            return
        if progress.phase == "done":
            return
        share = progress.done / progress.total if progress.total else 0.0
        watching = progress.total is None
        if progress.phase == self._last and share < self._next_line and not watching:
            return
        self._last = progress.phase
        self._next_line = share + 1 / LINES
        of = "" if progress.total is None else f"/{progress.total}"
        say(f"{progress.phase}: {progress.done}{of} frames" + (f", {left}" if left else ""))


def _terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _make_bar() -> Any:
    """Made of a library that takes time to load, so only where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description:12s}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
    )
