"""Progress over steps that are counted, on standard error: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rigd.cli.progress import say

LINES = 5
"""About how many a whole task gets where there is no terminal."""


class Steps:
    """Shows how far something is.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._quiet = quiet
        self._lines = not quiet and not console.is_terminal
        self._said = 0
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description:34s}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
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

    def title(self, text: str) -> None:
        """What begins now."""
        if self._lines:
            say(text)

    def show(self, done: int, total: int, what: str) -> None:
        """So many of so many steps are done. Whoever reads may go away: nothing stops for that."""
        if self._quiet:
            return
        with contextlib.suppress(OSError):
            if self._task is not None:
                self._bar.update(self._task, total=total, completed=done, description=what[:34])
            if self._lines and total and done * LINES // total != self._said:
                self._said = done * LINES // total
                say(f"{done}/{total}: {what}")
