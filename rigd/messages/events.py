"""What happened, once: published on `event/<kind>`, not retained.

Each carries its kind as `event_type` too, so that a reader of `event/+` needs no topic.
"""

from __future__ import annotations

from typing import Any, Literal

from rigd.messages.base import Error, Outward, Utc


class Event(Outward):
    """Base of all events."""

    event_type: str
    boot_id: str
    seq: int
    """Counts every state, event and frame of this start of the daemon."""
    time: Utc


class ActionFinished(Event):
    """A command that was answered `accepted` is over."""

    event_type: Literal["action_finished"] = "action_finished"
    verb: str
    transaction: str | None = None
    status: Literal["ok", "error"]
    data: dict[str, Any] = {}
    error: Error | None = None


class CommandRefused(Event):
    """A command was not acted on."""

    event_type: Literal["command_refused"] = "command_refused"
    topic: str
    """Relative to the rig's own: `request/goto`."""
    transaction: str | None = None
    error: Error


class SessionBegun(Event):
    """A stack is being captured."""

    event_type: Literal["session_started"] = "session_started"
    session: str
    name: str
    frames: int
    done: int = 0


class SessionPaused(Event):
    """A stack is paused."""

    event_type: Literal["session_paused"] = "session_paused"
    session: str
    why: str
    frame: int
    frames: int


class SessionResumed(Event):
    """A paused stack goes on."""

    event_type: Literal["session_resumed"] = "session_resumed"
    session: str
    frame: int
    frames: int


class SessionFinished(Event):
    """A session was left."""

    event_type: Literal["session_finished"] = "session_finished"
    session: str
    outcome: str
    """`complete`, `aborted`, or `suspended`: that one can be resumed."""
    why: str = ""
    frame: int
    frames: int


class SessionFused(Event):
    """The fused picture of a complete session is there, or could not be made."""

    event_type: Literal["session_fused"] = "session_fused"
    session: str
    ok: bool
    why: str = ""
    files: list[str] = []


class FrameRetried(Event):
    """A picture was refused and is taken again."""

    event_type: Literal["frame_retried"] = "frame_retried"
    session: str
    index: int
    reason: str


class FaultRaised(Event):
    """The rig stopped with a fault."""

    event_type: Literal["fault"] = "fault"
    code: str
    message: str
    next_step: str


class FaultCleared(Event):
    """A fault or e-stop was cleared."""

    event_type: Literal["fault_cleared"] = "fault_cleared"


class EStopped(Event):
    """The emergency stop was used."""

    event_type: Literal["estop"] = "estop"
    why: str


class LeaseChanged(Event):
    """The lease was taken, released, or has lapsed."""

    event_type: Literal["lease"] = "lease"
    change: Literal["taken", "released", "lapsed", "overtaken"]
    holder: str
    consequence: str = ""
    """What that did to a session under way: `continue`, `pause`, `stop`."""


class Warned(Event):
    """Something is not as it should be, and the stack goes on."""

    event_type: Literal["warning"] = "warning"
    session: str
    code: str
    """`motion`: moves are not shaped as they should be; `settle`: what the settle needs is not known; `settle_drift`: the rig rings
    otherwise than is known."""
    message: str


EVENTS: dict[str, type[Event]] = {
    str(model.model_fields["event_type"].default): model
    for model in (
        ActionFinished,
        CommandRefused,
        SessionBegun,
        SessionPaused,
        SessionResumed,
        SessionFinished,
        SessionFused,
        FrameRetried,
        FaultRaised,
        FaultCleared,
        EStopped,
        LeaseChanged,
        Warned,
    )
}
"""Every kind of event."""
