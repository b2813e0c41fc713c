"""What can happen to the machine: commands from outside, alarms from the hardware, answers to effects."""

from __future__ import annotations

from dataclasses import dataclass

from rigd.machine.kinds import Answer, Event
from rigd.machine.state import Stack
from rigd.settling import Wait


@dataclass(frozen=True, slots=True)
class Connect(Event):
    """Command: open the drivers."""


@dataclass(frozen=True, slots=True)
class Home(Event):
    """Command: find home."""


@dataclass(frozen=True, slots=True)
class Goto(Event):
    """Command: move to a position, in microsteps."""

    target: int


@dataclass(frozen=True, slots=True)
class Jog(Event):
    """Command: move slowly by a distance, in microsteps; also before home is known."""

    distance: int


@dataclass(frozen=True, slots=True)
class TestShot(Event):
    """Command: take one picture where the rail stands, outside of any stack; also before home is known."""


@dataclass(frozen=True, slots=True)
class StartStack(Event):
    """Command: capture a stack. A resumed one lacks some frames and has a frame to compare."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class Pause(Event):
    """Command: stop the stack where it can go on later."""

    why: str = "paused by the operator"


@dataclass(frozen=True, slots=True)
class Resume(Event):
    """Command: go on with a paused stack."""


@dataclass(frozen=True, slots=True)
class Abort(Event):
    """Command: end the stack for good; what was accepted stays."""


@dataclass(frozen=True, slots=True)
class Suspend(Event):
    """Command: let go of the stack, to be resumed from disk later."""

    why: str = "stopped"


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """Command: stop the rail now, gently; obeyed in every mode."""

    why: str = "stopped by the operator"


@dataclass(frozen=True, slots=True)
class EStop(Event):
    """Command or switch: stop everything at once; obeyed in every mode."""

    why: str = "emergency stop"
    held: bool = False
    """It is a contact, and it stays pressed until `EStopReleased`."""


@dataclass(frozen=True, slots=True)
class EStopReleased(Event):
    """Switch: the contact of the e-stop is open again. Nothing moves by that."""


@dataclass(frozen=True, slots=True)
class ClearFault(Event):
    """Command: the cause of a fault or an e-stop is gone."""


@dataclass(frozen=True, slots=True)
class Release(Event):
    """Command: switch the motor current off."""


@dataclass(frozen=True, slots=True)
class LimitHit(Event):
    """The rail ran into a limit switch, stalled or stopped by itself."""

    what: str


@dataclass(frozen=True, slots=True)
class RailLost(Event):
    """The rail's controller does not answer any more or has reset itself."""

    what: str


@dataclass(frozen=True, slots=True)
class Connected(Answer):
    """The drivers are open. Position known only where the controller kept it safely."""

    position: int | None = None


@dataclass(frozen=True, slots=True)
class Homed(Answer):
    """Home was found, and the rail stands at this position."""

    position: int


@dataclass(frozen=True, slots=True)
class MotionEnded(Answer):
    """A move or jog ended by itself, at this position and time. None: position not known (a jog before homing)."""

    position: int | None
    ended_s: float


@dataclass(frozen=True, slots=True)
class Stopped(Answer):
    """A stop or halt has been carried out."""

    position: int | None


@dataclass(frozen=True, slots=True)
class Settled(Answer):
    """The settle is over since this time."""

    at_s: float
    wait: Wait | None = None
    """How long it was meant to be, and why."""


@dataclass(frozen=True, slots=True)
class ShutterClosed(Answer):
    """An exposure is over; its data are still with the camera."""

    start_s: float
    end_s: float
    sequence: int


@dataclass(frozen=True, slots=True)
class TestTaken(Answer):
    """A picture outside of any stack is here and has been looked at."""


@dataclass(frozen=True, slots=True)
class Verdict(Answer):
    """A frame was fetched, checked and, when accepted, stored."""

    accepted: bool
    reason: str = ""
    retake: bool = True
    """False: taking it again would not help (the disk is full), so the stack pauses at once."""


@dataclass(frozen=True, slots=True)
class SessionReady(Answer):
    """The session is on disk."""


@dataclass(frozen=True, slots=True)
class SessionClosed(Answer):
    """The session is finished on disk."""


@dataclass(frozen=True, slots=True)
class Released(Answer):
    """The motor current is off."""


@dataclass(frozen=True, slots=True)
class Failed(Answer):
    """An effect could not be carried out. `frame_only`: only this picture is lost (a hung camera), not the rig."""

    what: str
    code: str = "driver"
    frame_only: bool = False
