"""Exit codes: one for each kind of failure, so that a script knows what to do without reading."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command ended with."""

    DONE = 0
    """Everything that was asked for is done."""
    INTERNAL = 1
    """A bug in rigd."""
    USAGE = 2
    """Unknown command or option."""
    CONFIG = 3
    """The config is wrong or cannot be read."""
    PLAN = 4
    """The plan is refused: rail, camera or disk cannot do it. Nothing has moved."""
    HARDWARE = 5
    """A part failed; the stack, if one was under way, can be resumed."""
    PAUSED = 6
    """The stack stopped because a frame failed its check too often; it can be resumed."""
    SESSION = 7
    """A session is damaged, not what was asked for, or cannot be read."""
    STORAGE = 8
    """A disk is full or cannot be written."""
    FUSION = 9
    """The session is complete, but its pictures could not be fused. `rigd finish` tries again."""
    BROKER = 10
    """No broker could be started, or its user and password cannot be read."""
    REFUSED = 11
    """A calibration is not believed, or cannot be had: why is said, with what to do."""
    INTERRUPTED = 130
    """Ctrl-C or a signal; the stack can be resumed."""


EPILOG = "exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in Exit)
