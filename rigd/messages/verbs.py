"""Every command: its parameters, what its answer carries, and what kind of thing it is.

A verb is published on `request/<verb>`, as a `Request`. Where a plain value makes sense (`PRESS`, `12000`), that is taken too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rigd.messages import reports
from rigd.messages.base import Finite, Inward, Name, Outward, PositionUm, Transaction, Utc

Mode = Literal[
    "offline",
    "unhomed",
    "homing",
    "idle",
    "moving",
    "testing",
    "capturing",
    "paused",
    "stopping",
    "fault",
    "estopped",
]


class Expect(Inward):
    """What must hold when the command is acted on; what is left away does not matter."""

    mode: Mode | None = None
    """As in `state`."""
    session: str | None = None
    """Id of the session under way."""
    boot_id: str | None = None
    """The daemon has not been started anew since."""
    homed: bool | None = None
    """Whether the position is known."""


class Request(Inward):
    """The envelope of a command. Every key may be left away."""

    transaction: Transaction | None = None
    """A known one repeats the old answer, not the action, also across a restart of rigd."""
    params: dict[str, Any] = {}
    """As the verb declares them."""
    not_after: Annotated[Utc | None, Field(strict=False)] = None
    """When it is no longer to be acted on, in the rig's time (`state.time`); at most an hour ahead."""
    expect: Expect | None = None
    """What must hold."""
    lease: Name | None = None
    """The lease's token, where one is held."""


class NoParams(Inward):
    """Nothing."""


class Jog(Inward):
    """A slow, bounded move, also before home is known. Stops by itself unless renewed."""

    distance_um: Annotated[Finite, Field(ge=-100_000, le=100_000)] | None = None
    """How far; positive toward the subject. The rig's config bounds it further. Needed, unless `nudge` is given."""
    nudge: Literal["toward", "away"] | None = None
    """In place of a distance: as far as the setting `jog_um` says, toward the subject or away from it. For buttons that always send the same."""
    hold_s: Annotated[Finite, Field(gt=0, le=60)] | None = None
    """It stops this long after it was begun or last renewed (`jog.renew`). Default and bound: the config's `remote.jog_hold_s`."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Jog:
        if (self.distance_um is None) == (self.nudge is None):
            raise ValueError("either `distance_um` or `nudge`, and not both")
        return self


class JogRenew(Inward):
    """The jog under way is still wanted."""

    hold_s: Annotated[Finite, Field(gt=0, le=60)] | None = None
    """It stops this long from now. Default: as the jog was begun."""


class Goto(Inward):
    """A move to a position."""

    position_um: PositionUm
    """From home."""


class Mark(Inward):
    """An end of the next stack."""

    position_um: PositionUm | None = None
    """Default: where the rail stands."""


class Sweep(Inward):
    """Where does the subject begin and end? Small pictures along the rail, none of which is kept."""

    from_um: PositionUm
    """Where to begin."""
    to_um: PositionUm
    """Where to end."""
    step_um: Annotated[Finite, Field(gt=0, le=1_000_000)]
    """From picture to picture, at most; about a depth of field is good. 5 to 2000 pictures."""


class PlanParams(Inward):
    """A stack. What is left away is as `settings` say."""

    near_um: PositionUm | None = None
    """The nearest plane in focus."""
    far_um: PositionUm | None = None
    """The farthest plane in focus."""
    step_um: Annotated[Finite, Field(gt=0, le=1_000_000)] | None = None
    """Longest step; with it, the number of frames follows."""
    frames: Annotated[int, Field(ge=2, le=100_000)] | None = None
    """Number of frames; with it, the step follows."""
    margin_frames: Annotated[int, Field(ge=0, le=50)] | None = None
    """Extra frames beyond each end."""
    direction: Literal["near_to_far", "far_to_near"] | None = None
    """Which end is photographed first."""
    settle_s: Annotated[Finite, Field(ge=0, le=600)] | None = None
    """Wait after each move."""
    end: Literal["park", "return", "release", "stay"] | None = None
    """What the rail does at the end."""
    profile: Name | None = None
    """A profile of the config; what is given beside it goes over it."""


class SessionStart(PlanParams):
    """A stack to take now."""

    name: Name | None = None
    """Of the session; default: the rig's id."""


class SessionResume(Inward):
    """Go on with a stack: the paused one, or an unfinished one from disk."""

    session: Name | None = None
    """Id of an unfinished session; default: the paused one, else the newest unfinished one."""


class SettingsParams(PlanParams):
    """Settings to change, all or none. What is left away stays."""

    jog_um: Annotated[Finite, Field(gt=0, le=100_000)] | None = None
    """How far one press of a jog button goes."""


class LeaseTake(Inward):
    """Become the one who commands this rig."""

    holder: Name
    """Who: shown to everybody."""
    ttl_s: Annotated[Finite, Field(ge=1, le=3600)] = 30.0
    """It lapses this long after it was taken or last renewed."""
    force: bool = False
    """Take it from whoever holds it."""


class LeaseToken(Inward):
    """A lease that is held."""

    lease: Name | None = None
    """Its token; default: the request's own `lease`."""


class Identify(Inward):
    """Which one is it? Blinks the rig's light."""

    seconds: Annotated[Finite, Field(gt=0, le=60)] = 3.0
    """For how long."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One command."""

    name: str
    summary: str
    params: type[Inward] = NoParams
    data: type[Outward] | None = None
    """What an `ok` or `accepted` answer carries."""
    long: bool = False
    """Answered `accepted`; the end is told by `event/action_finished`."""
    acts: bool = True
    """It changes something: it needs the lease where one is held, and its transaction is remembered across a restart."""
    always: bool = False
    """It only makes the rig safer: no lease is needed."""
    moves: bool = False
    """The rail may move."""
    plain: str | None = None
    """The parameter that a plain value stands for."""


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("ping", "ask for a sign of life", data=reports.Pong, acts=False),
        Verb("home", "find home", long=True, moves=True),
        Verb(
            "jog",
            "move slowly by a distance; stops when not renewed",
            Jog,
            long=True,
            moves=True,
            plain="distance_um",
        ),
        Verb("jog.renew", "let the jog go on", JogRenew, data=reports.JogHeld, acts=False),
        Verb("goto", "move to a position", Goto, long=True, moves=True, plain="position_um"),
        Verb("stop", "stop the rail gently; a stack is paused", always=True),
        Verb("release", "switch the motor off; home is lost"),
        Verb(
            "mark_near",
            "the nearest plane of the next stack is here",
            Mark,
            data=reports.Settings,
            plain="position_um",
        ),
        Verb(
            "mark_far",
            "the farthest plane of the next stack is here",
            Mark,
            data=reports.Settings,
            plain="position_um",
        ),
        Verb(
            "plan.validate",
            "what a stack would be; nothing moves",
            PlanParams,
            data=reports.PlanReport,
            acts=False,
        ),
        Verb(
            "session.start",
            "capture a stack",
            SessionStart,
            data=reports.SessionStarted,
            long=True,
            moves=True,
            plain="name",
        ),
        Verb("session.pause", "pause the stack", always=True),
        Verb(
            "session.resume",
            "go on with a stack",
            SessionResume,
            data=reports.SessionStarted,
            long=True,
            moves=True,
            plain="session",
        ),
        Verb("session.abort", "end the stack for good; what was taken stays", always=True),
        Verb("session.list", "the sessions on disk, newest first", data=reports.SessionList, acts=False),
        Verb(
            "capture.test", "take one picture here, outside of any session", data=reports.TestShot, long=True
        ),
        Verb(
            "sweep",
            "find where the subject begins and ends; proposes, and changes no setting",
            Sweep,
            data=reports.SweepFound,
            long=True,
            moves=True,
        ),
        Verb("settings", "read settings, or change some", SettingsParams, data=reports.Settings),
        Verb("lease.take", "become the one who commands", LeaseTake, data=reports.LeaseGranted),
        Verb("lease.renew", "keep the lease", LeaseToken, data=reports.LeaseGranted, plain="lease"),
        Verb("lease.release", "give the lease back", LeaseToken, plain="lease"),
        Verb("fault.clear", "the cause of a fault or an e-stop is gone"),
        Verb("identify", "blink the light", Identify, plain="seconds"),
    )
}
"""All commands but `estop`, which has a topic of its own and takes any payload."""

SETTINGS: tuple[str, ...] = (
    "near_um",
    "far_um",
    "step_um",
    "frames",
    "margin_frames",
    "direction",
    "settle_s",
    "end",
    "profile",
    "jog_um",
)
"""What `set/<setting>` takes, each as a plain value; an empty one goes back to the config's."""
assert set(SETTINGS) == set(SettingsParams.model_fields)
