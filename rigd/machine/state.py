"""What the machine knows: the state of the rig and of the stack. Frozen, plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rigd.machine.kinds import Answer
from rigd.plan import Plan
from rigd.settling import Wait


class Mode(enum.StrEnum):
    """What the rig is doing, in one word."""

    OFFLINE = "offline"
    UNHOMED = "unhomed"
    HOMING = "homing"
    IDLE = "idle"
    MOVING = "moving"
    TESTING = "testing"
    """One picture outside of any stack."""
    CAPTURING = "capturing"
    PAUSED = "paused"
    STOPPING = "stopping"
    FAULT = "fault"
    ESTOPPED = "estopped"


class Phase(enum.StrEnum):
    """Where inside `capturing` the stack is."""

    STARTING = "starting"
    """The session is made on disk."""
    APPROACHING = "approaching"
    """Backing off, so that the frame is approached from its side."""
    MOVING = "moving"
    SETTLING = "settling"
    EXPOSING = "exposing"
    CHECKING = "checking"
    """Nothing left to expose, or too much in the pipeline: waiting for verdicts."""
    ENDING = "ending"
    """The end action: parking, returning, homing again."""
    CLOSING = "closing"
    """The session is being finished on disk."""


class EndAction(enum.StrEnum):
    """What the rail does when a stack is complete."""

    PARK = "park"
    RETURN = "return"
    RELEASE = "release"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class RailFacts:
    """What the machine must know of the rail to keep its rules. Microsteps."""

    min: int
    max: int
    jog_max: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong, and what to do next."""

    code: str
    message: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """When a frame was exposed and what came before, on one monotonic clock, in seconds."""

    position: int
    """Microsteps reached."""
    asked: int
    """Microsteps asked."""
    moved_s: float
    """End of the motion before it."""
    settled_s: float
    """End of the settle."""
    start_s: float
    end_s: float
    sequence: int
    """The camera's running number of the picture."""
    wait: Wait | None = None
    """How long the settle was meant to be, and why."""

    @property
    def settle_s(self) -> float:
        """How long the rig really stood still before the exposure began."""
        return self.start_s - self.moved_s


@dataclass(frozen=True, slots=True)
class InFlight:
    """A frame whose shutter has closed and whose verdict is not in yet."""

    serial: int
    frame: int
    evidence: Evidence
    comparison: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack being captured. Frames are indices into `plan.positions`."""

    plan: Plan
    order: tuple[int, ...]
    """Frames to take, in order: all of them, or what a resumed session still lacks."""
    end: EndAction
    park: int
    max_retries: int
    prove: bool = True
    """Whether evidence is checked. Only tests of the check switch it off."""
    rehome: bool = False
    cursor: int = 0
    """Index into `order` of the next new frame."""
    retakes: tuple[int, ...] = ()
    compare: int | None = None
    """A frame of the interrupted session that is taken again and compared before anything else."""
    phase: Phase = Phase.STARTING
    frame: int | None = None
    """The frame being moved to, settled or exposed."""
    tries: tuple[tuple[int, int], ...] = ()
    """Retakes so far, by frame; only frames that needed one."""
    in_flight: tuple[InFlight, ...] = ()
    accepted: int = 0
    moved_s: float = 0.0
    settled_s: float = 0.0
    wait: Wait | None = None
    """Of the settle that ended at `settled_s`."""
    last_sequence: int = -1
    closing: str | None = None
    """`aborted` or `suspended`, when the stack ends before it is complete; `complete` when only its end action is cut short."""
    pause_asked: str | None = None
    """Why to pause at the next moment when the shutter is closed."""
    why: str = ""
    """Why it is paused."""

    @property
    def next_frame(self) -> int | None:
        """The frame to take next: the comparison, then retakes, then new ones."""
        if self.compare is not None:
            return self.compare
        if self.retakes:
            return self.retakes[0]
        return self.order[self.cursor] if self.cursor < len(self.order) else None

    def tries_of(self, frame: int) -> int:
        """How often this frame was retaken already."""
        return dict(self.tries).get(frame, 0)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that decides what the rig may do next."""

    rail: RailFacts
    mode: Mode = Mode.OFFLINE
    serial: int = 0
    """The last serial number given to an effect."""
    awaiting: int | None = None
    """The effect whose answer is waited for; any other answer is late and ignored."""
    answer: type[Answer] | None = None
    """Which answer that effect has, besides `Failed`."""
    position: int | None = None
    """Microsteps from home; None: not known."""
    must_home: bool = False
    """Whether the position was lost by a halt: whatever a controller counts since then, only homing finds it again."""
    target: int | None = None
    run: int = 0
    """Microsteps travelled since the last reversal, signed: shows on which side the backlash lies."""
    stack: Stack | None = None
    fault: Fault | None = None
    estop_held: bool = False
    """Whether the contact of the e-stop is pressed: nothing is cleared while it is."""

    @property
    def homed(self) -> bool:
        """Whether the position is known."""
        return self.position is not None
