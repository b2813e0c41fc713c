"""The frames of a command: those that are there, or those that arrive in a watched folder."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stackcore.cli.interrupts import Interrupts
from stackcore.cli.words import say, say_at_once

if TYPE_CHECKING:
    from stackcore.files import Pushed, Source


@contextmanager
def source_of(options: argparse.Namespace, interrupts: Interrupts) -> Iterator[Source]:
    """The frames: those that are there, or those that arrive."""
    from stackcore.files import open_source

    if options.watch is None:
        yield open_source(options.frames, order=options.order, prefer=options.prefer)
        return
    from stackcore.files import Pushed

    pushed = Pushed(expected=options.expected)
    with _watching(options, pushed, interrupts):
        yield pushed


@contextmanager
def _watching(options: argparse.Namespace, pushed: Pushed, interrupts: Interrupts) -> Iterator[None]:
    from stackcore.files import StackError
    from stackcore.watch import FolderChanges, FolderWatch

    folder = Path(options.watch)
    results = (options.output, options.preview, options.depth, options.confidence, options.depth_picture)
    changes = FolderChanges(folder)
    watch = FolderWatch(
        folder,
        pushed,
        expected=options.expected,
        idle_s=options.idle,
        ignore=[Path(name) for name in results if name],
        wait=changes,
    )
    failures: list[Exception] = []

    def run() -> None:
        try:
            watch.run()
        except (StackError, OSError) as error:  # told by the thread that fuses
            failures.append(error)

    def end() -> bool:
        watch.end()
        if watch.taken:
            say_at_once("no more frames are taken; making the result. Again to give up")
        return watch.taken > 0

    thread = threading.Thread(target=run, name="watch", daemon=True)
    thread.start()
    interrupts.first(end)
    if not (options.quiet or options.json):
        say(f"watching {folder}; Ctrl-C ends it and makes the result")
    try:
        yield
    except StackError:
        if failures:  # no frames, because the folder could not be watched
            raise failures[0] from None
        raise
    finally:
        interrupts.first(None)
        watch.end()
        pushed.interrupt()
        changes.close()
        thread.join()
    if failures:
        raise failures[0]
