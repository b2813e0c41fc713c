"""What all messages have in common: the version of the contract, two kinds of model, and the codes of a refusal."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

CONTRACT = "1.0"
"""Version of the contract. The first number changes when an old client would misunderstand a new rig; the second when something
is added. A client refuses a rig with another first number."""

MAX_PAYLOAD_BYTES = 16 * 1024
"""A command longer than this is refused unread: the longest sensible one has a few hundred bytes."""


class Inward(BaseModel):
    """Base of what a rig hears: an unknown key is an error, and numbers are numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Outward(BaseModel):
    """Base of what a rig says. A key that a reader does not know is none of its business: a newer rig may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)


Finite = Annotated[float, Field(allow_inf_nan=False)]
PositionUm = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
"""Micrometres from home. The rig's own limits are narrower, and in `info`."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A short text without control characters."""
Transaction = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
"""What a command is known by: printable ASCII without blanks; a UUID is a good one."""
Utc = AwareDatetime
"""A moment, ISO 8601 with its offset."""


class ErrorCode(enum.StrEnum):
    """Why a command was refused or failed."""

    MALFORMED = "malformed"
    """Not JSON, not UTF-8, or not the envelope of a request."""
    OVERSIZED = "oversized"
    """Longer than a command may be."""
    UNKNOWN_VERB = "unknown_verb"
    UNKNOWN_SETTING = "unknown_setting"
    INVALID_PARAMS = "invalid_params"
    """A parameter is missing, unknown, of the wrong kind or out of its bounds; `field` names it."""
    OUT_OF_LIMITS = "out_of_limits"
    """A target outside the rail's soft limits, or a jog that is too long."""
    RETAINED = "retained"
    """The broker kept it: nobody knows from when it is. Clear it with an empty retained message on its topic."""
    EXPIRED = "expired"
    """Its `not_after` is over."""
    NOT_AFTER_TOO_FAR = "not_after_too_far"
    """Its `not_after` lies so far ahead that one of the two clocks must be wrong."""
    REDELIVERED = "redelivered"
    """Delivered again by the broker, and without a transaction that would tell whether it was acted on."""
    TRANSACTION_REUSED = "transaction_reused"
    """The same transaction was used for another command."""
    UNEXPECTED_STATE = "unexpected_state"
    """The rig is not as `expect` says."""
    NOT_POSSIBLE = "not_possible"
    """Not in this mode; the message says in which, and what to do first."""
    PLAN_REFUSED = "plan_refused"
    """Rail, camera or disk cannot do the plan."""
    LEASED = "leased"
    """Somebody else holds the lease."""
    NO_LEASE = "no_lease"
    """That lease has lapsed, was released, or never was."""
    NOT_ALLOWED = "not_allowed"
    """The rig's config does not allow it."""
    BUSY = "busy"
    """Too many commands at once; try again."""
    INTERRUPTED = "interrupted"
    """It was begun, and something else ended it: a stop, a fault, another command."""
    HARDWARE = "hardware"
    """A part failed."""
    STORAGE = "storage"
    """The disk is full or cannot be written."""
    SESSION = "session"
    """No such session, or it cannot be used."""
    INTERNAL = "internal"
    """A bug in rigd."""


class Error(Outward):
    """Why a command was refused or failed."""

    code: ErrorCode
    """For programs."""
    message: str
    """For people, with the next thing to do where there is one."""
    field: str | None = None
    """Which part of the request it is about: `params.position_um`, `not_after`."""
