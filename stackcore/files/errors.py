"""What goes wrong with files: one small family, every message names the file and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


class StackError(ValueError):
    """A stack that cannot be worked on, or a result that cannot be written."""


class WriteError(StackError):
    """A result that could not be written; the cause is the OSError, if there is one."""

    writing = True


class FrameError(StackError):
    """A file that cannot be used as a frame.

    Attributes:
        name: of the file, as it was given.
        reason: what is wrong with it and what to do, without the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a stack where a frame is left out.

    Attributes:
        name: of the file.
        index: its place in the stack.
        reason: why it is left out, and what to do.
    """

    name: str
    index: int
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"
