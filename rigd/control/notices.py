"""What the controller tells whoever listens: a command line, a dashboard, a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rigd.machine.kinds import Event
from rigd.machine.state import State
from rigd.preview import Results
from rigd.session import FrameRecord


@dataclass(frozen=True, slots=True)
class Changed:
    """The state is another one."""

    state: State
    event: Event


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame is on disk."""

    record: FrameRecord


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture was refused."""

    frame: int
    reason: str
    storage: bool = False
    """It is the disk, not the picture."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A session was left: complete, aborted or suspended."""

    outcome: str
    why: str
    results: Results | None
    home_error: int | None = None
    """Microsteps by which home was off when it was found again at the end; None when it was not looked for."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The preview shows one frame more."""

    frames: int


Notice = Changed | Accepted | Rejected | Closed | Merged
Listener = Callable[[Notice], None]
