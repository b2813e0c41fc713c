"""What happens by itself as time passes: a jog that is not renewed stops, a lease that is not renewed lapses.

Everything here goes by the monotonic clock.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.messages.events import LeaseChanged
from rigd.remote.verbs.room import Room

log = logging.getLogger(__name__)

SYNC_S = 1.0
"""What was written down is brought to the disk this much later."""


class Kept(Protocol):
    """Something that is written at once and brought to the disk later."""

    @property
    def dirty(self) -> bool:
        """Whether there is something to bring there."""

    def sync(self) -> None:
        """Do it. Blocks; raises OSError."""


class Vigil:
    """Watches the time. On the loop's thread.

    Args:
        room: of the rig.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self.wake = asyncio.Event()
        """Set when there is something new to watch."""
        self.written = asyncio.Event()
        """Set when something was written down."""

    async def serve(self) -> None:
        """Watch, until cancelled."""
        while True:
            self.wake.clear()
            self.lapse()
            self._stop_dead_jog()
            try:
                async with asyncio.timeout(self._rest_s()):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def sync(self, *parts: Kept) -> None:
        """Bring to the disk what was written, at leisure, until cancelled."""
        while True:
            await self.written.wait()
            await asyncio.sleep(SYNC_S)
            self.written.clear()
            for part in parts:
                try:
                    if part.dirty:
                        await self._room.disk.run(part.sync)
                except OSError as error:
                    log.warning("what was written down is not safe from a power cut: %s", error)

    def lapse(self) -> None:
        """End a lease that was not renewed in time, and do to a stack under way what the config says."""
        room = self._room
        lease = room.leases.lapse()
        if lease is None:
            return
        why = f"the lease of '{lease.holder}' lapsed"
        state, post = room.rig.state, room.rig.controller.post
        consequence = room.rig.config.remote.lease_lapses if state.stack is not None else ""
        if consequence == "pause" and state.mode is Mode.CAPTURING:
            post(ev.Pause(why))
        elif consequence == "stop":
            post(ev.Suspend(why))
        jog = room.actions.jog
        if jog is not None and jog.lease == lease.token:
            room.stop_jog(why)
        room.tell(LeaseChanged, change="lapsed", holder=lease.holder, consequence=consequence)

    def _stop_dead_jog(self) -> None:
        jog = self._room.actions.jog
        if jog is not None and jog.stops_s is not None and self._room.clock.now() >= jog.stops_s:
            self._room.stop_jog("the jog was not renewed")

    def _rest_s(self) -> float | None:
        """Until something has to be looked at; None: nothing is due."""
        jog, lease = self._room.actions.jog, self._room.leases.held
        due = [jog.stops_s] if jog is not None and jog.stops_s is not None else []
        due += [lease.until_s] if lease is not None else []
        return max(0.0, min(due) - self._room.clock.now()) if due else None
