"""Exit codes: those of `rigd`, and what can go wrong on the way to a rig."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command ended with."""

    DONE = 0
    """Everything that was asked for is done."""
    INTERNAL = 1
    """A bug, here or in rigd."""
    USAGE = 2
    """Unknown command or option, or a value that the rig does not take."""
    CONFIG = 3
    """Credentials or certificates are wrong or cannot be read, or the broker does not take them."""
    PLAN = 4
    """The plan is refused: rail, camera or disk cannot do it. Nothing has moved."""
    HARDWARE = 5
    """A part failed; the stack, if one was under way, can be resumed."""
    PAUSED = 6
    """The stack is paused; it can be resumed."""
    SESSION = 7
    """A session is damaged, not what was asked for, or cannot be read."""
    STORAGE = 8
    """A disk is full or cannot be written."""
    REFUSED = 10
    """The rig does not do it now: it is doing something else, somebody else commands it, or the command came too late."""
    UNREACHABLE = 11
    """No rig there, no answer, or one that speaks another contract."""
    STOPPED = 12
    """It was begun, and something else ended it: a stop, an e-stop, another command, a restart of rigd."""
    INTERRUPTED = 130
    """Ctrl-C. The rig goes on with what it does."""


EPILOG = "exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in Exit)
