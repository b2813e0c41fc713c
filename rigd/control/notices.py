"""What the controller tells whoever listens: a command line, a dashboard, a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

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
class Opened:
    """A session is begun or gone on with; no frame of this run is there yet."""

    session_id: str
    name: str
    path: Path
    frames: int
    """How many it will have."""
    done: int
    """How many it has already."""
    created: str
    """ISO 8601, UTC."""


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
    session_id: str = field(kw_only=True)
    frames: int = field(kw_only=True)
    """How many it has, of all runs: what is on disk, also what came in after the machine had stopped counting."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The preview shows one frame more."""

    frames: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is not as it should be, and the stack goes on."""

    code: str
    """`motion`, `settle`, `settle_drift`."""
    message: str
    """In words, with what to do."""
    session_id: str = ""


Notice = Changed | Opened | Accepted | Rejected | Closed | Merged | Warned
Listener = Callable[[Notice], None]
