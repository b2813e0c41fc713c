"""What the machine asks for. The controller carries an effect out; its answer carries the serial number back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rigd.machine import events as ev
from rigd.machine.kinds import Answer
from rigd.machine.state import Evidence, Stack


@dataclass(frozen=True, slots=True)
class Effect:
    """Something for the controller to do. Its answer carries the serial back."""

    serial: int
    answer: ClassVar[type[Answer] | None] = None
    """The event that answers it when it went well. `Failed` answers any of them; None: nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class OpenDrivers(Effect):
    """Open every driver."""

    answer: ClassVar = ev.Connected


@dataclass(frozen=True, slots=True)
class StartHoming(Effect):
    """Find home."""

    answer: ClassVar = ev.Homed


@dataclass(frozen=True, slots=True)
class MoveRail(Effect):
    """Move to a position in microsteps."""

    answer: ClassVar = ev.MotionEnded
    target: int


@dataclass(frozen=True, slots=True)
class JogRail(Effect):
    """Move by a distance in microsteps, slowly."""

    answer: ClassVar = ev.MotionEnded
    distance: int


@dataclass(frozen=True, slots=True)
class StopRail(Effect):
    """Decelerate to a stop; the camera gives up what it does."""

    answer: ClassVar = ev.Stopped


@dataclass(frozen=True, slots=True)
class HaltRail(Effect):
    """Stop at once; the camera gives up what it does."""


@dataclass(frozen=True, slots=True)
class ReleaseRail(Effect):
    """Switch the motor current off."""

    answer: ClassVar = ev.Released


@dataclass(frozen=True, slots=True)
class BeginSession(Effect):
    """Make (or open again) the session on disk, switch the light on."""

    answer: ClassVar = ev.SessionReady
    stack: Stack


@dataclass(frozen=True, slots=True)
class WaitSettled(Effect):
    """Wait until the rig is still after a motion that ended at this time."""

    answer: ClassVar = ev.Settled
    moved_s: float
    travelled: int = 0
    """Microsteps of that motion, signed."""
    frame: int = -1
    """What is to be exposed then."""


@dataclass(frozen=True, slots=True)
class Expose(Effect):
    """Take a picture whose exposure begins at `not_before_s` or later."""

    answer: ClassVar = ev.ShutterClosed
    frame: int
    position: int
    not_before_s: float
    retry: int = 0
    """How often this frame failed already."""


@dataclass(frozen=True, slots=True)
class TakeTestShot(Effect):
    """Wait until the rig has stood still for the settle, take a picture, fetch it and look at it. No session knows of it."""

    answer: ClassVar = ev.TestTaken
    position: int | None
    """Where the rail stands; None: not known."""


@dataclass(frozen=True, slots=True)
class ProcessFrame(Effect):
    """Fetch, check, store and merge the picture of the exposure with serial `exposure`."""

    answer: ClassVar = ev.Verdict
    exposure: int
    frame: int
    evidence: Evidence
    retry: int
    comparison: bool = False


@dataclass(frozen=True, slots=True)
class RejectFrame(Effect):
    """A picture was refused on its evidence alone: record it; its data are not asked for."""

    exposure: int
    frame: int
    evidence: Evidence
    reason: str


@dataclass(frozen=True, slots=True)
class NoteSession(Effect):
    """Write one line into the session's journal: paused, resumed."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class CloseSession(Effect):
    """Finish the session on disk: complete or aborted."""

    answer: ClassVar = ev.SessionClosed
    outcome: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class SuspendSession(Effect):
    """Leave the session on disk unfinished, to be resumed; light off."""

    answer: ClassVar = ev.SessionClosed
    why: str


@dataclass(frozen=True, slots=True)
class Refuse(Effect):
    """The event was not valid here and changed nothing. For the one who asked."""

    reason: str
