"""Commands about who commands."""

from __future__ import annotations

from rigd.messages.events import LeaseChanged
from rigd.messages.verbs import LeaseTake, LeaseToken
from rigd.remote.verbs.room import Answer, Job, Room


def take(room: Room, job: Job, params: LeaseTake) -> Answer:
    """Become the one who commands."""
    token = job.command.request.lease
    before = room.leases.held
    lease, overtaken = room.leases.take(params.holder, params.ttl_s, token, force=params.force)
    if overtaken is not None:
        room.tell(LeaseChanged, change="overtaken", holder=overtaken.holder)
        jog = room.actions.jog
        if jog is not None and jog.lease == overtaken.token:
            room.stop_jog(f"'{lease.holder}' took the lease from '{overtaken.holder}'")
    if before is None or before.token != lease.token:
        room.tell(LeaseChanged, change="taken", holder=lease.holder)
    return Answer(lease.granted())


def renew(room: Room, job: Job, params: LeaseToken) -> Answer:
    """Keep the lease."""
    return Answer(room.leases.renew(_token(job, params)).granted())


def release(room: Room, job: Job, params: LeaseToken) -> Answer:
    """Give it back. A stack under way goes on."""
    lease = room.leases.release(_token(job, params))
    room.tell(LeaseChanged, change="released", holder=lease.holder)
    return Answer()


def _token(job: Job, params: LeaseToken) -> str | None:
    return params.lease if params.lease is not None else job.command.request.lease
