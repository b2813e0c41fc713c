"""A progress bar on standard error."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Columns

from rigd.client import Progress
from rigd.ctl.words import duration_text, readable


class Bar:
    """Shows a stack's progress; gives the function that takes it."""

    def __init__(self) -> None:
        self._columns = Columns(
            TextColumn("{task.description:18s}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None
        self._refusal = ""

    def __enter__(self) -> Bar:
        self._columns.start()
        self._task = self._columns.add_task("", total=None, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._columns.stop()

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        assert self._task is not None
        words = progress.phase if progress.mode == "capturing" and progress.phase else progress.mode
        if progress.last_refusal and progress.last_refusal != self._refusal:
            self._columns.console.print(
                f"taken again: {readable(progress.last_refusal)}", markup=False, highlight=False
            )
        self._refusal = progress.last_refusal
        self._columns.update(
            self._task,
            description=readable(words) if progress.reachable else "way lost",
            completed=progress.frame,
            total=progress.frames,
            left="" if progress.eta_s is None else f"{duration_text(progress.eta_s)} left",
        )
