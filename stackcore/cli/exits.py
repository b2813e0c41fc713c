"""Exit codes: one for each kind of failure, so that a script knows what to do without reading."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command ended with."""

    DONE = 0
    """Everything that was asked for is done; frames may have been left out, and it says which."""
    INTERNAL = 1
    """A bug in stackcore."""
    USAGE = 2
    """Unknown command or option, or options that do not go together. Nothing was read."""
    INPUT = 3
    """The frames cannot be used: not there, none readable, none fit together."""
    LEFT_OUT = 4
    """Done, but frames were left out, and `--strict` was given. The results are there."""
    MEMORY = 5
    """Not enough memory."""
    LIBRARY = 6
    """An optional library is not installed; the message says which."""
    STORAGE = 8
    """A disk is full or cannot be written. No result is half there."""
    INTERRUPTED = 130
    """Ctrl-C or a signal. No result is half there."""


EPILOG = "exit codes: " + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in Exit)
