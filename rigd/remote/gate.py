"""What a command has to pass before anything is done: one check a rule, in the order that the contract gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rigd.messages.base import ErrorCode
from rigd.remote.bus import Incoming
from rigd.remote.reading import Command, Unreadable, clean
from rigd.remote.rigtime import RigTime
from rigd.remote.verbs import LIMITS
from rigd.remote.verbs.room import Refusal, Room

AHEAD = timedelta(hours=1)
"""How far ahead `not_after` may lie."""


def sound(incoming: Incoming, heard: Command | Unreadable) -> Command:
    """The command, where the message is one that may be acted on at all. Raises `Refusal`."""
    oversized = isinstance(heard, Unreadable) and heard.error.code is ErrorCode.OVERSIZED
    if incoming.retained:
        message = "a retained message is never acted on; clear it with an empty retained one on its topic"
        raise Refusal(ErrorCode.RETAINED, message)
    if incoming.redelivered and heard.transaction is None and not oversized:
        message = (
            "delivered again, and without a transaction nobody knows whether it was acted on; send it anew"
        )
        raise Refusal(ErrorCode.REDELIVERED, message, "transaction")
    if isinstance(heard, Unreadable):
        raise Refusal(heard.error.code, heard.error.message, heard.error.field)
    return heard


def acts(command: Command) -> bool:
    """Whether it changes something; `settings` without any only reads."""
    reads = command.name == "settings" and not command.params.model_fields_set
    return command.verb.acts and not reads


def check(room: Room, command: Command) -> None:
    """Everything that depends on the moment. Raises `Refusal`."""
    _check_time(room, command)
    _check_expected(room, command)
    _check_lease(room, command)
    limits = LIMITS.get(command.name)
    if limits is not None:
        limits(room, command.params)


def _check_time(room: Room, command: Command) -> None:
    not_after = command.request.not_after
    if not_after is None:
        return
    now = room.clock.utc()
    if now > not_after:
        late_s = (now - not_after).total_seconds()
        message = f"not_after: {late_s:.1f} s too late by the rig's time{_set_back(room)}"
        raise Refusal(ErrorCode.EXPIRED, message, "not_after")
    if not_after - now > AHEAD:
        message = "not_after: more than an hour ahead of the rig's time; one of the two clocks is wrong"
        raise Refusal(ErrorCode.NOT_AFTER_TOO_FAR, message, "not_after")


def _set_back(room: Room) -> str:
    """That the rig's time is another one than its clock's, for whoever wonders."""
    ahead_s = room.clock.ahead_s if isinstance(room.clock, RigTime) else 0.0
    if ahead_s < 1.0:
        return ""
    return f", which is {ahead_s:.0f} s ahead of its clock, as that was set back; go by the time in `state`"


def _check_expected(room: Room, command: Command) -> None:
    expect = command.request.expect
    if expect is None:
        return
    state = room.rig.state
    found: dict[str, Any] = {
        "boot_id": room.boot_id,
        "mode": state.mode.value,
        "session": room.session,
        "homed": state.homed,
    }
    for name, value in found.items():
        wanted = getattr(expect, name)
        if wanted is not None and wanted != value:
            message = f"expect.{name}: it is {_shown(value)}, not {_shown(wanted)}"
            raise Refusal(ErrorCode.UNEXPECTED_STATE, message, f"expect.{name}")


def _check_lease(room: Room, command: Command) -> None:
    if not acts(command) or command.verb.always or command.name.startswith("lease."):
        return
    held, token = room.leases.held, command.request.lease
    if held is None and token is not None:
        raise Refusal(ErrorCode.NO_LEASE, "lease: it has lapsed, was released, or never was", "lease")
    if held is not None and token != held.token:
        message = f"lease: '{held.holder}' commands this rig; wait, or take the lease by force"
        raise Refusal(ErrorCode.LEASED, message, "lease")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else clean(str(value))
