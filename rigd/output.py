"""Standard output of a command whose reader may have gone before the end, as `head` does."""

from __future__ import annotations

import os
import sys


def flush_output() -> None:
    """Say what is to be said before the process ends, to whoever is still there."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        forget_output()


def forget_output() -> None:
    """Nobody reads any more; Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
