"""What must be held on to: a jog and a lease, renewed for as long as a block of code lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from rigd.client.actions import Action
from rigd.client.errors import ActionFailed, CommandRefused, RigError
from rigd.messages.base import ErrorCode
from rigd.messages.reports import LeaseGranted

log = logging.getLogger(__name__)

RENEWALS = 3
"""So many renewals fit into the time that a jog or a lease holds: one or two may be lost."""
RENEW_TIMEOUT_S = 2.0


class Lease:
    """The right to command a rig, for as long as its block lasts. Made by `RigClient.lease`."""

    def __init__(self, granted: LeaseGranted) -> None:
        self.token = granted.lease
        self.holder = granted.holder
        self.granted = granted
        """The newest grant."""
        self.lost = asyncio.Event()
        """Set when the rig says that somebody else has it, or nobody: it lapsed while the way was lost, or rigd was started anew."""
        self.given_back = False
        """Whether the rig has it back, after the block."""

    def check(self) -> None:
        """Raises `CommandRefused` when it is lost."""
        if self.lost.is_set():
            raise CommandRefused(
                "lease", ErrorCode.NO_LEASE, "the lease is lost; take a new one before you command on", None
            )


async def keep_lease(lease: Lease, renew: Callable[[], Awaitable[LeaseGranted]]) -> None:
    """Renew until cancelled, or until the rig says that it is lost."""
    while True:
        await asyncio.sleep(lease.granted.ttl_s / RENEWALS)
        try:
            lease.granted = await renew()
        except CommandRefused as refused:
            if refused.code in {ErrorCode.NO_LEASE, ErrorCode.LEASED}:
                log.warning("the lease of %s is lost: %s", lease.holder, refused.message)
                lease.lost.set()
                return
            log.warning("the lease of %s was not renewed: %s", lease.holder, refused.message)
        except RigError as error:
            log.warning("the lease of %s could not be renewed: %s", lease.holder, error)


async def keep_jog(action: Action, hold_s: float, renew: Callable[[], Awaitable[None]]) -> None:
    """Renew until the jog is over."""
    while True:
        over, _ = await asyncio.wait({action.end}, timeout=hold_s / RENEWALS)
        if over:
            return
        try:
            await renew()
        except CommandRefused as refused:
            log.info("the jog is not renewed: %s", refused.message)
            return  # it is over, and its end is on its way
        except RigError as error:
            log.warning("the jog could not be renewed: %s", error)


@asynccontextmanager
async def held(keeping: Awaitable[None]) -> AsyncIterator[None]:
    """Keep something going beside a block."""
    task = asyncio.ensure_future(keeping)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, RigError):
            await task


async def ended_well(action: Action) -> bool:
    """Wait for an action that was stopped on purpose: whether it had come to its end by itself."""
    try:
        await action.finished()
    except ActionFailed as failed:
        if failed.code != ErrorCode.INTERRUPTED:
            raise
        return False
    return True
