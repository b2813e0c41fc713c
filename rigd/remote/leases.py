"""Who commands: one lease at a time, held by whoever knows its token. It lapses by the monotonic clock; UTC is only shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.clock import Clock
from rigd.messages import reports

TOKEN_BYTES = 12


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that is or was held."""

    token: str
    holder: str
    ttl_s: float
    until_s: float
    """When it lapses, monotonic."""
    expires: datetime
    """The same in UTC, for people."""

    def granted(self) -> reports.LeaseGranted:
        """As its holder is told."""
        return reports.LeaseGranted(
            lease=self.token, holder=self.holder, expires=self.expires, ttl_s=self.ttl_s
        )


class LeaseHeld(Exception):
    """Somebody else holds it."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"'{holder}' commands this rig")
        self.holder = holder


class NoLease(Exception):
    """No such lease is held."""

    def __init__(self) -> None:
        super().__init__("this lease has lapsed, was released or overtaken, or never was")


class Leases:
    """The lease of one rig. None is held after a start. On the loop's thread.

    Args:
        clock: decides when a lease lapses.
        on_change: called when one was taken, renewed, released or has lapsed.
    """

    def __init__(self, clock: Clock, on_change: Callable[[], None] = lambda: None) -> None:
        self.on_change = on_change
        self._clock = clock
        self._held: Lease | None = None

    @property
    def held(self) -> Lease | None:
        """The lease as it was taken or last renewed; also one that is over and has not been looked at yet (`lapse`)."""
        return self._held

    def now(self) -> reports.LeaseNow | None:
        """Who commands, for everybody: without the token."""
        held = self._held
        return None if held is None else reports.LeaseNow(holder=held.holder, expires=held.expires)

    def take(
        self, holder: str, ttl_s: float, token: str | None = None, *, force: bool = False
    ) -> tuple[Lease, Lease | None]:
        """Hold the lease: anew, or by its own token for longer.

        Args:
            holder: who, for people.
            ttl_s: how long it lasts unless it is renewed.
            token: of the lease that the asker holds already.
            force: take it from whoever holds it.

        Returns:
            The lease, and the one of somebody else that it ended.

        Raises:
            LeaseHeld: somebody else holds it.
        """
        held = self._held
        if held is not None and token == held.token:
            return self._hold(held.token, holder, ttl_s), None
        if held is not None and not force:
            raise LeaseHeld(held.holder)
        return self._hold(secrets.token_urlsafe(TOKEN_BYTES), holder, ttl_s), held

    def renew(self, token: str | None) -> Lease:
        """Hold it for as long again. Raises `NoLease`."""
        held = self._checked(token)
        return self._hold(held.token, held.holder, held.ttl_s)

    def release(self, token: str | None) -> Lease:
        """Give it back; the lease that was. Raises `NoLease`."""
        held = self._checked(token)
        self._held = None
        self.on_change()
        return held

    def lapse(self) -> Lease | None:
        """End a lease that was not renewed in time; that lease, or None."""
        held = self._held
        if held is None or self._clock.now() < held.until_s:
            return None
        self._held = None
        self.on_change()
        return held

    def _checked(self, token: str | None) -> Lease:
        if self._held is None or token != self._held.token:
            raise NoLease
        return self._held

    def _hold(self, token: str, holder: str, ttl_s: float) -> Lease:
        expires = self._clock.utc() + timedelta(seconds=ttl_s)
        self._held = Lease(token, holder, ttl_s, self._clock.now() + ttl_s, expires)
        self.on_change()
        return self._held
